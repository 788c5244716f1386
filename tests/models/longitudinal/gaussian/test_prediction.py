"""Later values given the earlier ones: by hand, against brute force, against the classical prediction interval."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from aih_outcomes.models.longitudinal.gaussian.effects import fit_effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Rows
from aih_outcomes.models.longitudinal.gaussian.prediction import (
    calibrate_distance,
    condition,
    joint_distance,
    leave_each_out,
    limit_of_distance,
    predict,
)
from aih_outcomes.models.longitudinal.gaussian.structure import Structure


def covariance_of(n, seed):
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, n + 2))
    return root @ root.T


def rows_of(response, patient, time, q=0):
    n = len(response)
    Z = np.column_stack([np.ones(n), time])[:, :q]
    nothing = np.zeros(0, np.intp)
    return Rows(np.asarray(response, float), np.ones((n, 1)), np.asarray(patient, np.intp), np.asarray(time, float),
                nothing, Z, np.zeros(n, np.intp), np.ones(n), nothing)  # fmt: skip


def test_two_earlier_values_and_one_later_by_hand():
    V = np.array([[2.0, 1, 1], [1, 2, 1], [1, 1, 2]])
    found = condition(V, np.ones((3, 1)), np.array([3.0]), np.array([5.0, 4.0]))
    # (1 1) of the inverse of ((2 1) (1 2)) is (1/3 1/3)
    third = Fraction(1, 3)
    assert found.mean[0] == pytest.approx(float(3 + third * (5 - 3) + third * (4 - 3)), rel=1e-14)
    assert found.covariance[0, 0] == pytest.approx(float(2 - 2 * third), rel=1e-14)
    assert found.slopes[0, 0] == pytest.approx(float(1 - 2 * third), rel=1e-14)


def test_the_error_of_the_fixed_effects_is_added_by_hand():
    V = np.array([[2.0, 1, 1], [1, 2, 1], [1, 1, 2]])
    found = condition(V, np.ones((3, 1)), np.array([3.0]), np.array([5.0, 4.0]))
    total = found.covariance + found.slopes @ np.array([[0.9]]) @ found.slopes.T
    assert total[0, 0] == pytest.approx(float(Fraction(4, 3) + Fraction(1, 10)), rel=1e-14)


@pytest.mark.parametrize(("k", "m"), [(3, 1), (4, 5), (1, 6)])
def test_conditioning_is_that_of_the_precision_matrix(k, m):
    random, V = np.random.default_rng(1), covariance_of(k + m, k)
    X, beta, past = random.normal(size=(k + m, 2)), random.normal(size=2), random.normal(size=k)
    Q = np.linalg.inv(V)
    covariance = np.linalg.inv(Q[k:, k:])
    found = condition(V, X, beta, past)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)
    np.testing.assert_allclose(found.mean, X[k:] @ beta - covariance @ Q[k:, :k] @ (past - X[:k] @ beta), rtol=1e-9)
    np.testing.assert_allclose(found.slopes, X[k:] + covariance @ Q[k:, :k] @ X[:k], rtol=1e-8)


def test_two_earlier_values_that_the_model_holds_to_be_the_same_count_once():
    V = np.array([[1.0, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    found = condition(V, np.zeros((3, 1)), np.zeros(1), np.array([2.0, 2.0]))
    assert found.mean[0] == pytest.approx(1.0)
    assert found.covariance[0, 0] == pytest.approx(0.75)


def test_without_random_effects_it_is_the_classical_prediction_interval():
    values = np.array([3.0, 5, 4, 8, 6, 7])
    fitted = fit_effects(
        rows_of(values, range(6), np.zeros(6)), Structure(0, False, False, 1, "independent"), reml=True
    )
    new = rows_of([0.0, 0.0], [0, 0], [0.0, 1.0])
    root = fitted.evaluation.root
    found = predict(fitted, new, new.X, np.array([9.0]), vcov=root @ root.T)
    variance = values.var(ddof=1)
    assert found.mean[0] == pytest.approx(values.mean())
    assert found.covariance[0, 0] == pytest.approx(variance * (1 + 1 / 6))
    assert found.df[0] == pytest.approx(5, rel=1e-6)
    half = t.ppf(0.975, 5) * np.sqrt(variance * 7 / 6)
    low, high = found.limits(0.95)
    assert (low[0], high[0]) == (pytest.approx(values.mean() - half, rel=1e-6), pytest.approx(values.mean() + half))


def test_the_error_of_the_covariance_widens_the_band():
    random = np.random.default_rng(4)
    patient = np.repeat(np.arange(12), 5)
    value = random.normal(size=12)[patient] + random.normal(size=60)
    rows = rows_of(value, patient, np.tile(np.arange(5.0), 12), q=1)
    fitted = fit_effects(rows, Structure(1, False, False, 1, "independent"), reml=True)
    own = rows_of(np.zeros(4), np.zeros(4), np.arange(4.0), q=1)
    root = fitted.evaluation.root
    past = np.array([4.0, 3.0, 5.0])
    found = predict(fitted, own, own.X, past, vcov=root @ root.T)
    V = fitted.kernel.covariance(fitted.evaluation, own)
    known = condition(V, own.X, fitted.evaluation.beta, past)
    without = known.covariance + known.slopes @ root @ root.T @ known.slopes.T
    assert found.mean[0] == pytest.approx(known.mean[0])
    assert found.covariance[0, 0] > 1.01 * without[0, 0]
    assert 5 < found.df[0] < 60


def test_each_value_is_expected_from_the_others_as_if_it_were_the_last():
    V, residual = covariance_of(5, 2), np.random.default_rng(3).normal(size=5)
    found = leave_each_out(V, residual)
    for place in range(5):
        order = [*(other for other in range(5) if other != place), place]
        one = condition(V[np.ix_(order, order)], np.zeros((5, 1)), np.zeros(1), residual[order][:4])
        assert found[place] == pytest.approx(one.mean[0], rel=1e-9)


def test_the_joint_distance_is_mahalanobis_and_never_falls():
    S, d = covariance_of(6, 5), np.random.default_rng(6).normal(size=6)
    found = joint_distance(d, S)
    assert (np.diff(found) >= 0).all()
    for m in range(1, 7):
        assert found[m - 1] == pytest.approx(np.sqrt(d[:m] @ np.linalg.inv(S[:m, :m]) @ d[:m]), rel=1e-9)


@given(st.permutations(range(5)), st.floats(0.01, 100))
def test_the_order_and_the_unit_of_values_do_not_change_the_joint_distance(order, factor):
    S, d = covariance_of(5, 8), np.random.default_rng(9).normal(size=5)
    order = list(order)
    moved = joint_distance(factor * d[order], factor**2 * S[np.ix_(order, order)])
    assert moved[-1] == pytest.approx(joint_distance(d, S)[-1], rel=1e-9)


def test_two_values_that_are_the_same_do_not_break_the_distance():
    found = joint_distance(np.array([1.0, 1.0]), np.array([[1.0, 1.0], [1.0, 1.0]]))
    assert found[-1] == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("m", [1, 3, 12, 40])
def test_the_limit_is_passed_by_one_series_in_twenty(m):
    draws = np.linalg.norm(np.random.default_rng(m).normal(size=(40_000, m)), axis=1)
    share = float(np.mean(draws > limit_of_distance(m, 0.95)))
    assert share == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 40_000))
    assert calibrate_distance(limit_of_distance(m, 0.95), m) == pytest.approx(1.6448536, rel=1e-6)


def test_a_distance_beyond_all_numbers_is_still_ordered():
    assert calibrate_distance(0.0, 4) < calibrate_distance(1.0, 4) < calibrate_distance(30.0, 4)
    assert np.isfinite(calibrate_distance(1e6, 4))
