"""What to offer for a unit that is missing or not known: the line of the mapping that would accept it.

Nothing here is ever used unasked: a guess stands in the way out of the rows that were set aside.
"""

import math
import re
from difflib import get_close_matches
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_analytes, read_unit_guesses
from aih_outcomes.units import accepted_units, canonical_units, find_approximate, is_known_unit, normalise_unit

Floats = NDArray[np.float64]

# A laboratory's unit may be named in a message, a word that slipped into the column (a name, a number) may not.
_LOOKS_LIKE_UNIT = re.compile(
    r"[^\W\d_][\w.*^\[\]{}() ]{0,11}/\s?(l|dl|ml|ul|µl|μl|mm3|kg|g|h|d|day|min|mol|mmol)", re.IGNORECASE
)
_SCALED = re.compile(r"([kmunp]?)(g|mol|U|\[IU\])/([dmu]?)L")
_PREFIXES = {"k": 3, "": 0, "d": -1, "m": -3, "u": -6, "n": -9, "p": -12}


def name_unit(written: str, analyte: str) -> str:
    """Say which unit of which analyte a row has, without a word that may be a patient's."""
    if not written:
        return f"missing unit for '{analyte}'"
    return f"unit '{written}' for '{analyte}'" if _may_be_named(written) else f"unit for '{analyte}'"


def explain_unit(analyte: str, written: str, values: Floats, limits: Floats) -> tuple[str, str]:
    """Return rule and way out for rows whose unit is missing or not accepted.

    Parameters
    ----------
    values, limits : results and upper limits of these rows as numbers; their middle tells what a missing unit may be
    """
    rule = f"{name_unit(written, analyte)}; expected one of {', '.join(accepted_units(analyte))}"
    shown = written if not written or _may_be_named(written) else "…"
    offer = (_guess(analyte, values, limits) if not written else _offer(analyte, written)) if shown != "…" else ""
    if offer:
        may = f"It may mean {offer}" if written else f"By the size of its results it may be {offer}"
        line = f'units = {{ {analyte} = {{ "{shown}" = "{offer}" }} }}'
        return rule, f"{may}: if so, map it: {line}; else give the right unit there, or correct the cells"
    return rule, (
        f'Map it: units = {{ {analyte} = {{ "{shown}" = "…" }} }}, where … is one of these, or a number of them '
        'as in "0.001 g/L"'
    )


def _may_be_named(written: str) -> bool:
    return is_known_unit(written) or _LOOKS_LIKE_UNIT.fullmatch(written) is not None


def _guess(analyte: str, values: Floats, limits: Floats) -> str:
    """Return the unit that the middle of these results, or of their upper limits, speaks for; else nothing."""
    middle = {"value": _middle(values), "uln": _middle(limits)}
    guesses = read_unit_guesses()
    guesses = guesses[guesses["analyte"] == analyte]
    by_limit = guesses["of"] == "uln"
    if by_limit.any() and not math.isnan(middle["uln"]):  # a limit tells more than results, which may be of the ill
        guesses = guesses[by_limit]
    for row in guesses.itertuples():
        found, bound = middle[str(row.of)], float(str(row.bound))
        if found < bound if row.side == "below" else found > bound:
            return str(row.unit)
    low, high = _plausible()[analyte]
    return canonical_units()[analyte] if low <= middle["value"] <= high else ""


def _middle(numbers: Floats) -> float:
    known = numbers[~np.isnan(numbers)]
    return float(np.median(known)) if len(known) else math.nan


@cache
def _plausible() -> dict[str, tuple[float, float]]:
    table = read_analytes()
    return dict(zip(table["analyte"], zip(table["plausible_low"], table["plausible_high"], strict=True), strict=True))


def _offer(analyte: str, written: str) -> str:
    """Return what an unknown unit can stand for: another scale, an approximate conversion, a slip of the hand."""
    about = find_approximate(analyte, written)
    if about is not None:
        return f"{about.factor:g} {canonical_units()[analyte]}"
    unit = normalise_unit(written)
    scaled = _rescale(unit, canonical_units()[analyte])
    if scaled:
        return scaled
    accepted = {one.casefold(): one for one in accepted_units(analyte)}
    if is_known_unit(written):  # another unit, not a slip of the hand, but for the case of its letters
        return accepted.get(written.strip().casefold(), "")
    near = get_close_matches(unit.casefold(), accepted, n=1, cutoff=0.8)
    return accepted[near[0]] if near else ""


def _rescale(unit: str, canonical: str) -> str:
    """Return how many canonical units a unit of another scale is: ``mg/L`` of g/L → ``0.001 g/L``."""
    one, other = _SCALED.fullmatch(unit), _SCALED.fullmatch(canonical)
    if one is None or other is None or one[2] != other[2]:
        return ""
    power = (_PREFIXES[one[1]] - _PREFIXES[one[3]]) - (_PREFIXES[other[1]] - _PREFIXES[other[3]])
    return f"{np.float64(f'1e{power}'):g} {canonical}"
