"""Every leave-one-out curve of one sample at once, by arrays: without late entry each depends on one exit only.

Leaving out who leaves at X lowers the number at risk by one up to X and changes nothing after: a curve without a
patient is a prefix with n − 1 at risk, one step at X, and the common rest of the whole curve, S(t) / S(X).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sample (n,) of exits from a common start, and its table at the distinct exits (n_times,).

    Attributes
    ----------
    start : common entry
    place : (n,) index of each exit among the distinct ``time``
    event, ended : (n,) whether it ends in the event of interest; in any event
    n_risk, n_event, n_ended : (n_times,)
    """

    start: float
    place: NDArray[np.int64]
    event: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    time: Vector
    n_risk: Vector
    n_event: Vector
    n_ended: Vector


def read_sample(start: float, exit: Vector, event: NDArray[np.bool_], ended: NDArray[np.bool_]) -> Sample:
    """Tabulate a sample; ``ended`` are events of any kind, competing ones included."""
    time, place, leaving = np.unique(exit, return_inverse=True, return_counts=True)
    n_risk = len(exit) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    counts = [np.bincount(place, which, len(time)).astype(float) for which in (event, ended)]
    return Sample(start, place.astype(np.int64), event, ended, time, n_risk.astype(float), *counts)


def pseudo_survival(sample: Sample, times: Vector) -> Matrix:
    """Return n·S(t) − (n − 1)·S₋ᵢ(t), (n, n_times_asked), S of being free of any event."""
    whole, without = _curves(sample)
    before, at = without[sample.place], _at_own_exit(sample, without)
    results = []
    for step in np.searchsorted(sample.time, times, side="right"):
        s = whole[step]
        rest = _over(s, whole[sample.place + 1], np.ones(len(sample.place)))  # the curve from the own exit to t
        left_out = np.where(sample.place >= step, without[step], before * at * rest)
        results.append(_pseudo(s, left_out, len(sample.place)))
    return np.column_stack(results)


def pseudo_restricted_mean(sample: Sample, times: Vector) -> Matrix:
    """Return pseudo-values (n, n_times_asked) of the mean event-free time up to each horizon, from the start."""
    whole, without = _curves(sample)
    before, at = without[sample.place], _at_own_exit(sample, without)
    results = []
    for horizon in times:
        edges = np.clip(np.concatenate([[sample.start], sample.time, [np.inf]]), sample.start, horizon)
        widths = np.diff(edges)
        area, area_without = _areas(widths, whole), _areas(widths, without)
        flat = np.maximum(horizon - sample.time[sample.place], 0.0)
        tail = _over(area[-1] - area[sample.place + 1], whole[sample.place + 1], flat)
        left_out = area_without[sample.place + 1] + before * at * tail
        results.append(_pseudo(area[-1], left_out, len(sample.place)))
    return np.column_stack(results)


def pseudo_incidence(sample: Sample, times: Vector) -> Matrix:
    """Return pseudo-values (n, n_times_asked) of the cumulative incidence of the event (Aalen-Johansen)."""
    whole, without = _curves(sample)
    before, at = without[sample.place], _at_own_exit(sample, without)
    fewer = sample.n_risk - 1
    rates = np.divide(sample.n_event, fewer, out=np.zeros_like(fewer), where=fewer > 0)
    risk = np.concatenate([[0.0], np.cumsum(whole[:-1] * sample.n_event / sample.n_risk)])
    risk_without = np.concatenate([[0.0], np.cumsum(without[:-1] * rates)])
    own = np.divide(
        sample.n_event[sample.place] - sample.event, fewer[sample.place],
        out=np.zeros(len(sample.place)), where=fewer[sample.place] > 0,
    )  # fmt: skip
    results = []
    for step in np.searchsorted(sample.time, times, side="right"):
        tail = _over(risk[step] - risk[sample.place + 1], whole[sample.place + 1], np.zeros(len(sample.place)))
        gone = risk_without[sample.place] + before * own + before * at * tail
        left_out = np.where(sample.place >= step, risk_without[step], gone)
        results.append(_pseudo(risk[step], left_out, len(sample.place)))
    return np.column_stack(results)


def _curves(sample: Sample) -> tuple[Vector, Vector]:
    """Return S after 0, 1, … exits (n_times + 1,), of the whole sample and with one fewer at risk throughout."""
    fewer = sample.n_risk - 1
    hazard = np.divide(sample.n_ended, fewer, out=np.zeros_like(fewer), where=fewer > 0)
    whole = np.concatenate([[1.0], np.cumprod(1 - sample.n_ended / sample.n_risk)])
    without = np.concatenate([[1.0], np.cumprod(np.maximum(1 - hazard, 0.0))])  # read only where others are left
    return whole, without


def _at_own_exit(sample: Sample, without: Vector) -> Vector:
    """Return (n,) the factor of a curve at the exit of the one left out; 1 where nobody else is at risk."""
    fewer = sample.n_risk[sample.place] - 1
    others = sample.n_ended[sample.place] - sample.ended
    return np.asarray(1 - np.divide(others, fewer, out=np.zeros_like(fewer), where=fewer > 0), float)


def _areas(widths: Vector, survival: Vector) -> Vector:
    """Return the area under a step function up to the start, each exit, and the horizon (n_times + 2,)."""
    return np.concatenate([[0.0], np.cumsum(widths * survival)])


def _over(rest: Vector | float, survival: Vector, ended: Vector) -> Vector:
    """Divide by S at the own exit; where it is 0 nobody is left, and the curve without the last one stays flat."""
    return np.divide(rest, survival, out=ended, where=survival > 0)


def _pseudo(whole: float, left_out: Vector, n: int) -> Vector:
    return n * whole - (n - 1) * left_out
