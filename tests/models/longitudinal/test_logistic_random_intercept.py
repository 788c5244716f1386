"""The logistic model with a random intercept: against R lme4, and what cannot be estimated."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.logistic_random_intercept import fit_random_logistic
from aih_outcomes.outcomes import RepeatedMeasures

REFERENCE = Path(__file__).parents[2] / "reference"
LME4 = 1e-5  # what tight settings of its optimiser leave


@pytest.fixture(scope="module")
def hepatomegaly(data_set):
    frame = data_set("pbcseq").query("hepato == hepato")
    return measures(frame.assign(dpca=(frame["trt"] == 1).astype(int)), "hepato", ["dpca"])


@pytest.fixture(scope="module")
def invented():
    frame = pd.read_csv(REFERENCE / "longitudinal_checks.csv")
    return measures(frame.assign(day=frame["years"] * 365.25), "ill", ["arm"])


def measures(frame, value="ill", covariates=()):
    return RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value=value, covariates=list(covariates),
                                       label="enlarged liver")  # fmt: skip


def small(values):
    n = len(values) // 3
    return pd.DataFrame({"id": np.repeat(np.arange(n), 3), "day": np.tile(np.arange(3.0), n),
                         "ill": np.array(values, float)})  # fmt: skip


def compare(fit, coef, se, sd, rtol, assert_close, name):
    assert_close(fit.estimate, coef, rtol, se=se, what=f"{name} coefficients")
    assert_close(fit.tidy()["std_error"], se, rtol, what=f"{name} standard errors")
    assert_close(fit.sd, sd, rtol, what=f"{name} SD of intercepts")


def test_matches_lme4_with_25_points(hepatomegaly, reference, assert_close):
    fit = fit_random_logistic(hepatomegaly, course="years", covariates=["dpca"])
    result = reference("pbcseq_mixed")["glmm_logistic"]
    expected = result["values"]["agq25"]
    compare(fit, list(expected["coef"].values()), list(expected["se"].values()), expected["sd_id"], result["rtol"],
            assert_close, "25 points")  # fmt: skip
    assert_close(fit.loglik, expected["logLik"], 1e-9, what="25 points log-likelihood")


def test_laplace_climbs_higher_than_lme4_with_its_defaults_and_as_high_as_tight(
    hepatomegaly, reference, r_figures, assert_close
):
    fit = fit_random_logistic(hepatomegaly, course="years", covariates=["dpca"], n_points=1)
    loose = reference("pbcseq_mixed")["glmm_logistic"]["values"]["laplace"]
    assert fit.loglik > loose["logLik"] + 0.02
    tight = r_figures("longitudinal_checks")["glmm"]["pbcseq_laplace"]
    compare(fit, tight["coef"], tight["se"], tight["sd"], 2e-4, assert_close, "Laplace, pbcseq")
    assert_close(fit.loglik, tight["loglik"], 1e-7, what="Laplace, pbcseq log-likelihood")


@pytest.mark.parametrize(("page", "n_points"), [("laplace", 1), ("agq9", 9), ("agq25", 25)])
def test_matches_lme4_by_points(page, n_points, invented, r_figures, assert_close):
    fit = fit_random_logistic(invented, course="years * arm", n_points=n_points)
    expected = r_figures("longitudinal_checks")["glmm"][page]
    compare(fit, expected["coef"], expected["se"], expected["sd"], LME4, assert_close, page)
    assert_close(fit.loglik, expected["loglik"], 1e-9, what=f"{page} log-likelihood")
    modes = fit.random_intercepts()["intercept"][:10]
    assert_close(modes, expected["modes"], LME4, se=fit.sd, what=f"{page} modes")


def test_the_optimum_is_proven(hepatomegaly):
    facts = fit_random_logistic(hepatomegaly, course="years", covariates=["dpca"]).glance()
    assert facts["scaled_gradient"] < 1e-10
    assert facts["correlation"] == pytest.approx(
        facts["sd_intercept"] ** 2 / (facts["sd_intercept"] ** 2 + np.pi**2 / 3)
    )


def test_patients_alike_by_hand():
    # Each patient is ill at one of three values: less alike than chance, so the variance is 0 and the odds are 1 : 2.
    fit = fit_random_logistic(measures(small([1, 0, 0, 0, 1, 0, 0, 0, 1] * 4)), course=None)
    np.testing.assert_allclose(fit.estimate, np.log(1 / 2), rtol=1e-6)
    np.testing.assert_allclose(fit.loglik, 12 * np.log(1 / 3) + 24 * np.log(2 / 3), rtol=1e-9)
    assert "variance is 0" in fit.glance()["singular"]
    assert "variance is 0" in fit.describe()


@settings(max_examples=12)
@given(st.permutations(range(12)))
def test_the_order_of_rows_has_no_effect(order):
    frame = small([1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1])
    one, other = (fit_random_logistic(measures(rows), course="time", n_points=7) for rows in (frame, frame.iloc[order]))
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-6)
    np.testing.assert_allclose(one.loglik, other.loglik, rtol=1e-10)


def test_the_other_outcome_has_the_opposite_sign(invented):
    ill = fit_random_logistic(invented, course="years * arm")
    well = measures(invented.frame.rename(columns={"patient_id": "id", "time": "day"}).eval("ill = 1 - value"),
                    covariates=["arm"])  # fmt: skip
    fit = fit_random_logistic(well, course="years * arm")
    np.testing.assert_allclose(fit.estimate, -ill.estimate, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(fit.loglik, ill.loglik, rtol=1e-9)


@pytest.mark.parametrize(("values", "words"), [
    ([1] * 12, "same"), ([1, 0, 1], "fewer than 3 patients"), ([0, 1, 1] * 6, "separates|maximum"),
    ([0, 0, 0, 1, 1, 1] * 5, "has no limit"),
])  # fmt: skip
def test_not_estimable_is_said_and_never_warned_of(values, words):
    fit = fit_random_logistic(measures(small(values)), course="time")
    assert any(word in fit.not_estimable for word in words.split("|")), fit.not_estimable
    assert np.isnan(fit.estimate).all()
    assert "Not estimable" in fit.describe()


def test_one_value_each_cannot_tell_patients_from_chance():
    frame = small([1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1]).drop_duplicates("id")
    assert "two values" in fit_random_logistic(measures(frame), course=None).not_estimable


@pytest.mark.parametrize("n_points", [0, 101, 2.5, True])
def test_a_number_of_points_that_is_none_is_refused(n_points):
    with pytest.raises(OutcomeError, match="quadrature"):
        fit_random_logistic(measures(small([1, 0, 0] * 3)), n_points=n_points)


def test_values_other_than_0_and_1_are_refused():
    with pytest.raises(OutcomeError, match="neither 0 nor 1"):
        fit_random_logistic(measures(small([1, 2, 0] * 3)))


def test_it_says_whose_odds_ratios_they_are_and_draws_them(invented):
    fit = fit_random_logistic(invented, course="years * arm")
    assert "within a patient" in fit.describe()
    assert "Odds ratio" in fit.plot().get_xlabel()
    assert list(fit.tidy()["n"].unique()) == [40]
