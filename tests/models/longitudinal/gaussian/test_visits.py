"""Repeated measures at nominal visits: the likelihood by brute force, what changes nothing, and what has no optimum."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import null_space
from scipy.stats import multivariate_normal

from aih_outcomes.models.longitudinal.gaussian.covariances import VisitCovariance
from aih_outcomes.models.longitudinal.gaussian.likelihood import Rows
from aih_outcomes.models.longitudinal.gaussian.patterns import find_patterns
from aih_outcomes.models.longitudinal.gaussian.search_coordinates import SearchCoordinates
from aih_outcomes.models.longitudinal.gaussian.visit_likelihood import Visits
from aih_outcomes.models.longitudinal.gaussian.visits import (
    describe_singular,
    fit_visits,
    own_time_parameters,
    visit_covariances,
    why_not,
)

STRUCTURES = get_args(VisitCovariance)
NONE = np.zeros(0, np.intp)
REFERENCE = Path(__file__).parents[3] / "reference"


def rows_of(y, X, patient, visit, time=None, stratum=None, weight=None):
    n = len(y)
    return Rows(
        np.asarray(y, float), np.asarray(X, float), np.asarray(patient, np.intp),
        np.asarray(visit if time is None else time, float), np.asarray(visit, np.intp), np.empty((n, 0)),
        np.zeros(n, np.intp) if stratum is None else np.asarray(stratum, np.intp),
        np.ones(n) if weight is None else np.asarray(weight, float), NONE,
    )  # fmt: skip


def invented(n=60, T=4, lost=0.2, seed=1, correlation=0.6):
    """n patients in two groups, some values missing; a mean for each group and visit."""
    rng = np.random.default_rng(seed)
    Sigma = correlation ** np.abs(np.subtract.outer(np.arange(T), np.arange(T))) * np.outer(*[1 + np.arange(T) / T] * 2)
    values = rng.multivariate_normal(np.arange(T) * 0.3, Sigma, size=n)
    seen = rng.random((n, T)) >= lost
    seen[np.arange(n), rng.integers(0, T, n)] = True
    patient, visit = np.nonzero(seen)
    means = np.eye(T)[visit]
    X = np.hstack([means, means * (patient % 2)[:, None]])
    return rows_of(values[patient, visit], X, patient, visit)


def keep(rows, kept):
    """Some of the rows; codes of patients close up."""
    columns = {name: getattr(rows, name)[kept] for name in ("response", "X", "time", "visit", "Z", "stratum", "weight")}
    return replace(rows, patient=np.unique(rows.patient[kept], return_inverse=True)[1], **columns)


def whole_covariance(fitted):
    V = np.zeros((len(fitted.rows.response),) * 2)
    for rows, blocks in fitted.kernel.blocks(fitted.evaluation):
        for own, block in zip(rows, blocks, strict=True):
            V[np.ix_(own, own)] = block
    return V


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("reml", [True, False])
def test_the_likelihood_is_that_of_the_normal_density(covariance, reml):
    """The restricted one is that of error contrasts, less half the log of |XᵀX|."""
    rows = replace(invented(), weight=np.random.default_rng(4).uniform(0.5, 2, len(invented().response)))
    fitted = fit_visits(rows, covariance, n_visits=4, reml=reml)
    V, y, X = whole_covariance(fitted), rows.response, rows.X
    W = np.linalg.inv(V)
    beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    np.testing.assert_allclose(fitted.evaluation.beta, beta, rtol=1e-9)
    root = fitted.evaluation.root
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(X.T @ W @ X), rtol=1e-8, atol=1e-12)
    if reml:
        K = null_space(X.T)
        expected = multivariate_normal.logpdf(K.T @ y, cov=K.T @ V @ K) - 0.5 * np.linalg.slogdet(X.T @ X)[1]
    else:
        expected = multivariate_normal.logpdf(y, X @ beta, V)
    assert fitted.evaluation.loglik == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("reml", [True, False])
def test_derivatives_are_those_of_the_likelihood_with_strata_and_weights(covariance, reml):
    rows = invented()
    rng = np.random.default_rng(2)
    rows = replace(rows, stratum=rows.patient % 2, weight=rng.uniform(0.5, 2, len(rows.response)))
    kernel, step = Visits(rows, covariance, 4, reml=reml), 1e-5
    theta = kernel.start() + rng.normal(0, 0.05, 2 * kernel.k)
    for searched, at in ((kernel, theta), (search := SearchCoordinates(kernel, theta), search.start() + 0.1)):
        here, ways = searched.evaluate(at), np.eye(len(at)) * step
        ends = [(searched.evaluate(at + way), searched.evaluate(at - way)) for way in ways]
        slope = [(up.loglik - down.loglik) / (2 * step) for up, down in ends]
        curve = [(up.gradient - down.gradient) / (2 * step) for up, down in ends]
        np.testing.assert_allclose(here.gradient, slope, atol=1e-6 * max(1, np.abs(slope).max()))
        np.testing.assert_allclose(here.hessian, curve, atol=1e-6 * np.abs(curve).max())


def test_slopes_are_those_of_the_covariance_of_the_coefficients():
    kernel, step = Visits(invented(), "unstructured", 4, reml=True), 1e-6
    theta = kernel.start()
    here = kernel.evaluate(theta)
    for h, way in enumerate(np.eye(len(theta)) * step):
        up, down = kernel.evaluate(theta + way).root, kernel.evaluate(theta - way).root
        change = (up @ up.T - down @ down.T) / (2 * step)
        np.testing.assert_allclose(here.root @ here.slopes[h] @ here.root.T, change, atol=1e-7)


def test_compression_keeps_every_cross_product():
    rows = invented(n=400, lost=0.1)
    patterns = find_patterns(rows, 4)
    assert len(patterns.Z) < 200
    stacked = np.column_stack([rows.X, rows.response])
    for pattern in range(len(patterns.count)):
        own = patterns.rows_of(pattern)
        full = stacked[own].reshape(len(own), -1)
        less = patterns.Z[patterns.pattern == pattern][:, patterns.mask[pattern]]
        less = less.reshape(len(less), -1)
        np.testing.assert_allclose(less.T @ less, full.T @ full, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_optimum_proves_itself(covariance):
    fitted = fit_visits(invented(), covariance, n_visits=4, reml=True)
    assert fitted.trouble is None
    assert fitted.scaled_gradient < 1e-9
    assert np.linalg.eigvalsh(fitted.evaluation.hessian)[-1] < 0
    assert describe_singular(fitted) is None


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_start_elsewhere_ends_at_the_same_place(covariance):
    rows = invented()
    one = fit_visits(rows, covariance, n_visits=4, reml=True)
    two = fit_visits(rows, covariance, n_visits=4, reml=True, start=one.evaluation.theta + 0.2)
    np.testing.assert_allclose(two.evaluation.theta, one.evaluation.theta, atol=1e-6)
    assert fit_visits(rows, covariance, n_visits=4, reml=True, start=one.evaluation.theta).iterations <= 1


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_unit_of_the_response_and_of_the_columns_changes_only_units(covariance):
    rows = invented()
    one = fit_visits(rows, covariance, n_visits=4, reml=True)
    turn = np.random.default_rng(3).normal(size=(8, 8))
    two = fit_visits(
        replace(rows, response=40 * rows.response + rows.X @ np.full(8, 7.0), X=rows.X @ turn), covariance,
        n_visits=4, reml=True,
    )  # fmt: skip
    np.testing.assert_allclose(turn @ two.evaluation.beta, 40 * one.evaluation.beta + 7, rtol=1e-6)
    for a, b in zip(visit_covariances(one), visit_covariances(two), strict=True):
        np.testing.assert_allclose(b, 1600 * a, rtol=1e-6)
    n = len(rows.response)
    volume = np.linalg.slogdet(turn)[1]
    assert two.evaluation.loglik == pytest.approx(one.evaluation.loglik - (n - 8) * np.log(40) - volume, abs=1e-7)


def test_an_origin_far_away_does_not_cost_the_answer():
    """Means of 1e6 beside variances of 1, and a column like the year 2010."""
    rows = invented()
    year = rows.patient % 7 + 0.1 * rows.visit
    near = fit_visits(replace(rows, X=np.column_stack([rows.X, year])), "unstructured", n_visits=4, reml=True)
    far = replace(rows, X=np.column_stack([rows.X, year + 2010]), response=rows.response + 1e6)
    fitted = fit_visits(far, "unstructured", n_visits=4, reml=True)
    assert fitted.evaluation.loglik == pytest.approx(near.evaluation.loglik, abs=1e-6)
    assert fitted.evaluation.beta[-1] == pytest.approx(near.evaluation.beta[-1], rel=1e-6)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_order_of_patients_changes_nothing(covariance):
    rows = invented()
    n = rows.patient.max() + 1
    rank = np.random.default_rng(8).permutation(n)
    order = np.argsort(rank[rows.patient], kind="stable")
    mixed = replace(keep(rows, order), patient=rank[rows.patient][order])
    one, two = (fit_visits(data, covariance, n_visits=4, reml=True) for data in (rows, mixed))
    np.testing.assert_allclose(two.evaluation.theta, one.evaluation.theta, atol=1e-7)
    assert two.evaluation.loglik == pytest.approx(one.evaluation.loglik, abs=1e-9)
    expected = whole_covariance(one)[np.ix_(order, order)]
    np.testing.assert_allclose(whole_covariance(two), expected, atol=1e-6)


@given(st.permutations(range(4)))
def test_the_labels_of_visits_do_not_matter_without_an_order(label):
    rows = invented()
    relabelled = replace(rows, visit=np.array(label)[rows.visit])
    one, two = (fit_visits(data, "unstructured", n_visits=4, reml=True) for data in (rows, relabelled))
    assert two.evaluation.loglik == pytest.approx(one.evaluation.loglik, abs=1e-8)
    np.testing.assert_allclose(visit_covariances(two)[0][np.ix_(label, label)], visit_covariances(one)[0], atol=1e-6)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_weight_of_4_is_a_response_and_columns_of_twice_the_size(covariance):
    rows = invented()
    weight = np.where(rows.patient % 3 == 0, 4.0, 1.0)
    root = np.sqrt(weight)
    weighted = fit_visits(replace(rows, weight=weight), covariance, n_visits=4, reml=True).evaluation
    larger = replace(rows, response=rows.response * root, X=rows.X * root[:, None])
    scaled = fit_visits(larger, covariance, n_visits=4, reml=True).evaluation
    np.testing.assert_allclose(weighted.theta, scaled.theta, atol=1e-7)
    np.testing.assert_allclose(weighted.beta, scaled.beta, rtol=1e-8)
    assert weighted.loglik == pytest.approx(scaled.loglik + 0.5 * np.log(weight).sum(), abs=1e-8)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_strata_with_means_of_their_own_are_fits_of_their_own(covariance):
    rows = invented(n=90)
    rows = replace(rows, X=np.hstack([rows.X[:, :4] * (rows.patient % 2 == g)[:, None] for g in (0, 1)]),
                   stratum=rows.patient % 2)  # fmt: skip
    both = fit_visits(rows, covariance, n_visits=4, reml=True)
    total = 0.0
    for g in (0, 1):
        own = keep(rows, rows.stratum == g)
        own = replace(own, X=own.X[:, 4 * g : 4 * g + 4], stratum=np.zeros_like(own.stratum))
        one = fit_visits(own, covariance, n_visits=4, reml=True)
        total += one.evaluation.loglik
        np.testing.assert_allclose(both.evaluation.beta[4 * g : 4 * g + 4], one.evaluation.beta, rtol=1e-6)
        np.testing.assert_allclose(visit_covariances(both)[g], visit_covariances(one)[0], rtol=1e-4)
    assert both.evaluation.loglik == pytest.approx(total, abs=1e-8)
    assert both.kernel.parameters[-1].endswith("(2)")


def test_the_covariance_of_one_patient_is_read_off_its_visits():
    rows = replace(invented(), weight=np.full(len(invented().response), 2.0))
    fitted = fit_visits(rows, "toeplitz", n_visits=4, reml=True)
    asked = rows_of(np.zeros(3), np.zeros((3, 8)), [0, 0, 0], [3, 0, 1], weight=[1.0, 2.0, 4.0])
    Sigma, scale = visit_covariances(fitted)[0], 1 / np.sqrt([1.0, 2.0, 4.0])
    expected = Sigma[np.ix_([3, 0, 1], [3, 0, 1])] * np.outer(scale, scale)
    np.testing.assert_allclose(fitted.kernel.covariance(fitted.evaluation, asked), expected)


def test_random_effects_have_another_kenward_roger():
    fitted = fit_visits(invented(), "ar1", n_visits=4, reml=True)
    with pytest.raises(ValueError, match="pbkrtest"):
        fitted.kernel.small_sample(fitted.evaluation, "pbkrtest")


@pytest.fixture(scope="module")
def of_nlme():
    frame = pd.read_csv(REFERENCE / "visit_covariances.csv")
    means = np.eye(5)[frame["visit"] - 1]
    means[:, 0] = 1.0
    X = np.column_stack([means[:, 0], frame["arm"], means[:, 1:], means[:, 1:] * frame[["arm"]].to_numpy()])
    return rows_of(frame["y"], X, pd.factorize(frame["id"])[0], frame["visit"] - 1, frame["day"])


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("covariance", [
    "compound symmetry", "heterogeneous compound symmetry", "ar1", "heterogeneous ar1", "unstructured", "exponential",
])  # fmt: skip
def test_matches_gls_of_nlme_on_invented_data(covariance, method, of_nlme, r_figures, assert_close):
    expected = r_figures("visit_covariances")[f"{covariance} {method}"]
    fitted = fit_visits(of_nlme, covariance, n_visits=5, reml=method == "REML")
    here, vcov = fitted.evaluation, np.array(expected["vcov"])
    n, p = of_nlme.X.shape
    # nlme inflates covariances by ML by N / (N − p).
    given = here.root @ here.root.T * (1 if method == "REML" else n / (n - p))
    se = np.sqrt(np.diag(vcov))
    assert_close(here.beta, expected["estimate"], 1e-4, se=se, what=f"{covariance} {method} estimate")
    assert_close(given, vcov, 1e-3, se=np.outer(se, se), what=f"{covariance} {method} vcov")
    assert_close(here.loglik, expected["loglik"], 1e-7, what=f"{covariance} {method} logLik")
    assert here.loglik >= expected["loglik"] - 1e-6 * abs(expected["loglik"])
    if covariance == "exponential":
        ((sd, reach),) = own_time_parameters(fitted)
        assert_close([sd, reach], [expected["sigma"], expected["correlation"]], 1e-3, what=f"{method} SD and range")


def test_visits_that_repeat_each_other_have_no_maximum_and_say_which():
    rows = invented(lost=0.0)
    same = replace(rows, response=np.where(rows.visit == 3, np.roll(rows.response, 1), rows.response))
    fitted = fit_visits(same, "unstructured", n_visits=4, reml=True)
    assert fitted.trouble == (
        "the likelihood has no maximum: the values at visits 3, 4 determine each other: a combination has variance 0"
    )


def test_a_visit_at_which_all_are_alike_has_no_maximum_and_is_named():
    rows = invented(lost=0.0)
    fitted = fit_visits(replace(rows, response=np.where(rows.visit == 2, 3.0, rows.response)), "unstructured",
                        n_visits=4, reml=True)  # fmt: skip
    assert fitted.trouble == "the likelihood has no maximum: the variance at visit 3 is 0 beside the others'"


def test_correlations_that_rise_to_1_end_there_and_are_named():
    for seed in range(1, 40):
        rows = invented(n=9, T=4, lost=0.45, seed=seed)
        fitted = fit_visits(rows, "ante-dependence", n_visits=4, reml=True)
        if fitted.trouble is None and describe_singular(fitted):
            break
    text = describe_singular(fitted, ["week 4", "week 13", "week 26", "week 52"])
    assert "determine each other" in text
    assert "week" in text
    assert "standard errors take this as known" in text


@pytest.mark.parametrize("n", [16, 20])
def test_few_patients_at_many_visits_end_without_exception_or_warning(n):
    for seed in range(3):
        rows = invented(n=n, T=8, lost=0.1, seed=seed, correlation=0.95)
        fitted = fit_visits(rows, "unstructured", n_visits=8, reml=True)
        assert fitted.trouble or fitted.scaled_gradient < 1e-6


@pytest.mark.parametrize("value", [0.0, 2.0])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_values_without_any_spread_say_why(covariance, value):
    rows = invented()
    fitted = fit_visits(replace(rows, response=np.full_like(rows.response, value)), covariance, n_visits=4, reml=True)
    assert fitted.trouble == "the fixed effects explain every value exactly"
    assert np.isnan(fitted.evaluation.beta).all()


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_one_patient_ends_without_exception(covariance):
    rows = rows_of([1.0, 2.0, 1.5, 3.0], np.ones((4, 1)), [0, 0, 0, 0], [0, 1, 2, 3])
    fitted = fit_visits(rows, covariance, n_visits=4, reml=True)
    assert fitted.trouble is not None or np.isfinite(fitted.evaluation.loglik)


def test_plenty_of_data_carry_every_structure():
    assert [why_not(invented(), covariance, 4) for covariance in STRUCTURES] == [None] * len(STRUCTURES)


def test_pairs_of_visits_that_nobody_has_are_counted():
    rows = invented(lost=0.0)
    apart = keep(rows, ~((rows.visit == 3) & (rows.patient % 2 == 0)) & ~((rows.visit == 0) & (rows.patient % 2 == 1)))
    assert why_not(apart, "unstructured", 4) == "1 of 6 pairs of visits have no patient with both"
    assert why_not(apart, "toeplitz", 4) == "1 of 3 distances between visits have no patient with both"
    assert why_not(apart, "heterogeneous ante-dependence", 4) is None
    neighbours = keep(rows, np.where(rows.patient % 2 == 0, rows.visit != 1, rows.visit != 2))
    assert why_not(neighbours, "ante-dependence", 4) == "1 of 3 pairs of neighbouring visits have no patient with both"


def test_too_few_patients_for_a_covariance_are_counted():
    rows = invented(n=9, T=8, lost=0.0)
    assert "visit 1 has 9 values, 7 beyond its means, for the covariance of 8 visits" in why_not(
        rows, "unstructured", 8
    )
    assert why_not(rows, "heterogeneous ar1", 8) is None
    assert why_not(invented(n=10, T=8, lost=0.0), "unstructured", 8) is None
    lonely = keep(rows, (rows.visit != 2) | (rows.patient < 2))
    assert "visit 3 has 2 values, 0 beyond its means, for a variance of its own" in why_not(
        lonely, "heterogeneous ar1", 8
    )


def test_more_parameters_than_values_and_single_values_are_refused():
    rows = rows_of([1.0, 2.0, 1.5, 3.0], np.ones((4, 1)), [0, 0, 0, 0], [0, 1, 2, 3])
    assert why_not(rows, "unstructured", 4) == "10 variances and correlations for 3 values beyond the 1 terms"
    single = rows_of(np.arange(9.0), np.ones((9, 1)), np.arange(9), np.arange(9) % 3)
    assert why_not(single, "compound symmetry", 3) == "no patient has two values"


def test_a_group_that_cannot_carry_its_own_covariance_is_counted():
    rows = replace(invented(n=40, lost=0.0), stratum=(invented(n=40, lost=0.0).patient < 4).astype(np.intp))
    assert why_not(rows, "unstructured", 4).startswith("in 2 of 2 groups: visit 1 has 4 values, 2 beyond its means")


def test_the_figures_of_r_are_those_of_its_script():
    assert set(json.loads((REFERENCE / "visit_covariances.json").read_text())) == {
        f"{name} {method}" for method in ("REML", "ML") for name in (
            "compound symmetry", "heterogeneous compound symmetry", "ar1", "heterogeneous ar1", "unstructured",
            "exponential")
    }  # fmt: skip
