"""The arithmetic of one survival curve: risk sets, product-limit estimate, limits, quantiles, restricted mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.models.survival.curves.jackknife import Spells, jackknife_variances, map_spells
from aih_outcomes.outcomes import Vector

ROUNDING = 12  # decimals of a survival that are no rounding error
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
    n_risk : at risk just before ``time``; ``n_event``, ``n_censor`` at it: cases (weights that are whole numbers count
        cases), or rows where weights are fractions
    weight_at_risk, weight_event : the same weighted, from which S(t) is made
    estimate : S(t); ``log_variance`` is the variance of log S(t) (Greenwood's, or the infinitesimal jackknife's)
    hazard, hazard_variance : Nelson-Aalen cumulative hazard
    entries, exits : distinct times, sorted; ``entry_counts``, ``exit_counts`` : cases up to each, from 0
    spells : what the infinitesimal jackknife needs; None where the variance is Greenwood's
    """

    strata: str
    n: int
    start: float
    time: Vector
    n_risk: Vector
    n_event: Vector
    n_censor: Vector
    weight_at_risk: Vector
    weight_event: Vector
    estimate: Vector
    log_variance: Vector
    hazard: Vector
    hazard_variance: Vector
    entries: Vector
    exits: Vector
    entry_counts: Vector
    exit_counts: Vector
    spells: Spells | None

    @property
    def std_error(self) -> Vector:
        """(n_times,) standard error of S(t); where S(t) is 0, Greenwood's is NaN and the jackknife's 0, as in R."""
        return standard_error(self.estimate, self.log_variance)

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
        fallen, first = np.unique(np.round(fallen[known], ROUNDING), return_index=True)  # a flat limit is one step
        time = time[known][first]
        reached = int(np.searchsorted(fallen + QUANTILE_TOLERANCE, p))
        if reached == len(fallen):
            return float("nan")
        passed = int(np.searchsorted(fallen - QUANTILE_TOLERANCE, p))
        if passed == len(fallen):
            return float((time[reached] + self.time[-1]) / 2)
        return float((time[reached] + time[passed]) / 2)


