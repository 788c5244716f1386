"""The kernels of random effects: derivatives, densities, and what must not change an answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from aih_outcomes.models.longitudinal.gaussian.dense import Dense
from aih_outcomes.models.longitudinal.gaussian.effects import (
    compute_conditional_cov,
    fit_effects,
    predict_random_effects,
)
from aih_outcomes.models.longitudinal.gaussian.few_effects import FewEffects
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.longitudinal.gaussian.units import CHUNK, batch_like_units, batch_units

PLAIN = [(1, False), (2, False), (2, True), (3, False)]
RICH = [
    (1, False, False, 1, "ar1"), (2, False, False, 2, "exponential"), (1, False, False, 3, "exponential and error"),
    (0, False, False, 2, "ar1"), (2, True, True, 1, "independent"), (1, False, True, 2, "exponential and error"),
]  # fmt: skip


def invent(rows_of, q=2, *, patients=14, seed=1, nested=False, strata=1, shift=0.0, unit=1.0, add=0.0):
    random = np.random.default_rng(seed)
    visits = random.integers(1, 7, patients)
    patient = np.repeat(np.arange(patients), visits)
    n = len(patient)
    time = np.concatenate([np.sort(random.uniform(0, 4, v)) for v in visits])
    effects = random.standard_normal((patients, 3)) * [1.0, 0.6, 0.3]
    y = 1 + 0.5 * time + np.sum(effects[patient] * np.column_stack([np.ones(n), time, np.sin(3 * time)]), axis=1)
    y += 0.7 * random.standard_normal(n) + add
    t = (time + shift) * unit
    Z = np.column_stack([np.ones(n), t, np.sin(3 * time)])[:, :q]
    X = np.column_stack([np.ones(n), t, patient % 2, (patient % 2) * t])
    return rows_of(
        y, X, patient, t, Z, stratum=np.arange(n) % strata, weight=random.uniform(0.5, 2, n),
        cluster=patient // 4 if nested else None,
    )  # fmt: skip


def differences(kernel, theta, width=1e-5):
    """Gradient and Hessian from central differences."""
    steps = width * np.eye(len(theta))
    there, back = ([kernel.evaluate(theta + sign * step) for step in steps] for sign in (1, -1))
    gradient = [(a.loglik - b.loglik) / (2 * width) for a, b in zip(there, back, strict=True)]
    hessian = [(a.gradient - b.gradient) / (2 * width) for a, b in zip(there, back, strict=True)]
    return np.array(gradient), np.array(hessian), there, back


def assert_derivatives(kernel, theta):
    found = kernel.evaluate(theta)
    gradient, hessian, there, back = differences(kernel, theta)
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-5 * max(1, np.abs(gradient).max()))
    np.testing.assert_allclose(found.hessian, hessian, atol=1e-5 * np.abs(hessian).max())
    for own, a, b in zip(found.slopes, there, back, strict=True):
        # C U_h Cᵀ is how the covariance of β moves.
        moved = (a.root @ a.root.T - b.root @ b.root.T) / 2e-5
        expected = found.root @ own @ found.root.T
        np.testing.assert_allclose(expected, moved, atol=1e-6 * max(1, np.abs(moved).max()))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("q", "diagonal"), PLAIN)
def test_derivatives_of_few_effects_are_those_of_differences(q, diagonal, reml, rows_of):
    kernel = FewEffects(invent(rows_of, q), Structure(q, diagonal, False, 1, "independent"), reml=reml)
    assert_derivatives(kernel, kernel.start() + 0.1)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("how", RICH)
def test_derivatives_of_any_structure_are_those_of_differences(how, reml, rows_of):
    structure = Structure(*how)
    kernel = Dense(invent(rows_of, how[0], nested=how[2], strata=how[3]), structure, reml=reml)
    assert_derivatives(kernel, kernel.start() + 0.1)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("q", "diagonal"), PLAIN)
def test_the_closed_form_is_the_general_kernel(q, diagonal, reml, rows_of):
    rows, structure = invent(rows_of, q), Structure(q, diagonal, False, 1, "independent")
    few, dense = FewEffects(rows, structure, reml=reml), Dense(rows, structure, reml=reml)
    theta = few.start() + 0.2
    one, other = few.evaluate(theta), dense.evaluate(theta)
    for name in ("loglik", "beta", "gradient", "hessian", "slopes"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-8, atol=1e-8)
    for convention in ("mmrm", "linear", "pbkrtest"):
        np.testing.assert_allclose(
            few.small_sample(one, convention).adjustment, dense.small_sample(other, convention).adjustment, rtol=1e-6,
            atol=1e-9,
        )  # fmt: skip


@pytest.mark.parametrize("how", [(2, False, False, 1, "independent"), *RICH])
def test_the_full_likelihood_is_the_density_of_each_unit(how, rows_of):
    rows, structure = invent(rows_of, how[0], nested=how[2], strata=how[3]), Structure(*how)
    kernel = Dense(rows, structure, reml=False)
    found = kernel.evaluate(kernel.start() + 0.1)
    residual = rows.response - rows.X @ found.beta
    total, seen = 0.0, []
    for own, V in kernel.blocks(found):
        for places, one in zip(own, V, strict=True):
            total += multivariate_normal(cov=one).logpdf(residual[places])
            seen.extend(places)
    assert sorted(seen) == list(range(len(residual)))
    assert found.loglik == pytest.approx(total, rel=1e-12)


def test_a_balanced_layout_has_the_estimates_of_the_analysis_of_variance(rows_of):
    # Three patients, two values each: means 1, 4, 7; MSB = 2·9 = 18, MSW = (2·½ + 2·½ + 2·½) / 3 · 2 = 2
    y = np.array([0, 2, 3, 5, 6, 8.0])
    fitted = fit_effects(rows_of(y, np.ones((6, 1)), [1, 1, 2, 2, 3, 3]), Structure(1, False, False, 1, "independent"),
                         reml=True)  # fmt: skip
    kernel, found = fitted.kernel, fitted.evaluation
    assert kernel.residual_sd(found)[0] ** 2 == pytest.approx(2, rel=1e-6)
    assert kernel.random_cov(found)[0, 0] == pytest.approx((18 - 2) / 2, rel=1e-6)
    assert found.root[0, 0] ** 2 == pytest.approx(18 / 6, rel=1e-6)
    shrunk = np.array([-3, 0, 3]) * (2 * 8) / (2 * 8 + 2)
    np.testing.assert_allclose(predict_random_effects(fitted)[:, 0], shrunk, atol=1e-5)


@given(shift=st.sampled_from([-3.0, 0.0, 60.0, 2010.0]), unit=st.sampled_from([1e-3, 1.0, 365.25]),
       add=st.sampled_from([-1e4, 0.0, 5.0]))  # fmt: skip
def test_origin_and_unit_of_time_and_level_of_the_response_change_no_answer(shift, unit, add, rows_of):
    structure = Structure(2, False, False, 1, "independent")
    plain = fit_effects(invent(rows_of), structure, reml=False)
    moved = fit_effects(invent(rows_of, shift=shift, unit=unit, add=add), structure, reml=False)
    assert moved.trouble is None
    assert moved.evaluation.loglik == pytest.approx(plain.evaluation.loglik, abs=1e-6)
    assert moved.evaluation.beta[3] * unit == pytest.approx(plain.evaluation.beta[3], rel=1e-5)
    G, H = plain.kernel.random_cov(plain.evaluation), moved.kernel.random_cov(moved.evaluation)
    assert H[1, 1] * unit**2 == pytest.approx(G[1, 1], rel=1e-4)


def test_weights_in_another_unit_change_only_the_residual_variance(rows_of):
    rows, structure = invent(rows_of), Structure(2, False, False, 1, "independent")
    heavy = type(rows)(*(getattr(rows, name) * (100 if name == "weight" else 1) for name in rows.__slots__))
    one, other = (fit_effects(given, structure, reml=True) for given in (rows, heavy))
    assert other.evaluation.loglik == pytest.approx(one.evaluation.loglik, rel=1e-10)
    sd, tenfold = (fit.kernel.residual_sd(fit.evaluation)[0] for fit in (one, other))
    assert tenfold == pytest.approx(10 * sd, rel=1e-6)


def test_the_search_ends_at_the_same_place_wherever_it_begins(rows_of):
    rows = invent(rows_of, q=1, patients=40, seed=3)
    structure = Structure(1, False, False, 1, "exponential and error")
    best = fit_effects(rows, structure, reml=True)
    random = np.random.default_rng(1)
    for _ in range(5):
        other = fit_effects(rows, structure, reml=True, start=random.normal(size=4))
        assert other.evaluation.loglik == pytest.approx(best.evaluation.loglik, abs=1e-6)


def test_a_start_that_means_nothing_is_left_aside(rows_of):
    structure = Structure(2, False, False, 1, "independent")
    fitted = fit_effects(invent(rows_of), structure, reml=True, start=np.full(4, np.nan))
    assert fitted.trouble is None


def test_units_of_like_size_share_a_batch_and_none_is_too_large(rows_of):
    patient = np.repeat(np.arange(900), np.arange(900) % 9 + 1)
    rows = rows_of(np.zeros(len(patient)), np.ones((len(patient), 1)), patient)
    batches = batch_like_units(rows, nested=False)
    assert len(batches) < len(batch_units(rows, nested=False)) + 4
    assert all(batch.rows.size * batch.rows.shape[1] <= 1.1 * CHUNK for batch in batches)
    present = np.concatenate([batch.rows[batch.present > 0] for batch in batches])
    assert sorted(present) == list(range(len(patient)))


def test_new_times_of_one_patient_have_the_covariance_of_the_old(rows_of):
    rows = invent(rows_of, q=2)
    fitted = fit_effects(rows, Structure(2, False, False, 1, "exponential"), reml=True)
    own, V = fitted.kernel.blocks(fitted.evaluation)[-1]
    places = own[0]
    part = type(rows)(*(getattr(rows, name)[places] if len(getattr(rows, name)) else getattr(rows, name)
                        for name in rows.__slots__))  # fmt: skip
    np.testing.assert_allclose(fitted.kernel.covariance(fitted.evaluation, part), V[0], rtol=1e-10)


def test_a_model_without_random_effects_is_least_squares_and_predicts_none(rows_of):
    rows = invent(rows_of, q=0)
    fitted = fit_effects(rows, Structure(0, False, False, 1, "independent"), reml=True)
    root = np.sqrt(rows.weight)
    beta = np.linalg.lstsq(rows.X * root[:, None], rows.response * root, rcond=None)[0]
    np.testing.assert_allclose(fitted.evaluation.beta, beta, rtol=1e-9)
    assert predict_random_effects(fitted).shape == (14, 0)
    assert compute_conditional_cov(fitted).shape == (14, 0, 0)
