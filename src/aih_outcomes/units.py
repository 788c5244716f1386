"""Units as clinics write them, results as laboratories print them, and conversion to the canonical unit."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_analytes, read_conversions, read_unit_spellings

COMPARATORS = ("=", "<", "<=", ">", ">=")
DRUG_DOSE_UNITS = ("mg/day", "mg/kg/day")
TITRE_UNIT = "{titer}"
LONGEST = 64  # characters; a longer cell is no result and no unit, and need not be looked through

_ACCEPTED = ("exact", "checked")
_SUPERSCRIPTS = str.maketrans({"⁰": "^0", "¹": "^1", "²": "^2", "³": "^3", "⁴": "^4", "⁵": "^5", "⁶": "^6", "⁹": "^9"})
_INVERSE = re.compile(r"[.·*]?(d?l|ul|kg|д?л)\^?[-−]\^?1$", re.IGNORECASE)  # µmol·L⁻¹
_ANNOTATION = re.compile(r"\{[^{}]*\}")  # {cells}/uL: in UCUM what stands in braces changes nothing
_TIMES = re.compile(r"^[xX×*·]+(?=1)")  # × 10⁹/L
_RESULT = re.compile(
    r"\s*(?P<sign><=|=<|>=|=>|<|>|≤|≥|=|less than|more than|greater than)?\s*"
    r"(?P<one>1\s*[:/]\s*)?(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)"
    r"(?:\s*[*↑↓]|\s+\(?(?:HH|LL|H|L)\)?)?\s*",
    re.IGNORECASE | re.ASCII,
)
_SIGNS = {
    "": "=",
    "≤": "<=",
    "=<": "<=",
    "≥": ">=",
    "=>": ">=",
    "less than": "<",
    "more than": ">",
    "greater than": ">",
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """Canonical value = factor × value + offset."""

    factor: float
    offset: float


@lru_cache(maxsize=1024)
def normalise_unit(text: str) -> str:
    """Return the UCUM spelling of a unit, or the text itself where it is not known.

    Examples
    --------
    >>> [normalise_unit(text) for text in ("IU/l", "µmol/l", "× 10⁹/L", "G/l", "g/l", "mkat/L")]
    ['[IU]/L', 'umol/L', '10*9/L', '10*9/L', 'g/L', 'mkat/L']
    """
    if len(text) > LONGEST:
        return text
    plain = unicodedata.normalize("NFKC", text.translate(_SUPERSCRIPTS)).strip().replace("μ", "u")
    bare = _TIMES.sub("", "".join(plain.split())).replace("mm^3", "mm3")
    known = _spellings()
    spellings = (bare, bare.casefold(), _INVERSE.sub(r"/\1", bare).casefold(), _ANNOTATION.sub("", bare).casefold())
    for spelling in spellings:
        if spelling in known:
            return known[spelling]
    return plain


def is_known_unit(text: str) -> bool:
    """Return whether ``text`` is a unit that the catalogue knows, of whatever analyte."""
    return normalise_unit(text) in _spellings().values()


@cache
def _spellings() -> dict[str, str]:
    """Return spelling without blanks → UCUM unit; only where case tells two units apart does it stand in capitals."""
    table = read_unit_spellings()
    written = {_bare(text): unit for text, unit in zip(table["written"], table["unit"], strict=True)}
    return {unit.casefold(): unit for unit in read_conversions()["unit"]} | {
        spelling if spelling.casefold() in {"g/l", "t/l", "tpt/l"} else spelling.casefold(): unit
        for spelling, unit in written.items()
    }


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).replace("μ", "u").split())


@cache
def _conversions(*, accepted: bool) -> dict[tuple[str, str], Conversion]:
    table = read_conversions()
    rows = table[table["confidence"].isin(_ACCEPTED) == accepted]
    return {
        (analyte, unit): Conversion(float(factor), float(offset))
        for analyte, unit, factor, offset in zip(
            rows["analyte"], rows["unit"], rows["factor"], rows["offset"], strict=True
        )
    }


@cache
def canonical_units() -> dict[str, str]:
    """Return analyte → canonical unit."""
    table = read_analytes()
    return dict(zip(table["analyte"], table["unit"], strict=True))


def accepted_units(analyte: str) -> list[str]:
    """Return the units that can be converted for ``analyte``, canonical first."""
    return [unit for name, unit in _conversions(accepted=True) if name == analyte]


def find_conversion(analyte: str, unit: str) -> Conversion | None:
    """Return the exact conversion from ``unit`` to the canonical unit of ``analyte``, or None."""
    return _conversions(accepted=True).get((analyte, normalise_unit(unit)))


def find_approximate(analyte: str, unit: str) -> Conversion | None:
    """Return a conversion that holds about, from memory or by assay: to be offered, never used unasked."""
    return _conversions(accepted=False).get((analyte, normalise_unit(unit)))


def compute_canonical(amount: float, analyte: str, unit: str) -> float:
    """Return ``amount`` in the canonical unit of ``analyte``; NaN where no exact conversion is known.

    Examples
    --------
    >>> compute_canonical(800, "igg", "mg/dL"), round(compute_canonical(6.5, "hba1c", "%"), 1)
    (8.0, 47.5)
    """
    known = find_conversion(analyte, unit)
    return known.factor * amount + known.offset if known else np.nan


def compute_factor(analyte: str, unit: str) -> float:
    """Return canonical units per ``unit``; NaN where no exact conversion is known or the two scales differ in zero."""
    known = find_conversion(analyte, unit)
    return known.factor if known and not known.offset else np.nan


def parse_results(text: pd.Series) -> pd.DataFrame:
    """Split laboratory results as printed into ``comparator, number, titre``; each distinct text is read once.

    ``<5`` → ``<, 5``; ``1:640`` and ``1/640`` → ``=, 640`` with ``titre`` true; flags behind the number (``H``, ``*``)
    are passed over. What is no number becomes NaN, so that the caller sets it aside.

    Examples
    --------
    >>> parse_results(pd.Series(["<5", ">1:1280", "12.5 H", "1,5"])).values.tolist()
    [['<', 5.0, False], ['>', 1280.0, True], ['=', 12.5, False], [<NA>, nan, False]]
    """
    places, distinct = pd.factorize(text.astype(object))
    read = [_read_result(cell) for cell in distinct]
    found = pd.DataFrame([*read, (None, np.nan, False)], columns=["comparator", "number", "titre"])
    found = found.astype({"comparator": "string", "number": float, "titre": bool})
    return found.take(places).set_axis(text.index)


def read_plain(cell: str) -> str:
    """Return a cell with full-width digits and signs as plain ones; nothing where a digit is raised or circled.

    ``45¹`` is 45 with a footnote, ``10²`` is 100: neither is 451 or 102, which compatibility forms would make of them.

    Examples
    --------
    >>> read_plain("＞7000"), read_plain("45¹")
    ('>7000', '')
    """
    if cell.isascii():
        return cell
    tags = {unicodedata.decomposition(sign).partition(" ")[0] for sign in cell}
    return "" if tags & {"<super>", "<sub>", "<circle>"} else unicodedata.normalize("NFKC", cell)


def _read_result(text: object) -> tuple[str | None, float, bool]:
    short = isinstance(text, str) and len(text) <= LONGEST
    found = _RESULT.fullmatch(read_plain(str(text))) if short else None
    # float() rounds to the nearest number; the parser of pandas may be off by the last bit.
    number = float(found["number"]) if found else np.inf
    if found is None or not np.isfinite(number):
        return None, np.nan, False
    sign = (found["sign"] or "").casefold()
    return _SIGNS.get(sign, sign), number, found["one"] is not None
