"""Accelerated-failure-time models: against R's survreg, lifelines and by hand; what cannot be estimated says so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.outcomes import IntervalTime, TimeToEvent

NAMES = {"weibull": "weibull", "lognormal": "log-normal", "loglogistic": "log-logistic", "exponential": "exponential"}
RTOL = 1e-6  # R's own iterative fit
SPELLS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 15), st.booleans(), st.integers(-5, 5)), min_size=15, max_size=40
)  # fmt: skip


def fit_mixed(mixed, seen_at_looks, distribution, weight=None, **how):
    frame = mixed.drop(columns=["whole", "part"])
    frame = frame if weight is None else frame.assign(w=mixed[weight])
    return fit_accelerated_failure(seen_at_looks(frame), covariates=["arm", "x"], distribution=distribution, **how)


@pytest.mark.parametrize("name", NAMES)
def test_matches_r_survreg_on_pbcseq(name, reference, normalised, assert_close):
    fit = fit_accelerated_failure(normalised, covariates=["trt", "log(bili0)"], distribution=NAMES[name])
    alone = fit_accelerated_failure(normalised, distribution=NAMES[name])
    result = reference("pbcseq_interval_censored")[f"survreg_{name}"]
    values, rtol, own = result["values"], result["rtol"], result["values"]["coefficients"]
    tidy, facts = fit.tidy(), fit.glance()
    assert_close(tidy["estimate"], own["coef"], rtol, se=own["se"], what="coef")
    assert_close(tidy["std_error"], own["se"], rtol, what="se")
    for figure in ("scale", "loglik", "aic", "n"):
        assert_close(facts[figure], values[figure], rtol, what=figure)
    assert_close(facts["loglik_null"], values["loglik_intercept_only"], rtol, what="loglik without covariates")
    times = fit.quantiles(values["quantiles"]["p"], rows=pd.DataFrame(values["quantiles"]["newdata"]))
    for column, theirs in (("estimate", "fit"), ("std_error", "se")):
        table = times.pivot(index="strata", columns="probability", values=column)
        assert_close(table, values["quantiles"][theirs]["values"], rtol, what=f"quantiles: {theirs}")
    only = values["intercept_only"]
    assert_close(alone.tidy()["estimate"], only["coefficients"]["coef"], rtol, what="coef without covariates")
    assert_close(alone.tidy()["std_error"], only["coefficients"]["se"], rtol, what="se without covariates")
    assert_close(alone.glance()["loglik"], only["loglik"], rtol, what="loglik of it")
    assert facts["scaled_gradient"] < 1e-6
    assert facts["n_uninformative"] == 20


@pytest.mark.parametrize("variant", ["", "_whole", "_robust"])
@pytest.mark.parametrize("name", NAMES)
def test_matches_r_survreg_with_every_kind_of_row(name, variant, mixed, seen_at_looks, r_figures, assert_close):
    weight = {"_whole": "whole", "_robust": "part"}.get(variant)
    how = {"cluster": "patient_id"} if variant == "_robust" else {}
    if variant == "_robust":  # as in R's script, which says why
        mixed = mixed[mixed["right"].isna() | (mixed["left"] == mixed["right"]) | (mixed["left"] == 0)]
    fit = fit_mixed(mixed, seen_at_looks, NAMES[name], weight, **how)
    expected = r_figures("intervals")[f"{name}{variant}"]
    tidy, facts = fit.tidy(), fit.glance()
    assert_close(tidy["estimate"], expected["coef"], RTOL, se=expected["se"], what=f"{name}{variant} coef")
    assert_close(tidy["std_error"], expected["se"], RTOL, what=f"{name}{variant} se")
    assert_close(np.sqrt(np.diag(fit.engine.vcov_model)), expected["se_model"], RTOL, what="model se")
    assert_close([facts["loglik_null"], facts["loglik"]], expected["loglik"], RTOL, what="loglik")
    assert_close([facts["aic"]], expected["aic"], RTOL, what="aic")
    times = fit.quantiles([0.1, 0.5, 0.9], rows=pd.DataFrame({"arm": ["a", "b", "c"], "x": [0, 1, -0.5]}))
    assert_close(times["estimate"], expected["quantile"], RTOL, what="quantile")
    assert_close(times["std_error"], expected["quantile_se"], RTOL, what="quantile se")


def test_robust_errors_are_the_infinitesimal_jackknife(mixed, seen_at_looks):
    frame = mixed[["left", "right", "x"]].iloc[:60].assign(w=mixed["part"])
    fit = fit_accelerated_failure(seen_at_looks(frame), covariates=["x"], cluster="patient_id")
    moved = []
    for row in frame.index:
        ends = [
            fit_accelerated_failure(
                seen_at_looks(frame.assign(w=frame["w"] + step * (frame.index == row))), covariates=["x"],
                cluster="patient_id",
            ).engine.theta
            for step in (1e-4, -1e-4)
        ]  # fmt: skip
        moved.append((ends[0] - ends[1]) / 2e-4 * frame["w"][row])
    np.testing.assert_allclose(np.sqrt((np.array(moved) ** 2).sum(axis=0)), fit.tidy()["std_error"], rtol=1e-6)


def test_matches_r_survreg_on_clustered_spells(late_entry, r_figures, assert_close):
    rows = late_entry.with_rows(late_entry.frame.assign(entry=0.0))
    fit = fit_accelerated_failure(rows, covariates=["arm", "x"], cluster="patient_id")
    expected = r_figures("intervals")["spells"]
    assert_close(fit.tidy()["estimate"], expected["coef"], RTOL, se=expected["se"], what="spells coef")
    assert_close(fit.tidy()["std_error"], expected["se"], RTOL, what="spells robust se")
    assert_close(fit.tidy()["std_error_model"], expected["se_model"], RTOL, what="spells se")


@pytest.mark.filterwarnings("ignore")  # lifelines' own
@pytest.mark.parametrize("name", ["Weibull", "LogLogistic"])  # its log-normal does not converge here
def test_reaches_at_least_the_likelihood_of_lifelines(name, mixed, seen_at_looks):
    import lifelines

    frame = pd.get_dummies(mixed[["left", "right", "arm", "x"]], columns=["arm"], drop_first=True, dtype=float)
    frame["right"] = frame["right"].fillna(np.inf)
    theirs = getattr(lifelines, f"{name}AFTFitter")().fit_interval_censoring(frame, "left", "right")
    ours = fit_mixed(mixed, seen_at_looks, "weibull" if name == "Weibull" else "log-logistic")
    assert ours.glance()["loglik"] >= theirs.log_likelihood_ - 1e-9
    parameter = {"Weibull": "lambda_", "LogLogistic": "alpha_"}[name]
    own = theirs.params_.loc[parameter].loc[["arm_b", "arm_c", "x"]]
    np.testing.assert_allclose(ours.tidy()["estimate"][1:4], own, rtol=1e-2, atol=1e-3)


def test_half_found_at_one_look_by_hand(seen_at_looks):
    # 3 of 4 found at month 2: exp(-2 rate) = 1/4, so rate = log 2 and half have it by month 1
    frame = pd.DataFrame({"left": [0, 0, 0, 2], "right": [2, 2, 2, None]})
    fit = fit_accelerated_failure(seen_at_looks(frame), distribution="exponential")
    assert fit.quantiles([0.5])["estimate"][0] == pytest.approx(1, rel=1e-12)
    assert fit.at([1, 2])["estimate"].tolist() == pytest.approx([0.5, 0.25], rel=1e-12)


def test_late_entry_by_hand():
    # 2 events in 3 + 2 + 5 months at risk
    frame = pd.DataFrame({"entry": [1, 4, 0], "exit": [4, 6, 5], "event": [1, 0, 1]})
    spells = TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event")
    fit = fit_accelerated_failure(spells, distribution="exponential")
    assert np.exp(-fit.tidy()["estimate"][0]) == pytest.approx(2 / 10, rel=1e-12)
    assert fit.tidy()["std_error"][0] == pytest.approx(2**-0.5, rel=1e-12)


@settings(max_examples=15)
@given(SPELLS, st.integers(1, 20), st.sampled_from(sorted(NAMES.values())))
def test_splitting_spells_and_turning_rows_changes_nothing(rows, cut, distribution):
    frame = pd.DataFrame(rows, columns=["entry", "length", "event", "x"]).astype(int)
    frame = frame.assign(exit=frame["entry"] + frame["length"], patient=range(len(frame)))
    inside = frame[(frame["entry"] < cut) & (cut < frame["exit"])]
    early = frame.assign(event=frame["event"].where(~frame.index.isin(inside.index), 0))
    early.loc[inside.index, "exit"] = cut
    parts = pd.concat([early, inside.assign(entry=cut)]).iloc[::-1]
    how = {"entry": "entry", "exit": "exit", "event": "event", "patient_id": "patient", "covariates": ["x"]}
    whole, split = (
        fit_accelerated_failure(TimeToEvent.from_frame(given, **how), covariates=["x"], distribution=distribution)
        for given in (frame, parts)
    )
    assert (whole.not_estimable is None) == (split.not_estimable is None)
    np.testing.assert_allclose(whole.engine.theta, split.engine.theta, rtol=1e-6, atol=1e-7)


def test_the_time_unit_moves_the_intercept_only(mixed, seen_at_looks):
    months = fit_mixed(mixed, seen_at_looks, "log-normal").tidy()
    days = mixed.assign(left=mixed["left"] * 30, right=mixed["right"] * 30)
    days = fit_mixed(days, seen_at_looks, "log-normal").tidy()
    np.testing.assert_allclose(days["estimate"] - months["estimate"], [np.log(30), 0, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(days["std_error"][1:], months["std_error"][1:], rtol=1e-9)


def test_whole_weights_are_replication_and_zero_weights_absence(mixed, seen_at_looks):
    frame = mixed[["left", "right", "x"]]
    weight = np.where(mixed.index < 30, 0, mixed["whole"])
    weighted = fit_accelerated_failure(seen_at_looks(frame.assign(w=weight)), covariates=["x"])
    written_out = frame.loc[frame.index.repeat(weight)].reset_index(drop=True)
    written_out = fit_accelerated_failure(seen_at_looks(written_out), covariates=["x"])
    np.testing.assert_allclose(weighted.engine.theta, written_out.engine.theta, rtol=1e-9)
    np.testing.assert_allclose(weighted.engine.vcov, written_out.engine.vcov, rtol=1e-9)
    assert weighted.glance()["n"] == 110


def test_hazard_ratios_are_those_of_weibull_only(mixed, seen_at_looks):
    weibull = fit_mixed(mixed, seen_at_looks, "weibull")
    tidy = weibull.tidy().dropna(subset=["hazard_ratio"])
    np.testing.assert_allclose(np.log(tidy["hazard_ratio"]), -tidy["estimate"] / weibull.scale, rtol=1e-12)
    assert "hazard_ratio" not in fit_mixed(mixed, seen_at_looks, "log-logistic").tidy()


def test_the_reference_level_is_named_and_counted(mixed, seen_at_looks):
    tidy = fit_mixed(mixed, seen_at_looks, "weibull").tidy()
    assert tidy["term"].tolist() == ["(Intercept)", "arm: b (ref. a)", "arm: c (ref. a)", "x", "log(scale)"]
    seen = mixed[mixed["right"].notna()].groupby("arm").size()
    assert tidy["n_event"].tolist()[1:3] == [seen["b"], seen["c"]]
    assert tidy["n_event_reference"].tolist()[1] == seen["a"]


HOPELESS = {
    "no events": ({"left": [1, 2, 3, 4], "right": [None] * 4, "x": [0.0, 1, 2, 3]}, "no events"),
    "found at once": ({"left": [0] * 4, "right": [1, 2, 3, 4], "x": [0.0, 1, 2, 5]}, "before the first look"),
    "few": ({"left": [1, 2, 3, 4], "right": [2, 3, None, None], "x": [0.0, 1, 2, 5]}, "fewer events than parameters"),
    "one group": ({"left": [1, 2, 3, 4], "right": [2, 3, 4, 5], "x": list("aaaa")}, "only one group in x"),
    "empty group": ({"left": [1, 2, 3, 4], "right": [2, 3, 4, None], "x": list("aaab")}, "no events in x: b"),
    "constant": ({"left": [1, 2, 3, 4], "right": [2, 3, 4, 5], "x": [1.0] * 4}, "constant or collinear"),
    "nobody": ({"left": [0, 0], "right": [None, None], "x": [0.0, 1.0]}, "no rows"),
    "one patient": ({"left": [3], "right": [4], "x": [1.0]}, "fewer events than parameters"),
    "separated": (
        {"left": [1, 1, 1, 1, 2, 2, 2, 2], "right": [2] * 4 + [None] * 4, "x": [1.0, 2, 3, 4, 6, 7, 8, 9]},
        "no maximum",
    ),
    "no scale": ({"left": [2, 2, 2, 2], "right": [5, 5, 5, 5], "x": [1.0, 3, 2, 4]}, "no maximum"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOPELESS)
def test_what_cannot_be_estimated_says_why_and_is_missing(case, seen_at_looks):
    columns, reason = HOPELESS[case]
    fit = fit_accelerated_failure(seen_at_looks(pd.DataFrame(columns)), covariates=["x"])
    assert fit.not_estimable is not None, fit.tidy()
    assert reason in fit.not_estimable
    assert fit.tidy()[["estimate", "std_error", "p_value", "time_ratio", "hazard_ratio"]].isna().all(axis=None)
    assert "Not estimable" in fit.describe()


def test_missing_covariates_are_refused_or_counted(seen_at_looks):
    frame = pd.DataFrame({"left": [1, 2, 3, 4, 1], "right": [2, 3, None, 5, 9], "x": [1.0, 5, 2, 0, np.nan]})
    with pytest.raises(OutcomeError, match="1 of 5 rows"):
        fit_accelerated_failure(seen_at_looks(frame), covariates=["x"])
    fit = fit_accelerated_failure(seen_at_looks(frame), covariates=["x"], missing="exclude")
    assert (fit.glance()["n_missing_excluded"], fit.glance()["n"]) == (1, 4)
    assert "left out" in fit.describe()


REFUSED = {
    "unknown distribution": ({"distribution": "gamma"}, "distribution='gamma' is unknown"),
    "undeclared": ({"covariates": ["y"]}, "unknown"),
    "conf_level": ({"conf_level": 95}, "level of confidence"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_is_refused(case, mixed, seen_at_looks):
    how, words = REFUSED[case]
    with pytest.raises(OutcomeError, match=words):
        fit_accelerated_failure(seen_at_looks(mixed), **how)


def test_fractional_weights_need_a_robust_variance(mixed, seen_at_looks):
    with pytest.raises(OutcomeError, match="cluster='patient_id'"):
        fit_mixed(mixed, seen_at_looks, "weibull", "part")


def test_an_event_at_time_zero_has_no_logarithm(seen_at_looks):
    frame = pd.DataFrame({"left": [0, 2, 3], "right": [0, 3, 4]})
    with pytest.raises(OutcomeError, match="1 of 3 rows"):
        fit_accelerated_failure(seen_at_looks(frame))


def test_rows_to_predict_must_be_complete_and_known(mixed, seen_at_looks):
    fit = fit_mixed(mixed, seen_at_looks, "weibull")
    for rows in ({"arm": ["a"]}, {"arm": ["a"], "x": [np.nan]}, {"arm": ["d"], "x": [0.0]}):
        with pytest.raises(OutcomeError):
            fit.at([10], rows=pd.DataFrame(rows))


def test_extreme_covariates_raise_no_warning(seen_at_looks):
    x = [10.0 ** (k / 3) for k in range(40)]
    frame = pd.DataFrame({"left": range(1, 41), "right": range(2, 42), "x": x[::-1]})
    assert fit_accelerated_failure(seen_at_looks(frame), covariates=["x"]).glance()["scaled_gradient"] < 1e-6


def test_time_ratios_draw(mixed, seen_at_looks):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4))
    assert fit_mixed(mixed, seen_at_looks, "weibull").plot(ax=ax) is ax
    plt.close(figure)


def test_a_hundred_thousand_intervals_are_fitted_within_a_moment():
    random = np.random.default_rng(1)
    n = 100_000
    left = random.integers(0, 500, n)
    right = np.where(random.random(n) < 0.5, left + random.integers(1, 300, n), np.inf)
    frame = pd.DataFrame({"left": left, "right": right, "x": random.normal(size=n)})
    outcome = IntervalTime.from_frame(frame, left="left", right="right", covariates=["x"])
    assert abs(fit_accelerated_failure(outcome, covariates=["x"]).tidy()["statistic"][1]) < 4  # nothing is going on
