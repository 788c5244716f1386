"""The infinitesimal jackknife of one survival curve: a variance that holds for any weights and for clustered rows.

A row's influence on −log S(t), times its weight w, is

    w · (1{event, exit <= t} / (n − d)(exit) − [G(exit ∧ t) − G(entry)]),

with G the cumulative sum of d / (n(n − d)), n the weight at risk and d that of events. The influence of a cluster is
the sum over its rows, the variance the sum of squares over clusters (Therneau & Grambsch, Modeling Survival Data, 2000,
chapter 7; R's ``survfit(..., robust = TRUE)``).

At any time the influence of a cluster is a − b·G(t), where a and b change only when one of its own rows begins or ends.
So the sums over clusters of a², ab and b² are running sums over 2n changes: one pass, however many times there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Rows behind a curve, each mapped to the distinct times of leaving.

    Attributes
    ----------
    begin : (n,) first distinct time at which the row is at risk; ``end`` (n,) the distinct time at which it leaves
    event, weight, cluster : (n,) whether it ends in an event, its weight, the code of its cluster
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    event: NDArray[np.bool_]
    weight: Vector
    cluster: NDArray[np.int64]


def map_spells(
    time: Vector, entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector, cluster: NDArray[np.int64]
) -> Spells:
    """Map rows (n,) to the distinct times (n_times,) of a curve."""
    begin = np.searchsorted(time, entry, side="right").astype(np.int64)
    return Spells(begin, np.searchsorted(time, exit).astype(np.int64), event, weight, cluster)


def jackknife_variances(spells: Spells, at_risk: Vector, n_event: Vector) -> tuple[Vector, Vector]:
    """Return the variances (n_times,) of log S(t) and of the Nelson-Aalen cumulative hazard."""
    left = at_risk - n_event
    alive = left > 0
    own = np.divide(1.0, left, out=np.zeros_like(left), where=alive)  # where all die, S(t) is 0 whatever the weights
    steps = np.divide(n_event, at_risk * left, out=np.zeros_like(left), where=alive)
    return sum_of_squares(spells, own, np.cumsum(steps)), sum_of_squares(
        spells, 1 / at_risk, np.cumsum(n_event / at_risk**2)
    )


def sum_of_squares(spells: Spells, own: Vector, common: Vector) -> Vector:
    """Return the sum over clusters of their squared influence at each distinct time.

    Parameters
    ----------
    own : (n_times,) what an event at a time adds to its row
    common : (n_times,) what has been taken by then from each row at risk since the first time
    """
    taken = np.concatenate([[0.0], common])  # taken[j] : up to, not with, the time j
    n, w = len(spells.end), spells.weight
    cluster = np.concatenate([spells.cluster, spells.cluster])
    when = np.concatenate([spells.begin, spells.end])
    change_a = np.concatenate([w * taken[spells.begin], w * (own[spells.end] * spells.event - common[spells.end])])
    change_b = np.concatenate([w, -w])
    order = np.lexsort((np.repeat([1, 0], n), when, cluster))  # at a time a row ends before the next one begins
    cluster, when = cluster[order], when[order]
    a, b = _within(change_a[order], cluster), _within(change_b[order], cluster)
    a0, b0 = a - change_a[order], b - change_b[order]
    size = len(common) + 1
    totals = [np.cumsum(np.bincount(when, delta, size)[:-1]) for delta in (a**2 - a0**2, a * b - a0 * b0, b**2 - b0**2)]
    return np.maximum(totals[0] - 2 * common * totals[1] + common**2 * totals[2], 0.0)


def restricted_mean_variance(spells: Spells, at_risk: Vector, n_event: Vector, area: Vector) -> float:
    """Return the variance of the area under S(t) up to a horizon.

    Parameters
    ----------
    at_risk, n_event : (n_times,) weighted
    area : (n_times,) area under the curve from each time to the horizon; 0 from the horizon on
    """
    left = at_risk - n_event
    alive = left > 0
    own = np.divide(area, left, out=np.zeros_like(left), where=alive)
    common = np.cumsum(np.divide(area * n_event, at_risk * left, out=np.zeros_like(left), where=alive))
    taken = np.concatenate([[0.0], common])
    influence = spells.weight * (own[spells.end] * spells.event - common[spells.end] + taken[spells.begin])
    return float(np.sum(np.bincount(spells.cluster, influence) ** 2))


def _within(changes: Vector, cluster: NDArray[np.int64]) -> Vector:
    """Cumulative sums that begin anew with each cluster (sorted by it)."""
    total = np.cumsum(changes)
    first = np.flatnonzero(np.concatenate([[True], cluster[1:] != cluster[:-1]])) if len(cluster) else cluster
    before = (total - changes)[first]
    return np.asarray(total - np.repeat(before, np.diff(first, append=len(cluster))), float)
