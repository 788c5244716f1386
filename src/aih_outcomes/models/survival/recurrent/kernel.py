"""The arithmetic of one mean cumulative function: estimate, robust variance, influence of each patient; no pandas.

The mean number of events by t is μ(t) = Σ_{u≤t} S(u−) ΔR(u): the rate of events among those alive and watched, times
the share still alive. Where nothing is terminal S is 1 and μ the Nelson-Aalen type estimate. Each patient's influence
is the derivative of the estimate with respect to the patient's weight, exact under ties (infinitesimal jackknife):

    ψ_i(t) = Σ_{u≤t} S(u−) dM_i(u) / Y(u) − Σ_{v≤t} [μ(t) − μ(v)] dM_i^D(v) / (Y^D(v) − D(v))

with dM = dN − Y_i dR for the event and dM^D for the terminal one. Ghosh & Lin, Biometrics 2000;56:554; Lawless &
Nadeau, Technometrics 1995;37:158.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]
Levels = tuple[Vector, Vector, Vector, Vector]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Spells (entry, exit] of one group, by patient and time; all vectors (n_rows,).

    Attributes
    ----------
    patient : numbered from 0
    event, ends : whether the spell ends in the event, or in a terminal one
    counted : whether it counts in the denominator of the rate of events
    weight : above 0
    """

    patient: Index
    entry: Vector
    exit: Vector
    event: Flags
    ends: Flags
    counted: Flags
    weight: Vector

    @property
    def leaves(self) -> Flags:
        """(n_rows,) True where the patient is not followed on from the end of the spell."""
        stays = np.zeros(len(self.exit), dtype=bool)
        stays[:-1] = (self.patient[1:] == self.patient[:-1]) & (self.entry[1:] == self.exit[:-1])
        return ~stays


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """One mean cumulative function on a grid of times; vectors are (n_times,) unless said otherwise.

    Attributes
    ----------
    time : distinct, sorted
    first, last : (n_rows,) a row is at risk at times first <= k < last
    n_risk : weight behind the rate of events just before each time; ``n_alive`` behind that of terminal ones
    n_event, n_end : weight of the events, and of the terminal ones, at each time
    survival_before : S(t−); ``jump`` the increment of μ; ``mean`` μ(t)
    """

    time: Vector
    first: Index
    last: Index
    n_risk: Vector
    n_alive: Vector
    n_event: Vector
    n_end: Vector
    survival_before: Vector
    jump: Vector
    mean: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A sum over a patient's martingale.

    Attributes
    ----------
    at_end : (n_rows,) what the end of each spell adds
    hazard : (n_times + 1,) what each unit of weight at risk has taken away by each time, from 0
    weight : (n_rows,) of each spell while at risk; 0 where it does not count
    """

    at_end: Vector
    hazard: Vector
    weight: Vector


def sort_rows(rows: Rows) -> Rows:
    """Return the rows by patient and time."""
    order = np.lexsort((rows.exit, rows.patient))
    return Rows(
        rows.patient[order], rows.entry[order], rows.exit[order], rows.event[order], rows.ends[order],
        rows.counted[order], rows.weight[order],
    )  # fmt: skip


def estimate_steps(rows: Rows, time: Vector) -> Steps:
    """Estimate μ(t) on a grid that holds every time of an event or of a terminal one.

    Parameters
    ----------
    rows : sorted
    time : (n_times,)
    """
    n = len(time)
    first, last = np.searchsorted(time, rows.entry, "right"), np.searchsorted(time, rows.exit, "right")

    def at_risk(weight: Vector) -> Vector:
        change = np.bincount(first, weight, n + 1) - np.bincount(last, weight, n + 1)
        return np.cumsum(change.astype(float))[:n]

    def at_end(chosen: Flags, weight: Vector) -> Vector:
        return np.bincount(last[chosen] - 1, weight[chosen], n).astype(float)

    ones = np.ones(len(first))
    n_event, n_end = at_end(rows.event, rows.weight), at_end(rows.ends, rows.weight)
    nobody_left = at_risk(ones) == at_end(rows.ends, ones)  # in patients: sums of fractions are not exact
    n_risk, n_alive = at_risk(rows.weight * rows.counted), np.where(nobody_left, n_end, at_risk(rows.weight))
    survival = np.cumprod(1 - _over(n_end, n_alive))
    before = np.concatenate([[1.0], survival])[:n]
    jump = before * _over(n_event, n_risk)
    return Steps(time, first, last, n_risk, n_alive, n_event, n_end, before, jump, np.cumsum(jump))


def variance_of_mean(rows: Rows, steps: Steps) -> Vector:
    """(n_times,) robust variance of μ(t): the sum of the patients' squared influences.

    ψ_i(t) is A_i(t) + C_i(t) − μ(t) B_i(t), three processes that move only while the patient is at risk; the sums of
    their products over patients are steps, so that no patient × time table is needed.
    """
    ones = np.ones(len(steps.time))
    parts = [_event_process(rows, steps, ones)]
    if rows.ends.any():
        parts += [_end_process(rows, steps, ones), _end_process(rows, steps, steps.mean)]
    factor = [ones, -steps.mean, ones]
    levels = [_levels(rows, steps, part) for part in parts]
    total = np.zeros(len(steps.time))
    for i, j in combinations_with_replacement(range(len(parts)), 2):
        twice = 1.0 if i == j else 2.0
        total += twice * factor[i] * factor[j] * _sum_of_products(steps, parts[i], parts[j], levels[i], levels[j])
    return np.maximum(total, 0.0)


def influence(rows: Rows, steps: Steps, factor: Vector, n_patients: int) -> Vector:
    """(n_patients,) each patient's influence on ∫ factor dμ; ``factor`` (n_times,) is held fixed."""
    reached = np.cumsum(factor * steps.jump)
    total = _gains(steps, _event_process(rows, steps, factor))
    if rows.ends.any():
        total = total - _gains(steps, _end_process(rows, steps, reached[-1] - reached))
    return np.bincount(rows.patient, total, n_patients).astype(float)


