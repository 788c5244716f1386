"""The exact likelihood of ties against R, by counting subsets, and what it refuses."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.exact import maximise_exact
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.kernel import map_risk_sets


def test_matches_r_with_late_entry(terms_outcome, assert_terms):
    assert_terms(fit_cox(terms_outcome(), covariates=["x", "arm", "log(bili)"], ties="exact"), "exact")


def test_matches_r_with_strata(terms_outcome, assert_terms):
    fit = fit_cox(terms_outcome(), covariates="x + log(bili)", strata="sex", ties="exact")
    assert_terms(fit, "exact_strata")


def test_matches_r_where_many_are_tied(terms_outcome, assert_terms):
    rows = terms_outcome(exit="week", entry=None, patient_id=None)
    assert_terms(fit_cox(rows, covariates=["x", "arm"], ties="exact"), "exact_coarse")
    assert_terms(fit_cox(rows, covariates=["x"], offset="known", ties="exact"), "exact_offset")


def test_two_of_three_by_hand(spells):
    # of the pairs {1, 1}, {1, 0}, {1, 0} of x, the pair {1, 0} died: e/(e² + 2e), then nothing is left to compare
    frame = pd.DataFrame({"exit": [1, 1, 2], "event": [1, 1, 0], "x": [1.0, 0.0, 1.0]})
    fit = fit_cox(spells(frame, ["x"]), covariates=["x"], ties="exact")
    assert "monotone" in fit.not_estimable  # 1/(e + 2) rises as e falls: those without x always die first
    frame = pd.DataFrame({"exit": [1, 1, 2, 2], "event": [1, 1, 0, 0], "x": [1.0, 0.0, 1.0, 0.0]})
    # pairs: one of {1, 1}, four of {1, 0}, one of {0, 0}: e/(e² + 4e + 1) is largest at e = 1
    fit = fit_cox(spells(frame, ["x"]), covariates=["x"], ties="exact")
    assert fit.coefficients[0] == pytest.approx(0, abs=1e-12)
    assert fit.glance()["loglik"] == pytest.approx(np.log(1 / 6), rel=1e-12)
    assert 1 / fit.vcov[0, 0] == pytest.approx(1 / 3, rel=1e-12)  # variance of the number of x: 2 × (1/6) × 1²


def test_counts_every_subset():
    random = np.random.default_rng(5)
    X, size = random.normal(size=(9, 2)), 4
    exit, event = np.array([1.0] * size + [2.0] * 5), np.array([True] * size + [False] * 5)
    sets = map_risk_sets(np.zeros(9), exit, event, np.ones(9), np.zeros(9, np.int64), efron=False)
    best = maximise_exact(X, sets)
    sums = np.array([X[list(chosen)].sum(axis=0) for chosen in combinations(range(9), size)])
    share = np.exp(sums @ best.beta)
    assert best.loglik == pytest.approx(X[:size].sum(axis=0) @ best.beta - np.log(share.sum()), rel=1e-12)
    mean = share @ sums / share.sum()
    np.testing.assert_allclose(mean, X[:size].sum(axis=0), atol=1e-9)  # the score is 0
    variance = (sums - mean).T @ ((sums - mean) * share[:, None]) / share.sum()
    np.testing.assert_allclose(best.information, variance, rtol=1e-9)


def test_without_ties_it_is_efron_s(spells):
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"exit": random.permutation(40) + 1, "event": random.integers(0, 2, 40),
                          "x": random.normal(size=40)})  # fmt: skip
    exact, efron = (fit_cox(spells(frame, ["x"]), covariates=["x"], ties=ties) for ties in ("exact", "efron"))
    np.testing.assert_allclose(exact.coefficients, efron.coefficients, rtol=1e-10)
    np.testing.assert_allclose(exact.vcov, efron.vcov, rtol=1e-10)


def test_half_of_hundreds_tied_neither_overflow_nor_warn(spells):
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"exit": np.repeat([1, 2], 300), "event": np.repeat([1, 0], 300),
                          "x": random.normal(size=600) * 3})  # fmt: skip
    assert fit_cox(spells(frame, ["x"]), covariates=["x"], ties="exact").not_estimable is None


@pytest.mark.parametrize("how", [{"cluster": "patient_id"}, {"penalty": "firth"}])
def test_refuses_what_it_is_not_defined_for(how, terms_outcome):
    with pytest.raises(OutcomeError, match="exact likelihood"):
        fit_cox(terms_outcome(), covariates=["x"], ties="exact", **how)
    with pytest.raises(OutcomeError, match="weights"):
        fit_cox(terms_outcome(weight="w"), covariates=["x"], ties="exact")


def test_refuses_ties_that_would_take_hours(spells):
    n = 40_000
    frame = pd.DataFrame({"exit": 1, "event": np.arange(n) < n // 2, "x": np.arange(n) % 7, "z": np.arange(n) % 11})
    with pytest.raises(OutcomeError, match="20000 events are tied"):
        fit_cox(spells(frame, ["x", "z"]), covariates=["x", "z"], ties="exact")
