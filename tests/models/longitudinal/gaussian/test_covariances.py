"""Covariances between visits: the matrices themselves, and their derivatives in mmrm's and in SAS's parameters."""

from typing import get_args

import numpy as np
import pytest

from aih_outcomes.models.longitudinal.gaussian.covariances import (
    VisitCovariance,
    count_parameters,
    name_parameters,
    start_parameters,
    visit_matrix,
)

STRUCTURES = get_args(VisitCovariance)
TIMES = np.array([0.5, 1.0, 2.0, 3.5])


def mapped(*rho):
    rho = np.array(rho)
    return rho / np.sqrt(1 - rho**2)


def somewhere(covariance, n_visits=4, seed=3):
    """A θ near one of correlation 0.4, no two entries alike."""
    rng = np.random.default_rng(seed)
    begin = start_parameters(covariance, 0.6 * np.eye(n_visits) + 0.4, TIMES[:n_visits])
    return begin + rng.normal(0, 0.15, len(begin))


BY_HAND = {
    "unstructured": ([0.0, 0.0, np.log(2), 0.5, 0.5, -1.0],
                     [[1, 0.5, 1], [0.5, 1.25, -1.5], [1, -1.5, 9]]),
    "compound symmetry": ([np.log(2), 0.0], [[4, 1, 1], [1, 4, 1], [1, 1, 4]]),
    "heterogeneous compound symmetry": ([0.0, np.log(2), np.log(4), 0.0], [[1, 0.5, 1], [0.5, 4, 2], [1, 2, 16]]),
    "ar1": ([np.log(2), *mapped(0.5)], [[4, 2, 1], [2, 4, 2], [1, 2, 4]]),
    "heterogeneous ar1": ([0.0, np.log(2), np.log(4), *mapped(0.5)], [[1, 1, 1], [1, 4, 4], [1, 4, 16]]),
    "toeplitz": ([np.log(2), *mapped(0.5, -0.25)], [[4, 2, -1], [2, 4, 2], [-1, 2, 4]]),
    "heterogeneous toeplitz": ([0.0, np.log(2), np.log(4), *mapped(0.5, 0.25)], [[1, 1, 1], [1, 4, 4], [1, 4, 16]]),
    "ante-dependence": ([np.log(2), *mapped(0.5, -0.5)], [[4, 2, -1], [2, 4, -2], [-1, -2, 4]]),
    "heterogeneous ante-dependence": ([0.0, np.log(2), np.log(4), *mapped(0.5, 0.25)],
                                      [[1, 1, 0.5], [1, 4, 2], [0.5, 2, 16]]),
    "exponential": ([np.log(2), 0.0], [[4, 2 * np.sqrt(2), np.sqrt(2)], [2 * np.sqrt(2), 4, 2], [np.sqrt(2), 2, 4]]),
}  # fmt: skip


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_three_visits_by_hand(covariance):
    theta, expected = BY_HAND[covariance]
    Sigma = visit_matrix(covariance, np.array(theta), 3, TIMES[:3]).value
    np.testing.assert_allclose(Sigma, expected, rtol=1e-12)
    assert len(theta) == count_parameters(covariance, 3) == len(name_parameters(covariance, 3))


def test_correlations_of_zero_keep_their_derivatives():
    """Products of correlations on the way: the derivative by one is that of the others."""
    here = visit_matrix("ante-dependence", np.array([0.0, 0.0, 0.0]), 3, TIMES[:3])
    assert here.first[1, 0, 1] == 1
    assert here.first[1, 0, 2] == 0
    pick = np.zeros((3, 3))
    pick[0, 2] = 1.0
    np.testing.assert_array_equal(here.bend(pick)[1:, 1:], [[0, 1], [1, 0]])


