"""Marginal means, held against emmeans."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.marginal_means import estimate_marginal_means
from aih_outcomes.models.longitudinal.mixed_model import with_inference
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

INVENTED = Path(__file__).parents[2] / "reference" / "marginal_means"
RTOL = 1e-5  # lme4's optimum, and pbkrtest's numerical steps


@pytest.fixture(scope="module")
def invented():
    """36 invented patients of three groups; nobody of group c has the last visit (tests/reference/marginal_means.R)."""
    return RepeatedMeasures.from_frame(
        pd.read_csv(INVENTED.with_suffix(".csv")), patient_id="id", time="time", value="y", visit="visit",
        covariates=["group", "male", "age", "centre"], label="ALT", unit="× ULN", time_unit="years",
    )  # fmt: skip


@pytest.fixture(scope="module")
def slope(invented):
    return fit_random_effects(invented, by="group", course="time", covariates=["male", "age", "centre"],
                              random="1 + time", df="kenward-roger")  # fmt: skip


@pytest.fixture(scope="module")
def by_visit(invented):
    return fit_random_effects(invented, by="group", course="visit", covariates=["male", "age", "centre"],
                              random="1", df="kenward-roger")  # fmt: skip


@pytest.fixture(scope="module")
def fev(data_set):
    frame = data_set("fev_data").dropna(subset=["FEV1"])
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="USUBJID", time="VISITN", value="FEV1", visit="AVISIT", covariates=["RACE", "SEX", "ARMCD"]
    )
    return fit_repeated_measures(measures, by="ARMCD", covariates=["RACE", "SEX"])


def compare(assert_close, tidy, expected, rtol, what):
    for ours, theirs in (("estimate", "emmean"), ("std_error", "SE"), ("df", "df"), ("conf_low", "lower.CL"),
                         ("conf_high", "upper.CL")):  # fmt: skip
        if theirs in expected and not (ours == "df" and None in expected["df"] and not tidy["df"].isna().any()):
            assert_close(tidy[ours], expected[theirs], rtol, se=tidy["std_error"], what=f"{what}: {ours}")


@pytest.mark.parametrize("how", ["satterthwaite", "kenward-roger", "asymptotic"])
@pytest.mark.parametrize("weights", ["equal", "proportional"])
def test_matches_emmeans_on_invented_slopes(slope, r_figures, assert_close, how, weights):
    expected = r_figures("marginal_means")[f"slope {how} {weights}"]
    expected = {{"asymp.LCL": "lower.CL", "asymp.UCL": "upper.CL"}.get(key, key): own for key, own in expected.items()}
    fit = with_inference(slope, "normal" if how == "asymptotic" else how, "model")
    tidy = estimate_marginal_means(fit, at=[0, 2, 5], weights=weights).tidy().sort_values(["time", "strata"])
    assert tidy["strata"].tolist() == expected["group"]
    compare(assert_close, tidy, {key: own for key, own in expected.items() if key != "df" or how != "asymptotic"},
            RTOL, f"slope {how} {weights}")  # fmt: skip


def test_matches_emmeans_over_another_factor(slope, r_figures, assert_close):
    expected = r_figures("marginal_means")["slope over centre"]
    tidy = estimate_marginal_means(slope, over=["centre"]).tidy()
    assert tidy["term"].tolist() == expected["centre"]
    compare(assert_close, tidy, expected, RTOL, "over centre")


def test_a_visit_without_data_in_a_group_is_not_estimable_as_in_emmeans(by_visit, r_figures, assert_close):
    expected = r_figures("marginal_means")["visit means"]
    means = estimate_marginal_means(by_visit)
    tidy = means.tidy().sort_values(["term", "strata"])
    assert [*zip(tidy["term"], tidy["strata"], strict=True)] == [
        *zip(expected["visit"], expected["group"], strict=True)
    ]
    compare(assert_close, tidy, expected, RTOL, "by visit")
    assert tidy["n"].iloc[-1] == 0
    assert "1 of 15 means are not estimable" in means.describe()


@pytest.mark.parametrize(
    ("df", "vcov", "name", "part"),
    [
        ("satterthwaite", "model", "mmrm_satterthwaite", "us"),
        ("kenward-roger-mmrm", "model", "mmrm_kenward_roger", "us"),
        ("kenward-roger-linear", "model", "mmrm_us_kr_linear", None),
        ("between-within", "model", "mmrm_us_between_within", None),
        ("residual", "CR0", "mmrm_us_residual_df", None),
        ("satterthwaite", "CR0", "mmrm_us_empirical", "CR0"),
        ("satterthwaite", "CR2", "mmrm_us_empirical", "CR2"),
        ("satterthwaite", "CR3", "mmrm_us_empirical", "CR3"),
    ],
)
def test_matches_emmeans_of_mmrm_on_fev(fev, reference, assert_close, df, vcov, name, part):
    result = reference("fev_data_mmrm")[name]
    values = (result["values"][part] if part else result["values"])["emmeans"]
    fit = with_inference(fev, df, vcov)
    for weights, key in (("equal", "means"), ("proportional", "means_proportional_weights")):
        tidy = estimate_marginal_means(fit, weights=weights).tidy().sort_values(["term", "strata"])
        assert tidy["strata"].tolist() == values[key]["ARMCD"]
        compare(assert_close, tidy, values[key], result["rtol"], f"{key}, {df}, {vcov}")


@pytest.mark.parametrize(("course", "name"), [("years", "emmeans_linear"), ("ns(years, df=3)", "emmeans_spline")])
def test_matches_emmeans_on_pbcseq(data_set, reference, assert_close, course, name):
    visits = data_set("pbcseq")
    visits["arm"] = np.where(visits["trt"] == 1, "1", "0")
    measures = RepeatedMeasures.from_frame(visits, patient_id="id", time="day", value="bili", covariates=["arm"])
    fit = fit_random_effects(measures, by="arm", course=course, scale="log")
    result = reference("pbcseq_mixed")[name]
    for df in ("satterthwaite", "kenward-roger"):
        tidy = estimate_marginal_means(with_inference(fit, df, "model"), at=[1, 3, 5]).tidy()
        expected = result["values"][df.replace("-", "_")]["means"]
        compare(assert_close, tidy.sort_values(["time", "strata"]), expected, result["rtol"], f"{name} {df}")


def test_the_log_scale_turns_limits_back_not_the_error(invented):
    fit = fit_random_effects(invented, by="group", course="time", random="1", scale="log")
    tidy = estimate_marginal_means(fit, at=[1]).tidy()
    np.testing.assert_allclose(tidy["geometric_low"], np.exp(tidy["conf_low"]))
    np.testing.assert_allclose(np.log(tidy["geometric_high"] / tidy["geometric_mean"]),
                               np.log(tidy["geometric_mean"] / tidy["geometric_low"]))  # fmt: skip


def test_a_column_that_others_make_up_takes_nothing_away(invented, slope):
    frame = invented.frame.assign(half=invented.frame["age"] / 2)
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", time_unit="years",
        covariates=["group", "male", "age", "centre", "half"],
    )  # fmt: skip
    fit = fit_random_effects(measures, by="group", course="time", covariates=["male", "age", "centre", "half"],
                             random="1 + time", df="kenward-roger")  # fmt: skip
    assert not fit.kept.all()
    expected = estimate_marginal_means(slope, at=[1]).estimate
    np.testing.assert_allclose(estimate_marginal_means(fit, at=[1]).estimate, expected, rtol=1e-8)


def test_balanced_means_by_hand():
    values = [5, 7, 9, 6, 6, 8, 4, 8, 9, 5, 5, 7, 6, 7, 10]
    frame = pd.DataFrame({"id": [i for i in range(5) for _ in range(3)], "v": [1, 2, 3] * 5, "y": values})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    means = estimate_marginal_means(fit_repeated_measures(measures, covariance="compound symmetry"))
    np.testing.assert_allclose(means.estimate, [26 / 5, 33 / 5, 43 / 5], rtol=1e-9)
    assert means.tidy()["n"].tolist() == [5, 5, 5]
    assert means.tidy()["strata"].unique().tolist() == ["all"]


@settings(max_examples=10)
@given(shift=st.floats(-50, 50), factor=st.floats(0.1, 10))
def test_means_move_with_the_unit_of_the_value(invented, slope, shift, factor):
    frame = invented.frame.assign(value=shift + factor * invented.frame["value"])
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", time_unit="years",
        covariates=["group", "male", "age", "centre"],
    )  # fmt: skip
    fit = fit_random_effects(measures, by="group", course="time", covariates=["male", "age", "centre"],
                             random="1 + time", df="kenward-roger")  # fmt: skip
    ours, base = (estimate_marginal_means(own, at=[3]).tidy() for own in (fit, slope))
    np.testing.assert_allclose(ours["estimate"], shift + factor * base["estimate"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours["std_error"], factor * base["std_error"], rtol=1e-5)
    np.testing.assert_allclose(ours["df"], base["df"], rtol=1e-4)


def test_a_time_asked_for_twice_stands_once(slope):
    assert estimate_marginal_means(slope, at=[2, 2, 5]).tidy()["time"].tolist() == [2, 5] * 3


def test_a_band_of_a_line_is_exact_and_wider(slope):
    one = estimate_marginal_means(slope, at=np.linspace(0, 7, 30), over=["time"])
    band = estimate_marginal_means(slope, at=np.linspace(0, 7, 30), over=["time"], confidence="simultaneous")
    assert band.limits.error == 0
    assert (band.limits.critical > one.limits.critical).all()
    assert "all 30 hold together" in band.describe()


@pytest.mark.slow
def test_bands_cover_the_whole_line():
    """95 % of 300 simulated fits have the true line inside their band at every time, within Monte-Carlo error."""
    rng = np.random.default_rng(8)
    covered, runs = 0, 300
    for _ in range(runs):
        frame = pd.DataFrame({"id": np.repeat(np.arange(12), 4), "t": np.tile([0.0, 1, 2, 3], 12)})
        frame["y"] = 1 + 0.5 * frame["t"] + np.repeat(rng.normal(0, 1, 12), 4) + rng.normal(0, 0.5, 48)
        measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y", time_unit="years")
        fit = fit_random_effects(measures, course="time", random="1", df="kenward-roger")
        tidy = estimate_marginal_means(fit, at=np.linspace(0, 3, 15), confidence="simultaneous").tidy()
        truth = 1 + 0.5 * tidy["time"]
        covered += bool(((tidy["conf_low"] <= truth) & (truth <= tidy["conf_high"])).all())
    assert abs(covered / runs - 0.95) <= 3 * (0.95 * 0.05 / runs) ** 0.5


def test_many_times_are_asked_for(slope):
    fit = slope
    frame = fit.measures.frame.assign(time=fit.measures.frame["time"] + np.arange(len(fit.measures.frame)) / 1000)
    measures = RepeatedMeasures.from_frame(frame, patient_id="patient_id", time="time", value="value",
                                           covariates=["group"], time_unit="years")  # fmt: skip
    other = fit_random_effects(measures, by="group", course="time", random="1")
    with pytest.raises(OutcomeError, match=r"Give at="):
        estimate_marginal_means(other)
    assert len(estimate_marginal_means(fit).estimate) == 15


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"over": ["weight"]}, "factors of the fit"),
        ({"over": ["group", "group"]}, "named twice"),
        ({"at": ["early"]}, "finite times"),
        ({"at": [float("nan")]}, "finite times"),
        ({"at": [1], "over": ["group"]}, "no course is shown"),
        ({"weights": "cells"}, "proportional"),
        ({"confidence": "both"}, "simultaneous"),
        ({"conf_level": 95}, "share"),
    ],
)
def test_what_cannot_be_read_is_refused(slope, choice, words):
    with pytest.raises(OutcomeError, match=words):
        estimate_marginal_means(slope, **choice)


def test_an_unknown_visit_is_refused(by_visit):
    with pytest.raises(OutcomeError, match="v5"):
        estimate_marginal_means(by_visit, at=["v9"])


def test_a_fit_without_an_answer_has_no_means(invented):
    few = RepeatedMeasures.from_frame(
        invented.frame[invented.frame["patient_id"].isin(["1", "2", "20"])], patient_id="patient_id", time="time",
        value="value", visit="visit", covariates=["group"],
    )  # fmt: skip
    fit = fit_repeated_measures(few, by="group")
    assert fit.not_estimable
    means = estimate_marginal_means(fit, confidence="simultaneous")
    assert means.tidy()["estimate"].isna().all()
    assert means.glance()["not_estimable"] in means.describe()


def test_a_number_read_as_a_category_is_averaged_over_its_levels(invented):
    frame = invented.frame.assign(dose=np.arange(len(invented.frame)) % 3)
    frame["named"] = frame["dose"].map({0: "low", 1: "middle", 2: "top"})
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", covariates=["group", "dose", "named"]
    )
    coded, named = (
        estimate_marginal_means(
            fit_random_effects(measures, by="group", course="time", random="1", covariates=[term]),
            at=[1, 2],
            weights=how,
        ).tidy()
        for term, how in (("C(dose)", "proportional"), ("named", "proportional"))
    )
    pd.testing.assert_frame_equal(coded, named, rtol=1e-8)


def test_groups_that_are_numbers_are_counted(invented):
    frame = invented.frame.assign(arm=(invented.frame["group"] == "b").astype(int))
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", covariates=["arm"]
    )
    tidy = estimate_marginal_means(fit_random_effects(measures, by="arm", course="time", random="1"), at=[0]).tidy()
    assert tidy["strata"].tolist() == ["0", "1"]
    assert tidy["n"].tolist() == [24, 12]
