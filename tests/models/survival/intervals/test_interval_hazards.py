"""Proportional hazards from intervals: against icenReg, Weibull and Cox; what cannot be estimated says so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.models.survival.intervals.interval_hazards import fit_interval_hazards
from aih_outcomes.models.survival.intervals.interval_survival import estimate_interval_survival
from aih_outcomes.models.survival.intervals.spline import Spline
from aih_outcomes.outcomes import Groups, IntervalTime, TimeToEvent

TERMS = ["trt", "log(bili0)"]
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 6), st.booleans(), st.integers(-4, 4)), min_size=12, max_size=30
)  # fmt: skip


@pytest.fixture(scope="module")
def pbc_both_ways(data_set):
    """Death in pbc as spells, and as intervals of no width."""
    pbc = data_set("pbc").dropna(subset=["protime"])
    pbc = pbc.assign(dead=(pbc["status"] == 2).astype(int), until=pbc["time"].where(pbc["status"] == 2))
    names = ["age", "bili", "edema"]
    spells = TimeToEvent.from_frame(pbc, exit="time", event="dead", covariates=names)
    return spells, IntervalTime.from_frame(pbc, left="time", right="until", covariates=names)


def test_matches_icenreg_on_pbcseq(reference, normalised, assert_close):
    fit = fit_interval_hazards(normalised, covariates=TERMS)
    result = reference("pbcseq_interval_censored")["semiparametric_ph_icenReg"]
    theirs = list(result["values"]["coef"].values())
    assert_close(fit.coefficients, theirs, result["rtol"], se=np.sqrt(np.diag(fit.vcov)), what="coef")
    assert_close(fit.loglik, result["values"]["loglik"], result["rtol"], what="loglik")
    assert fit.loglik >= result["values"]["loglik"] - 1e-6 * abs(fit.loglik)
    assert fit.scaled_gradient < 1e-6


def test_without_a_difference_the_likelihood_is_turnbulls(normalised):
    fit = fit_interval_hazards(normalised, covariates=TERMS)
    alone = estimate_interval_survival(normalised)
    assert fit.loglik_null == pytest.approx(alone.glance()["loglik"], rel=1e-10)


def test_no_other_steps_are_better(mixed, seen_at_looks):
    fit = fit_interval_hazards(seen_at_looks(mixed[["left", "right", "x"]]), covariates=["x"])
    survival = np.exp(-fit.baseline.steps.hazard(fit.baseline.spans.m))
    first, last = fit.baseline.spans.first, fit.baseline.spans.last
    risk = np.exp((fit.rows.design.X[:, 0] - fit.baseline.mean[0]) * fit.coefficients[0])

    def loglik(values, shift=0.0):
        hazard = risk * np.exp(shift * (fit.rows.design.X[:, 0] - fit.baseline.mean[0]))
        return np.log(values[first] ** hazard - values[last] ** hazard).sum()

    best = loglik(survival)
    assert best == pytest.approx(fit.loglik, rel=1e-10)
    assert loglik(survival, 1e-3) < best
    assert loglik(survival, -1e-3) < best
    random = np.random.default_rng(1)
    for _ in range(200):
        mass = -np.diff(survival) * np.exp(random.normal(scale=0.05, size=len(survival) - 1))
        mass[random.integers(len(mass))] += 0.01
        assert loglik(1 - np.append(0, np.cumsum(mass / mass.sum())).clip(0, 1)) < best + 1e-9


def test_only_the_order_of_looks_matters_without_a_baseline(mixed, seen_at_looks):
    frame = mixed[["left", "right", "x"]]
    bent = frame.assign(left=frame["left"] ** 2, right=frame["right"] ** 2)
    one, other = (fit_interval_hazards(seen_at_looks(each), covariates=["x"]) for each in (frame, bent))
    np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-8)
    np.testing.assert_allclose(one.vcov, other.vcov, rtol=1e-6)


@settings(max_examples=15)
@given(ROWS)
def test_row_order_and_replication_change_nothing(rows):
    frame = pd.DataFrame(rows, columns=["left", "width", "seen", "x"]).astype(float)
    frame["right"] = (frame["left"] + frame["width"]).where(frame["seen"] == 1)
    frame = frame[["left", "right", "x"]]
    how = {"left": "left", "right": "right", "covariates": ["x"]}
    for baseline in ("unspecified", "spline"):
        one, other = (
            fit_interval_hazards(outcome, covariates=["x"], baseline=baseline, n_knots=1)
            for outcome in (
                IntervalTime.from_frame(frame.assign(w=2), weight="w", **how),
                IntervalTime.from_frame(pd.concat([frame, frame.iloc[::-1]]), **how),
            )
        )
        assert (one.not_estimable is None) == (other.not_estimable is None) or "fewer events" in one.not_estimable
        if one.not_estimable is None:
            np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(one.vcov, other.vcov, rtol=1e-4)


def test_a_spline_without_inner_knots_is_weibull(normalised):
    spline = fit_interval_hazards(normalised, covariates=TERMS, baseline="spline", n_knots=0)
    weibull = fit_accelerated_failure(normalised, covariates=TERMS)
    estimate, std_error = weibull.log_hazard_ratios()
    np.testing.assert_allclose(spline.coefficients, estimate, rtol=1e-8)
    np.testing.assert_allclose(spline.tidy()["std_error"], std_error, rtol=1e-8)
    assert spline.loglik == pytest.approx(weibull.glance()["loglik"], rel=1e-10)
    patients = pd.DataFrame({"trt": [0, 1], "bili0": [2, 6]}, index=["a", "b"])
    columns = ["strata", "time", "estimate", "std_error", "conf_low", "conf_high"]
    one, other = (fit.at([100, 900], rows=patients)[columns] for fit in (spline, weibull))
    pd.testing.assert_frame_equal(one, other, rtol=1e-7)


def test_the_three_baselines_agree_within_a_fraction_of_an_error(normalised):
    free = fit_interval_hazards(normalised, covariates=TERMS).tidy()
    spline = fit_interval_hazards(normalised, covariates=TERMS, baseline="spline").tidy()
    assert ((free["estimate"] - spline["estimate"]).abs() < 0.15 * free["std_error"]).all()
    np.testing.assert_allclose(free["std_error"], spline["std_error"], rtol=0.02)


def test_exact_times_agree_with_cox(pbc_both_ways):
    spells, intervals = pbc_both_ways
    terms = ["age", "edema", "log(bili)"]
    cox = fit_cox(spells, covariates=terms).tidy()
    for fit in (
        fit_interval_hazards(intervals, covariates=terms),
        fit_interval_hazards(intervals, covariates=terms, baseline="spline", n_knots=3),
        fit_interval_hazards(spells, covariates=terms, baseline="spline", n_knots=3),
    ):
        assert ((fit.coefficients - cox["estimate"]).abs() < 0.1 * cox["std_error"]).all()
        np.testing.assert_allclose(fit.tidy()["std_error"], cox["std_error"], rtol=0.01)


def test_splitting_spells_changes_no_spline(late_entry):
    terms = ["x", "arm"]
    whole = fit_interval_hazards(late_entry, covariates=terms, baseline="spline", cluster="patient_id")
    frame = late_entry.frame
    inside = (frame["entry"] < 8) & (frame["exit"] > 8)
    early = frame[inside].assign(exit=8.0, event="censored").astype({"event": frame["event"].dtype})
    split = late_entry.with_rows(pd.concat([frame.assign(entry=frame["entry"].where(~inside, 8.0)), early]))
    parts = fit_interval_hazards(split, covariates=terms, baseline="spline", cluster="patient_id")
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, rtol=1e-7)
    np.testing.assert_allclose(parts.vcov, whole.vcov, rtol=1e-6)


@pytest.mark.parametrize("n_inner", [0, 1, 2, 4])
def test_the_spline_holds_every_natural_cubic_and_only_rising_ones_if_not_negative(n_inner):
    knots = np.linspace(0, 3, n_inner + 2) ** 1.5
    spline = Spline(knots)
    x = np.linspace(-1, 7, 300)
    low, high = knots[0], knots[-1]
    share = (high - knots[1:-1]) / (high - low)
    cubes = np.maximum(x[:, None] - knots, 0) ** 3  # Royston & Parmar's own basis
    natural = np.column_stack([np.ones_like(x), x, cubes[:, 1:-1] - share * cubes[:, :1] - (1 - share) * cubes[:, -1:]])
    basis = spline.basis(x)
    assert basis.shape == natural.shape
    fitted = basis @ np.linalg.lstsq(basis, natural, rcond=None)[0]
    np.testing.assert_allclose(fitted, natural, atol=1e-8)
    step = 1e-6
    slope = (spline.basis(x + step) - spline.basis(x - step)) / (2 * step)
    np.testing.assert_allclose(spline.slope(x), slope, atol=1e-6)
    assert (np.diff(basis[:, 1:], axis=0) >= -1e-12).all()


def test_a_baseline_that_would_fall_is_held_level(normalised):
    fit = fit_interval_hazards(normalised, covariates=TERMS, baseline="spline", n_knots=3)
    assert fit.glance()["held_level"]
    assert fit.glance()["loglik"] > fit_accelerated_failure(normalised, covariates=TERMS).glance()["loglik"]
    survival = fit.at(np.arange(10, 3000, 10), rows=pd.DataFrame({"trt": [0], "bili0": [3]}))["estimate"]
    assert (survival.diff().dropna() <= 1e-12).all()


def test_without_a_baseline_survival_is_unknown_inside_an_interval_of_mass(normalised):
    at = fit_interval_hazards(normalised, covariates=TERMS).at(
        [100, 365], rows=pd.DataFrame({"trt": [1], "bili0": [2]})
    )
    assert at["estimate"].isna().tolist() == [True, False]
    assert at["estimate_high"][0] == 1
    assert at["estimate_low"][1] == at["estimate_high"][1] == at["estimate"][1]


def test_groups_and_counts(mixed, seen_at_looks):
    outcome = seen_at_looks(mixed[["left", "right", "arm", "x"]])
    tidy = fit_interval_hazards(outcome, by="arm", covariates=["x"]).tidy()
    assert tidy["term"].tolist() == ["group: b (ref. a)", "group: c (ref. a)", "x"]
    assert tidy["n"].tolist()[:2] == [int((mixed["arm"] == arm).sum()) for arm in "bc"]
    known = pd.DataFrame({"patient_id": outcome.frame["patient_id"], "label": "a", "onset": 30, "known_at": 30})
    with pytest.raises(ImmortalTimeError):
        fit_interval_hazards(outcome, by=Groups(known, "later", ("a",)))


HOPELESS = {
    "no terms": ({"left": [1, 2], "right": [2, 3], "x": [0.0, 1]}, [], "no terms"),
    "no events": ({"left": [1, 2, 3], "right": [None] * 3, "x": [0.0, 1, 4]}, ["x"], "no events"),
    "identical": ({"left": [1] * 4, "right": [2] * 4, "x": [0.0, 1, 4, 2]}, ["x"], "share a time"),
    "separated": (
        {"left": [1, 1, 1, 2, 2, 2], "right": [2, 2, 2, None, None, None], "x": [1.0, 2, 3, 5, 6, 7]},
        ["x"], "monotone in 'x'",
    ),
    "empty group": ({"left": [1, 2, 3, 4], "right": [2, 3, 4, None], "x": list("aaab")}, ["x"], "no events in x: b"),
    "one patient": ({"left": [1], "right": [2], "x": [1.0]}, ["x"], "constant or collinear"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOPELESS)
def test_what_cannot_be_estimated_says_why_and_is_missing(case, seen_at_looks):
    columns, covariates, reason = HOPELESS[case]
    fit = fit_interval_hazards(seen_at_looks(pd.DataFrame(columns)), covariates=covariates)
    assert reason in str(fit.not_estimable)
    assert fit.tidy()[["estimate", "std_error", "p_value", "hazard_ratio"]].isna().all(axis=None)
    assert "Not estimable" in fit.describe()
    rows = pd.DataFrame({"x": [columns["x"][0]]})
    assert fit.at([1.5], rows=rows)["estimate"].isna().all()


def test_a_spline_says_when_it_has_too_few_times(seen_at_looks):
    same = pd.DataFrame({"left": [2] * 8 + [5] * 4, "right": [5] * 8 + [None] * 4, "x": np.arange(12.0) % 5})
    fit = fit_interval_hazards(seen_at_looks(same), covariates=["x"], baseline="spline")
    assert "too few different times" in fit.not_estimable
    few = fit_interval_hazards(seen_at_looks(same.iloc[5:]), covariates=["x"], baseline="spline")
    assert "fewer events than parameters" in few.not_estimable


REFUSED = {
    "baseline": ({"baseline": "flat"}, "baseline='flat' is unknown"),
    "knots": ({"baseline": "spline", "n_knots": 20}, "knots"),
    "cluster": ({"cluster": "patient_id"}, "Robust errors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_is_refused(case, normalised):
    how, words = REFUSED[case]
    with pytest.raises(OutcomeError, match=words):
        fit_interval_hazards(normalised, covariates=["trt"], **how)


def test_exact_times_without_a_baseline_are_sent_to_cox(royal_free):
    with pytest.raises(OutcomeError, match="fit_cox"):
        fit_interval_hazards(royal_free, covariates=["arm"])


def test_missing_covariates_are_refused_or_counted(seen_at_looks, mixed):
    frame = mixed[["left", "right", "x"]].copy()
    frame.loc[:4, "x"] = np.nan
    with pytest.raises(OutcomeError, match="5 of 140 rows"):
        fit_interval_hazards(seen_at_looks(frame), covariates=["x"])
    fit = fit_interval_hazards(seen_at_looks(frame), covariates=["x"], missing="exclude")
    assert (fit.glance()["n_missing_excluded"], fit.glance()["n"]) == (5, 135)


def test_hazard_ratios_draw(normalised):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4))
    assert fit_interval_hazards(normalised, covariates=["trt"]).plot(ax=ax) is ax
    plt.close(figure)
