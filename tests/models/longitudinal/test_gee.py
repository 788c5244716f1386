"""Estimating equations: against R geepack and statsmodels, and what they refuse."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.longitudinal.gee import compare_mean_models, fit_gee
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.outcomes import Groups, RepeatedMeasures

REFERENCE = Path(__file__).parents[2] / "reference"
DAYS = 365.25
TIGHT = 1e-9  # both iterate to the solution


@pytest.fixture(scope="module")
def liver(data_set):
    frame = data_set("pbcseq")
    return frame.assign(dpca=(frame["trt"] == 1).astype(int))


@pytest.fixture(scope="module")
def invented():
    """40 invented patients with 1 to 8 values."""
    frame = pd.read_csv(REFERENCE / "longitudinal_checks.csv")
    return frame.assign(day=frame["years"] * DAYS)


def measures(frame, value="value", covariates=("arm", "w")):
    return RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value=value, covariates=list(covariates))


def small(values=(1, 2, 4, 2, 2, 3, 3, 5, 6, 2, 3, 3), n=4, visits=3):
    return pd.DataFrame({"id": np.repeat(np.arange(n), visits), "day": np.tile(np.arange(visits), n),
                         "value": np.array(values, float), "arm": np.repeat(np.arange(n) % 2, visits)})  # fmt: skip


@pytest.mark.parametrize("correlation", ["independence", "exchangeable", "ar1"])
def test_matches_geepack_on_log_bilirubin(correlation, liver, reference, assert_close):
    fit = fit_gee(measures(liver, "bili", ["dpca"]), course="years * dpca", correlation=correlation, scale="log")
    result = reference("pbcseq_mixed")["gee"]
    figures = result["values"][correlation]
    expected, rtol = figures["coefficients"], 1e-8 if correlation == "independence" else result["rtol"]
    tidy = fit.tidy()
    assert_close(tidy["estimate"], expected["est"], rtol, se=expected["robust_se"], what=f"{correlation} estimate")
    assert_close(tidy["std_error"], expected["robust_se"], rtol, what=f"{correlation} robust_se")
    assert_close(fit.vcov, figures["vcov_robust"]["values"], rtol, se=np.max(np.diag(fit.vcov)),
                 what=f"{correlation} vcov_robust")  # fmt: skip
    naive = fit_gee(measures(liver, "bili", ["dpca"]), course="years * dpca", correlation=correlation, scale="log",
                    vcov="model")  # fmt: skip
    assert_close(naive.tidy()["std_error"], expected["naive_se"], rtol, what=f"{correlation} naive_se")
    facts = fit.glance()
    assert_close(facts["dispersion"], figures["phi"][0], rtol, what=f"{correlation} phi")
    if figures["alpha"]:
        assert_close(facts["working_correlation"], figures["alpha"][0], rtol, what=f"{correlation} alpha")


@pytest.mark.parametrize("correlation", ["independence", "exchangeable"])
def test_matches_geepack_on_hepatomegaly(correlation, liver, reference, assert_close):
    known = liver[liver["hepato"].notna()]
    fit = fit_gee(
        measures(known, "hepato", ["dpca"]), course="years * dpca", correlation=correlation, family="binomial"
    )
    result = reference("pbcseq_mixed")["gee_binary"]
    figures = result["values"][correlation]
    expected, rtol = figures["coefficients"], result["rtol"]
    tidy = fit.tidy()
    assert_close(tidy["estimate"], expected["est"], rtol, se=expected["robust_se"], what=f"{correlation} estimate")
    assert_close(tidy["std_error"], expected["robust_se"], rtol, what=f"{correlation} robust_se")
    assert_close(fit.glance()["dispersion"], figures["phi"][0], rtol, what=f"{correlation} phi")
    np.testing.assert_allclose(tidy["ratio"], np.exp(tidy["estimate"]))


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("correlation", ["independence", "exchangeable", "ar1"])
@pytest.mark.parametrize(("family", "value", "page"), [("gaussian", "value", "gee"), ("binomial", "ill", "gee_binary")])
def test_matches_geepack_with_and_without_weights(
    family, value, page, correlation, weights, invented, r_figures, assert_close
):
    fit = fit_gee(measures(invented, value), course="years * arm", family=family, correlation=correlation,
                  weights=weights, vcov="CR0")  # fmt: skip
    name = f"{correlation} weighted" if weights else correlation
    if (family, name) == ("gaussian", "ar1"):  # geepack goes on with a correlation of 1.04 and standard errors NaN
        assert "impossible" in fit.not_estimable
        return
    expected = r_figures("longitudinal_checks")[page][name]
    tidy = fit.tidy()
    assert_close(tidy["estimate"], expected["coef"], TIGHT, se=expected["robust_se"], what=f"{page} {name} estimate")
    assert_close(tidy["std_error"], expected["robust_se"], TIGHT, what=f"{page} {name} robust_se")
    if correlation != "independence":
        assert_close(fit.glance()["working_correlation"], expected["alpha"], TIGHT, what=f"{page} {name} alpha")


def test_the_bias_reduced_variance_matches_statsmodels(invented, assert_close):
    from statsmodels.genmod.cov_struct import Independence
    from statsmodels.genmod.generalized_estimating_equations import GEE

    fit = fit_gee(measures(invented), course="years * arm", correlation="independence", vcov="CR3")
    X = np.column_stack([np.ones(len(invented)), invented["years"], invented["arm"], invented.eval("years * arm")])
    theirs = GEE(invented["value"], X, groups=invented["id"], cov_struct=Independence()).fit(cov_type="bias_reduced")
    assert_close(fit.vcov, np.asarray(theirs.cov_params()), 1e-8, se=np.max(np.diag(fit.vcov)), what="CR3")


def test_few_patients_take_the_bias_reduced_variance():
    fit = fit_gee(measures(small(), covariates=["arm"]), course="time")
    assert fit.vcov_method == "CR3"
    assert "bias-reduced" in fit.describe()
    assert set(fit.tidy()["df"]) == {2.0}


def test_two_means_by_hand():
    frame = small(values=[1, 2, 3, 3, 4, 5, 2, 3, 4, 4, 5, 9, 3, 3, 3, 5, 5, 5], n=6)
    fit = fit_gee(measures(frame, covariates=["arm"]), by="arm", course=None, correlation="independence", vcov="CR0")
    np.testing.assert_allclose(fit.estimate, [24 / 9, 45 / 9 - 24 / 9])
    # Sums of residuals about 8/3 and 5: −2, 1, 1 and −3, 3, 0; a mean of 9 values has variance Σ sum² / 81.
    np.testing.assert_allclose(fit.vcov[0, 0], 6 / 81)
    np.testing.assert_allclose(fit.vcov[1, 1], (6 + 18) / 81)


@settings(max_examples=12)
@given(st.permutations(range(12)), st.sampled_from(["independence", "exchangeable", "ar1"]))
def test_the_order_of_rows_has_no_effect(order, correlation):
    frame = small()
    fits = [fit_gee(measures(rows, covariates=["arm"]), course="time", correlation=correlation)
            for rows in (frame, frame.iloc[order])]  # fmt: skip
    np.testing.assert_allclose(fits[0].estimate, fits[1].estimate, rtol=1e-9)
    np.testing.assert_allclose(fits[0].vcov, fits[1].vcov, rtol=1e-8, atol=1e-12)


def test_scale_of_values_and_clock_scale_the_estimates():
    frame = small()
    one = fit_gee(measures(frame, covariates=["arm"]), course="time")
    other = fit_gee(measures(frame.assign(value=1000 * frame["value"], day=7 * frame["day"]), covariates=["arm"]),
                    course="time")  # fmt: skip
    np.testing.assert_allclose(other.estimate, one.estimate * [1000, 1000 / 7], rtol=1e-8)
    np.testing.assert_allclose(other.tidy()["p_value"], one.tidy()["p_value"], rtol=1e-6)


def test_it_says_that_it_needs_mcar_and_never_a_treatment_effect():
    frame = small()
    labels = pd.DataFrame({"patient_id": ["0", "1", "2", "3"], "label": ["no", "yes"] * 2})
    groups = Groups(labels.assign(onset=0.0, known_at=0.0), "response", ("no", "yes"), analytes=("alt",))
    at_hand = RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value="value", analyte="platelets")
    text = fit_gee(at_hand, by=groups, course=None, from_day=0).describe()
    assert "MCAR" in text
    assert "not a treatment effect" in text or "not estimable" in text.lower()


def test_groups_known_later_are_refused():
    labels = pd.DataFrame({"patient_id": ["0", "1", "2", "3"], "label": ["no", "yes"] * 2})
    groups = Groups(labels.assign(onset=2.0, known_at=2.0), "response", ("no", "yes"), analytes=("alt",))
    at_hand = RepeatedMeasures.from_frame(small(), patient_id="id", time="day", value="value", analyte="platelets")
    with pytest.raises(ImmortalTimeError):
        fit_gee(at_hand, by=groups)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"family": "poisson"}, "family"), ({"correlation": "unstructured"}, "correlation"), ({"vcov": "CR2"}, "vcov"),
    ({"family": "binomial"}, "neither 0 nor 1"), ({"weights": "nothing"}, "covariates"),
])  # fmt: skip
def test_what_it_refuses(arguments, words):
    with pytest.raises(OutcomeError, match=words):
        fit_gee(measures(small(), covariates=["arm"]), course="time", **arguments)


@pytest.mark.parametrize(("values", "arguments", "words"), [
    ([2.0] * 12, {}, "exactly"),
    ([0, 0, 0, 1, 1, 1] * 2, {"family": "binomial", "covariates": ["arm"], "course": None}, "separates"),
    ([0.0] * 12, {"family": "binomial"}, "separates"),
])  # fmt: skip
def test_not_estimable_is_said_and_never_warned_of(values, arguments, words):
    fit = fit_gee(measures(small(values=values), covariates=["arm"]), **{"course": "time"} | arguments)
    assert words in fit.not_estimable
    assert np.isnan(fit.estimate).all()
    assert fit.tidy()["p_value"].isna().all()
    assert "Not estimable" in fit.describe()


def test_one_value_each_has_no_correlation():
    frame = small().drop_duplicates("id")
    fit = fit_gee(measures(frame, covariates=["arm"]), course=None)
    assert "no patient has two values" in fit.not_estimable
    assert fit_gee(measures(frame, covariates=["arm"]), course=None, correlation="independence").not_estimable is None


def test_one_row_per_term_and_model_beside_the_mixed_model(liver):
    at_hand = measures(liver, "bili", ["dpca"])
    mixed = fit_random_effects(at_hand, course="years * dpca", scale="log")
    gee = fit_gee(at_hand, course="years * dpca", scale="log", correlation="ar1")
    frame = compare_mean_models(mixed, gee)
    assert list(frame["label"].unique()) == list(mixed.names)
    assert len(frame) == 2 * len(mixed.names)
    assert frame["term"].str.contains("estimating equations, ar1").sum() == len(mixed.names)
    assert {"estimate", "conf_low", "p_value", "n", "ratio"} <= set(frame)


def test_models_of_other_values_are_not_compared(liver):
    at_hand, later = measures(liver, "bili", ["dpca"]), measures(liver[liver["day"] > 0], "bili", ["dpca"])
    mixed = fit_random_effects(at_hand, scale="log")
    with pytest.raises(OutcomeError, match="same values"):
        compare_mean_models(mixed, fit_gee(later, scale="log"))


def test_the_odds_are_drawn(liver):
    known = liver[liver["hepato"].notna()]
    fit = fit_gee(measures(known, "hepato", ["dpca"]), course="years * dpca", family="binomial")
    assert fit.plot().get_xlabel().startswith("Ratio")
    with pytest.raises(OutcomeError):
        fit_gee(measures(small(), covariates=["arm"]), course="time").plot()


def test_rows_without_a_covariate_are_refused_or_counted():
    frame = small(values=[1, 2, 4, 2, 2, 3, 3, 5, 6, 2, 3, 3, 1, 2, 5], n=5)
    frame.loc[4, "arm"] = np.nan
    with pytest.raises(OutcomeError, match="lack a covariate"):
        fit_gee(measures(frame, covariates=["arm"]), course="time", covariates=["arm"])
    fit = fit_gee(measures(frame, covariates=["arm"]), course="time", covariates=["arm"], missing="exclude")
    assert fit.glance()["n_missing"] == 1
    assert fit.glance()["n"] == 14


def test_a_collinear_term_is_said_not_to_be_estimable():
    frame = small().assign(twice=lambda rows: 2 * rows["arm"])
    fit = fit_gee(measures(frame, covariates=["arm", "twice"]), course="time", covariates=["arm", "twice"], vcov="CR0")
    assert fit.glance()["aliased"] == "twice"
    assert np.isnan(fit.estimate[-1])
    assert np.isfinite(fit.estimate[:-1]).all()
    assert "twice" in fit.describe()
