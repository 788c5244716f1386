"""Products of many small matrices, one after another, without a loop over all of them.

The n factors are cut into about √n blocks of about √n. Products from a block's beginning, and to its end, need one loop
over the places of a block in which all blocks go at once; products of whole blocks need one loop over the blocks. The
product of any stretch of factors is then a product of three; no factor is ever inverted, so that a state may empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.survival.states.spells import Codes
from aih_outcomes.outcomes import Vector

Matrices = NDArray[np.float64]

CHUNK = 32_768  # rows whose factors are looked up at a time


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Square matrices M(0) … M(n − 1) of d rows, in ``n_blocks`` blocks of ``size``, filled up with identities.

    Attributes
    ----------
    n : number of factors; a *slot* s = 0 … n lies before factor s
    factor : (n_blocks, size, d, d)
    prefix : (n_blocks, size + 1, d, d) product of a block's first j factors
    """

    n: int
    factor: Matrices
    prefix: Matrices

    @property
    def size(self) -> int:
        """Number of factors in a block."""
        return int(self.factor.shape[1])


def cut_blocks(matrices: Matrices) -> Blocks:
    """Cut factors (n, d, d) into blocks; the last one always has room, so that every slot lies in a block."""
    n, d = len(matrices), matrices.shape[1]
    size = max(1, int(np.sqrt(n)))
    n_blocks = n // size + 1
    filled = np.empty((n_blocks * size, d, d))
    filled[:n], filled[n:] = matrices, np.eye(d)
    factor = filled.reshape(n_blocks, size, d, d)
    prefix = np.empty((n_blocks, size + 1, d, d))
    prefix[:, 0] = np.eye(d)
    for place in range(size):
        prefix[:, place + 1] = prefix[:, place] @ factor[:, place]
    return Blocks(n, factor, prefix)


def running_products(blocks: Blocks) -> Matrices:
    """Return (n + 1, d, d) the product of the factors before each slot."""
    before = np.empty_like(blocks.prefix[:, 0])
    before[0] = np.eye(before.shape[-1])
    for block in range(len(before) - 1):
        before[block + 1] = before[block] @ blocks.prefix[block, -1]
    running = before[:, None] @ blocks.prefix[:, :-1]
    return running.reshape(-1, *before.shape[1:])[: blocks.n + 1]


def accumulate_squares(blocks: Blocks, added: Matrices, n_states: int) -> Matrices:
    """Return the diagonals of X(s), with X(0) = added(0) and X(s + 1) = M(s)ᵀ X(s) M(s) + added(s + 1).

    Parameters
    ----------
    added : (n + 1, d, d) what each slot adds
    n_states : how many of the d rows are wanted

    Returns
    -------
    diagonals : (n + 1, n_states)
    """
    n_blocks, size, d, _ = blocks.factor.shape
    later = np.zeros((n_blocks * size, d, d))
    later[: blocks.n] = added[1:]
    later = later.reshape(n_blocks, size, d, d)
    own = np.zeros((n_blocks, size + 1, d, d))  # what a block's own slots have added so far
    for place in range(size):
        factor = blocks.factor[:, place]
        own[:, place + 1] = factor.swapaxes(1, 2) @ own[:, place] @ factor + later[:, place]
    before = np.empty((n_blocks, d, d))
    before[0] = added[0]
    for block in range(n_blocks - 1):
        whole = blocks.prefix[block, -1]
        before[block + 1] = whole.T @ before[block] @ whole + own[block, -1]
    columns = blocks.prefix[:, :-1, :, :n_states]
    carried = (columns * (before[:, None] @ columns)).sum(axis=2)
    diagonals = carried + np.einsum("bskk->bsk", own[:, :-1, :n_states, :n_states])
    return np.asarray(diagonals.reshape(-1, n_states)[: blocks.n + 1], float)


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Products of any stretch of factors: ``suffix`` (n_blocks, size, d, d) to a block's end, ``between`` of blocks."""

    blocks: Blocks
    suffix: Matrices
    between: Matrices

    def carry(self, rows: Matrices, begin: Codes, end: Codes) -> Matrices:
        """Return each row (m, d) times the factors from slot ``begin`` (m,) to slot ``end`` (m,)."""
        parts = [slice(first, first + CHUNK) for first in range(0, len(rows), CHUNK)]
        return np.concatenate([rows[:0], *(self._carry(rows[part], begin[part], end[part]) for part in parts)])

    def _carry(self, rows: Matrices, begin: Codes, end: Codes) -> Matrices:
        carried, size = rows.copy(), self.blocks.size
        far = np.flatnonzero(begin // size < end // size)
        first, last = begin[far], end[far]
        through = _times(carried[far], self.suffix[first // size, first % size])
        through = _times(through, self.between[first // size + 1, last // size])
        carried[far] = _times(through, self.blocks.prefix[last // size, last % size])
        near = np.flatnonzero((begin // size == end // size) & (begin < end))
        place = begin[near]
        while len(near):
            carried[near] = _times(carried[near], self.blocks.factor[place // size, place % size])
            place = place + 1
            going = place < end[near]
            near, place = near[going], place[going]
        return carried


def join_stretches(blocks: Blocks) -> Stretches:
    """Prepare the products of any stretch."""
    n_blocks, size, d, _ = blocks.factor.shape
    suffix = np.empty((n_blocks, size, d, d))
    suffix[:, -1] = blocks.factor[:, -1]
    for place in range(size - 2, -1, -1):
        suffix[:, place] = blocks.factor[:, place] @ suffix[:, place + 1]
    between = np.zeros((n_blocks + 1, n_blocks + 1, d, d))
    between[np.arange(n_blocks + 1), np.arange(n_blocks + 1)] = np.eye(d)
    for block in range(n_blocks):
        between[: block + 1, block + 1] = between[: block + 1, block] @ blocks.prefix[block, -1]
    return Stretches(blocks, suffix, between)


def backward_sums(matrices: Matrices, lengths: Vector) -> Matrices:
    """Return F(s) = lengths(s)·I + M(s) F(s + 1), F(n) = lengths(n)·I: what is still to come from each slot.

    Parameters
    ----------
    matrices : (n, d, d)
    lengths : (n + 1,)

    Returns
    -------
    sums : (n + 1, d, d)
    """
    d = matrices.shape[1]
    sums = lengths[:, None, None] * np.eye(d)
    for slot in range(len(matrices) - 1, -1, -1):
        sums[slot] += matrices[slot] @ sums[slot + 1]
    return sums


def _times(rows: Matrices, matrices: Matrices) -> Matrices:
    """Each row (m, d) times its own matrix (m, d, d)."""
    return np.asarray(np.einsum("md,mde->me", rows, matrices), float)
