"""Infinitesimal-jackknife variance of state occupation, clustered by patient, at every time at once.

The influence of patient i, U_i(t) = Σ w ∂p(t)/∂w over i's spells, follows p(t) = p(t−)(I + dA(t)): at each step

    U_i(t) = U_i(t−)(I + dA) + w p_h(t−)/Y_h(t) · (e_target − e_h if i moves, else 0  −  dA_h)

for the state h in which i is at risk with weight w (Therneau & Atkinson, survival, vignette "methods"; Andersen et al.
1993, IV.4). Written for Z = (U, W), with W_h the weight with which i is at risk in h, a step is Z ← Z M with a matrix M
common to all; what is i's own happens only where one of i's spells begins or ends. So Σ ZᵀZ follows Mᵀ(·)M plus what
the few own changes add: the sum of squared influences at every time, at the price of two changes a spell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.survival.states.aalen_johansen import Steps, mark_start
from aih_outcomes.models.survival.states.products import (
    Matrices,
    Stretches,
    accumulate_squares,
    backward_sums,
    cut_blocks,
    join_stretches,
)
from aih_outcomes.models.survival.states.spells import Codes, Mask, Spells
from aih_outcomes.outcomes import Vector

ROUNDING = 1e-15  # a relative variance below it is what rounding leaves of 0: with n patients none is below 1/n²


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """Where Z of a cluster changes on its own: (m,) ``cluster`` and ``slot``, sorted by both; ``change`` (m, d)."""

    cluster: Codes
    slot: Codes
    change: Matrices


def occupation_variances(spells: Spells, steps: Steps, occupied: Matrices, start: Vector | None) -> Matrices:
    """Return the variance of the occupation probabilities by slot.

    Parameters
    ----------
    occupied : (T + 1, K) occupation probabilities by slot
    start : (K,) estimated distribution at the start, whose variance counts; None where it is taken as given

    Returns
    -------
    variances : (T + 1, K)
    """
    size = occupied.shape[1]
    column = _number_left(spells, size)
    blocks = cut_blocks(_joint_steps(steps, occupied, column))
    changes = _list_changes(spells, steps, occupied, start, column)
    before = _carry_all(changes, join_stretches(blocks))
    added = _add_squares(before, changes, len(steps.time) + 1)
    variances = accumulate_squares(blocks, added, size)
    return np.where((occupied == 0) | (variances < ROUNDING * occupied**2), 0.0, variances)


def horizon_influence(
    spells: Spells, steps: Steps, occupied: Matrices, start: Vector | None, lengths: Vector
) -> Matrices:
    """Return the influence of each cluster on Σ_s lengths(s)·p(s): the mean time in each state, or p at one time.

    Parameters
    ----------
    occupied, start : as in ``occupation_variances``
    lengths : (T + 1,) how long each slot lasts up to a horizon; 1 for one slot and else 0: p in that slot

    Returns
    -------
    influence : (n_clusters, K)
    """
    size = occupied.shape[1]
    to_come = backward_sums(steps.matrix, lengths)
    taken = np.zeros((len(steps.time) + 1, size, size))
    risk = _per_risk(steps, occupied)
    np.cumsum(risk[..., None] * (steps.increments @ to_come[1:]), axis=0, out=taken[1:])
    total = taken[steps.first, spells.origin] - taken[steps.last, spells.origin]
    moved = np.flatnonzero(spells.moves)
    end, origin, target = steps.last[moved], spells.origin[moved], spells.target[moved]
    total[moved] += risk[end - 1, origin][:, None] * (to_come[end, target] - to_come[end, origin])
    if start is not None:
        here = np.flatnonzero(mark_start(spells, steps))
        total[here] += (np.eye(size)[spells.origin[here]] - start) @ to_come[0] / spells.weight[here].sum()
    total *= spells.weight[:, None]
    return np.column_stack([np.bincount(spells.cluster, total[:, state]) for state in range(size)])


def _number_left(spells: Spells, size: int) -> Codes:
    """(K,) the column of W of each state in which someone is followed; −1 for the others."""
    column = np.full(size, -1)
    used = np.unique(spells.origin)
    column[used] = np.arange(len(used))
    return column


def _per_risk(steps: Steps, occupied: Matrices) -> Matrices:
    """(T, K) p(t−) over the weight at risk."""
    return np.divide(occupied[:-1], steps.at_risk, out=np.zeros_like(steps.at_risk), where=steps.at_risk > 0)


def _joint_steps(steps: Steps, occupied: Matrices, column: Codes) -> Matrices:
    """(T, d, d) the matrix M of each step."""
    size, used = len(column), np.flatnonzero(column >= 0)
    joint = np.zeros((len(steps.time), size + len(used), size + len(used)))
    joint[:, :size, :size] = steps.matrix
    joint[:, size:, :size] = -(_per_risk(steps, occupied)[..., None] * steps.increments)[:, used]
    joint[:, size:, size:] = np.eye(len(used))
    return joint


def _list_changes(spells: Spells, steps: Steps, occupied: Matrices, start: Vector | None, column: Codes) -> _Changes:
    """List what each spell changes: its weight comes at ``first`` and goes at ``last``, with its move."""
    size = len(column)
    begins = mark_start(spells, steps)
    seen = np.flatnonzero((steps.first < steps.last) | begins)
    first, last, weight = steps.first[seen], steps.last[seen], spells.weight[seen]
    origin, target = spells.origin[seen], spells.target[seen]
    change = np.zeros((2 * len(seen), size + int(column.max()) + 1))
    place = np.arange(len(seen))
    change[place, size + column[origin]] = weight
    change[len(seen) + place, size + column[origin]] = -weight
    moved = np.flatnonzero(target >= 0)
    own = weight[moved] * _per_risk(steps, occupied)[last[moved] - 1, origin[moved]]
    change[len(seen) + moved, origin[moved]] = -own
    change[len(seen) + moved, target[moved]] = own
    if start is not None:
        here = np.flatnonzero(begins[seen])
        share = weight[here] / weight[here].sum()
        change[here, :size] += share[:, None] * (np.eye(size)[origin[here]] - start)
    cluster, slot = np.tile(spells.cluster[seen], 2), np.concatenate([first, last])
    order = np.lexsort((slot, cluster))
    cluster, slot = cluster[order], slot[order]
    new = np.flatnonzero(_is_new(cluster) | _is_new(slot))
    summed = np.add.reduceat(change[order], new, axis=0) if len(new) else change
    return _Changes(cluster[new], slot[new], summed)


def _carry_all(changes: _Changes, stretches: Stretches) -> Matrices:
    """(m, d) Z of the cluster just before each of its changes: all first changes at once, then all second ones."""
    new = _is_new(changes.cluster)
    begun = np.flatnonzero(new)
    rank = np.arange(len(new)) - np.repeat(begun, np.diff(begun, append=len(new)))
    by_rank = np.argsort(rank, kind="stable")
    before = np.zeros_like(changes.change)
    for places in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1])[1:] if len(new) else []:
        after = before[places - 1] + changes.change[places - 1]
        before[places] = stretches.carry(after, changes.slot[places - 1], changes.slot[places])
    return before


def _add_squares(before: Matrices, changes: _Changes, n_slots: int) -> Matrices:
    """(n_slots, d, d) what the own changes at each slot add to Σ ZᵀZ."""
    d = before.shape[1]
    added = np.zeros((n_slots, d, d))
    for one in range(d):
        for other in range(one, d):
            x, y = changes.change[:, one], changes.change[:, other]
            square = x * before[:, other] + before[:, one] * y + x * y
            added[:, one, other] = added[:, other, one] = np.bincount(changes.slot, square, n_slots)
    return added


def _is_new(codes: Codes) -> Mask:
    """(m,) whether a sorted code differs from the one before."""
    return np.concatenate([[True], codes[1:] != codes[:-1]])[: len(codes)]
