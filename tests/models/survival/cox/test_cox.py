"""Cox's model: against R, lifelines and by hand; what cannot be estimated says so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.penalty import Ridge
from aih_outcomes.models.survival.cox.proportional_hazards import check_proportional_hazards
from aih_outcomes.outcomes import TimeToEvent

RTOL = 1e-7  # R's own iterative fit
TRANSFORMS = ("km", "rank", "identity", "log")
ROWS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 15), st.booleans(), st.integers(-5, 5)), min_size=12, max_size=40
)  # fmt: skip


def outcome(frame, covariates, exit="exit", event="event", **how):
    return TimeToEvent.from_frame(frame, exit=exit, event=event, covariates=covariates, **how)


def spells_of(rows):
    frame = pd.DataFrame(rows, columns=["entry", "length", "event", "x"]).astype(int)
    return frame.assign(exit=frame["entry"] + frame["length"])


@pytest.mark.parametrize("variant", ["", "_weighted", "_strata"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_matches_r_with_ties_late_entry_weights_clusters_and_strata(ties, variant, late_entry, r_figures, assert_close):
    expected = r_figures("late_entry")[ties + variant]
    rows = late_entry
    if variant == "_weighted":
        rows = rows.with_rows(rows.frame.assign(weight=rows.frame["w"].astype(float)))
    names = ["x", "arm"] if variant == "_strata" else ["arm", "x"]
    cluster = "patient_id" if variant == "_weighted" else None
    fit = fit_cox(rows, covariates=names, ties=ties, cluster=cluster, strata="sex" if variant == "_strata" else None)
    se, facts = np.sqrt(np.diag(fit.vcov)), fit.glance()
    assert_close(fit.coefficients, expected["coef"], RTOL, se=se, what="coef")
    assert_close(fit.vcov.ravel(), expected["vcov"], RTOL, se=np.outer(se, se).ravel(), what="vcov")
    assert_close(fit.vcov_model.ravel(), expected["vcov_model"], RTOL, se=np.outer(se, se).ravel(), what="vcov_model")
    assert_close([facts["loglik_null"], facts["loglik"]], expected["loglik"], RTOL)
    assert_close([facts["score_test"], facts["wald_test"]], [expected["score"][0], expected["wald"][0]], RTOL)
    counted = ("concordant", "discordant", "tied_score", "tied_time", "tied_both")
    assert_close([facts[f"pairs_{name}"] for name in counted], expected["concordance"][:5])
    assert_close([facts["concordance"], facts["concordance_se"]], expected["concordance"][5:], RTOL)
    for transform in TRANSFORMS:
        tests = check_proportional_hazards(fit, transform=transform).tidy()
        assert_close(tests["statistic"], expected[f"zph_{transform}"], RTOL, what=transform)


def test_one_pair_by_hand():
    # risk sets {x=1, x=0, x=1}, {x=0, x=1}, {x=1}: the score 1 - 2e/(2e+1) - e/(1+e) is 0 at 2e² = 1, e = exp(beta)
    fit = fit_cox(
        outcome(pd.DataFrame({"exit": [1, 2, 3], "event": [1, 1, 1], "x": [1, 0, 1]}), ["x"]), covariates=["x"]
    )
    assert np.exp(fit.coefficients[0]) == pytest.approx(0.5**0.5, rel=1e-9)


@settings(max_examples=15)
@given(ROWS)
def test_row_order_and_time_unit_change_nothing(rows):
    frame = spells_of(rows)
    one = fit_cox(outcome(frame, ["x"], entry="entry"), covariates=["x"])
    turned = frame.iloc[::-1].assign(entry=frame["entry"] * 4, exit=frame["exit"] * 4)
    other = fit_cox(outcome(turned, ["x"], entry="entry"), covariates=["x"])
    assert (one.not_estimable is None) == (other.not_estimable is None)
    np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-7, atol=1e-8)


@settings(max_examples=15)
@given(ROWS, st.integers(1, 20))
def test_splitting_spells_at_a_time_changes_nothing(rows, cut):
    frame = spells_of(rows).assign(patient=range(len(rows)))
    whole = fit_cox(outcome(frame, ["x"], entry="entry", patient_id="patient"), covariates=["x"])
    assume(whole.not_estimable is None)
    inside = frame[(frame["entry"] < cut) & (cut < frame["exit"])]
    early = frame.assign(event=frame["event"].where(~frame.index.isin(inside.index), 0))
    early.loc[inside.index, "exit"] = cut
    split = pd.concat([early, inside.assign(entry=cut)])
    parts = fit_cox(outcome(split, ["x"], entry="entry", patient_id="patient"), covariates=["x"])
    np.testing.assert_allclose(whole.coefficients, parts.coefficients, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(whole.vcov, parts.vcov, rtol=1e-7)
    assert whole.glance()["concordance"] == pytest.approx(parts.glance()["concordance"], rel=1e-12)


def test_whole_weights_are_replication_under_breslow():
    frame = pd.DataFrame({"exit": [2, 3, 5, 7], "event": [1, 1, 0, 1], "x": [1.0, 0.0, 2.0, 1.5], "w": [2, 1, 3, 2]})
    weighted = fit_cox(outcome(frame, ["x"], weight="w"), covariates=["x"], ties="breslow")
    written_out = fit_cox(outcome(frame.loc[frame.index.repeat(frame["w"])], ["x"]), covariates=["x"], ties="breslow")
    np.testing.assert_allclose(weighted.coefficients, written_out.coefficients, rtol=1e-9)
    np.testing.assert_allclose(weighted.vcov, written_out.vcov, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # lifelines' own
def test_lifelines_agrees_when_told_to_converge():
    from lifelines import CoxPHFitter

    random = np.random.default_rng(7)
    frame = pd.DataFrame({"exit": random.integers(1, 40, 120), "event": random.integers(0, 2, 120),
                          "x": random.normal(size=120), "z": random.normal(size=120)})  # fmt: skip
    theirs = CoxPHFitter().fit(frame, "exit", "event", fit_options={"precision": 1e-12, "step_size": 1.0})
    ours = fit_cox(outcome(frame, ["x", "z"]), covariates=["x", "z"])
    np.testing.assert_allclose(ours.coefficients, theirs.params_.loc[["x", "z"]], rtol=1e-8)
    np.testing.assert_allclose(np.diag(ours.vcov) ** 0.5, theirs.standard_errors_.loc[["x", "z"]], rtol=1e-8)


HOPELESS = {
    "no events": ({"event": [0, 0, 0, 0], "group": list("abab")}, "no events"),
    "one group": ({"event": [1, 1, 0, 1], "group": list("aaaa")}, "only one group"),
    "few events": ({"event": [1, 0, 0, 0], "group": list("abcc")}, "fewer events than parameters"),
    "no events in a group": ({"event": [1, 1, 0, 0], "group": list("aabb")}, "no events in group: b"),
    "monotone": ({"event": [1, 1, 1, 1], "group": list("aabb")}, "monotone"),
}


@pytest.mark.parametrize("case", HOPELESS)
def test_what_cannot_be_estimated_says_why_and_is_missing(case):
    columns, reason = HOPELESS[case]
    fit = fit_cox(outcome(pd.DataFrame({"exit": [1, 2, 3, 4], **columns}), ["group"]), by="group")
    assert pd.Series([fit.glance()["not_estimable"]]).str.contains(reason).all(), fit.glance()["not_estimable"]
    tidy = fit.tidy()
    assert tidy[["estimate", "std_error", "p_value", "hazard_ratio"]].isna().all(axis=None)
    assert "Not estimable" in fit.describe()
    assert np.isnan(check_proportional_hazards(fit).glance()["statistic"])


def test_a_number_that_separates_the_events_is_a_monotone_likelihood():
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "x": [8.0, 7, 6, 5, 4, 3, 2, 1]})
    assert "monotone in 'x'" in fit_cox(outcome(frame, ["x"]), covariates=["x"]).glance()["not_estimable"]


def test_terms_that_separate_the_events_only_together_are_named_and_no_other():
    random = np.random.default_rng(12)
    group, z = np.arange(60) % 3, random.normal(size=60)
    frame = pd.DataFrame({"first": group == 1, "second": group == 2, "z": z, "event": (group > 0) * 1})
    rows = outcome(frame.assign(exit=random.permutation(60) + 1), ["first", "second", "z"])  # none in the third group
    fit = fit_cox(rows, covariates=["first", "second", "z"])
    assert "monotone in 'first' and 'second' together (" in fit.not_estimable
    assert 'penalty="firth"' in fit.not_estimable
    assert fit_cox(rows, covariates=["first", "second", "z"], penalty="firth").not_estimable is None


def test_a_covariate_that_varies_only_where_nobody_is_at_risk_says_so():
    frame = pd.DataFrame({"entry": [0, 0, 0, 6], "exit": [3, 4, 5, 9], "event": [1, 1, 0, 0], "x": [1.0, 1, 1, 2]})
    assert fit_cox(outcome(frame, ["x"], entry="entry"), covariates=["x"]).glance()["not_estimable"]


def test_extreme_covariates_raise_no_warning():
    frame = pd.DataFrame({"exit": range(1, 41), "event": 1, "x": [10.0 ** (k / 3) for k in range(40)][::-1]})
    assert fit_cox(outcome(frame, ["x"]), covariates=["x"]).glance()["not_estimable"]


def test_collinear_terms_are_not_estimable():
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "x": [1.0, 3, 2, 5, 4, 6, 8, 7]})
    frame["twice"] = 2 * frame["x"]
    assert "collinear" in fit_cox(outcome(frame, ["x", "twice"]), covariates=["x", "twice"]).glance()["not_estimable"]


def test_nothing_prints_a_warning_whatever_the_rows_are():
    frame = pd.DataFrame(
        {"exit": [1, 2, 3, 4, 5, 6], "event": 1, "x": [1.0, np.inf, 3, 2, 5, 4], "w": [1, 1, 0, 0, 1, 1]}
    )
    fit = fit_cox(outcome(frame, ["x"], weight="w"), covariates=["x"], missing="exclude")
    assert (fit.glance()["n"], fit.glance()["n_missing_excluded"]) == (3, 1)
    nobody = outcome(frame.assign(w=0), ["x"], weight="w")
    assert fit_cox(nobody, covariates=["x"]).not_estimable == "no rows with a weight and every covariate"
    assert fit_cox(outcome(frame.assign(x=1.0), ["x"]), covariates=["x"]).not_estimable
    alone = outcome(frame.iloc[:1], ["x"])
    assert fit_cox(alone, covariates=["x"]).not_estimable
    assert "no terms" in fit_cox(alone).not_estimable


def test_an_exit_before_its_entry_is_refused():
    frame = pd.DataFrame({"entry": [0, 5], "exit": [3, 4], "event": 1, "x": [1.0, 2.0]})
    with pytest.raises(OutcomeError, match="1 of 2 rows"):
        outcome(frame, ["x"], entry="entry")


def test_events_all_at_one_time_are_all_ties():
    frame = pd.DataFrame({"exit": 5, "event": [1, 1, 1, 0, 0, 0], "x": [1.0, 2, 0, 1, 2, 0]})
    for ties in ("efron", "breslow", "exact"):
        fit = fit_cox(outcome(frame, ["x"]), covariates=["x"], ties=ties)
        assert fit.coefficients[0] == pytest.approx(0, abs=1e-9)


def test_few_events_per_parameter_are_said_and_firth_is_named():
    random = np.random.default_rng(8)
    frame = pd.DataFrame({"exit": range(1, 31), "event": [1] * 8 + [0] * 22, "x": random.normal(size=30),
                          "z": random.normal(size=30)})  # fmt: skip
    fit = fit_cox(outcome(frame, ["x", "z"]), covariates=["x", "z"])
    assert fit.glance()["events_per_parameter"] == 4
    assert 'Fewer than 5 events per parameter: ratios tend to be too extreme; penalty="firth"' in fit.describe()
    assert "Fewer" not in fit_cox(outcome(frame, ["x"]), covariates=["x"]).describe()


OFFSETS = {
    "offset": ("x + log(bili)", None, {"offset": "known"}),
    "offset_strata_breslow": ("x", None, {"offset": "log(bili)", "strata": "sex", "ties": "breslow"}),
    "offset_cluster": ("x + arm", "w", {"offset": "known", "cluster": "patient_id"}),
}


@pytest.mark.parametrize("name", OFFSETS)
def test_matches_r_with_an_offset(name, terms_outcome, assert_terms):
    covariates, weight, how = OFFSETS[name]
    assert_terms(fit_cox(terms_outcome(weight), covariates=covariates, **how), name)


def test_an_offset_is_one_number_per_row(terms_outcome):
    with pytest.raises(OutcomeError, match="no single number"):
        fit_cox(terms_outcome(), covariates="x", offset="arm")
    with pytest.raises(OutcomeError, match="4 of 150 rows"):
        fit_cox(terms_outcome(), covariates="bili", offset="gap")
    fit = fit_cox(terms_outcome(), covariates="bili", offset="gap", missing="exclude")
    assert (fit.glance()["n"], fit.glance()["offset"]) == (146, "gap")


RIDGES = {
    "ridge_raw": ("x + log(bili) + known", Ridge(2, "raw"), {}),
    "ridge_standardised": ("x + log(bili) + known", Ridge(2), {}),
    "ridge_cluster": ("x + log(bili)", Ridge(5, "raw"), {"cluster": "patient_id"}),
}


@pytest.mark.parametrize("name", RIDGES)
def test_matches_r_with_a_ridge_penalty(name, terms_outcome, assert_terms):
    covariates, penalty, how = RIDGES[name]
    fit = fit_cox(terms_outcome(), covariates=covariates, penalty=penalty, **how)
    assert_terms(fit, name)
    assert "ridge" in fit.describe()


def test_a_ridge_answers_where_terms_are_collinear_or_separate():
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "x": [8.0, 7, 6, 5, 4, 3, 2, 1]}).assign(y=lambda f: f["x"])
    fit = fit_cox(outcome(frame, ["x", "y"]), covariates=["x", "y"], penalty=Ridge(1))
    assert fit.coefficients[0] == pytest.approx(fit.coefficients[1], rel=1e-9)
    assert fit.coefficients[0] > 0


@pytest.mark.parametrize("how", [{"theta": 0}, {"theta": float("nan")}, {"theta": 1, "scale": "both"}])
def test_a_ridge_that_is_none_is_refused(how):
    with pytest.raises(OutcomeError, match="no penalty"):
        Ridge(**how)


def test_an_unknown_treatment_of_ties_is_refused():
    frame = pd.DataFrame({"exit": [1, 2, 3], "event": 1, "x": [1.0, 3, 2]})
    with pytest.raises(OutcomeError, match="ties='average' is unknown"):
        fit_cox(outcome(frame, ["x"]), covariates=["x"], ties="average")


def test_many_strata_are_as_many_baselines():
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"exit": random.integers(1, 5, 200) * 1.0, "event": random.integers(0, 2, 200),
                          "x": random.normal(size=200), "pair": np.arange(200) // 4})  # fmt: skip
    stratified = fit_cox(outcome(frame, ["x", "pair"]), covariates=["x"], strata="pair")
    # the same comparisons, when each pair is followed after all of the one before
    apart = frame.assign(entry=frame["pair"] * 10, exit=frame["exit"] + frame["pair"] * 10)
    one_clock = fit_cox(outcome(apart, ["x"], entry="entry"), covariates=["x"])
    np.testing.assert_allclose(stratified.coefficients, one_clock.coefficients, rtol=1e-10)
    np.testing.assert_allclose(stratified.glance()["concordance_se"], one_clock.glance()["concordance_se"], rtol=1e-9)


def test_strata_whose_risks_are_worlds_apart_do_not_drown_each_other():
    random = np.random.default_rng(9)
    frame = pd.DataFrame({"entry": random.integers(0, 5, 120), "event": 1, "x": random.normal(size=120),
                          "site": np.arange(120) % 3})  # fmt: skip
    frame["exit"] = frame["entry"] + random.integers(1, 30, 120)
    apart = frame.assign(x=frame["x"] + 500 * frame["site"], known=300 * frame["site"])
    near = fit_cox(outcome(frame, ["x", "site"], entry="entry"), covariates=["x"], strata="site")
    far = fit_cox(outcome(apart, ["x", "site", "known"], entry="entry"), covariates="x", strata="site", offset="known")
    np.testing.assert_allclose(far.coefficients, near.coefficients, rtol=1e-9)
    np.testing.assert_allclose(far.vcov, near.vcov, rtol=1e-9)
    assert far.glance()["loglik"] == pytest.approx(near.glance()["loglik"], rel=1e-11)


def test_fractions_of_days_are_as_exact_as_whole_ones():
    random = np.random.default_rng(6)
    frame = pd.DataFrame({"entry": random.integers(-9, 9, 80), "event": random.integers(0, 2, 80),
                          "x": random.normal(size=80)})  # fmt: skip
    frame["exit"] = frame["entry"] + random.integers(1, 12, 80)
    whole = fit_cox(outcome(frame, ["x"], entry="entry"), covariates=["x"])
    parts = frame.assign(entry=frame["entry"] / 8, exit=frame["exit"] / 8)
    np.testing.assert_array_equal(
        fit_cox(outcome(parts, ["x"], entry="entry"), covariates=["x"]).coefficients, whole.coefficients
    )


def test_a_hundred_runs_give_the_same_bytes(late_entry):
    def bytes_of(fit):
        return fit.coefficients.tobytes() + fit.vcov.tobytes() + np.float64(fit.glance()["concordance_se"]).tobytes()

    runs = {bytes_of(fit_cox(late_entry, covariates=["arm", "x"], cluster="patient_id")) for _ in range(100)}
    assert len(runs) == 1


def test_the_frame_of_the_outcome_is_left_as_it_was(late_entry):
    before = late_entry.frame.copy()
    fit_cox(late_entry, covariates=["x"])
    pd.testing.assert_frame_equal(late_entry.frame, before)


def test_weights_that_are_no_counts_need_a_robust_variance():
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "x": [1.0, 3, 2, 5, 4, 6, 8, 7], "w": 0.5})
    with pytest.raises(OutcomeError, match="cluster='patient_id'"):
        fit_cox(outcome(frame, ["x"], weight="w"), covariates=["x"])
    assert fit_cox(outcome(frame, ["x"], weight="w"), covariates=["x"], cluster="patient_id").not_estimable is None


def test_missing_covariates_are_refused_or_counted():
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "x": [1.0, 3, 2, np.nan, 4, 6, 8, 7]})
    with pytest.raises(OutcomeError, match="1 of 8 rows"):
        fit_cox(outcome(frame, ["x"]), covariates=["x"])
    fit = fit_cox(outcome(frame, ["x"]), covariates=["x"], missing="exclude")
    assert (fit.glance()["n_missing_excluded"], fit.glance()["n"]) == (1, 7)
    assert "left out" in fit.describe()


@pytest.mark.parametrize("term", ["__import__('os')", "sin(x)", "y", "log(y)"])
def test_only_declared_columns_and_named_transformations_are_terms(term):
    frame = pd.DataFrame({"exit": [1, 2, 3], "event": 1, "x": [1.0, 3, 2]})
    with pytest.raises(OutcomeError, match="1 term"):
        fit_cox(outcome(frame, ["x"]), covariates=[term])


def test_a_logarithm_of_zero_is_refused():
    frame = pd.DataFrame({"exit": [1, 2, 3], "event": 1, "x": [1.0, 0, 2]})
    with pytest.raises(OutcomeError, match="1 of 3 values"):
        fit_cox(outcome(frame, ["x"]), covariates=["log(x)"])


def test_the_reference_is_the_first_level_and_is_named():
    group = pd.Categorical(list("baabcc"), ["b", "a", "c"])
    tidy = fit_cox(
        outcome(pd.DataFrame({"exit": range(1, 7), "event": [1, 1, 0, 1, 1, 1], "group": group}), ["group"]), by="group"
    ).tidy()
    assert tidy["term"].tolist() == ["group: a (ref. b)", "group: c (ref. b)"]
    assert tidy[["n", "n_event", "n_reference", "n_event_reference"]].to_numpy().tolist() == [
        [2, 1, 2, 2],
        [2, 2, 2, 2],
    ]


def test_a_hundred_thousand_spells_are_fitted_within_a_moment():
    random = np.random.default_rng(1)
    n = 100_000
    entry = random.integers(0, 500, n)
    exit, event = entry + random.integers(1, 3000, n), random.integers(0, 2, n)
    frame = pd.DataFrame({"entry": entry, "exit": exit, "event": event,
                          "x": random.normal(size=n), "z": random.normal(size=n)})  # fmt: skip
    fit = fit_cox(outcome(frame, ["x", "z"], entry="entry"), covariates=["x", "z"])
    assert np.abs(fit.tidy()["statistic"]).max() < 4  # nothing is going on
    assert 0.49 < fit.glance()["concordance"] < 0.51
