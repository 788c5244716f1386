"""The boundary: which component is 0, said in words; what cannot be told apart, said as a reason."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.longitudinal.gaussian.effects import describe_singular, fit_effects
from aih_outcomes.models.longitudinal.gaussian.structure import Structure

REFERENCE = Path(__file__).parents[3] / "reference"
PLAIN = Structure(2, False, False, 1, "independent")


def grid(patients=20, visits=4):
    return np.repeat(np.arange(patients), visits), np.tile(np.arange(visits, dtype=float), patients)


def fit(rows_of, y, patient, time, *, structure=PLAIN, cluster=None, reml=True):
    X = np.column_stack([np.ones(len(y)), time])
    return fit_effects(rows_of(y, X, patient, time, structure.q, cluster=cluster), structure, reml=reml)


def shrink(y, patient, time, effects):
    """Take from each patient's values what a line of their own explains, and give ``effects`` (patients, 2) back."""
    Z = np.column_stack([np.ones(4), time[:4]])
    rest = y.reshape(-1, 4) - (np.linalg.pinv(Z) @ y.reshape(-1, 4).T).T @ Z.T
    return (rest + effects @ Z.T).ravel()


def test_values_less_alike_within_patients_than_between_have_a_variance_of_0(rows_of):
    # Means are equal although values differ: the analysis of variance would be negative.
    y = np.tile([1.0, 3.0, 0.0, 4.0], 6)
    one = Structure(1, False, False, 1, "independent")
    fitted = fit_effects(rows_of(y, np.ones((24, 1)), np.repeat(np.arange(6), 4)), one, reml=True)
    assert fitted.trouble is None
    assert fitted.kernel.random_cov(fitted.evaluation)[0, 0] == 0
    assert fitted.kernel.residual_sd(fitted.evaluation)[0] ** 2 == pytest.approx(60 / 23, rel=1e-9)
    assert "random intercept has variance 0" in describe_singular(fitted)
    assert "levels do not differ beyond error" in describe_singular(fitted)


def test_equal_slopes_are_told_as_a_slope_of_variance_0(rows_of):
    patient, time = grid()
    random = np.random.default_rng(2)
    intercept = random.standard_normal(20)
    y = shrink(random.standard_normal(80), patient, time, np.column_stack([2 * intercept, np.zeros(20)]))
    diagonal = Structure(2, True, False, 1, "independent")
    fitted = fit(rows_of, y, patient, time, structure=diagonal)
    assert fitted.kernel.random_cov(fitted.evaluation)[1, 1] == 0
    said = describe_singular(fitted)
    assert "random slope has variance 0" in said
    assert "intercept" not in said


def test_slopes_that_follow_levels_are_told_as_perfectly_correlated(rows_of):
    patient, time = grid()
    random = np.random.default_rng(3)
    level = random.standard_normal(20)
    y = shrink(random.standard_normal(80), patient, time, np.column_stack([2 * level, -1.5 * level]))
    fitted = fit(rows_of, y, patient, time)
    assert "perfectly correlated (−1)" in describe_singular(fitted)
    G = fitted.kernel.random_cov(fitted.evaluation)
    assert np.linalg.det(G) == pytest.approx(0, abs=1e-10 * G[0, 0] * G[1, 1])


def test_an_inside_maximum_is_not_called_singular(rows_of):
    patient, time = grid()
    random = np.random.default_rng(4)
    y = (
        random.standard_normal(80)
        + 3 * random.standard_normal(20)[patient]
        + random.standard_normal(20)[patient] * time
    )
    assert describe_singular(fit(rows_of, y, patient, time)) is None


