"""One curve per group, all from the same start."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.survival.curves.arrays import Rows
from aih_outcomes.models.survival.curves.curve import Curve, estimate_curve, first_day_with_at_risk
from aih_outcomes.outcomes import TimeToEvent


def estimate_group_curves(
    rows: Rows, from_day: float | None, least: int, *, count_rows: bool
) -> tuple[tuple[Curve, ...], float]:
    """Estimate the curve of each group that has rows, in the order of the levels; return them and their start.

    Parameters
    ----------
    from_day : where the curves begin; None for 0 (the first entry, if that is earlier) or, where an event falls with
        fewer than ``least`` at risk early, the first time from which so many are at risk in every group
    count_rows : weights are fractions: rows, not weights, are at risk

    Raises
    ------
    OutcomeError : nobody in a group is followed after the start; a start that is no finite number
    """
    asked = None if from_day is None else read_number("from_day", from_day, "from_day=182")
    parts = rows.by_group()
    start = _common_start(parts, least, count_rows) if asked is None else asked
    return tuple(_one_curve(strata, part, start, count_rows) for strata, part in parts.items()), start


def refuse_nobody(outcome: TimeToEvent) -> None:
    """Refuse an outcome without rows, or with weights of 0 only.

    Raises
    ------
    OutcomeError
    """
    if not len(outcome.frame) or not outcome.weight.sum():
        raise OutcomeError(
            f"{outcome.label!r} has no rows{_commonest_reason(outcome.exclusions)}", "A curve needs someone at risk",
            "Check the exclusions",
        )  # fmt: skip


def _common_start(parts: dict[str, Rows], least: int, count_rows: bool) -> float:
    zero = min(0.0, *(float(rows.entry.min()) for rows in parts.values()))
    return zero + max(
        first_day_with_at_risk(
            rows.entry - zero, rows.exit - zero, rows.event, None if count_rows else rows.weight, least
        )
        for rows in parts.values()
    )


def _one_curve(strata: str, rows: Rows, start: float, count_rows: bool) -> Curve:
    if rows.entry.min() < start:
        rows = rows.select(rows.exit > start)
    if not len(rows.exit):
        raise OutcomeError(
            f"Nobody in group {strata!r} is followed after {start:g}", "A curve needs someone at risk",
            "Choose an earlier from_day, or leave the group out by name",
        )  # fmt: skip
    return estimate_curve(
        strata, np.maximum(rows.entry, start), rows.exit, rows.event, rows.weight, start, cluster=rows.cluster,
        count_rows=count_rows,
    )  # fmt: skip


def _commonest_reason(exclusions: pd.DataFrame) -> str:
    if exclusions.empty:
        return ""
    commonest = exclusions.sort_values("n", ascending=False, kind="stable").iloc[0]
    return f": all were left out, most often because: {commonest['reason']} ({commonest['n']})"
