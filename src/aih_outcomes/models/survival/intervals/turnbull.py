"""Where a non-parametric estimate can put mass, and the proof that it put it in the best places.

Maximal intersections: Peto, Appl Stat 1973;22:86; Turnbull, J R Stat Soc B 1976;38:290. Optimality:
Gentleman & Geyer, Biometrika 1994;81:618.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Index = NDArray[np.int64]

EM_STEPS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Intersections:
    """The m innermost intervals (low, high], in order, and which of them each row covers.

    Attributes
    ----------
    low, high : (m,) ends; equal where the time is exact, ``high`` infinite where the event was never seen
    first, last : (n,) a row covers intervals first <= j < last
    """

    low: Vector
    high: Vector
    first: Index
    last: Index

    @property
    def m(self) -> int:
        """How many intervals there are."""
        return len(self.low)


def find_intersections(left: Vector, right: Vector) -> Intersections:
    """Find the innermost intervals of (left, right], or [t, t] where both are equal; (n,) each.

    Mass elsewhere could only be moved into one of them, to the good of every row that covers it.
    """
    exact = left == right
    begins = np.column_stack(
        [left, np.where(exact, 0, 2)]
    )  # at one time: exact begins, all ends, others begin after it
    ends = np.column_stack([right, np.ones(len(right))])
    points, inverse = np.unique(np.concatenate([begins, ends]), axis=0, return_inverse=True)
    begin, end = np.split(inverse.ravel(), 2)
    is_end = points[:, 1] == 1
    inner = np.flatnonzero(~is_end[:-1] & is_end[1:])
    return Intersections(
        points[inner, 0], points[inner + 1, 0], np.searchsorted(inner, begin), np.searchsorted(inner, end)
    )


def start_masses(spans: Intersections, weight: Vector) -> Vector:
    """(m,) masses after a few steps of self-consistency from equal ones."""
    mass = np.full(spans.m, 1 / spans.m)
    for _ in range(EM_STEPS):
        mass = mass * _gradient(spans, weight, mass) / weight.sum()
    return mass


def certificate(spans: Intersections, weight: Vector, mass: Vector) -> tuple[float, float]:
    """Prove that masses (m,) are the best; no others are as good.

    Returns
    -------
    loglik : Σ w log(mass covered)
    excess : largest gradient / Σ w, less 1: at most 0 at the maximum, up to rounding

    Notes
    -----
    Unique: at every innermost interval some row begins. Two best sets of masses cover each row alike, so their
    cumulative sums differ by the same amount before an interval and after a row that begins there; going on from row to
    row this ends after the last interval, where both are 1.
    """
    below = np.concatenate([[0.0], np.cumsum(mass)])
    loglik = float(np.sum(weight * np.log(below[spans.last] - below[spans.first])))
    return loglik, float(_gradient(spans, weight, mass).max() / weight.sum() - 1)


def _gradient(spans: Intersections, weight: Vector, mass: Vector) -> Vector:
    """(m,) derivative of Σ w log(mass covered) in each mass."""
    below = np.concatenate([[0.0], np.cumsum(mass)])
    share = weight / (below[spans.last] - below[spans.first])
    size = spans.m + 1
    return np.cumsum(np.bincount(spans.first, share, size) - np.bincount(spans.last, share, size))[: spans.m]