def estimate_curve(
    strata: str, entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector | None, start: float = 0.0, *,
    cluster: NDArray[np.int64] | None = None, count_rows: bool = False,
) -> Curve:  # fmt: skip
    """Estimate one curve.

    Parameters
    ----------
    entry, exit, event : (n,) spells (entry, exit], whether they end in an event
    weight : (n,) above 0; None for 1 each
    start : where the curve begins
    cluster : (n,) codes of rows that belong together, for the infinitesimal jackknife; None for Greenwood's variance
    count_rows : show rows, not sums of weights, as numbers at risk
    """
    shown, (entries, entry_counts) = count_exits(exit, event, None), cumulate(entry, None)
    shown_risk = count_below(entries, entry_counts, shown.time) - shown.left
    table, at_risk = shown, shown_risk
    if weight is not None:
        table, counts = count_exits(exit, event, weight), cumulate(entry, weight)
        at_risk = np.maximum(_weight_at_risk(table, *counts), table.leaving)  # whoever leaves is at risk
        at_risk = np.where(shown_risk == shown.event, table.event, at_risk)  # all die: exactly, whatever the weights
        if not count_rows:
            shown, shown_risk, (entries, entry_counts) = table, at_risk, counts
    with np.errstate(divide="ignore", invalid="ignore"):
        log_variance = np.cumsum(table.event / (at_risk * (at_risk - table.event)))
    hazard, hazard_variance = np.cumsum(table.event / at_risk), np.cumsum(table.event / at_risk**2)
    spells = None
    if cluster is not None:
        spells = map_spells(table.time, entry, exit, event, np.ones(len(exit)) if weight is None else weight, cluster)
        log_variance, hazard_variance = jackknife_variances(spells, at_risk, table.event)
    return Curve(
        strata, len(exit), start, table.time, shown_risk, shown.event, shown.leaving - shown.event, at_risk,
        table.event, np.asarray(np.cumprod(1 - table.event / at_risk), float), log_variance, hazard, hazard_variance,
        entries, table.time, entry_counts, np.concatenate([shown.left, shown.left[-1:] + shown.leaving[-1:]]), spells,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Exits:
    """(n_times,) distinct times of leaving; weight leaving at each, that of events, and that gone before."""

    time: Vector
    leaving: Vector
    event: Vector
    left: Vector


def count_exits(exit: Vector, event: NDArray[np.bool_], weight: Vector | None) -> Exits:
    """Count who leaves when: one sort of the exits, however many rows there are."""
    order = np.argsort(exit)
    time = exit[order]
    first = np.flatnonzero(np.concatenate([[True], time[1:] != time[:-1]])) if len(time) else np.empty(0, np.int64)
    if weight is None:
        leaving = np.diff(first, append=len(time)).astype(float)
        dead = np.concatenate([[0], np.cumsum(event[order], dtype=np.int64)])
        n_event = np.diff(dead[np.concatenate([first, [len(time)]])]).astype(float)
        return Exits(time[first], leaving, n_event, first.astype(float))
    leaving = np.add.reduceat(weight[order], first)
    n_event = np.add.reduceat((weight * event)[order], first)
    return Exits(time[first], leaving, n_event, np.concatenate([[0.0], np.cumsum(leaving)[:-1]]))


def cumulate(times: Vector, weight: Vector | None) -> tuple[Vector, Vector]:
    """Return distinct sorted times and the case counts up to each, from 0; ``weight`` None counts 1 each."""
    if len(times) and times.min() == times.max():  # one common entry needs no sort
        return times[:1], np.array([0.0, len(times) if weight is None else weight.sum()])
    if weight is None:
        distinct, counts = np.unique(times, return_counts=True)
        return distinct, np.concatenate([[0.0], np.cumsum(counts)])
    distinct, where = np.unique(times, return_inverse=True)
    return distinct, np.concatenate([[0.0], np.cumsum(np.bincount(where, weight, len(distinct)))])


def _weight_at_risk(table: Exits, entries: Vector, entry_counts: Vector) -> Vector:
    """(n_times,) weight at risk, summed from the end, where it is small: nothing large is subtracted from it there."""
    to_leave = np.cumsum(table.leaving[::-1])[::-1]
    to_come = np.append(np.cumsum(np.diff(entry_counts)[::-1])[::-1], 0.0)
    return np.asarray(to_leave - count_below(entries, to_come, table.time), float)


def count_below(times: Vector, counts: Vector, limit: Vector, *, inclusive: bool = False) -> Vector:
    """Return case counts with time < limit, or <= limit (see ``cumulate``)."""
    return counts[np.searchsorted(times, limit, side="right" if inclusive else "left")]


def standard_error(estimate: Vector, log_variance: Vector) -> Vector:
    """Return the standard error on the scale of S(t); Greenwood's is NaN where S(t) is 0."""
    with np.errstate(invalid="ignore"):
        return estimate * np.sqrt(log_variance)


def confidence_limits(
    estimate: Vector, log_variance: Vector, conf_level: float, conf_type: str
) -> tuple[Vector, Vector]:
    """Pointwise limits as in R's survfit, within [0, 1].

    Parameters
    ----------
    estimate, log_variance : (n,) S(t) and the variance of log S(t)
    conf_type : ``log-log``, ``logit`` or ``arcsine`` (NaN where S(t) is 0 or 1), ``log`` or ``plain`` (NaN where S(t)
        is 0)
    """
    z = norm.ppf((1 + conf_level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = z * np.sqrt(log_variance)
        if conf_type == "plain":
            return np.maximum(estimate - width * estimate, 0.0), np.minimum(estimate + width * estimate, 1.0)
        survival = np.where((estimate == 0) | ((estimate == 1) & (conf_type != "log")), np.nan, estimate)
        if conf_type == "log":
            return survival * np.exp(-width), np.minimum(survival * np.exp(width), 1.0)
        odds = survival / (1 - survival)
        if conf_type == "logit":
            bent = width * (1 + odds)
            return 1 - 1 / (1 + odds * np.exp(-bent)), 1 - 1 / (1 + odds * np.exp(bent))
        if conf_type == "arcsine":
            angle, bent = np.arcsin(np.sqrt(survival)), width / 2 * np.sqrt(odds)
            return np.sin(np.maximum(angle - bent, 0)) ** 2, np.sin(np.minimum(angle + bent, np.pi / 2)) ** 2
        bent = width / np.log(survival)
        return survival ** np.exp(-bent), survival ** np.exp(bent)


def read_steps(curve: Curve, times: Vector) -> dict[str, Vector]:
    """Read a curve at given times: cumulative events, estimate, errors; NaN after the last time unless S(t) is 0."""
    step = np.searchsorted(curve.time, times, side="right")
    unknown = np.isnan(times) | ((times > curve.time[-1]) & (curve.estimate[-1] > 0))

    def read(values: Vector, before: float) -> Vector:
        return np.where(unknown, np.nan, np.concatenate([[before], values])[step])

    return {
        "n_event": np.concatenate([[0.0], np.cumsum(curve.n_event)])[step],
        "estimate": read(curve.estimate, 1.0),
        "std_error": read(curve.std_error, 0.0),
        "log_variance": read(curve.log_variance, 0.0),
        "cumulative_hazard": read(curve.hazard, 0.0),
        "cumulative_hazard_se": read(np.sqrt(curve.hazard_variance), 0.0),
    }


def last_with_at_risk(entry: Vector, exit: Vector, least: int) -> float:
    """Return the last time of leaving at which ``least`` rows are at risk (entry < t <= exit); −inf if never."""
    entry, exit = np.sort(entry), np.sort(exit)
    n_risk = np.searchsorted(entry, exit, "left") - np.searchsorted(exit, exit, "left")
    return float(exit[n_risk >= least].max(initial=-np.inf))


def first_day_with_at_risk(
    entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector | None, least: int
) -> float:
    """Return the time from which ``least`` are at risk until the risk set is largest.

    0 if no event falls before it, or if so many are never at risk. ``weight`` are case counts; None counts rows.

    A handful at risk early under late entry lets one event ruin the whole curve (Pan & Chappell, Lifetime Data Anal
    1998;4:281): the curve is then conditional on being event-free at the time returned.
    """
    if entry.min() == entry.max():  # the risk set is largest at once
        return 0.0
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
