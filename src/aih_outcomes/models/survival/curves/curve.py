"""The arithmetic of one survival curve: risk sets, product-limit estimate, limits, quantiles, restricted mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.outcomes import Vector

QUANTILE_TOLERANCE = float(np.sqrt(np.finfo(float).eps))  # R's, for "S(t) equals 1 - p"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One product-limit curve; vectors are (n_times,), sorted by ``time``, unless said otherwise.

    Attributes
    ----------
    strata : name of the group
    n : number of rows behind the curve
    start : where the curve begins at 1
    time : distinct times at which someone leaves
    n_risk : at risk just before ``time``; ``n_event``, ``n_censor`` at it
    estimate : S(t); ``greenwood`` is the variance of log S(t)
    hazard, hazard_variance : Nelson-Aalen cumulative hazard
    entries, exits : (n,) sorted; ``entry_counts``, ``exit_counts`` : (n + 1,) cumulative case counts, from 0
    """

    strata: str
    n: int
    start: float
    time: Vector
    n_risk: Vector
    n_event: Vector
    n_censor: Vector
    estimate: Vector
    greenwood: Vector
    hazard: Vector
    hazard_variance: Vector
    entries: Vector
    exits: Vector
    entry_counts: Vector
    exit_counts: Vector

    @property
    def std_error(self) -> Vector:
        """(n_times,) Greenwood standard error of S(t); NaN where S(t) is 0."""
        return standard_error(self.estimate, self.greenwood)

    def at_risk(self, times: Vector, *, origin: float | None = None) -> Vector:
        """(n_times,) case counts with entry < t <= exit; at or before ``origin`` those with entry <= t < exit."""
        before = count_below(self.entries, self.entry_counts, times) - count_below(self.exits, self.exit_counts, times)
        if origin is None:
            return before
        after = count_below(self.entries, self.entry_counts, times, inclusive=True)
        after -= count_below(self.exits, self.exit_counts, times, inclusive=True)
        return np.where(times <= origin, after, before)

    def quantile(self, survival: Vector, p: float) -> float:
        """Return the time at which ``survival`` (the estimate or a limit) falls to 1 − p; NaN if it never does.

        R's ``quantile.survfit``: the middle of a step that lies at 1 − p exactly.
        """
        time = np.concatenate([[self.start], self.time])
        fallen = np.concatenate([[0.0], 1 - survival])
        known = np.isfinite(fallen)
        if p == 0:
            return self.start
        fallen, first = np.unique(fallen[known], return_index=True)
        time = time[known][first]
        reached = int(np.searchsorted(fallen + QUANTILE_TOLERANCE, p))
        if reached == len(fallen):
            return float("nan")
        passed = int(np.searchsorted(fallen - QUANTILE_TOLERANCE, p))
        if passed == len(fallen):
            return float((time[reached] + self.time[-1]) / 2)
        return float((time[reached] + time[passed]) / 2)


def estimate_curve(
    strata: str, entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector, start: float = 0.0
) -> Curve:
    """Estimate one curve.

    Parameters
    ----------
    entry, exit, event, weight : (n,) spells (entry, exit], whether they end in an event, case counts above 0
    start : where the curve begins
    """
    time, where = np.unique(exit, return_inverse=True)
    leaving = np.bincount(where, weight, len(time)).astype(float)
    n_event = np.bincount(where, weight * event, len(time)).astype(float)
    entries, entry_counts = cumulate(entry, weight)
    exits, exit_counts = cumulate(exit, weight)
    n_risk = count_below(entries, entry_counts, time) - count_below(exits, exit_counts, time)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(n_event / (n_risk * (n_risk - n_event)))
    return Curve(
        strata, len(exit), start, time, n_risk, n_event, np.asarray(leaving - n_event, float),
        np.asarray(np.cumprod(1 - n_event / n_risk), float), greenwood,
        np.cumsum(n_event / n_risk), np.cumsum(n_event / n_risk**2), entries, exits, entry_counts, exit_counts,
    )  # fmt: skip