@pytest.mark.parametrize("n_visits", [1, 2, 4])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_derivatives_are_those_of_the_matrix(covariance, n_visits):
    times, step = TIMES[:n_visits], 1e-5
    theta = somewhere(covariance, n_visits)
    here = visit_matrix(covariance, theta, n_visits, times)
    ways = np.eye(len(theta)) * step
    ends = [[visit_matrix(covariance, theta + sign * way, n_visits, times) for sign in (1, -1)] for way in ways]
    first = np.stack([(up.value - down.value) / (2 * step) for up, down in ends])
    second = np.stack([(up.first - down.first) / (2 * step) for up, down in ends])
    np.testing.assert_allclose(here.first, first, atol=1e-8)
    rng = np.random.default_rng(1)
    G, vcov = rng.normal(size=(n_visits, n_visits)), rng.normal(size=(len(theta), len(theta)))
    G, vcov = G + G.T, vcov + vcov.T
    np.testing.assert_allclose(here.bend(G), np.tensordot(second, G, axes=2), atol=1e-7)
    np.testing.assert_allclose(here.mean_bend(vcov), np.tensordot(vcov, second, axes=2), atol=1e-7)


def correlation(x):
    return x / np.sqrt(1 + x**2)


def range_of(x):
    return 1 / np.log1p(np.exp(-x))


def place_to_correlation(x):
    return 4 / 3 / (1 + np.exp(-x)) - 1 / 3


# θ to SAS's own parameters, entry by entry; variances throughout.
OF_SAS = {
    "ar1": (1, correlation), "heterogeneous ar1": (4, correlation), "heterogeneous toeplitz": (4, correlation),
    "heterogeneous compound symmetry": (4, place_to_correlation), "heterogeneous ante-dependence": (4, correlation),
    "ante-dependence": (1, correlation), "exponential": (1, range_of),
}  # fmt: skip


@pytest.mark.parametrize("covariance", OF_SAS)
def test_bends_in_sas_parameters_are_those_of_the_matrix(covariance):
    variances, link = OF_SAS[covariance]
    theta, step = somewhere(covariance), 1e-4

    def to_sas(theta):
        return np.concatenate([np.exp(2 * theta[:variances]), link(theta[variances:])])

    def slope(function, at):
        return (function(at + 1e-6) - function(at - 1e-6)) / 2e-6

    def matrix(phi):
        """Σ of SAS's parameters: θ is sought by Newton."""
        at = theta.copy()
        for _ in range(50):
            at = at - (to_sas(at) - phi) / slope(to_sas, at)
        return visit_matrix(covariance, at, 4, TIMES).value

    here, phi = visit_matrix(covariance, theta, 4, TIMES), to_sas(theta)
    k = len(theta)
    rng = np.random.default_rng(2)
    A = rng.normal(size=(k, k))
    vcov = A @ A.T
    by_sas = slope(to_sas, theta)[:, None] * vcov * slope(to_sas, theta)
    total, ways = np.zeros((4, 4)), np.eye(k) * step * np.maximum(np.abs(phi), 0.1)
    for h in range(k):
        for g in range(k):
            four = [sh * sg * matrix(phi + sh * ways[h] + sg * ways[g]) for sh in (1, -1) for sg in (1, -1)]
            total += by_sas[h, g] * sum(four) / (4 * ways[h, h] * ways[g, g])
    np.testing.assert_allclose(here.mean_bend_in_sas(vcov), total, atol=2e-5 * np.abs(total).max())


@pytest.mark.parametrize("covariance", ["unstructured", "toeplitz", "compound symmetry"])
def test_entries_of_the_matrix_do_not_bend_in_sas(covariance):
    theta = somewhere(covariance)
    assert not visit_matrix(covariance, theta, 4, TIMES).mean_bend_in_sas(np.eye(len(theta))).any()


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_start_is_positive_definite_whatever_the_moments(covariance):
    rng = np.random.default_rng(5)
    for _ in range(20):
        A = rng.normal(size=(4, 4))
        begin = start_parameters(covariance, A @ A.T + 0.01 * np.eye(4), TIMES)
        assert np.linalg.eigvalsh(visit_matrix(covariance, begin, 4, TIMES).value)[0] > 0


def test_an_unstructured_start_is_the_moments():
    A = np.random.default_rng(5).normal(size=(4, 4))
    moments = A @ A.T
    begin = start_parameters("unstructured", moments, TIMES)
    np.testing.assert_allclose(visit_matrix("unstructured", begin, 4, TIMES).value, moments, rtol=1e-12)
