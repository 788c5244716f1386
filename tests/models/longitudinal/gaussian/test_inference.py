"""Degrees of freedom, robust covariances and joint tests, held against mmrm, lmerTest and pbkrtest."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.mixed_model import with_inference
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

IN_R = {
    "(Intercept)": "intercept", "RACEBlack or African American": "RACE: Black or African American (ref. Asian)",
    "RACEWhite": "RACE: White (ref. Asian)", "SEXFemale": "SEX: Female (ref. Male)",
    "ARMCDTRT": "group: TRT (ref. PBO)",
    **{f"AVISITVIS{k}": f"visit: VIS{k} (ref. VIS1)" for k in (2, 3, 4)},
    **{f"ARMCDTRT:AVISITVIS{k}": f"group: TRT (ref. PBO) × visit: VIS{k} (ref. VIS1)" for k in (2, 3, 4)},
}  # fmt: skip


@pytest.fixture(scope="module")
def fev(data_set):
    frame = data_set("fev_data").dropna(subset=["FEV1"])
    frame["SEX"] = pd.Categorical(frame["SEX"], ["Male", "Female"])
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="USUBJID", time="VISITN", value="FEV1", visit="AVISIT", covariates=["RACE", "SEX", "ARMCD"]
    )
    return fit_repeated_measures(measures, by="ARMCD", covariates=["RACE", "SEX"], df="satterthwaite")


@pytest.fixture(scope="module")
def sleep(data_set):
    measures = RepeatedMeasures.from_frame(data_set("sleepstudy"), patient_id="Subject", time="Days", value="Reaction")
    return fit_random_effects(measures, course="time", random="1 + time")


def check(assert_close, fit, fixed, rtol):
    tidy = fit.tidy().set_index("term").loc[[IN_R[term] for term in fixed["term"]]]
    assert_close(tidy["estimate"], fixed["est"], rtol, se=fixed["se"], what="estimate")
    assert_close(tidy["std_error"], fixed["se"], rtol, what="standard error")
    assert_close(tidy["df"], fixed["df"], rtol, what="degrees of freedom")
    assert_close(tidy["p_value"], fixed["p"], rtol, what="p")


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
def test_matches_mmrm_on_fev(fev, reference, assert_close, df, vcov, name, part):
    result = reference("fev_data_mmrm")[name]
    values = result["values"][part] if part else result["values"]
    check(assert_close, with_inference(fev, df, vcov), values["fixed"], result["rtol"])


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger-mmrm"])
def test_joint_test_matches_mmrm_on_fev(fev, reference, assert_close, df):
    result = reference("fev_data_mmrm")["mmrm_joint_tests"]
    expected = result["values"][df.removesuffix("-mmrm").replace("-", "_")]
    L = np.eye(len(fev.names))[[place for place, name in enumerate(fev.names) if "×" in name]]
    F, num, den, p = with_inference(fev, df, "model").inference.joint(L)
    assert num == expected["num_df"]
    assert_close([F, den, p], [expected["F"], expected["den_df"], expected["p"]], result["rtol"],
                 what=f"F, df and p, {df}")  # fmt: skip


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_type_three_tests_match_lmertest_on_sleepstudy(sleep, reference, assert_close, df):
    result = reference("sleepstudy_mixed")["lmer_REML"]
    expected = result["values"][f"anova3_{df.replace('-', '_')}"]
    F, num, den, p = with_inference(sleep, df, "model").inference.joint(np.array([[0.0, 1.0]]))
    assert_close([F, num, den, p], [expected[key][0] for key in ("F", "num_df", "den_df", "p")], 1e-5,
                 what=f"F, df and p of Days, {df}")  # fmt: skip


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_type_three_tests_of_a_spline_match_lmertest_on_pbcseq(data_set, reference, assert_close, df):
    visits = data_set("pbcseq")
    visits["dpca"] = (visits["trt"] == 1).astype(float)
    measures = RepeatedMeasures.from_frame(visits, patient_id="id", time="day", value="bili", covariates=["dpca"])
    fit = fit_random_effects(measures, course=None, covariates="ns(years, df=3) * dpca", random="1 + years",
                             scale="log", df=df)  # fmt: skip
    result = reference("pbcseq_mixed")["spline_REML"]
    expected = result["values"][f"anova3_{df.replace('-', '_')}"]
    names = list(fit.names)
    terms = [
        [place for place, name in enumerate(names) if "ns(" in name and "dpca" not in name],
        [names.index("dpca")],
        [place for place, name in enumerate(names) if "ns(" in name and "dpca" in name],
    ]
    found = np.array([fit.inference.joint(np.eye(len(names))[own]) for own in terms]).T
    for row, key in zip(found, ("F", "num_df", "den_df", "p"), strict=True):
        assert_close(row, expected[key], result["rtol"], what=f"{key}, {df}")


@pytest.mark.parametrize("df", ["kenward-roger", "between-within", "residual", "normal"])
def test_rows_that_follow_from_others_add_nothing(fev, df):
    inference = with_inference(fev, df, "model").inference
    L = np.eye(len(fev.names))[-3:]
    np.testing.assert_allclose(inference.joint(np.vstack([L, L[0] - 2 * L[1]])), inference.joint(L), rtol=1e-9)


def test_one_row_is_its_own_t_squared(fev):
    for df, vcov in (("satterthwaite", "model"), ("kenward-roger", "model"), ("satterthwaite", "CR2")):
        inference = with_inference(fev, df, vcov).inference
        L = np.eye(len(fev.names))[[3]]
        estimate, std_error, own = inference.contrast(L)
        F, num, den, _ = inference.joint(L)
        np.testing.assert_allclose([F, num, den], [(estimate / std_error)[0] ** 2, 1, own[0]], rtol=1e-9)


def test_nothing_to_test_has_no_answer(fev):
    F, num, den, p = fev.inference.joint(np.zeros((2, len(fev.names))))
    assert num == 0
    assert np.isnan([F, den, p]).all()


@pytest.mark.parametrize(("df", "vcov"), [("kenward-roger", "CR0"), ("kenward-roger-linear", "CR2")])
def test_kenward_roger_with_a_sandwich_is_refused(fev, df, vcov):
    with pytest.raises(OutcomeError, match="satterthwaite"):
        with_inference(fev, df, vcov)


def test_kenward_roger_after_maximum_likelihood_is_refused(sleep):
    with pytest.raises(OutcomeError, match="REML"):
        fit_random_effects(sleep.measures, course="time", method="ML", df="kenward-roger")


def test_balanced_means_have_exact_degrees_of_freedom_by_hand():
    """Five patients, three visits, compound symmetry: differences between visits have (5 − 1)(3 − 1) = 8."""
    values = [5, 7, 9, 6, 6, 8, 4, 8, 9, 5, 5, 7, 6, 7, 10]
    frame = pd.DataFrame({"id": [i for i in range(5) for _ in range(3)], "v": [1, 2, 3] * 5, "y": values})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    fit = fit_repeated_measures(measures, covariance="compound symmetry", df="kenward-roger-linear")
    wide = [[Fraction(value) for value in values[3 * i : 3 * i + 3]] for i in range(5)]
    by_visit = [sum(row[j] for row in wide) / 5 for j in range(3)]
    by_patient = [sum(row) / 3 for row in wide]
    grand = sum(by_visit) / 3
    error = sum((wide[i][j] - by_visit[j] - by_patient[i] + grand) ** 2 for i in range(5) for j in range(3)) / 8
    F = sum(5 * (mean - grand) ** 2 for mean in by_visit) / 2 / error
    np.testing.assert_allclose(fit.tidy()["df"][1:], 8, rtol=1e-6)
    np.testing.assert_allclose(fit.tidy()["std_error"][1:], float(2 * error / 5) ** 0.5, rtol=1e-8)
    found = fit.inference.joint(np.eye(3)[1:])
    np.testing.assert_allclose(found[:3], [float(F), 2, 8], rtol=1e-6)


def test_a_sandwich_of_independent_rows_by_hand():
    """The mean of three patients seen once: CR0 divides by n², CR2 by n(n − 1), CR3 by (n − 1)²; CR2 has n − 1 df."""
    frame = pd.DataFrame({"id": [1, 2, 3, 4, 5], "v": [1.0] * 5, "y": [1.0, 2, 4, 7, 11]})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", value="y")
    fit = fit_random_effects(measures, course=None, random=None, df="residual")
    squares = float(((frame["y"] - 5) ** 2).sum())
    for vcov, denominator in (("CR0", 25), ("CR2", 20), ("CR3", 16)):
        own = with_inference(fit, "satterthwaite", vcov).tidy()
        assert own["std_error"][0] == pytest.approx((squares / denominator) ** 0.5, rel=1e-9)
        assert own["df"][0] == pytest.approx(4, rel=1e-9)


def test_robust_errors_do_not_depend_on_the_order_of_rows(fev):
    shuffled = fev.measures.frame.sample(frac=1, random_state=3)
    measures = RepeatedMeasures.from_frame(
        shuffled,
        patient_id="patient_id",
        time="time",
        value="value",
        visit="visit",
        covariates=["RACE", "SEX", "ARMCD"],
    )
    again = fit_repeated_measures(measures, by="ARMCD", covariates=["RACE", "SEX"], df="satterthwaite", vcov="CR2")
    expected = with_inference(fev, "satterthwaite", "CR2").tidy()
    np.testing.assert_allclose(again.tidy()["df"], expected["df"], rtol=1e-6)
    np.testing.assert_allclose(again.tidy()["std_error"], expected["std_error"], rtol=1e-6)


def test_kenward_roger_is_hotellings_test_with_complete_data():
    """Means of three visits of eight patients, unstructured: F = T² (n − k)/(k (n − 1)) with k and n − k df."""
    rng = np.random.default_rng(7)
    values = rng.normal(size=(8, 3)) @ np.array([[1, 0.5, 0.2], [0, 1, 0.4], [0, 0, 1]]) + [0.2, 0.5, 0.9]
    frame = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "v": np.tile([1, 2, 3], 8), "y": values.ravel()})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    fit = fit_repeated_measures(measures, df="kenward-roger-linear")
    change = values[:, 1:] - values[:, :1]
    T2 = 8 * change.mean(axis=0) @ np.linalg.solve(np.cov(change.T), change.mean(axis=0))
    np.testing.assert_allclose(fit.inference.joint(np.eye(3)[1:])[:3], [T2 * 6 / (2 * 7), 2, 6], rtol=1e-6)


def test_a_sandwich_of_fewer_units_than_contrasts_has_no_joint_test():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"id": np.repeat(np.arange(5), 8), "v": np.tile(np.arange(8), 5), "y": rng.normal(size=40)})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    fit = fit_random_effects(measures, course="visit", random=None, df="residual", vcov="CR0")
    F, num, _, p = fit.inference.joint(np.eye(8)[1:])
    assert num == 7
    assert np.isnan([F, p]).all()
    assert np.isfinite(fit.inference.joint(np.eye(8)[1:3])).all()
