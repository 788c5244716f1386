"""Differences of marginal means, held against emmeans."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.contrasts import compare_marginal_means
from aih_outcomes.models.longitudinal.marginal_means import covariance_of, estimate_marginal_means
from aih_outcomes.models.longitudinal.mixed_model import with_inference
from aih_outcomes.models.longitudinal.multiplicity import make_family
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import Groups, RepeatedMeasures

INVENTED = Path(__file__).parents[2] / "reference" / "marginal_means.csv"
RTOL = 1e-5
COLUMNS = (("estimate", "estimate"), ("std_error", "SE"), ("df", "df"), ("conf_low", "lower.CL"),
           ("conf_high", "upper.CL"), ("statistic", "t.ratio"), ("p_value", "p.value"))  # fmt: skip


@pytest.fixture(scope="module")
def invented():
    return RepeatedMeasures.from_frame(
        pd.read_csv(INVENTED), patient_id="id", time="time", value="y", visit="visit",
        covariates=["group", "male", "age", "centre"], label="ALT", time_unit="years",
    )  # fmt: skip


@pytest.fixture(scope="module")
def slope(invented):
    fit = fit_random_effects(invented, by="group", course="time", covariates=["male", "age", "centre"],
                             random="1 + time", df="kenward-roger")  # fmt: skip
    return estimate_marginal_means(fit, at=[0, 2, 5])


@pytest.fixture(scope="module")
def by_visit(invented):
    fit = fit_random_effects(invented, by="group", course="visit", covariates=["male", "age", "centre"],
                             random="1", df="kenward-roger")  # fmt: skip
    return estimate_marginal_means(fit)


def compare(assert_close, tidy, expected, what, rtol=RTOL):
    for ours, theirs in COLUMNS:
        if theirs in expected:
            assert_close(tidy[ours], expected[theirs], rtol, se=tidy["std_error"] if ours != "p_value" else 0.0,
                         what=f"{what}: {ours}")  # fmt: skip


@pytest.mark.parametrize("adjust", ["none", "holm"])
def test_differences_match_emmeans(slope, r_figures, assert_close, adjust):
    expected = r_figures("marginal_means")[f"difference {adjust}"]
    tidy = compare_marginal_means(slope, adjust=adjust).tidy().sort_values(["time", "strata"])
    assert [name.replace("−", "-") for name in tidy["strata"]] == expected["contrast"]
    compare(assert_close, tidy, expected, f"difference, {adjust}")


def test_simulated_p_values_match_mvtnorm(slope, r_figures):
    """Integrated by mvtnorm to 1e-5; its degrees of freedom are whole numbers."""
    expected = r_figures("marginal_means")["difference mvt"]
    result = compare_marginal_means(slope)
    family = make_family(covariance_of(slope.fit, result.L), np.random.default_rng(4))
    tidy = result.tidy().sort_values(["time", "strata"])
    for t, df, p, p_normal in zip(
        tidy["statistic"], tidy["df"], expected["p.value"], expected["p.normal"], strict=True
    ):
        for own, theirs in ((round(df), p), (np.inf, p_normal)):
            ours, error = family.p_value(float(t), float(own))
            assert abs(ours - theirs) < 4 * error + 2e-5


@pytest.mark.parametrize(
    ("kind", "name"),
    [("change from baseline", "visit change"), ("difference of changes", "visit difference of changes")],
)
def test_changes_match_emmeans(by_visit, r_figures, assert_close, kind, name):
    expected = r_figures("marginal_means")[name]
    tidy = compare_marginal_means(by_visit, kind=kind).tidy()
    order = ["strata", "term"] if kind == "change from baseline" else ["term", "strata"]
    compare(assert_close, tidy.sort_values(order), expected, name)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_the_joint_test_of_changes_is_the_interaction(slope, r_figures, assert_close, df):
    """lmerTest's type-III test of group × time, from any times but the baseline."""
    expected = r_figures("marginal_means")["anova Satterthwaite" if df == "satterthwaite" else "anova Kenward-Roger"]
    place = expected["term"].index("group:time")
    fit = with_inference(slope.fit, df, "model")
    facts = compare_marginal_means(estimate_marginal_means(fit, at=[0, 1]), kind="difference of changes").glance()
    for ours, theirs in (("statistic", "F"), ("num_df", "num_df"), ("den_df", "den_df"), ("p_value", "p")):
        assert_close(facts[ours], expected[theirs][place], 1e-4, what=f"{ours}, {df}")