def _event_process(rows: Rows, steps: Steps, factor: Vector) -> Process:
    step = factor * _over(steps.survival_before, steps.n_risk)
    hazard = np.cumsum(step * _over(steps.n_event, steps.n_risk))
    return _process(rows, steps, rows.event, step, hazard, rows.weight * rows.counted)


def _end_process(rows: Rows, steps: Steps, factor: Vector) -> Process:
    """Where everyone at risk dies S is 0 from then on, and nothing follows that could be influenced."""
    step = factor * _over(np.ones(len(factor)), steps.n_alive - steps.n_end)
    hazard = np.cumsum(step * _over(steps.n_end, steps.n_alive))
    return _process(rows, steps, rows.ends, step, hazard, rows.weight)


def _process(rows: Rows, steps: Steps, happens: Flags, step: Vector, hazard: Vector, weight: Vector) -> Process:
    at_end = np.zeros(len(rows.exit))
    at_end[happens] = (rows.weight * step[np.maximum(steps.last - 1, 0)])[happens]
    return Process(at_end, np.concatenate([[0.0], hazard]), weight)


def _gains(steps: Steps, process: Process) -> Vector:
    """(n_rows,) what each spell adds to its patient's sum."""
    return process.at_end - process.weight * (process.hazard[steps.last] - process.hazard[steps.first])


def _sum_of_products(steps: Steps, one: Process, other: Process, levels: Levels, others: Levels) -> Vector:
    """(n_times,) Σ over patients of the product of two processes.

    A patient's process is K − w · hazard(t) while at risk, with K constant between the patient's own times, and
    constant otherwise.
    """
    n, used = len(steps.time), steps.last > steps.first
    first, last = steps.first[used], steps.last[used]
    before, level, ended, after = zip(levels, others, strict=True)
    weight = one.weight[used], other.weight[used]

    def add_up(at_first: Vector, at_last: Vector, after_last: Vector) -> Vector:
        change = np.bincount(first, at_first, n + 1) + np.bincount(last - 1, at_last, n + 1)
        return np.cumsum(change + np.bincount(last, after_last, n + 1))[:n]

    def with_weight(i: int, j: int) -> Vector:
        at_end = ended[i] - level[i]
        return add_up(weight[j] * level[i], weight[j] * at_end, -weight[j] * ended[i])

    at_end, afterwards = ended[0] * ended[1] - level[0] * level[1], after[0] * after[1] - ended[0] * ended[1]
    constant = add_up(level[0] * level[1] - before[0] * before[1], at_end, afterwards)
    both = weight[0] * weight[1]
    weights = add_up(both, np.zeros(len(both)), -both)
    hazard = one.hazard[1:], other.hazard[1:]
    total = constant - hazard[1] * with_weight(0, 1) - hazard[0] * with_weight(1, 0) + hazard[0] * hazard[1] * weights
    return np.asarray(total)


def _levels(rows: Rows, steps: Steps, process: Process) -> Levels:
    """(n_used,) a patient's sum before a spell, K within it, K with what its end adds, and the sum after it.

    Used are the spells that hold a time of the grid; nothing happens in the others.
    """
    used, gains = steps.last > steps.first, _gains(steps, process)
    total = np.cumsum(gains)
    opens = np.ones(len(gains), dtype=bool)
    opens[1:] = rows.patient[1:] != rows.patient[:-1]
    start = (total - gains)[opens][np.cumsum(opens) - 1]
    after = (total - start)[used]
    before = after - gains[used]
    level = before + (process.weight * process.hazard[steps.first])[used]
    return before, level, level + process.at_end[used], after


def _over(top: Vector, bottom: Vector) -> Vector:
    """Quotient; 0 where nobody is left."""
    return np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
