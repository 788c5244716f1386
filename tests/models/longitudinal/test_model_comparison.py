"""Likelihood-ratio tests of mixed models: against R, by the definition of the mixture, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.model_comparison import compare_mixed_models
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

REFERENCE = Path(__file__).parents[2] / "reference"


@pytest.fixture(scope="module")
def bilirubin(data_set):
    frame = data_set("pbcseq").assign(dpca=lambda d: (d["trt"] == 1).astype(int))
    return RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value="bili", covariates=["dpca"])


@pytest.fixture(scope="module")
def invented():
    frame = pd.read_csv(REFERENCE / "random_effects.csv")
    return RepeatedMeasures.from_frame(
        frame, patient_id="patient", time="years", value="y", visit="visit", covariates=["arm", "centre"],
        time_unit="years",
    )  # fmt: skip


def test_matches_r_for_a_random_slope_by_reml(bilirubin, reference, assert_close):
    one, two = (fit_random_effects(bilirubin, by="dpca", scale="log", random=random) for random in ("1", "1 + years"))
    comparison = compare_mixed_models(one, two)
    figures = reference("pbcseq_mixed")["lrt_random_slope_REML"]
    values = figures["values"]
    assert_close(comparison.statistic, values["stat"], figures["rtol"], what="statistic")
    assert comparison.df == 2
    # p-values of 1e-158 move by a hundred times the relative error of the statistic.
    assert_close(np.log(comparison.p_value_naive), np.log(values["p_chi2_2"]), figures["rtol"], what="log p, χ²")
    assert_close(np.log(comparison.p_value), np.log(values["p_mixture"]), figures["rtol"], what="log p, mixture")


def test_matches_r_for_a_spline_by_group_interaction_by_ml(bilirubin, reference, assert_close):
    how = {"scale": "log", "random": "1 + years", "method": "ML"}
    smaller = fit_random_effects(bilirubin, course="ns(years, df=3)", covariates=["dpca"], **how)
    larger = fit_random_effects(bilirubin, course="ns(years, df=3)", by="dpca", **how)
    comparison = compare_mixed_models(smaller, larger)
    figures = reference("pbcseq_mixed")["spline_interaction_LRT_ML"]
    values = figures["values"]
    assert comparison.df == values["df"]
    assert_close(comparison.statistic, values["stat"], figures["rtol"], what="statistic")
    assert_close(comparison.p_value, values["p"], figures["rtol"], what="p")
    assert comparison.p_value == comparison.p_value_naive


def test_one_new_variance_halves_the_tail_of_one_degree(invented):
    none, centres = (
        fit_random_effects(invented, course="time", random="1", nested_in=nested) for nested in (None, "centre")
    )
    comparison = compare_mixed_models(none, centres)
    assert (comparison.df, comparison.n_bounded) == (1, 1)
    assert comparison.p_value == pytest.approx(0.5 * chi2.sf(comparison.statistic, 1), rel=1e-12)


def test_a_variance_of_0_has_p_of_1_not_a_half():
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"id": np.repeat(np.arange(20), 4), "t": np.tile(np.arange(4), 20)})
    frame["y"] = random.standard_normal(80)
    frame["y"] -= frame.groupby("id")["y"].transform("mean") * 1.5
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    none = fit_random_effects(measures, course="time", random=None)
    one = fit_random_effects(measures, course="time", random="1")
    assert one.singular is not None
    comparison = compare_mixed_models(none, one)
    assert comparison.statistic == pytest.approx(0, abs=1e-8)
    assert comparison.p_value == pytest.approx(1.0, abs=1e-3)


def test_a_serial_process_with_error_has_no_known_distribution(invented):
    plain = fit_random_effects(invented, course="time", random="1")
    serial = fit_random_effects(invented, course="time", random="1", serial="exponential and error")
    comparison = compare_mixed_models(plain, serial)
    assert comparison.n_bounded == -1
    assert comparison.p_value == comparison.p_value_naive
    assert "no distribution is known" in comparison.describe()


def test_unequal_residual_variances_and_ar1_lie_inside_their_range(invented):
    plain = fit_random_effects(invented, course="time", random="1")
    for how in ({"residual_by": "arm"}, {"serial": "ar1"}):
        comparison = compare_mixed_models(plain, fit_random_effects(invented, course="time", random="1", **how))
        assert (comparison.df, comparison.n_bounded) == (1, 0)


def test_covariances_by_visit_are_compared_along_their_nesting(invented):
    simple = fit_repeated_measures(invented, covariance="compound symmetry")
    wide = fit_repeated_measures(invented, covariance="toeplitz")
    comparison = compare_mixed_models(simple, wide)
    assert comparison.df == 6
    assert 0 < comparison.p_value < 1
    with pytest.raises(OutcomeError, match="does not contain"):
        compare_mixed_models(fit_repeated_measures(invented, covariance="ar1"), simple)


def test_reml_fits_with_other_fixed_effects_are_refused(invented):
    smaller, larger = (fit_random_effects(invented, course="time", random="1", by=by) for by in (None, "arm"))
    with pytest.raises(OutcomeError, match='method="ML"'):
        compare_mixed_models(smaller, larger)


def test_other_rows_other_methods_and_the_wrong_order_are_refused(invented):
    fit = fit_random_effects(invented, course="time", random="1 + time")
    with pytest.raises(OutcomeError, match="different values"):
        compare_mixed_models(fit_random_effects(invented, course="time", random="1", from_day=365), fit)
    with pytest.raises(OutcomeError, match="Only likelihoods of one kind"):
        compare_mixed_models(fit_random_effects(invented, course="time", random="1", method="ML"), fit)
    with pytest.raises(OutcomeError, match="does not contain"):
        compare_mixed_models(fit, fit_random_effects(invented, course="time", random="1"))


def test_the_table_has_both_models_with_their_criteria(invented):
    one, two = (fit_random_effects(invented, course="time", random=random) for random in ("1", "1 + time"))
    tidy = compare_mixed_models(one, two).tidy()
    assert list(tidy["term"]) == ["smaller", "larger"]
    assert list(tidy["aic"]) == [one.glance()["aic"], two.glance()["aic"]]
    assert tidy["p_value"].isna().tolist() == [True, False]
    with pytest.raises(OutcomeError, match="no figure"):
        compare_mixed_models(one, two).plot()


def test_without_an_estimate_there_is_no_test_but_the_reason():
    frame = pd.DataFrame({"id": [1, 2, 3, 4], "t": [0, 1, 2, 3], "y": [1.0, 2.0, 4.0, 3.0]})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    none = fit_random_effects(measures, course="time", random=None)
    comparison = compare_mixed_models(none, fit_random_effects(measures, course="time", random="1"))
    assert comparison.not_estimable.startswith(("the larger model", "the smaller model"))
    assert np.isnan(comparison.p_value)
    assert "Not estimable" in comparison.describe()
