"""What every mixed model promises: terms, landmarks, refits, and what the data cannot tell apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.mixed_model import refit, with_inference
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.result import TIDY_COLUMNS
from aih_outcomes.outcomes import RepeatedMeasures


def invented(n=24, seed=3):
    """A small cohort: n children, 3 to 6 values each at days of their own."""
    random = np.random.default_rng(seed)
    sizes = random.integers(3, 7, n)
    patient = np.repeat(np.arange(n), sizes)
    day = np.concatenate([np.sort(random.choice(700, size, replace=False)) for size in sizes])
    own = random.normal(size=(n, 2)) * [0.8, 0.3]
    value = 2 + own[patient, 0] + (0.4 + own[patient, 1]) * day / 365.25 + random.normal(scale=0.3, size=len(day))
    return pd.DataFrame({
        "id": patient, "day": day, "value": value, "arm": np.where(patient % 3, "b", "a"),
        "age": random.normal(10, 3, n)[patient], "centre": patient % 4, "w": random.uniform(0.5, 2, len(day)),
    })  # fmt: skip


def read(frame, **how):
    columns = {"patient_id": "id", "time": "day", "value": "value"} | how
    return RepeatedMeasures.from_frame(frame, covariates=["arm", "age", "centre", "w"], label="bilirubin", **columns)


def test_a_row_without_a_value_is_no_measurement_and_is_counted():
    frame = invented()
    with_gap = read(pd.concat([frame, frame.head(5).assign(value=np.nan)], ignore_index=True))
    assert with_gap.exclusions["n"].tolist() == [5]
    one, other = fit_random_effects(with_gap), fit_random_effects(read(frame))
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-9)


def test_the_order_of_rows_changes_nothing():
    frame = invented()
    one = fit_random_effects(read(frame), by="arm", covariates=["age"])
    other = fit_random_effects(read(frame.sample(frac=1, random_state=1)), by="arm", covariates=["age"])
    np.testing.assert_allclose(other.tidy()["estimate"], one.tidy()["estimate"], rtol=1e-8)
    np.testing.assert_allclose(other.tidy()["std_error"], one.tidy()["std_error"], rtol=1e-6)
    assert other.loglik == pytest.approx(one.loglik, abs=1e-8)


@settings(max_examples=10)
@given(st.sampled_from([1e-4, 0.1, 40.0, 1e5]), st.sampled_from([-2010.0, 0.0, 1e4]))
def test_units_of_the_value_and_the_origin_of_time_change_only_units(factor, origin):
    frame = invented()
    moved = frame.assign(value=frame["value"] * factor, day=frame["day"] + origin)
    one = fit_random_effects(read(frame), course="time", random="1 + time", by="arm")
    other = fit_random_effects(read(moved), course="time", random="1 + time", by="arm")
    slopes = [2, 3]
    np.testing.assert_allclose(other.estimate[slopes], one.estimate[slopes] * factor, rtol=1e-6)
    assert other.loglik == pytest.approx(one.loglik - (len(frame) - 4) * np.log(factor), abs=1e-6)


def test_a_column_that_others_make_up_is_not_estimable_and_changes_nothing_else():
    frame = invented().assign(age=lambda d: (d["arm"] == "b") * 2.0)
    fit = fit_random_effects(read(frame), by="arm", covariates=["age"])
    plain = fit_random_effects(read(frame), by="arm")
    assert fit.kept.tolist() == [True, True, True, False, True]
    assert np.isnan(fit.tidy()["estimate"][3])
    np.testing.assert_allclose(fit.estimate[fit.kept], plain.estimate, rtol=1e-8)
    assert "Not estimable for lack of data: age." in fit.describe()
    assert fit.glance()["aliased"] == "age"
    assert np.isnan(fit.contrast(np.array([[0, 0, 0, 1.0, 0]]))[0]).all()
    assert np.isfinite(fit.contrast(np.array([[0, 1.0, 0, 0, 0]]))[0]).all()


def test_a_missing_covariate_is_refused_or_left_out_by_name():
    frame = invented()
    frame.loc[[2, 9], "age"] = np.nan
    with pytest.raises(OutcomeError, match=r"2 of \d+ rows lack a covariate"):
        fit_random_effects(read(frame), covariates=["age"])
    fit = fit_random_effects(read(frame), covariates=["age"], missing="exclude")
    assert fit.glance()["n_missing"] == 2
    assert fit.glance()["n"] == len(frame) - 2


def test_on_the_log_scale_effects_are_ratios_too():
    frame = invented().assign(value=lambda d: np.exp(d["value"]))
    fit = fit_random_effects(read(frame), by="arm", scale="log")
    tidy = fit.tidy()
    np.testing.assert_allclose(np.log(tidy["ratio"]), tidy["estimate"])
    np.testing.assert_allclose(np.log(tidy["ratio_high"]), tidy["conf_high"])
    known = [column for column in tidy if column in TIDY_COLUMNS]
    assert known == [column for column in TIDY_COLUMNS if column in tidy]


def test_a_refit_on_the_same_values_is_the_same_fit():
    fit = fit_random_effects(read(invented()), by="arm", course="ns(years, df=2)", covariates=["log(age)"])
    again = refit(fit, fit.measures)
    np.testing.assert_allclose(again.estimate, fit.estimate, rtol=1e-7)
    assert again.names == fit.names


def test_a_refit_keeps_the_knots_and_levels_of_the_fit():
    frame = invented()
    fit = fit_random_effects(read(frame), by="arm", course="ns(years, df=2)")
    fewer = fit.measures.frame[fit.measures.frame["patient_id"] != "0"]
    again = refit(fit, RepeatedMeasures(**{**_fields(fit.measures), "frame": fewer}))
    np.testing.assert_allclose(again.code(fit.frame), fit.code(fit.frame))
    assert again.glance()["n_patients"] == 23


def _fields(measures):
    return {name: getattr(measures, name) for name in measures.__dataclass_fields__}


def test_other_degrees_of_freedom_leave_the_estimates():
    fit = fit_random_effects(read(invented()), by="arm")
    normal = with_inference(fit, "normal", "model")
    assert np.isinf(normal.tidy()["df"]).all()
    np.testing.assert_array_equal(normal.estimate, fit.estimate)
    assert (fit.tidy()["p_value"] > normal.tidy()["p_value"]).all()


def test_weights_that_double_and_patients_nested_in_centres_are_read():
    frame = invented()
    fit = fit_random_effects(read(frame), nested_in="centre", weights="w", residual_by="arm")
    facts = fit.glance()
    assert facts["not_estimable"] is None
    assert {"sd_centre", "sd_residual", "sd_intercept", "sd_slope"} <= set(facts)
    one = fit_random_effects(read(frame), weights="w")
    two = fit_random_effects(read(frame.assign(w=frame["w"] * 4)), weights="w")
    np.testing.assert_allclose(two.estimate, one.estimate, rtol=1e-7)
    assert two.glance()["sd_residual"] == pytest.approx(2 * one.glance()["sd_residual"], rel=1e-5)


def test_a_patient_of_two_centres_is_refused():
    frame = invented()
    frame.loc[0, "centre"] = 3
    with pytest.raises(OutcomeError, match="1 patient"):
        fit_random_effects(read(frame), nested_in="centre")


def test_weights_of_zero_are_refused():
    with pytest.raises(OutcomeError, match="no positive weight"):
        fit_random_effects(read(invented().assign(w=0.0)), weights="w")


@pytest.mark.parametrize(
    "wrong",
    [
        {"df": "z"}, {"vcov": "HC3"}, {"method": "reml"}, {"scale": "log10"}, {"serial": "toeplitz"},
        {"random_covariance": "none"}, {"missing": "drop"}, {"course": "weeks"}, {"random": "1 + weeks"},
        {"covariates": ["weight"]}, {"nested_in": "site"}, {"conf_level": 95},
    ],
)  # fmt: skip
def test_what_is_unknown_is_refused_in_three_parts(wrong):
    with pytest.raises(OutcomeError) as refused:
        fit_random_effects(read(invented()), **wrong)
    assert refused.value.rule
    assert refused.value.way_out


def test_what_is_no_repeated_measures_is_refused():
    with pytest.raises(OutcomeError, match="is no RepeatedMeasures"):
        fit_random_effects(invented())


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_an_empty_cohort_and_single_patients_give_the_reason(kept):
    frame = invented()
    fit = fit_random_effects(read(frame[frame["id"] < kept]))
    assert fit.not_estimable
    assert fit.tidy()["estimate"].isna().all()
    assert fit.not_estimable in fit.describe()
    assert len(fit.components()) == 0
    assert fit.random_effects().empty


def test_values_without_any_difference_give_the_reason():
    fit = fit_random_effects(read(invented().assign(value=3.0)))
    assert "explain every value exactly" in fit.not_estimable


def test_predicted_random_effects_have_one_row_per_patient():
    fit = fit_random_effects(read(invented()), by="arm")
    effects = fit.random_effects()
    assert effects["patient_id"].tolist() == [str(i) for i in range(24)]
    assert abs(effects["intercept"].mean()) < 0.1
