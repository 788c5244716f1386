"""Products of many matrices: any stretch, running products and sums, against multiplying one after another."""

from functools import reduce

import numpy as np
import pytest

from aih_outcomes.models.survival.states.products import (
    accumulate_squares,
    backward_sums,
    cut_blocks,
    join_stretches,
    running_products,
)

LENGTHS = [0, 1, 2, 3, 4, 9, 10, 50]


def factors(n, d=3):
    return np.random.default_rng(n).dirichlet(np.ones(d), size=(n, d))


def product(matrices):
    return reduce(np.matmul, matrices, np.eye(matrices.shape[1]))


@pytest.mark.parametrize("n", LENGTHS)
def test_every_stretch_equals_multiplying_one_after_another(n):
    matrices = factors(n)
    stretches = join_stretches(cut_blocks(matrices))
    begin, end = np.array([(b, e) for b in range(n + 1) for e in range(b, n + 1)]).T
    rows = np.random.default_rng(1).normal(size=(len(begin), 3))
    carried = stretches.carry(rows, begin, end)
    for row, out, b, e in zip(rows, carried, begin, end, strict=True):
        np.testing.assert_allclose(out, row @ product(matrices[b:e]), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n", LENGTHS)
def test_running_products_hold_what_lies_before_each_slot(n):
    matrices = factors(n)
    running = running_products(cut_blocks(matrices))
    assert running.shape == (n + 1, 3, 3)
    for slot in range(n + 1):
        np.testing.assert_allclose(running[slot], product(matrices[:slot]), rtol=1e-12)


@pytest.mark.parametrize("n", LENGTHS)
def test_accumulated_squares_equal_the_recursion_step_by_step(n):
    matrices, added = factors(n), factors(n + 1)
    found = accumulate_squares(cut_blocks(matrices), added, 2)
    square = added[0]
    np.testing.assert_allclose(found[0], np.diag(square)[:2], rtol=1e-12)
    for slot, matrix in enumerate(matrices, start=1):
        square = matrix.T @ square @ matrix + added[slot]
        np.testing.assert_allclose(found[slot], np.diag(square)[:2], rtol=1e-12)


def test_backward_sums_hold_the_time_still_to_come():
    matrices, lengths = factors(4), np.array([1.0, 2.0, 0.5, 3.0, 1.5])
    found = backward_sums(matrices, lengths)
    for slot in range(5):
        expected = sum(length * product(matrices[slot:later]) for later, length in enumerate(lengths) if later >= slot)
        np.testing.assert_allclose(found[slot], expected, rtol=1e-12)
