"""Firth's penalty: against coxphf, by hand, and with what coxphf's figures do not cover."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.firth import maximise_firth, profile_firth
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.kernel import (
    information_matrix,
    map_risk_sets,
    standardise,
    sum_risk_sets,
)


@pytest.mark.parametrize(("name", "status"), [("transplant", 1), ("death", 2)])
def test_matches_coxphf_on_pbc(name, status, reference, data_set, spells, assert_close):
    pbc = data_set("pbc")
    frame = pbc[pbc["id"] <= 312].assign(event=lambda rows: (rows["status"] == status).astype(int))
    frame["lb"] = np.log(frame["bili"])
    rows = spells(frame, ["ascites", "age", "lb"], "time")
    result = reference("pbc_firth")[f"coxphf_{name}"]
    rtol, own = result["rtol"], result["values"]["coefficients"]
    fit = fit_cox(rows, covariates=["ascites", "age", "lb"], penalty="firth")
    tidy, facts = fit.tidy(), fit.glance()
    assert tidy["term"].tolist() == own["term"]
    assert_close(tidy["estimate"], own["coef"], rtol, se=own["se"], what="coef")
    assert_close(tidy["std_error"], own["se"], rtol, what="se")
    assert_close(tidy["hr_low"], own["hr_pl_lower"], rtol, what="profile lower")
    assert_close(tidy["hr_high"], own["hr_pl_upper"], rtol, what="profile upper")
    assert_close(tidy["p_value"], own["p_pl"], rtol, what="profile p")
    assert_close(np.exp(tidy["conf_low_wald"]), own["hr_wald_lower"], rtol, what="Wald lower")
    assert_close(np.exp(tidy["conf_high_wald"]), own["hr_wald_upper"], rtol, what="Wald upper")
    assert_close(tidy["p_value_wald"], own["p_wald"], rtol, what="Wald p")
    penalised = [facts["penalised_loglik_null"], facts["penalised_loglik"]]
    assert_close(penalised, result["values"]["penalised_loglik"], rtol, what="penalised loglik")
    assert facts["scaled_gradient"] < 1e-6
    assert facts["ties"] == "breslow"
    assert facts["n"] == result["values"]["n"]


def test_a_separated_pair_by_hand(spells):
    # x = 1 dies among {1, 0}, then nobody is left to compare: l + ½ log I = η − log(1+e) + ½ log(e/(1+e)²)
    # = 3/2 β − 2 log(1 + e), whose slope is 0 at e/(1+e) = 3/4: e = 3
    frame = pd.DataFrame({"exit": [1, 2], "event": [1, 0], "x": [1.0, 0.0]})
    fit = fit_cox(spells(frame, ["x"]), covariates=["x"], penalty="firth")
    assert np.exp(fit.coefficients[0]) == pytest.approx(3, rel=1e-8)
    assert 1 / fit.vcov[0, 0] == pytest.approx(3 / 16, rel=1e-8)
    facts = fit.glance()
    assert facts["loglik"] == pytest.approx(np.log(3 / 4), rel=1e-7)
    # 2 × (l*(log 3) − l*(0)) = 2 × (3/2 log 3 − 2 log 4 + 2 log 2)
    assert facts["lr_test"] == pytest.approx(3 * np.log(3) - 4 * np.log(2), rel=1e-8)
    tidy = fit.tidy()
    assert tidy["statistic"][0] == pytest.approx(facts["lr_test"], rel=1e-8)
    fallen = [1.5 * b - 2 * np.log1p(np.exp(b)) for b in tidy.loc[0, ["conf_low", "conf_high"]]]
    assert fallen == pytest.approx([1.5 * np.log(3) - 2 * np.log(4) - 3.841458820694124 / 2] * 2, rel=1e-8)


def random_sets(seed, efron, n=60, p=3):
    random = np.random.default_rng(seed)
    entry = random.integers(0, 8, n) * 1.0
    exit, event = entry + random.integers(1, 9, n), random.random(n) < 0.5
    strata, weight = random.integers(0, 2, n), random.integers(1, 4, n) * 1.0
    X = random.normal(size=(n, p))
    return X, map_risk_sets(entry, exit, event, weight, strata, efron=efron, offset=random.normal(size=n) / 3)


def penalised(X, beta, sets):
    sums = sum_risk_sets(X, beta, sets)
    return sums.loglik + np.linalg.slogdet(information_matrix(X, sums, sets, np.ones(sets.n_times)))[1] / 2


@pytest.mark.parametrize("efron", [False, True])
def test_it_is_the_maximum_with_ties_late_entry_strata_weights_and_an_offset(efron):
    X, sets = random_sets(1, efron)
    best = maximise_firth(X, sets)
    assert best.converged
    at_best, step = penalised(X, best.beta, sets), 1e-4
    for direction in [*np.eye(3), *-np.eye(3), np.ones(3), np.array([1, -1, 0.5])]:
        fall = at_best - penalised(X, best.beta + step * direction, sets)
        assert 0 < fall < 1e-5
        # flat to second order: a fall of step² × curvature, none in proportion to the step
        assert fall == pytest.approx((at_best - penalised(X, best.beta + 2 * step * direction, sets)) / 4, rel=2e-2)


@pytest.mark.parametrize("efron", [False, True])
def test_the_profile_is_that_of_a_search_over_the_other_coefficient(efron):
    X, sets = random_sets(2, efron, p=2)
    best = maximise_firth(X, sets)
    profile = profile_firth(X, sets, best, 0.90)
    top = penalised(X, best.beta, sets)

    def at(fixed):
        other = minimize_scalar(lambda b: -penalised(X, np.array([fixed, b]), sets), (-1, 1), options={"xtol": 1e-10})
        return -other.fun

    for limit in (profile.low[0], profile.high[0]):
        assert 2 * (top - at(limit)) == pytest.approx(2.705543454095404, rel=1e-6)
    assert profile.statistic[0] == pytest.approx(2 * (top - at(0.0)), rel=1e-6, abs=1e-8)


def test_shift_and_scale_of_covariates_change_nothing():
    X, sets = random_sets(3, False)
    one, other = maximise_firth(X, sets), maximise_firth(X * [10, 0.01, -1] + 5, sets)
    np.testing.assert_allclose(other.beta * [10, 0.01, -1], one.beta, rtol=1e-8)
    np.testing.assert_allclose(other.penalised, one.penalised, rtol=1e-10)
    Z, spread = standardise(X)
    np.testing.assert_allclose(maximise_firth(Z, sets).beta, one.beta * spread, rtol=1e-8)


SEPARATED = {
    "a group without events": {"event": [1, 1, 1, 1, 0, 0, 0, 0], "x": [1.0, 1, 1, 1, 0, 0, 0, 0]},
    "a number in order": {"event": [1] * 8, "x": [8.0, 7, 6, 5, 4, 3, 2, 1]},
}


@pytest.mark.parametrize("case", SEPARATED)
def test_a_monotone_likelihood_gets_finite_estimates(case, spells):
    rows = spells(pd.DataFrame({"exit": range(1, 9), **SEPARATED[case]}), ["x"])
    assert 'penalty="firth"' in fit_cox(rows, covariates=["x"]).not_estimable
    fit = fit_cox(rows, covariates=["x"], penalty="firth")
    tidy = fit.tidy()
    assert fit.not_estimable is None
    assert np.isfinite(tidy[["estimate", "std_error", "p_value", "p_value_wald"]]).all(axis=None)
    assert tidy["conf_low"][0] < tidy["estimate"][0] < tidy["conf_high"][0]
    assert "Firth" in fit.describe()


def test_a_category_without_events_is_estimable_with_it(spells):
    frame = pd.DataFrame({"exit": range(1, 13), "event": [1, 1, 0, 1] * 3, "group": list("abca") * 3})
    fit = fit_cox(spells(frame, ["group"]), by="group", penalty="firth")
    assert fit.not_estimable is None
    assert fit.tidy()["n_event"].tolist() == [3, 0]


def test_what_no_penalty_can_answer_stays_unanswered(spells):
    frame = pd.DataFrame({"exit": range(1, 9), "event": 0, "x": np.arange(8.0), "one": 1.0})
    assert fit_cox(spells(frame, ["x"]), covariates=["x"], penalty="firth").not_estimable == "no events"
    rows = spells(frame.assign(event=1), ["x", "one"])
    tidy = fit_cox(rows, covariates=["x", "one"], penalty="firth").tidy()
    assert tidy[["estimate", "conf_low", "conf_low_wald", "p_value"]].isna().all(axis=None)


def test_it_is_refused_with_a_robust_variance(spells):
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "x": np.arange(8.0)})
    with pytest.raises(OutcomeError, match="cluster='patient_id'"):
        fit_cox(spells(frame, ["x"]), covariates=["x"], penalty="firth", cluster="patient_id")
    with pytest.raises(OutcomeError, match="penalty='lasso' is unknown"):
        fit_cox(spells(frame, ["x"]), covariates=["x"], penalty="lasso")


def test_a_hundred_fits_of_ten_events_take_a_second():
    random = np.random.default_rng(11)
    for _ in range(100):
        x = random.integers(0, 2, 60) * 1.0
        time = random.exponential(1 / np.exp(x))
        event = np.argsort(np.argsort(time)) < 10
        sets = map_risk_sets(np.zeros(60), time, event, np.ones(60), np.zeros(60, np.int64), efron=False)
        assert maximise_firth(x[:, None], sets).converged
