"""Cox's model: against R, lifelines and by hand; what cannot be estimated says so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
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


@pytest.fixture
def assert_fit(assert_close):
    """Everything that R prints of a fit, from one result of the reference folder."""

    def check(fit, values, rtol):
        own, tidy, facts = values["coefficients"], fit.tidy(), fit.glance()
        robust = "robust_se" in own
        assert_close(tidy["estimate"], own["coef"], rtol, se=own["se"], what="coef")
        assert_close(np.sqrt(np.diag(fit.vcov_model)), own["se"], rtol, what="se")
        assert_close(tidy["p_value"], own["robust_p" if robust else "p"], rtol, what="p")
        assert_close(
            fit.vcov_model, values["vcov_model"]["values"], rtol, se=np.outer(own["se"], own["se"]), what="vcov"
        )
        if robust:
            robust_se = own["robust_se"]
            assert_close(tidy["std_error"], robust_se, rtol, what="robust se")
            assert_close(
                fit.vcov, values["vcov_robust"]["values"], rtol, se=np.outer(robust_se, robust_se), what="robust"
            )
        for name in ("loglik_null", "loglik", "aic"):
            assert_close(facts[name], values[name], rtol, what=name)
        for name in ("lr", "wald", "score"):
            assert_close(facts[f"{name}_test"], values[f"{name}_test"]["chisq"], rtol, what=name)
            assert_close(facts[f"{name}_p_value"], values[f"{name}_test"]["p"], rtol, what=f"{name} p")
        c = values["concordance"]
        counted = ("concordant", "discordant", "tied_score", "tied_time", "tied_both")
        counts = c["counts"]
        totals = (
            [sum(np.ravel(counts[name])) for name in counts] if isinstance(counts, dict) else np.sum(counts, axis=0)
        )
        assert_close([facts["concordance"], facts["concordance_se"]], [c["c"], c["se"]], rtol, what="concordance")
        assert [facts[f"pairs_{name}"] for name in counted] == list(totals)
        for transform, table in values.get("cox_zph_survival3", {}).items():
            tests = check_proportional_hazards(fit, transform=transform).tidy()
            assert_close(tests["statistic"], table["chisq"], rtol, what=f"zph {transform}")
            assert_close(tests["p_value"], table["p"], rtol, what=f"zph p {transform}")
            assert tests["df"].tolist() == table["df"]

    return check


MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
PBC = {
    "cox_efron": ("protime", MAYO, {}),
    "cox_breslow": ("protime", MAYO, {"ties": "breslow"}),
    "cox_efron_robust": ("protime", MAYO, {"cluster": "patient_id"}),
    "cox_strata_edema": ("protime", ["age", "log(bili)", "log(albumin)"], {"strata": "edema"}),
    "cox_factor_stage": ("stage", ["age", "log(bili)"], {"by": "stage"}),
    "cox_weighted": ("protime", MAYO, {"cluster": "patient_id"}),
}


@pytest.mark.parametrize("name", PBC)
def test_matches_r_on_pbc(name, reference, data_set, assert_fit):
    needed, covariates, how = PBC[name]
    pbc = data_set("pbc").dropna(subset=[needed])
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int), weight=1 + pbc["id"] % 3 if name == "cox_weighted" else 1)
    rows = outcome(
        frame, ["age", "edema", "bili", "protime", "albumin", "stage"], "time", "dead", patient_id="id", weight="weight"
    )
    result = reference("pbc_cox")[name]
    assert_fit(fit_cox(rows, covariates=covariates, **how), result["values"], result["rtol"])


LATE = ["lt_cox_age_scale", "lt_cox_second_visit_entry", "naive_ignoring_truncation"]


@pytest.mark.parametrize("name", LATE)
def test_matches_r_with_late_entry(name, reference, data_set, assert_fit):
    result = reference("pbc_left_truncation")[name]
    if name == "lt_cox_age_scale":
        pbc = data_set("pbc")
        born = np.round(pbc["age"] * 365.25)
        frame = pbc.assign(entry=born, exit=born + pbc["time"], event=(pbc["status"] == 2).astype(int))
        covariates = ["edema", "log(bili)", "log(albumin)"]
    else:
        visits = data_set("pbcseq").sort_values(["id", "day"])
        second = visits[visits.groupby("id").cumcount() == 1]
        entry = second["day"] if name == "lt_cox_second_visit_entry" else 0
        frame = second.assign(entry=entry, exit=second["futime"], event=(second["status"] == 2).astype(int))
        covariates = ["trt", "age", "log(bili)"]
    rows = outcome(frame, ["edema", "bili", "albumin", "trt", "age"], entry="entry")
    assert_fit(fit_cox(rows, covariates=covariates), result["values"], result["rtol"])


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


@pytest.mark.parametrize("term", ["__import__('os')", "exp(x)", "y", "log(y)"])
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
