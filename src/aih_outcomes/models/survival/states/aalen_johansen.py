"""The Aalen-Johansen estimator: transition probabilities of any multi-state history, exact under ties.

At risk in state h at t are spells in h with entry < t <= exit; all transitions of a day happen at once. With dA(t) the
matrix of shares that move (rows sum to 0), P(s, t) = ∏ (I + dA(u)) over s < u <= t (Aalen & Johansen, Scand J Stat
1978;5:141; Andersen, Borgan, Gill & Keiding, Statistical Models Based on Counting Processes, 1993, IV.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aih_outcomes.models.survival.states.products import (
    Matrices,
    accumulate_squares,
    cut_blocks,
    running_products,
)
from aih_outcomes.models.survival.states.spells import Codes, Mask, Spells
from aih_outcomes.outcomes import Vector

TransitionVariance = Literal["greenwood", "aalen"]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What happens at each distinct time of a transition; T of them, K states.

    A *slot* s = 0 … T lies before step s: values by slot are what holds from one step to the next.

    Attributes
    ----------
    time : (T,) sorted
    at_risk : (T, K) weight at risk in each state just before ``time``
    moved : (T, K, K) weight that moves from a state (row) to another (column)
    matrix : (T, K, K) I + dA
    first, last : (n,) a spell is at risk at steps ``first`` <= step < ``last``
    """

    time: Vector
    at_risk: Matrices
    moved: Matrices
    matrix: Matrices
    first: Codes
    last: Codes

    @property
    def increments(self) -> Matrices:
        """(T, K, K) dA: shares that move; rows sum to 0."""
        return self.matrix - np.eye(self.matrix.shape[1])


def count_steps(spells: Spells, n_states: int) -> Steps:
    """Count who is at risk and who moves at each distinct time of a transition."""
    moves, size = spells.moves, n_states
    time = np.unique(spells.exit[moves])
    first, last = np.searchsorted(time, spells.entry, "right"), np.searchsorted(time, spells.exit, "right")
    cell = ((last[moves] - 1) * size + spells.origin[moves]) * size + spells.target[moves]
    moved = np.bincount(cell, spells.weight[moves], len(time) * size**2).reshape(-1, size, size).astype(float)
    leaving = moved.sum(axis=2)
    at_risk = sum_at_risk(first, last, spells.origin, spells.weight, moved.shape[:2])
    number = sum_at_risk(first, last, spells.origin, np.ones(len(first)), moved.shape[:2])
    number_leaving = np.bincount(cell // size, minlength=len(time) * size).reshape(-1, size)
    at_risk = np.where(number == number_leaving, leaving, at_risk)  # fractional weights: empty is exactly empty
    some = at_risk > 0
    matrix = np.divide(moved, at_risk[:, :, None], out=np.zeros_like(moved), where=some[:, :, None])
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] = np.divide(at_risk - leaving, at_risk, out=np.ones_like(at_risk), where=some)
    return Steps(time, at_risk, moved, matrix, first.astype(np.int64), last.astype(np.int64))


def sum_at_risk(first: Codes, last: Codes, state: Codes, weight: Vector, shape: tuple[int, int]) -> Matrices:
    """Return (T, K) the sum of ``weight`` over spells in a state with ``first`` <= step < ``last``."""
    cells = (shape[0] + 1) * shape[1]
    changes = np.bincount(first * shape[1] + state, weight, cells) - np.bincount(last * shape[1] + state, weight, cells)
    return np.asarray(np.cumsum(changes.reshape(-1, shape[1]), axis=0)[:-1], float)


def mark_start(spells: Spells, steps: Steps) -> Mask:
    """(n,) who is at risk just before the first transition, the start of R's survfit; without one, at the start."""
    if len(steps.time):
        return np.asarray((steps.first == 0) & (steps.last > 0), bool)
    return np.asarray(spells.entry < spells.exit.min(), bool)


def share_at_start(spells: Spells, steps: Steps, n_states: int) -> Vector:
    """(K,) shares of those at risk just before the first transition."""
    here = mark_start(spells, steps)
    weight = np.bincount(spells.origin[here], spells.weight[here], n_states)
    return np.asarray(weight / weight.sum(), float)


def multiply_steps(steps: Steps) -> Matrices:
    """(T + 1, K, K) P(start, t) by slot."""
    return running_products(cut_blocks(steps.matrix))


def occupy(start: Vector, steps: Steps) -> Matrices:
    """(T + 1, K) occupation probabilities by slot, from the distribution ``start`` (K,)."""
    occupied = np.asarray(start @ multiply_steps(steps), float)
    return np.where(
        ((occupied > 0).sum(axis=1) == 1)[:, None], occupied > 0, occupied
    )  # the only one left is 1 exactly


