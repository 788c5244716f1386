"""Identifiers that slipped into a cohort: numbers, addresses and names of persons in its texts.

A search by patterns finds what has a form (a health number, a postcode) and much of what has none (a name). It cannot
prove that a text names nobody: free text is withheld at the door of a pseudonymised cohort for that reason.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from operator import mul

import numpy as np
import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DisclosureError
from aih_outcomes.load.privacy.names import (
    holds_given_name,
    holds_lone_given_name,
    holds_name_pair,
    holds_person,
    holds_title,
    holds_two_names,
)
from aih_outcomes.schema import TABLES

IDENTIFIER_COLUMNS = ("table", "column", "kind", "n_rows", "rows")
HEALTH_NUMBER = "NHS, CHI or H&C number"
POSTCODE, E_MAIL, PHONE = "postcode", "e-mail address", "telephone number"
PERSON, BIRTH, DATED = "name of a person", "date of birth in words", "date within an identifier"
# Areas of the Royal Mail; with them a gene (CD40LG) or a sample's number is rarely taken for a postcode.
_POSTAL_AREAS = """
    AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G GL
    GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX
    PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN
    WR WS WV YO ZE
"""
_AREAS = frozenset(_POSTAL_AREAS.split())
# Area, district, space, and the inward part, in which CIKMOV never stand.
_POSTCODE = re.compile(r"(?<![^\W_])([A-Za-z]{1,2})([0-9][0-9A-Za-z]?)(\s*)([0-9][A-Za-z]{2})(?![^\W_])")
_NEVER_INWARD = frozenset("CIKMOV")
# However it is spaced, also right behind its name: NHS9434765919.
_TEN_DIGITS = re.compile(
    r"(?:(?<![^\W_])|(?<=\bNHS)|(?<=\bCHI))([0-9]{3})[\s._-]{0,2}([0-9]{3})[\s._-]{0,2}([0-9]{4})(?![^\W_])",
    re.IGNORECASE,
)
_WEIGHTS = (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
_E_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONES = (
    re.compile(r"(?<![\w.])(?:\+|00)[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]\)?){8,12}(?![\w])"),  # with the country's code
    re.compile(r"(?<![\w.])\(?0[1-9][0-9]{1,4}\)?[ /-]?[0-9]{3,4}[ -]?[0-9]{3,4}(?![\w.])"),  # 020 7946 0000
    re.compile(r"(?<![\w.])(?:\([0-9]{3}\) ?|[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4}(?![\w.])"),  # (555) 010-0000
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez)[a-zä]{0,6}"
_DATE = (
    r"(?:[0-3]?[0-9][./-][01]?[0-9][./-](?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]|"
    rf"[0-3]?[0-9](?:st|nd|rd|th)?[ ./-]{{0,2}}{_MONTH}[ .,/-]{{0,2}}(?:19|20)?[0-9]{{2}})"
)
_BORN = re.compile(rf"\b(?:born|birth|dob|d\.o\.b|geb|geboren|nacid[oa]|né|née)\b[^0-9]{{0,12}}{_DATE}", re.IGNORECASE)
_DATED = re.compile(
    r"(?<![0-9])(?:[0-3]?[0-9][./-][01]?[0-9][./-](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[./-][01][0-9][./-][0-3][0-9])(?![0-9])"
)
_FREE_TEXT = ("reason",)
OF_ONE = "source_file of one patient"
_CODES = ("columns_not_used", "how_read")  # words of the file's own header, and codes of other vocabularies
_DIGITS_OWN = ("patient_id", "raw_value", "raw_dose", *_CODES)  # nobody is rung up by the digits that stand there
_FOUND_BY_FORM = ("label", "source_file", "columns_not_used", "how_read", "rule", "way_out")


def find_identifiers(cohort: Cohort) -> pd.DataFrame:
    """Look for identifiers in every text of a cohort: its tables, its label, names of its files and their columns.

    Found are health numbers of the United Kingdom (ten digits with a valid check digit; numbers reserved for tests
    count), postcodes, e-mail addresses, telephone numbers, names of persons (a title or a common given name before a
    surname; in free text a given name alone; there, and in names of files of one patient, any two capitalised words
    that are no known term), dates of birth in words, and dates within a patient's identifier. Ten digits of another
    kind have a valid check digit once in eleven.

    Returns
    -------
    frame ``table, column, kind, n_rows, rows``: ``rows`` are positions (from 1) in the table, the set-aside rows or
    the load report; no value is shown
    """
    known: dict[tuple[str, str], tuple[str, ...]] = {}  # a patient's identifier stands in many tables
    in_file = count_patients(cohort.tables().values())
    for file in in_file.index[(in_file == 1) & (cohort.n_patients > 1)]:
        known[file, "source_file"] = kinds_in(file, OF_ONE)  # one file per patient: their names are easily its name
    found = [
        {"table": table, "column": column, "kind": kind, "n_rows": len(rows), "rows": rows}
        for table, column, values in _texts(cohort)
        for kind, rows in _find_rows(values, column, known)
    ]
    return pd.DataFrame(found, columns=list(IDENTIFIER_COLUMNS))


def check_identifiers(cohort: Cohort) -> None:
    """Refuse a cohort in which identifiers are found.

    Raises
    ------
    DisclosureError : kinds, columns and counts are named, values are not
    """
    found = find_identifiers(cohort)
    if len(found):
        places = [
            f"{kind} in {table + '.' if table else ''}{column} ({n} row(s))"
            for table, column, kind, n in found[["table", "column", "kind", "n_rows"]].itertuples(index=False)
        ]
        shown = "; ".join(places[:5]) + (f"; and {len(places) - 5} more" if len(places) > 5 else "")
        raise DisclosureError(
            f"Identifiers stand in {len(found)} place(s) of the cohort: {shown}",
            "Nothing is written from data that name a person",
            "Make a key with 'aih-outcomes key FILE' and name it in the plan, [data] key = \"FILE\": identifiers are "
            "then replaced and free text withheld as the data come in. Or take them out of the files, their names and "
            "the label",
        )


def count_patients(tables: Iterable[pd.DataFrame]) -> pd.Series:
    """Return file → number of patients with rows from it, of frames with ``patient_id, source_file``."""
    pairs = pd.concat([table[["patient_id", "source_file"]].drop_duplicates() for table in tables])
    number: pd.Series = pairs.dropna().groupby("source_file")["patient_id"].nunique()
    return number


def kinds_in(text: str, column: str = "") -> tuple[str, ...]:
    """Return the kinds of identifiers in a text; ``column`` says where it stands, as what is a name depends on that."""
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)  # digits and blanks of any width
    written = [match for match in _TEN_DIGITS.finditer(text) if column not in _CODES or not match[0].isdigit()]
    health = any(is_health_number("".join(match.groups())) for match in written)
    rest = _TEN_DIGITS.sub(" ", text) if health else text
    return tuple(
        kind
        for kind, hit in (
            (HEALTH_NUMBER, health),
            (POSTCODE, any(_is_postcode(*match.groups()) for match in _POSTCODE.finditer(text))),
            (E_MAIL, _E_MAIL.search(text) is not None),
            (PHONE, column not in _DIGITS_OWN and any(pattern.search(rest) for pattern in _PHONES)),
            (PERSON, _names_person(text, column)),
            (BIRTH, _BORN.search(text) is not None),
            (DATED, column == "patient_id" and _DATED.search(text) is not None),
        )
        if hit
    )


def is_health_number(digits: str) -> bool:
    """Return whether ten digits are a health number: NHS (England, Wales), CHI (Scotland) and H&C (Northern Ireland).

    All three share the check digit modulus 11: the digits times 10, 9, …, 2 and the check digit sum to a multiple of
    11 (NHS Data Dictionary, "NHS number").

    Examples
    --------
    >>> is_health_number("9434765919"), is_health_number("9434765918")
    (True, False)
    """
    # Of each digit its byte is taken, 48 more: 48 · (10 + 9 + … + 1) is a multiple of 11 itself.
    total = sum(map(mul, _WEIGHTS, digits.encode("ascii")))
    return total % 11 == 0 and digits != digits[0] * 10  # 0000000000 fills a field, and is nobody's


def read_health_number(text: str) -> str | None:
    """Return the ten digits where a text is a health number and nothing else, however it is spaced."""
    match = _TEN_DIGITS.fullmatch(text) if len("9434765919") <= len(text) <= len("943 476 5919") else None
    digits = "".join(match.groups()) if match else ""
    return digits if digits and is_health_number(digits) else None


def _is_postcode(area: str, district: str, space: str, inward: str) -> bool:
    """Return whether the parts are a postcode's; without its space only in capitals, and not as short as ``N19GU``."""
    real = area.upper() in _AREAS and _NEVER_INWARD.isdisjoint(inward.upper())
    outward = area + district
    return real and (bool(space) or (len(outward) > 2 and (outward + inward).isupper()))


