"""The ways to hand out group labels within strata: all of them, or drawn at random, in blocks that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Labels = NDArray[np.int16]

CELLS_PER_BLOCK = 2_000_000


def count_arrangements(groups: Codes, stratum: Codes) -> int:
    """Return in how many ways the labels of each stratum can be handed out anew, those that change nothing included.

    Examples
    --------
    >>> count_arrangements(np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 0, 0, 1, 1]))
    12
    """
    return prod(_count_one(np.bincount(groups[stratum == value])) for value in np.unique(stratum))


def enumerate_labels(groups: Codes, stratum: Codes) -> Iterator[Labels]:
    """Yield every arrangement of the labels within strata, as blocks (n_arrangements, n)."""
    rows = [np.flatnonzero(stratum == value) for value in np.unique(stratum)]
    ways = [_placements(np.bincount(groups[row])) for row in rows]
    sizes = [len(way[0]) for way in ways]
    total, n = prod(sizes), len(groups)
    step = max(CELLS_PER_BLOCK // n, 1)
    for begin in range(0, total, step):
        number = np.arange(begin, min(begin + step, total))
        labels = np.empty((len(number), n), np.int16)
        for row, (places, values, rest), size in zip(rows, ways, sizes, strict=True):
            number, digit = np.divmod(number, size)
            block = np.full((len(digit), len(row)), rest, np.int16)
            np.put_along_axis(block, places[digit], values[None, :], axis=1)
            labels[:, row] = block
        yield labels


def draw_labels(groups: Codes, stratum: Codes, n_draws: int, rng: np.random.Generator) -> Iterator[Labels]:
    """Yield labels permuted at random within strata, as blocks (n_draws in block, n)."""
    rows = [np.flatnonzero(stratum == value) for value in np.unique(stratum)]
    step = max(CELLS_PER_BLOCK // len(groups), 1)
    for begin in range(0, n_draws, step):
        labels = np.tile(groups.astype(np.int16), (min(step, n_draws - begin), 1))
        for row in rows:
            labels[:, row] = rng.permuted(labels[:, row], axis=1)
        yield labels


def _count_one(sizes: Codes) -> int:
    left, ways = int(sizes.sum()), 1
    for size in sizes.tolist():
        ways *= comb(left, size)
        left -= size
    return ways


def _placements(sizes: Codes) -> tuple[Codes, Labels, int]:
    """Return where all but the largest group can stand in one stratum.

    Returns
    -------
    places : (n_ways, n_small) positions of the members of the smaller groups
    values : (n_small,) the group of each
    rest : the largest group, which stands everywhere else
    """
    rest = int(np.argmax(sizes))
    n = int(sizes.sum())
    places = np.empty((1, 0), np.int64)
    values: list[int] = []
    for code, size in enumerate(sizes.tolist()):
        if code == rest or not size:
            continue
        free = n - places.shape[1]
        chosen = np.fromiter(chain.from_iterable(combinations(range(free), size)), np.int64).reshape(-1, size)
        if places.shape[1]:
            taken = np.zeros((len(places), n), bool)
            np.put_along_axis(taken, places, True, axis=1)
            open_places = np.nonzero(~taken)[1].reshape(len(places), free)
            fresh = open_places[:, chosen].reshape(-1, size)
            places = np.hstack([np.repeat(places, len(chosen), axis=0), fresh])
        else:
            places = chosen
        values += [code] * size
    return places, np.array(values, np.int16), rest