def transition_variances(steps: Steps, probabilities: Matrices, variance: TransitionVariance) -> Matrices:
    """Return the variance of each element of P(s, t), by slot.

    Rows of dA are independent; within a row moves are multinomial (``greenwood``: as etm and mstate) or Poisson
    (``aalen``: as mstate). For each row g of P, V(t) = (I + dA)ᵀ V(t−) (I + dA) + Σ_h P_gh² cov(dA_h), where P is taken
    just before t (Greenwood; Andersen et al. 1993, (4.4.19)) or at t (Aalen, as the figures of mstate have it: de
    Wreede, Fiocco & Putter, Comput Methods Programs Biomed 2010;99:261).

    Parameters
    ----------
    probabilities : (T + 1, K, K) P(s, t) by slot

    Returns
    -------
    variances : (T + 1, K, K)
    """
    size = steps.matrix.shape[1]
    blocks = cut_blocks(steps.matrix)
    covariance = _row_covariances(steps, variance)
    reached = probabilities[:-1] if variance == "greenwood" else probabilities[1:]
    rows = []
    for row in range(size):
        added = np.zeros((len(steps.time) + 1, size, size))
        added[1:] = np.einsum("th,thij->tij", reached[:, row] ** 2, covariance)
        rows.append(accumulate_squares(blocks, added, size))
    return np.where(probabilities == 0, 0.0, np.maximum(np.stack(rows, axis=1), 0.0))


def cumulate_hazards(steps: Steps) -> tuple[Matrices, Matrices]:
    """(T + 1, K, K) Nelson-Aalen cumulative hazards of each transition by slot, and their variance Σ dN / Y²."""
    at_risk, some = steps.at_risk[:, :, None], steps.at_risk[:, :, None] > 0
    sums = np.zeros((2, len(steps.time) + 1, *steps.moved.shape[1:]))
    np.divide(steps.moved, at_risk, out=sums[0, 1:], where=some)
    np.divide(steps.moved, at_risk**2, out=sums[1, 1:], where=some)
    hazard, variance = np.cumsum(sums, axis=1)
    return hazard, variance


def incidence_variances(steps: Steps, occupied: Matrices) -> Matrices:
    """Return the variance of event-free survival (Greenwood) and of each cumulative incidence by cmprsk's delta method.

    With n at risk, d events of a kind, S just after and F the incidence of the cause: deaths of the cause and of all
    others are taken as independent, each with the variance S(t−)² d (n − d) / (n² (n − 1)) (Aalen, Ann Stat 1978;6:534,
    as in Gray's cmprsk::cuminc).

    Parameters
    ----------
    occupied : (T + 1, K) by slot; state 0 is event-free, from which all others are reached

    Returns
    -------
    variances : (T + 1, K)
    """
    n, before, after = steps.at_risk[:, 0], occupied[:-1, 0], occupied[1:, 0]
    events, causes = steps.moved[:, 0].sum(axis=1), occupied.shape[1]
    variances = np.zeros_like(occupied)
    alive = after > 0
    inverse = np.divide(1.0, after, out=np.zeros_like(after), where=alive)
    for cause in range(1, causes):
        own, reached = steps.moved[:, 0, cause], occupied[1:, cause]
        sums = np.zeros((3, len(n)))  # of squares, products, squares: the later incidence is common to all terms
        for d, shift, kept in ((own, 1.0, np.ones_like(alive)), (events - own, 0.0, alive)):
            spread = before**2 * d * _spread(n, d) * kept
            near, far = shift + reached * inverse, inverse
            sums += np.array([spread * near**2, spread * near * far, spread * far**2])
        total = np.cumsum(sums, axis=1)
        variances[1:, cause] = total[0] - 2 * reached * total[1] + reached**2 * total[2]
    greenwood = np.cumsum(np.divide(events, n * (n - events), out=np.zeros_like(n), where=n > events))
    variances[1:, 0] = after**2 * greenwood
    return np.where(occupied == 0, 0.0, np.maximum(variances, 0.0))


def _spread(n: Vector, d: Vector) -> Vector:
    """(n − d) / (n² (n − 1)); of one at risk who dies the delta method says 1."""
    return np.where(n > 1, (n - d) / np.maximum(n - 1, 1e-300), 1.0) / n**2


def _row_covariances(steps: Steps, variance: TransitionVariance) -> Matrices:
    """(T, K, K, K) covariance of each row of dA."""
    size = steps.matrix.shape[1]
    some = steps.at_risk > 0
    per = np.divide(1.0, steps.at_risk, out=np.zeros_like(steps.at_risk), where=some)[:, :, None, None]
    unit = np.eye(size)
    if variance == "greenwood":
        row = steps.matrix
        return np.asarray((row[..., None] * unit - row[..., None] * row[..., None, :]) * per, float)
    total = steps.moved[..., None] * unit
    for state in range(size):  # each move from it: one less here, one more there
        moved = steps.moved[:, state]
        total[:, state, state] -= moved
        total[:, state, :, state] -= moved
        total[:, state, state, state] += moved.sum(axis=1)
    return np.asarray(total * per**2, float)
