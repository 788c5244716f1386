"""The large-sample partial likelihood of one yes/no covariate, from counts per day: the least-false hazard ratio.

Written for the truth alone and independent of ``models``, so that neither can hide a fault of the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Logarithm of a hazard ratio and its Monte-Carlo error."""

    log_ratio: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Per day 1, 2, …: at risk and events, in those with and without the covariate."""

    with_risk: Floats
    without_risk: Floats
    with_events: Floats
    without_events: Floats


def _at_risk(entry: Floats, leave: Floats, days: int) -> Floats:
    """Return how many of the spells (entry, leave] hold each day 1 … days."""
    change = np.bincount(np.clip(entry, 0, days).astype(np.int64) + 1, minlength=days + 2)[: days + 2].astype(float)
    change -= np.bincount(np.clip(leave, 0, days).astype(np.int64) + 1, minlength=days + 2)[: days + 2]
    return np.cumsum(change)[1 : days + 1]


def _events(day: Floats, happened: Flags, days: int) -> Floats:
    return np.bincount(day[happened].astype(np.int64), minlength=days + 1)[1 : days + 1].astype(float)


def count_days(entry: Floats, leave: Floats, event: Flags, since: Floats) -> Counts:
    """Count person-days and events by a covariate that turns to yes on day ``since`` and stays so.

    Parameters
    ----------
    entry, leave : (n,) spells (entry, leave] in whole days; those with leave ≤ entry are not at risk
    event : (n,) whether the spell ends with the event
    since : (n,) day of the change; 0 or less for always, large for never; it applies after that day
    """
    days = int(leave.max())
    risk = leave > entry
    entry, leave, event, since = entry[risk], leave[risk], event[risk], since[risk]
    turn = np.clip(since, entry, leave)
    changed = since < leave
    return Counts(
        with_risk=_at_risk(turn, leave, days), without_risk=_at_risk(entry, turn, days),
        with_events=_events(leave, event & changed, days), without_events=_events(leave, event & ~changed, days),
    )  # fmt: skip


def solve_ratio(counts: Counts) -> Ratio:
    """Solve Σ (d₁ − d · n₁eᵇ/(n₀ + n₁eᵇ)) = 0 for b (Cox 1972; Breslow's ties) by Newton's method."""
    events = counts.with_events + counts.without_events
    some = (events > 0) & (counts.with_risk + counts.without_risk > 0)
    ill, well, d, d1 = counts.with_risk[some], counts.without_risk[some], events[some], counts.with_events[some]
    b, information = 0.0, 1.0
    for _ in range(50):
        share = ill * np.exp(b) / (well + ill * np.exp(b))
        information = float((d * share * (1 - share)).sum())
        step = float((d1 - d * share).sum()) / information
        b += float(np.clip(step, -1, 1))
        if abs(step) < 1e-10:
            break
    return Ratio(b, information**-0.5)
