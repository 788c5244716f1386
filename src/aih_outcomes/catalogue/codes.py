"""Codes and words of other systems → the catalogue's own word, each with how sure it is.

``exact`` and ``checked`` are used; ``remembered`` is used and told in how a file was read; ``unsure`` is not used: its
rows are set aside with the mapping line that would accept it.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

import pandas as pd

from aih_outcomes.catalogue.tables import read_table

Kind = Literal["analyte", "drug", "condition", "measure"]

TEXT = "text"  # the system of names and synonyms
LONGEST_NAME = 200  # characters; a longer cell is no name, and need not be looked through
USED = ("exact", "checked", "remembered")
# In these systems a longer code is a narrower one: K75.4 stands for K75.40 too.
_NARROWER_BY_PREFIX = ("icd10", "icd10cm", "opcs4")
_BRACKETS = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_SPECIMEN = re.compile(r"^f?(?:s|p|b|serum|plasma|blood)[ _-]+|[ _,-]+(?:serum|plasma|blood)$", re.IGNORECASE)
_UNIT_BEHIND = re.compile(r"[\s,_]+\S*/\s?\S+$")
_AMOUNT_BEHIND = re.compile(r"[\s,]*\d.*$")
# What may stand in brackets without making it another test or drug: IgG (g/L), but not IgG (CSF index).
_PASSED_OVER = {
    "analyte": re.compile(
        r"\s*|.*[/%].*|serum|plasma|blood|total|iif|ifcc|titre|titer|trough|s|sec|seconds", re.IGNORECASE
    ),
    "drug": re.compile(r"\s*|[\d.,]+\s*m?g.*|oral|p\.?o\.?|i\.?v\.?|intravenous|tablets?|capsules?", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Match:
    """The catalogue's word for a code or text.

    Attributes
    ----------
    word : analyte, drug, condition or measure of the catalogue
    confidence : ``exact``, ``checked``, ``remembered`` or ``unsure``
    """

    word: str
    confidence: str


def find_analyte(text: str) -> Match | None:
    """Return the analyte that a laboratory's name stands for, or None.

    Case, spaces, punctuation, a unit or a second name in brackets and the specimen in front do not matter; two names
    that disagree are no match.

    Examples
    --------
    >>> find_analyte("GPT (ALAT)").word, find_analyte("S-Bilirubin, total").word, find_analyte("Quick")
    ('alt', 'bilirubin', None)
    """
    return _find(text, "analyte")


def find_drug(text: str) -> Match | None:
    """Return the drug that a name or brand stands for, or None; a strength or dose behind it does not matter.

    Examples
    --------
    >>> find_drug("Imurek 50 mg").word, find_drug("CellCept (mycophenolate mofetil)").word, find_drug("aza + pred")
    ('azathioprine', 'mycophenolate', None)
    """
    return _find(text, "drug")


def analyte_by_code(system: str) -> dict[str, Match]:
    """Return code → analyte in ``loinc``, ``omop`` or ``snomed``."""
    return dict(_by_code("analyte", system))


def drug_by_code(system: str) -> dict[str, Match]:
    """Return code → drug in ``rxnorm``, ``omop`` or ``atc``."""
    return dict(_by_code("drug", system))


def matches(codes: pd.Series, kind: Kind, system: str) -> pd.DataFrame:
    """Return the catalogue's word for each code.

    Parameters
    ----------
    codes : codes as text; in the system ``text`` names as written
    kind : ``analyte``, ``drug``, ``condition`` or ``measure``
    system : ``loinc``, ``snomed``, ``omop``, ``rxnorm``, ``atc``, ``icd10`` …, or ``text``. Dots and blanks of a code
        do not matter; in ICD-10 and OPCS-4 a narrower code takes the word of the longest code that it begins with

    Returns
    -------
    frame ``word, confidence`` with the index of ``codes``; both empty where the catalogue does not know the code
    """
    places, distinct = pd.factorize(codes.astype("string"))
    found = [_find(str(code), kind) if system == TEXT else _find_code(str(code), kind, system) for code in distinct]
    words = pd.DataFrame(
        {
            "word": [one.word if one else None for one in found] + [None],
            "confidence": [one.confidence if one else None for one in found] + [None],
        },
        dtype="string",
    )
    return words.take(places).set_axis(codes.index)


@cache
def _by_code(kind: Kind, system: str) -> dict[str, Match]:
    table = read_table(f"{kind}_codes")
    rows = table[table["system"] == system]
    return {
        _plain_code(code, system): Match(word, confidence)
        for code, word, confidence in zip(rows["code"], rows[kind], rows["confidence"], strict=True)
    }


def _plain_code(code: str, system: str) -> str:
    plain = code.strip().upper()
    return plain.replace(".", "").replace(" ", "") if system in _NARROWER_BY_PREFIX else plain


def _find_code(code: str, kind: Kind, system: str) -> Match | None:
    known, plain = _by_code(kind, system), _plain_code(code, system)
    if system not in _NARROWER_BY_PREFIX:
        return known.get(plain)
    return next((known[plain[:n]] for n in range(len(plain), 2, -1) if plain[:n] in known), None)


def _find(text: str, kind: Kind) -> Match | None:
    if len(text) > LONGEST_NAME or "?" in text:  # a name with a question mark is none
        return None
    known = _by_text(kind)
    whole = known.get(text_key(text))
    if whole is not None or kind not in _PASSED_OVER:
        return whole
    inner = [part for part in _BRACKETS.findall(text) if not _PASSED_OVER[kind].fullmatch(part)]
    behind = _AMOUNT_BEHIND if kind == "drug" else _UNIT_BEHIND
    keys = [text_key(behind.sub("", _SPECIMEN.sub("", part.strip()))) for part in (_BRACKETS.sub(" ", text), *inner)]
    found = [known.get(key) for key in keys]
    return found[0] if len({one.word if one else "" for one in found}) == 1 else None


@cache
def _by_text(kind: Kind) -> dict[str, Match]:
    names = read_table(f"{kind}s")
    known = {text_key(name): Match(word, "exact") for word, name in zip(names[kind], names["name"], strict=True)}
    known |= {text_key(word): Match(word, "exact") for word in names[kind]}
    if kind in ("analyte", "drug"):
        synonyms = read_table(f"{kind}_synonyms")
        for text, word, confidence in zip(synonyms["synonym"], synonyms[kind], synonyms["confidence"], strict=True):
            known.setdefault(text_key(text), Match(word, confidence))
    return known


def text_key(text: str) -> str:
    """Return a name without case, spaces, punctuation and the ways Unicode has of writing one letter; ``%`` stays.

    Examples
    --------
    >>> text_key("Bilirubin, total") == text_key("BILIRUBIN TOTAL"), text_key("µ") == text_key("μ")
    (True, True)
    """
    return "".join(sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum() or sign == "%")
