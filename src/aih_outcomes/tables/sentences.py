"""A comparison as one line of text: the relative effect never without the absolute one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.tables.numbers import MISSING, format_interval, format_ratio
from aih_outcomes.tables.table import require

COLUMNS = ("strata", "reference", "measure", "estimate", "conf_low", "conf_high")
LEFT_OUT = ("not evaluable", "undetermined")


def write_comparison(tidy: pd.DataFrame, *, leave_out: Sequence[str] = LEFT_OUT) -> str:
    """Return hazard ratio and risk difference of each contrast as one line, with 95 % intervals; no p-value.

    Parameters
    ----------
    tidy : the disclosed frame of a comparison: ``strata, reference, measure`` (hazard_ratio, risk_difference),
        ``estimate, conf_low, conf_high``, optional ``biased``; ``attrs`` may hold ``horizon`` and ``time_unit``
    leave_out : groups that are shown and not compared in words

    Returns
    -------
    ``Responder vs Insufficient response: hazard ratio 0.74 (95 % CI 0.30 to 1.84), risk difference at 5 years …``;
    empty where no contrast is left.

    Raises
    ------
    OutcomeError : a column is missing
    """
    require(tidy, COLUMNS, "the line of a comparison")
    attrs = tidy.attrs
    when = f" at {attrs['horizon']:g} {attrs.get('time_unit', 'years')}" if "horizon" in attrs else ""
    compared = tidy[~tidy["strata"].astype(str).str.casefold().isin([name.casefold() for name in leave_out])]
    names = [compared[column].astype(str) for column in ("strata", "reference")]
    lines = [
        f"{group} vs {reference}{_caution(rows)}: {_effects(rows, when)}"
        for (group, reference), rows in compared.groupby(names, sort=False)
    ]
    return "; ".join(lines)


def _caution(rows: pd.DataFrame) -> str:
    return " (biased)" if "biased" in rows and bool(rows["biased"].any()) else ""


def _effects(rows: pd.DataFrame, when: str) -> str:
    """Write the effects of one contrast; a measure the frame lacks is not estimable."""
    ratio, difference = (_ends(rows, measure) for measure in ("hazard_ratio", "risk_difference"))
    relative = format_ratio(*ratio).replace("(", "(95 % CI ", 1)
    absolute = format_interval(*difference, decimals=1, factor=100).replace(" (", " % (", 1)
    if absolute == MISSING:
        return f"hazard ratio {relative}, risk difference{when} not estimable"
    return f"hazard ratio {relative}, risk difference{when} {absolute}{'' if '(' in absolute else ' %'}"


def _ends(rows: pd.DataFrame, measure: str) -> tuple[object, object, object]:
    found = rows[rows["measure"] == measure]
    if found.empty:
        return (None, None, None)
    one = found.iloc[0]
    return (one["estimate"], one["conf_low"], one["conf_high"])
