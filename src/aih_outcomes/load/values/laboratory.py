"""Laboratory results: from the value and unit as printed to the canonical unit; nothing is guessed."""

import re
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_missing_words, read_titre_words
from aih_outcomes.load.records import PROBLEM_COLUMNS, list_problems
from aih_outcomes.load.values.unit_offers import name_unit
from aih_outcomes.load.values.unit_pairs import UnitPairs, Words, read_distinct
from aih_outcomes.units import LONGEST, TITRE_UNIT, canonical_units, parse_results, read_plain

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

_NONE: Words = MappingProxyType({})
_LIMIT = re.compile(
    r"\s*(?:(?P<low>[0-9]+(?:\.[0-9]+)?)\s*[-–—]|<=|=<|<|≤|up to)?\s*(?:1\s*[:/]\s*)?"
    r"(?P<high>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)\s*",
    re.ASCII,
)
_TOLD = {"reported", "laboratory", "age_sex_table", "fixed"}
_CORRECT = "Correct the cell"


def check_canonical_units(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Find rows of a canonical table whose unit is not the canonical unit of the analyte."""
    expected = frame["analyte"].map(canonical_units())
    unit = frame["unit"].fillna("")
    bad = expected.notna() & (unit != expected)
    pairs = pd.DataFrame({"analyte": frame["analyte"][bad], "unit": unit[bad]}).drop_duplicates()
    return [
        list_problems(
            bad & (frame["analyte"] == analyte) & (unit == written),
            "unit",
            f"{name_unit(written, analyte)} in a canonical table must be {canonical_units()[analyte]}",
            "Convert the value, or read the file with a mapping, which converts: "
            'columns.value = "value", columns.unit = "unit"',
        )
        for analyte, written in pairs.itertuples(index=False, name=None)
    ]


def convert_results(
    text: pd.DataFrame, analyte: pd.Series, *, units: Words, titres: Words = _NONE, decimal: str
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert results as printed.

    Parameters
    ----------
    text : ``value, printed, unit`` and, where the source has them, ``uln, uln_unit, uln_source, fixed_uln``; all but
        the last are text, ``""`` where blank. ``uln`` is in the unit of the result unless ``uln_unit`` says otherwise
    analyte : analyte of each row; missing where it was not recognised
    units : analyte → word of the laboratory (``""``: none) → unit it stands for
    titres : analyte → word in place of a titre → titre it stands for, as ``<1:20``
    decimal : ``.`` or ``,``

    Returns
    -------
    frame ``value, unit, comparator, raw_value, raw_unit, uln, uln_source``, and its problems. A titre (``1:640``,
    ``neg``) needs no unit
    """
    canonical = analyte.map(canonical_units())
    is_titre = canonical.eq(TITRE_UNIT).to_numpy(bool, na_value=False)
    results = parse_results(_with_point(_name_titres(text["value"], analyte, titres), decimal))
    as_titre, number = results["titre"].to_numpy(bool), results["number"].to_numpy(float)
    unit = text["unit"]
    if (bare := is_titre & unit.eq("").to_numpy(bool)).any():
        unit = unit.mask(bare & (as_titre | _are_words_for_titres(text["value"])), TITRE_UNIT)
    pairs = UnitPairs(analyte, unit, units)
    limits = _convert_limits(text, analyte, unit, pairs, units, decimal)
    number = np.where(as_titre & ~is_titre, np.nan, number)
    frame = pd.DataFrame(
        {
            "value": pairs.convert(number),
            "unit": canonical.astype("string"),
            "comparator": results["comparator"],
            "raw_value": text["printed"].astype("string"),
            "raw_unit": read_distinct(text["unit"], lambda word: word or None, object),
            "uln": limits.canonical,
            "uln_source": limits.source,
        },
        index=text.index,
    ).astype({"raw_unit": "string", "uln_source": "string"})
    return frame, [
        *pairs.list_unknown(number, limits.in_unit_of_result),
        _list_unread(text["value"], analyte, np.isnan(number), is_titre, as_titre),
        list_problems(
            pd.Series(limits.unread & pairs.known), "uln",
            "upper limit must be a number or a range such as 5-40, in a unit that converts",
            f'{_CORRECT}; in a mapping, name words for missing: missing = ["…"]',
        ),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """Upper limits of some rows: NaN where there is none; ``unread`` where one is printed that cannot be used."""

    canonical: Floats
    in_unit_of_result: Floats
    source: NDArray[np.object_]
    unread: Flags


def _convert_limits(
    text: pd.DataFrame, analyte: pd.Series, unit: pd.Series, pairs: UnitPairs, units: Words, decimal: str
) -> _Limits:
    """Convert the upper limits that the source has, and then those that the mapping gives to a whole column."""
    none = np.full(len(text), np.nan)
    printed, own_unit, uln = none, np.zeros(len(text), dtype=bool), none
    if "uln" in text:
        printed = read_distinct(_with_point(text["uln"], decimal), _read_limit, float)
        own_unit = text["uln_unit"].ne("").to_numpy(bool) if "uln_unit" in text else own_unit
        its_pairs = UnitPairs(analyte, unit.mask(own_unit, text["uln_unit"]), units) if own_unit.any() else pairs
        uln = its_pairs.convert(printed)
    fixed = pairs.convert(text["fixed_uln"].to_numpy(float)) if "fixed_uln" in text else none
    return _Limits(
        canonical=np.where(np.isnan(uln), fixed, uln),
        in_unit_of_result=np.where(own_unit, np.nan, printed),
        source=_sources(text, uln, fixed),
        unread=text["uln"].ne("").to_numpy(bool) & np.isnan(uln) if "uln" in text else own_unit,
    )


def _read_limit(cell: str) -> float:
    found = _LIMIT.fullmatch(read_plain(cell)) if len(cell) <= LONGEST else None
    if found is None or float(found["low"] or 0) > float(found["high"]):  # 40-5 is a slip, and 5 no upper limit
        return np.nan
    return float(found["high"])


def _sources(text: pd.DataFrame, uln: Floats, fixed: Floats) -> NDArray[np.object_]:
    """Return where each limit is from: as the source says, else reported with the result or fixed by the mapping."""
    told = np.full(len(text), "reported", dtype=object)
    if "uln_source" in text:
        told = read_distinct(
            text["uln_source"], lambda word: word.lower() if word.lower() in _TOLD else "reported", object
        )
    return np.where(np.isnan(uln), np.where(np.isnan(fixed), "none", "fixed"), told)


def _with_point(text: pd.Series, decimal: str) -> pd.Series:
    """Return numbers with a decimal point; a point where the file has decimal commas makes the cell unreadable."""
    if decimal == ".":
        return text
    return text.str.replace(",", ".", regex=False).mask(text.str.contains(".", regex=False), "?")


def _name_titres(text: pd.Series, analyte: pd.Series, titres: Words) -> pd.Series:
    """Return results in which the words of a mapping, whatever their case, are the titres that they stand for."""
    for name, words in titres.items():
        meant = {word.strip().casefold(): titre for word, titre in words.items()}
        said = text[analyte.eq(name).fillna(value=False)].str.strip().str.casefold().map(meant).dropna()
        text = text.mask(text.index.isin(said.index), said)
    return text


@cache
def _known_words() -> tuple[frozenset[str], frozenset[str]]:
    """Return words in place of a titre, and words for no result at all; in lower case."""
    titres, missing = read_titre_words()["word"], read_missing_words()["word"]
    return frozenset(titres.str.casefold()), frozenset(missing.str.casefold())


def _are_words_for_titres(text: pd.Series) -> Flags:
    words, _ = _known_words()
    return np.asarray(read_distinct(text, lambda cell: cell.strip().casefold() in words, bool), dtype=bool)


def _list_unread(text: pd.Series, analyte: pd.Series, unread: Flags, is_titre: Flags, as_titre: Flags) -> pd.DataFrame:
    """Return the rows whose result is no number, each with what the catalogue knows of its word."""
    rows = np.flatnonzero(unread)
    cells = pd.DataFrame({"text": text, "analyte": analyte.astype(object).where(analyte.notna(), "")}).iloc[rows]
    cells = cells.assign(is_titre=is_titre[rows], as_titre=as_titre[rows])
    listed = list(cells.itertuples(index=False, name=None))
    known = {cell: _explain_result(*cell) for cell in dict.fromkeys(listed)}
    reasons = pd.DataFrame([known[cell] for cell in listed], columns=["rule", "way_out"])
    return reasons.assign(row=rows, column="value")[list(PROBLEM_COLUMNS)]


def _explain_result(text: str, analyte: str, is_titre: bool, as_titre: bool) -> tuple[str, str]:
    """Return rule and way out for a result that is no number; only words of the catalogue are quoted."""
    titre_words, missing_words = _known_words()
    word = text.strip()
    if not word:
        return "required value is missing", "Fill the cell, or take the row out of the file"
    if as_titre and analyte:
        return f"a titre (1:40) is no result of '{analyte}'", f"{_CORRECT}, or the name of the test"
    if is_titre and word.casefold() in titre_words:
        return (
            f"'{word}' tells no dilution; a titre is written as 1:40 or <1:20",
            f'Map it, with the lowest dilution in use: titres = {{ {analyte} = {{ "{word}" = "<1:…" }} }}',
        )
    if word.casefold() in missing_words | titre_words:
        return f"'{word}' is no number", f'If it means no result, name it in a mapping: missing = ["{word}"]'
    return (
        "must be a number, a sign with a number (<5) or a titre (1:40)",
        f'{_CORRECT}; in a mapping, name words for missing (missing = ["…"]) or the decimal sign (decimal = "…")',
    )