def cumulate(times: Vector, weight: Vector) -> tuple[Vector, Vector]:
    """Return sorted times (n,) and the case counts up to each (n + 1,), from 0."""
    order = np.argsort(times, kind="stable")
    return times[order], np.concatenate([[0.0], np.cumsum(weight[order])])


def count_below(times: Vector, counts: Vector, limit: Vector, *, inclusive: bool = False) -> Vector:
    """Return case counts with time < limit, or <= limit (see ``cumulate``)."""
    return counts[np.searchsorted(times, limit, side="right" if inclusive else "left")]


def standard_error(estimate: Vector, greenwood: Vector) -> Vector:
    """Greenwood standard error on the scale of S(t); NaN where S(t) is 0."""
    with np.errstate(invalid="ignore"):
        return estimate * np.sqrt(greenwood)


def confidence_limits(estimate: Vector, greenwood: Vector, conf_level: float, conf_type: str) -> tuple[Vector, Vector]:
    """Pointwise limits as in R's survfit, within [0, 1].

    Parameters
    ----------
    estimate, greenwood : (n,) S(t) and the variance of log S(t)
    conf_type : ``log-log`` (NaN where S(t) is 0 or 1), ``log`` or ``plain`` (NaN where S(t) is 0)
    """
    z = norm.ppf((1 + conf_level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = z * np.sqrt(greenwood)
        if conf_type == "plain":
            return np.maximum(estimate - width * estimate, 0.0), np.minimum(estimate + width * estimate, 1.0)
        survival = np.where((estimate == 0) | ((estimate == 1) & (conf_type == "log-log")), np.nan, estimate)
        if conf_type == "log":
            return survival * np.exp(-width), np.minimum(survival * np.exp(width), 1.0)
        bent = width / np.log(survival)
        return survival ** np.exp(-bent), survival ** np.exp(bent)


def read_steps(curve: Curve, times: Vector) -> dict[str, Vector]:
    """Read a curve at given times: cumulative events, estimate, errors; NaN after the last time unless S(t) is 0."""
    step = np.searchsorted(curve.time, times, side="right")
    unknown = (times > curve.time[-1]) & (curve.estimate[-1] > 0)

    def read(values: Vector, before: float) -> Vector:
        return np.where(unknown, np.nan, np.concatenate([[before], values])[step])

    return {
        "n_event": np.concatenate([[0.0], np.cumsum(curve.n_event)])[step],
        "estimate": read(curve.estimate, 1.0),
        "std_error": read(curve.std_error, 0.0),
        "greenwood": read(curve.greenwood, 0.0),
        "cumulative_hazard": read(curve.hazard, 0.0),
        "cumulative_hazard_se": read(np.sqrt(curve.hazard_variance), 0.0),
    }


def first_day_with_at_risk(entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector, least: int) -> float:
    """Return the time from which ``least`` are at risk until the risk set is largest.

    0 if no event falls before it, or if so many are never at risk.

    A handful at risk early under late entry lets one event ruin the whole curve (Pan & Chappell, Lifetime Data Anal
    1998;4:281): the curve is then conditional on being event-free at the time returned.
    """
    entries, entry_counts = cumulate(entry, weight)
    exits, exit_counts = cumulate(exit, weight)
    times = np.unique(np.concatenate([entry, exit]))  # the risk set is constant on (times[i], times[i + 1]]
    after = count_below(entries, entry_counts, times, inclusive=True) - count_below(
        exits, exit_counts, times, inclusive=True
    )
    largest = int(np.argmax(after))
    few = np.flatnonzero(after[:largest] < least)
    if not len(few) or after[largest] < least:
        return 0.0
    start = float(times[few[-1] + 1])
    return start if bool(np.any(event & (exit <= start))) else 0.0