def test_differences_match_emmeans_of_mmrm_on_fev(data_set, reference, assert_close):
    frame = data_set("fev_data").dropna(subset=["FEV1"])
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="USUBJID", time="VISITN", value="FEV1", visit="AVISIT", covariates=["RACE", "SEX", "ARMCD"]
    )
    fit = fit_repeated_measures(measures, by="ARMCD", covariates=["RACE", "SEX"])
    for df, name in (("satterthwaite", "mmrm_satterthwaite"), ("kenward-roger-mmrm", "mmrm_kenward_roger")):
        result = reference("fev_data_mmrm")[name]
        expected = result["values"]["us"]["emmeans"]["contrast_TRT_minus_PBO"]
        tidy = compare_marginal_means(estimate_marginal_means(with_inference(fit, df, "model"))).tidy()
        compare(assert_close, tidy, expected, f"fev {df}", result["rtol"])


@pytest.mark.parametrize(("course", "name"), [("years", "emmeans_linear"), ("ns(years, df=3)", "emmeans_spline")])
def test_differences_match_emmeans_on_pbcseq(data_set, reference, assert_close, course, name):
    visits = data_set("pbcseq")
    visits["arm"] = np.where(visits["trt"] == 1, "1", "0")
    measures = RepeatedMeasures.from_frame(visits, patient_id="id", time="day", value="bili", covariates=["arm"])
    fit = fit_random_effects(measures, by="arm", course=course, scale="log")
    result = reference("pbcseq_mixed")[name]
    for df in ("satterthwaite", "kenward-roger"):
        tidy = compare_marginal_means(estimate_marginal_means(with_inference(fit, df, "model"), at=[1, 3, 5])).tidy()
        compare(assert_close, tidy, result["values"][df.replace("-", "_")]["contrast_1_minus_0"], f"{name} {df}",
                result["rtol"])  # fmt: skip


def test_matches_emmeans_of_mmrm_on_pbcseq_visits(data_set, reference, assert_close):
    visits = data_set("pbcseq")
    visits["arm"] = np.where(visits["trt"] == 1, "1", "0")
    visits["lb"] = np.log(visits["bili"])
    visits["lb0"] = visits["id"].map(visits[visits["day"] == 0].set_index("id")["lb"])
    measures = RepeatedMeasures.from_frame(
        visits[visits["day"] > 0], patient_id="id", time="day", value="lb", covariates=["arm", "lb0"]
    )
    windows = {"m6": (92, 182, 273), "y1": (274, 365, 547), "y2": (548, 730, 912), "y3": (913, 1095, 1277)}
    fit = fit_repeated_measures(measures, by="arm", covariates=["lb0"], visits=windows, df="kenward-roger-mmrm")
    result = reference("pbcseq_visits_mmrm")["mmrm_us_kenward_roger"]
    expected = result["values"]["kr"]["emmeans"]
    means = estimate_marginal_means(fit)
    tidy = means.tidy().sort_values(["term", "strata"])
    for ours, theirs in (("estimate", "emmean"), ("std_error", "SE"), ("df", "df")):
        assert_close(tidy[ours], expected["means"][theirs], result["rtol"], what=f"means: {ours}")
    compare(assert_close, compare_marginal_means(means).tidy(), expected["contrast_1_minus_0"], "arms", result["rtol"])


def test_adjusted_p_values_are_in_order(slope):
    none, holm, simulated = (
        compare_marginal_means(slope, adjust=adjust, rng=np.random.default_rng(1)).p_value
        for adjust in ("none", "holm", "simulation")
    )
    assert (none <= simulated).all()
    assert (none <= holm).all()
    assert (simulated <= 6 * none).all()