def test_centres_that_do_not_differ_are_told(rows_of):
    patient, time = grid()
    random = np.random.default_rng(5)
    level = random.standard_normal(20)
    level -= level.reshape(5, 4).mean(axis=1).repeat(4)
    y = random.standard_normal(80) * 0.1 + level[patient]
    nested = Structure(1, False, True, 1, "independent")
    fitted = fit(rows_of, y, patient, time, structure=nested, cluster=patient // 4)
    assert fitted.kernel.centre_variance(fitted.evaluation) == 0
    assert "variance between centres is 0" in describe_singular(fitted)


@pytest.mark.parametrize(
    ("visits", "structure"),
    [(1, Structure(1, False, False, 1, "independent")), (2, PLAIN), (2, Structure(1, False, False, 1, "ar1"))],
)
def test_too_few_values_of_each_patient_are_a_stated_reason(visits, structure, rows_of):
    patient, time = grid(12, visits)
    y = np.random.default_rng(6).standard_normal(len(time))
    X = np.ones((len(y), 1))
    Z = np.column_stack([np.ones(len(y)), time])[:, : structure.q]
    fitted = fit_effects(rows_of(y, X, patient, time, Z), structure, reml=True)
    assert "too few" in fitted.trouble


def test_a_perfect_line_a_column_of_0_and_collinear_columns_are_stated_reasons(rows_of):
    patient, time = grid()
    y = np.random.default_rng(7).standard_normal(80)
    assert "explain every value" in fit(rows_of, 1 + 2 * time, patient, time).trouble
    X = np.ones((80, 1))
    nothing = fit_effects(rows_of(y, X, patient, time, np.column_stack([X, 0 * time])), PLAIN, reml=True)
    assert "is 0 in every row" in nothing.trouble
    twice = fit_effects(rows_of(y, X, patient, time, np.column_stack([time, 2 * time])), PLAIN, reml=True)
    assert "depend on each other" in twice.trouble


def test_two_values_at_one_time_need_an_error_of_their_own(rows_of):
    patient, time = grid()
    y = np.random.default_rng(8).standard_normal(80)
    serial = Structure(1, False, False, 1, "exponential")
    assert "at one time" in fit(rows_of, y, patient, np.floor(time / 2), structure=serial).trouble


@pytest.mark.parametrize("serial", ["ar1", "exponential", "exponential and error"])
def test_no_serial_correlation_ends_with_an_answer_and_no_warning(serial, rows_of):
    patient, time = grid(25, 5)
    random = np.random.default_rng(9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(8):
            y = random.standard_normal(125) + random.standard_normal(25)[patient]
            fitted = fit(rows_of, y, patient, time, structure=Structure(1, False, False, 1, serial))
            assert fitted.trouble or np.isfinite(fitted.evaluation.beta).all()
            describe_singular(fitted)


def test_small_cohorts_with_a_variance_of_0_are_never_below_lmer(rows_of, r_figures, assert_close):
    figures = r_figures("convergence")
    frame = pd.read_csv(REFERENCE / "convergence.csv")
    ours, singular = [], 0
    for _, one in frame.groupby("cohort"):
        years, arm = one["years"].to_numpy(float), one["arm"].to_numpy(float)
        X = np.column_stack([np.ones(len(one)), years, arm, years * arm])
        fitted = fit_effects(rows_of(one["y"], X, one["id"], years, 2), PLAIN, reml=True)
        assert fitted.trouble is None
        assert fitted.scaled_gradient < 1e-6
        ours.append(fitted.evaluation.loglik)
        singular += describe_singular(fitted) is not None
    theirs = np.array(json.loads((REFERENCE / "convergence.json").read_text())["loglik"])
    assert (np.array(ours) >= theirs - 1e-6).all()
    # lmer stops short on the boundary: half of a log-likelihood's hundredth at most.
    assert_close(ours, figures["loglik"], 1e-4, what="log-likelihood")
    assert 0 < singular < len(ours)


def test_a_boundary_is_a_maximum_also_along_the_way_inside(rows_of):
    patient, time = grid()
    y = np.random.default_rng(11).standard_normal(80)
    fitted = fit(rows_of, y, patient, time)
    assert describe_singular(fitted)
    inner, theta = fitted.kernel.inner, fitted.evaluation.theta
    best = inner.profile(theta).loglik
    random = np.random.default_rng(12)
    for size in (1e-3, 1e-2, 0.1, 0.5):
        for _ in range(20):
            near = inner.profile(theta + size * np.r_[0, random.standard_normal(3)])
            assert near.loglik <= best + 1e-9
