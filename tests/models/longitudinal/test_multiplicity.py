"""The largest of correlated t statistics, and Holm's p-values."""

import numpy as np
import pytest
from scipy import stats

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.multiplicity import adjust_holm, make_family


def test_holm_by_hand():
    np.testing.assert_allclose(adjust_holm(np.array([0.04, 0.01, np.nan, 0.5])), [0.08, 0.03, np.nan, 0.5])


def test_one_estimate_has_its_own_t():
    family = make_family(np.array([[4.0]]), None)
    assert family.critical(0.95, 7.5)[0] == pytest.approx(stats.t.ppf(0.975, 7.5), rel=1e-10)
    assert family.p_value(-2.1, 7.5) == (pytest.approx(2 * stats.t.sf(2.1, 7.5), rel=1e-10), 0.0)
    assert family.critical(0.9, np.inf)[0] == pytest.approx(stats.norm.ppf(0.95), rel=1e-10)


def test_two_independent_normals_are_exact():
    family = make_family(np.diag([1.0, 9.0]), None)
    inside = 2 * stats.norm.cdf(2.0) - 1
    assert family.p_value(2.0, np.inf)[0] == pytest.approx(1 - inside**2, rel=1e-6)
    assert family.n_draws == 0


def test_two_correlated_t_agree_with_integration():
    R = np.array([[1.0, 0.6], [0.6, 1.0]])
    normal = stats.multivariate_normal([0, 0], R)

    def inside(c):
        return normal.cdf([c, c]) - normal.cdf([c, -c]) - normal.cdf([-c, c]) + normal.cdf([-c, -c])

    w = (np.arange(2000) + 0.5) / 2000
    expected = 1 - np.mean([inside(2.3 * np.sqrt(q / 9)) for q in stats.chi2.ppf(w, 9)])
    assert make_family(R, None).p_value(2.3, 9)[0] == pytest.approx(expected, abs=2e-5)


def test_four_independent_normals_within_monte_carlo_error():
    family = make_family(np.eye(4), np.random.default_rng(5))
    p, error = family.p_value(2.5, np.inf)
    assert abs(p - (1 - (2 * stats.norm.cdf(2.5) - 1) ** 4)) < 4 * error
    assert error < 5e-4
    c, error = family.critical(0.95, np.inf)
    assert abs(c - stats.norm.ppf((1 + 0.95**0.25) / 2)) < 4 * error


def test_copies_of_one_estimate_cost_nothing():
    family = make_family(np.ones((5, 5)) * 2, None)
    assert family.critical(0.95, 12.0)[0] == pytest.approx(stats.t.ppf(0.975, 12), rel=1e-9)


def test_the_same_generator_gives_the_same_numbers():
    a, b = (make_family(np.eye(3), np.random.default_rng(1)).critical(0.95, 20.0) for _ in range(2))
    assert a == b


def test_a_simulation_without_a_generator_is_refused():
    with pytest.raises(OutcomeError, match="rng"):
        make_family(np.eye(3), None)
