"""Units as clinics write them, comparators, and conversion to the canonical unit."""

import re
from functools import cache

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_analytes, read_conversions

COMPARATORS = ("=", "<", "<=", ">", ">=")
DRUG_DOSE_UNITS = ("mg/day", "mg/kg/day")

# How clinics write what UCUM calls something else; keys are lower case without spaces.
_WRITTEN = {
    "u/l": "U/L", "iu/l": "[IU]/L", "[iu]/l": "[IU]/L", "ui/l": "[IU]/L", "e/l": "U/L", "u/ml": "U/mL",
    "ukat/l": "ukat/L", "mikrokat/l": "ukat/L", "nkat/l": "nkat/L",
    "umol/l": "umol/L", "mcmol/l": "umol/L", "mmol/l": "mmol/L",
    "mg/dl": "mg/dL", "g/dl": "g/dL", "gm/dl": "g/dL", "mg/ml": "mg/mL",
    "s": "s", "sec": "s", "secs": "s", "seconds": "s",
    "meq/l": "meq/L", "10*6/l": "10*6/L", "10^6/l": "10*6/L", "10e6/l": "10*6/L",
    "10*9/l": "10*9/L", "10^9/l": "10*9/L", "10e9/l": "10*9/L", "gpt/l": "10*9/L",
    "10*4/ul": "10*4/uL", "10^4/ul": "10*4/uL",
    "10*3/ul": "10*3/uL", "10^3/ul": "10*3/uL", "10e3/ul": "10*3/uL", "k/ul": "10*3/uL", "/ul": "/uL",
    "1": "1", "{inr}": "1", "inr": "1", "ratio": "1", "{titer}": "{titer}", "titre": "{titer}", "titer": "{titer}",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans({"⁹": "^9", "³": "^3", "×": "x"})
_RESULT = re.compile(r"^\s*(<=|>=|<|>|≤|≥|=)?\s*(?:1\s*:\s*)?([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*$")
_COMPARATOR_WORDS = {"≤": "<=", "≥": ">=", "": "="}


def normalise_unit(text: str) -> str:
    """Return the UCUM spelling of a unit, or the text itself where it is not known.

    Examples
    --------
    >>> [normalise_unit(text) for text in ("IU/l", "µmol/l", "× 10⁹/L", "G/l", "g/l")]
    ['[IU]/L', 'umol/L', '10*9/L', '10*9/L', 'g/L']
    """
    plain = text.strip().replace("µ", "u").replace("μ", "u")
    if plain in {"G/l", "G/L"}:  # giga per litre (cells), never grams
        return "10*9/L"
    if plain in {"g/l", "g/L"}:
        return "g/L"
    key = plain.translate(_SUPERSCRIPTS).replace(" ", "").lower()
    return _WRITTEN.get(key.removeprefix("x"), plain)


@cache
def _factors() -> dict[tuple[str, str], float]:
    table = read_conversions()
    return {(a, u): float(f) for a, u, f in zip(table["analyte"], table["unit"], table["factor"], strict=True)}


@cache
def canonical_units() -> dict[str, str]:
    """Return analyte → canonical unit."""
    table = read_analytes()
    return dict(zip(table["analyte"], table["unit"], strict=True))


def accepted_units(analyte: str) -> list[str]:
    """Return the units that can be converted for ``analyte``, canonical first."""
    return [unit for name, unit in _factors() if name == analyte]


def compute_factor(analyte: str, unit: str) -> float:
    """Return canonical units per ``unit`` of ``analyte``; NaN where no exact conversion is known."""
    return _factors().get((analyte, normalise_unit(unit)), np.nan)


def compute_factors(analyte: pd.Series, unit: pd.Series) -> pd.Series:
    """Return ``compute_factor`` for each row; NaN where the unit is missing or unknown."""
    pairs = pd.DataFrame({"analyte": analyte.to_numpy(), "unit": unit.to_numpy()}).drop_duplicates()
    known = {pair: compute_factor(*pair) for pair in pairs.dropna().itertuples(index=False, name=None)}
    found = [known.get(key, np.nan) for key in zip(analyte, unit, strict=True)]
    return pd.Series(found, index=analyte.index, dtype=float)


def parse_results(text: pd.Series) -> pd.DataFrame:
    """Split laboratory results as printed into ``comparator, number``.

    ``<5`` → ``<, 5``; ``1:640`` → ``=, 640``; what is no number becomes NaN, so that the caller sets it aside.
    """
    parts = text.astype("string").str.extract(_RESULT)
    sign = parts[0].fillna("").replace(_COMPARATOR_WORDS)
    number = pd.to_numeric(parts[1], errors="coerce").astype(float)
    return pd.DataFrame({"comparator": sign.where(number.notna()).astype("string"), "number": number}, index=text.index)