def test_changes_from_another_baseline_turn_the_sign(slope):
    forward = compare_marginal_means(slope, kind="change from baseline", baseline=0).tidy()
    back = compare_marginal_means(slope, kind="change from baseline", baseline=5).tidy()
    np.testing.assert_allclose(forward.loc[forward["time"] == 5, "estimate"], -back.loc[back["time"] == 0, "estimate"])
    assert forward["contrast"].unique().tolist() == ["change from 0"]


def test_another_reference_turns_the_sign(slope):
    first = compare_marginal_means(slope).tidy().set_index(["strata", "time"])["estimate"]
    other = compare_marginal_means(slope, reference="b").tidy().set_index(["strata", "time"])["estimate"]
    np.testing.assert_allclose(first["b − a"], -other["a − b"])
    np.testing.assert_allclose(first["c − a"] - first["b − a"], other["c − b"], rtol=1e-9)


def test_the_log_scale_gives_ratios(invented):
    fit = fit_random_effects(invented, by="group", course="time", random="1", scale="log")
    means = estimate_marginal_means(fit, at=[0, 4])
    result = compare_marginal_means(means)
    tidy, geometric = result.tidy(), means.tidy().set_index(["strata", "time"])["geometric_mean"]
    np.testing.assert_allclose(
        tidy.set_index(["strata", "time"]).loc["b / a", "ratio"], geometric["b"] / geometric["a"]
    )
    np.testing.assert_allclose(np.log(tidy["ratio_low"]), tidy["conf_low"])
    assert "ratios of geometric means" in result.describe()


def test_words_say_what_was_done(slope):
    words = compare_marginal_means(slope, kind="difference of changes", adjust="holm").describe()
    assert "Reference: a." in words
    assert "Baseline: 0." in words
    assert "Holm" in words
    assert "Bonferroni" in words
    simulated = compare_marginal_means(slope, adjust="simulation", rng=np.random.default_rng(2))
    assert "Monte-Carlo error" in simulated.describe()
    assert (simulated.tidy()["p_error"] < 0.002).all()


def test_groups_known_after_time_zero_carry_the_caution():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"id": np.repeat(np.arange(20), 4), "day": np.tile([0, 200, 300, 400], 20)})
    frame["value"] = rng.normal(5, 1, 80) + np.repeat(rng.normal(0, 1, 20), 4)
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value="value", label="platelets")
    known = pd.DataFrame({"patient_id": [str(i) for i in range(20)], "label": ["responder", "other"] * 10,
                          "onset": 150.0, "known_at": 182.0})  # fmt: skip
    known["patient_id"] = measures.frame["patient_id"].drop_duplicates().to_numpy()
    groups = Groups(known, "response", ("other", "responder"), landmark=182)
    fit = fit_random_effects(measures, by=groups, course="time", random="1", from_day=182)
    means = estimate_marginal_means(fit, at=[18, 218])
    for words in (means.describe(), compare_marginal_means(means).describe()):
        assert "Prognostic association, not a treatment effect." in words


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"reference": "z"}, "levels"),
        ({"kind": "ratio"}, "difference of changes"),
        ({"kind": "change from baseline", "baseline": 3}, "Name the baseline"),
        ({"adjust": "tukey"}, "holm"),
        ({"adjust": "simulation"}, "rng"),
    ],
)
def test_what_cannot_be_compared_is_refused(by_visit, choice, words):
    with pytest.raises(OutcomeError, match=words):
        compare_marginal_means(by_visit, **choice)


def test_one_group_has_no_difference_but_changes(invented):
    means = estimate_marginal_means(fit_random_effects(invented, course="visit", random="1"))
    with pytest.raises(OutcomeError, match="two groups"):
        compare_marginal_means(means)
    assert len(compare_marginal_means(means, kind="change from baseline").estimate) == 4


def test_means_at_no_time_have_no_change(slope):
    means = estimate_marginal_means(slope.fit, over=["group"])
    with pytest.raises(OutcomeError, match="at no time"):
        compare_marginal_means(means, kind="change from baseline")