def _names_person(text: str, column: str) -> bool:
    if column == "initials":
        return re.search(r"[^\W\d_]{5}", text) is not None  # a word is no initials
    if column == "patient_id":
        return holds_given_name(text) or holds_title(text)
    if column in ("centre", *_CODES):
        return holds_title(text)  # many a hospital is named after a person
    if column == OF_ONE and holds_two_names(text):
        return True
    return holds_person(text) or (column in _FREE_TEXT and (holds_name_pair(text) or holds_lone_given_name(text)))


def _texts(cohort: Cohort) -> Iterator[tuple[str, str, pd.Series]]:
    """Yield table, column and values of every text that a user wrote."""
    yield "", "label", pd.Series([cohort.label], dtype="string")
    for name, table in cohort.tables().items():
        for column in TABLES[name].columns:
            if column.kind in ("identifier", "text"):
                yield name, column.name, table[column.name]
    report = cohort.load_report
    assert report is not None  # set in __post_init__
    for title, frame in (("load report", report), ("set aside", cohort.set_aside)):
        for column_name in _FOUND_BY_FORM:
            if column_name in frame:
                yield title, column_name, frame[column_name].astype("string")


def _find_rows(
    values: pd.Series, column: str, known: dict[tuple[str, str], tuple[str, ...]]
) -> Iterator[tuple[str, list[int]]]:
    """Yield each kind found in a column and its rows; each distinct text is looked at once."""
    codes, distinct = pd.factorize(values)
    for text in distinct:
        if (text, column) not in known:
            known[text, column] = kinds_in(text, column)
    kinds = pd.Series([known[text, column] for text in distinct], dtype=object)
    hits = kinds[kinds.str.len() > 0].explode()
    for kind, texts in hits.groupby(hits, sort=True):
        yield str(kind), [int(row) + 1 for row in np.flatnonzero(np.isin(codes, texts.index))]
