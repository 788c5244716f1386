"""Random effects against lme4, lmerTest, pbkrtest and nlme, on arrays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.longitudinal.gaussian.effects import (
    compute_conditional_cov,
    fit_effects,
    predict_centre_effects,
    predict_random_effects,
)
from aih_outcomes.models.longitudinal.gaussian.inference import make_inference
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.terms.splines import natural_spline, spline_knots

REFERENCE = Path(__file__).parents[3] / "reference"
FIT, DEGREES, PREDICTED = 1e-4, 1e-3, 1e-4  # the reference folder's own for fits that an optimiser ended
NO_WORSE = 1e-6  # of the log-likelihood


def se_of(evaluation):
    return np.sqrt(np.diag(evaluation.root @ evaluation.root.T))


def assert_fits(fitted, figures, assert_close, *, rtol=FIT):
    """Fixed effects, their covariance, the log-likelihood and the proof of the optimum."""
    found = fitted.evaluation
    loglik = figures["loglik"][0]
    assert fitted.trouble is None
    assert fitted.scaled_gradient < 1e-6
    assert found.loglik >= loglik - NO_WORSE * abs(loglik)
    assert_close(found.loglik, loglik, 1e-6, what="loglik")
    assert_close(found.beta, figures["beta"], rtol, se=se_of(found), what="beta")
    p = len(found.beta)
    scale = np.outer(se_of(found), se_of(found))
    assert_close(found.root @ found.root.T, np.reshape(figures["vcov"], (p, p)), rtol, se=scale, what="vcov")


@pytest.fixture(scope="module")
def invented():
    return pd.read_csv(REFERENCE / "random_effects.csv")


@pytest.fixture(scope="module")
def fit(invented, rows_of):
    def run(q=1, *, random=None, diagonal=False, nested=False, serial="independent", by=None, weight=False, reml=True,
            time_zero=0.0):  # fmt: skip
        d = invented
        years, arm = d["years"].to_numpy() + time_zero, (d["arm"] == "b").to_numpy(float)
        X = np.column_stack([np.ones(len(d)), years, arm, years * arm])
        Z = X[:, :q] if random is None else random
        strata = None if by is None else by(d)
        rows = rows_of(
            d["y"], X, d["patient"], years, Z, stratum=strata, weight=d["w"] if weight else None,
            cluster=d["centre"] if nested else None,
        )  # fmt: skip
        n_strata = 1 if strata is None else len(np.unique(strata))
        return fit_effects(rows, Structure(Z.shape[1], diagonal, nested, n_strata, serial), reml=reml)

    return run


@pytest.fixture(scope="module")
def spline(invented):
    years = invented["years"].to_numpy(float)
    return np.column_stack([np.ones(len(years)), natural_spline(years, spline_knots(years, 2))])


def by_arm(frame):
    return frame["arm"]


def by_visit(frame):
    return np.minimum(frame["visit"], 3)


def lower(matrix):
    """Return lower triangle by columns, as ``VarCorr`` orders it."""
    return np.concatenate([matrix[a:, a] for a in range(len(matrix))])


LMER = {
    "slope": {"q": 2}, "slope_ml": {"q": 2, "reml": False}, "diagonal": {"q": 2, "diagonal": True},
    "nested": {"nested": True}, "nested_ml": {"nested": True, "reml": False}, "nested_slope": {"q": 2, "nested": True},
    "weighted": {"q": 2, "weight": True}, "spline": {"random": "spline"},
}  # fmt: skip


@pytest.mark.parametrize("name", LMER)
def test_matches_lmer_on_invented_data(name, fit, spline, r_figures, assert_close):
    figures = r_figures("random_effects")["results"][name]
    how = LMER[name] | ({"random": spline} if "random" in LMER[name] else {})
    fitted = fit(**how)
    assert_fits(fitted, figures, assert_close)
    kernel, found = fitted.kernel, fitted.evaluation
    G = kernel.random_cov(found)
    within = np.diag(G) if how.get("diagonal") else lower(G)
    centre = [kernel.centre_variance(found)] if how.get("nested") else []
    residual = kernel.residual_sd(found)[0] ** 2
    scale = np.diag(np.ones(0)) if not len(within) else np.max(within)
    assert_close(np.r_[within, centre, residual], figures["variances"], FIT, se=scale, what="variances")
    k = len(found.beta) + len(found.theta)
    assert_close(2 * k - 2 * found.loglik, figures["aic"][0], 1e-6, what="AIC")
    assert_close(k * np.log(len(fitted.rows.response)) - 2 * found.loglik, figures["bic"][0], 1e-6, what="BIC")


@pytest.mark.parametrize("name", [name for name in LMER if not name.endswith("_ml")])
def test_matches_lmertest_and_pbkrtest_on_invented_data(name, fit, spline, r_figures, assert_close):
    figures = r_figures("random_effects")["results"][name]
    fitted = fit(**(LMER[name] | ({"random": spline} if "random" in LMER[name] else {})))
    p = len(fitted.evaluation.beta)
    satterthwaite = make_inference(fitted, df="satterthwaite", vcov="model")
    assert_close(satterthwaite.contrast(np.eye(p))[2], figures["satterthwaite"], DEGREES, what="Satterthwaite df")
    if name == "weighted":
        return  # pbkrtest takes the residuals' covariance as σ² I whatever the weights
    kenward_roger = make_inference(fitted, df="kenward-roger", vcov="model")
    assert_close(kenward_roger.contrast(np.eye(p))[2], figures["kr_df"], DEGREES, what="Kenward-Roger df")
    scale = np.outer(se_of(fitted.evaluation), se_of(fitted.evaluation))
    adjusted = np.reshape(figures["kr_vcov"], (p, p))
    assert_close(kenward_roger.vcov, adjusted, FIT, se=scale, what="Kenward-Roger covariance")


LME = {
    "weighted_lme": {"q": 2, "weight": True}, "by_group": {"by": by_arm}, "by_visit": {"q": 2, "by": by_visit},
    "by_group_ar1": {"by": by_arm, "serial": "ar1"},
    "by_group_exponential_ml": {"by": by_arm, "serial": "exponential", "reml": False},
    "nugget": {"serial": "exponential and error"}, "nugget_gls": {"q": 0, "serial": "exponential and error"},
    "ar1_gls": {"q": 0, "serial": "ar1", "reml": False}, "by_group_gls": {"q": 0, "by": by_arm},
}  # fmt: skip


@pytest.mark.parametrize("name", LME)
def test_matches_nlme_on_invented_data(name, fit, r_figures, assert_close):
    figures = r_figures("random_effects")["results"][name]
    fitted = fit(**LME[name])
    if name.endswith("gls") and not fitted.reml:
        # gls by ML inflates the covariance of β by N / (N − p).
        n, p = fitted.rows.X.shape
        figures = figures | {"vcov": np.array(figures["vcov"]) * (n - p) / n}
    assert_fits(fitted, figures, assert_close)
    kernel, found = fitted.kernel, fitted.evaluation
    sd = kernel.residual_sd(found)
    assert_close(sd[0], figures["sigma"][0], FIT, what="sigma")
    if "random" in figures:
        G = kernel.random_cov(found)
        assert_close(G.ravel(), figures["random"], FIT, se=G.max(), what="random effects")
    if "ratios" in figures and "by" in LME[name]:
        assert_close(sd[1:] / sd[0], figures["ratios"], FIT, what="SD ratios")
    if "serial" in figures:
        serial = kernel.serial(found)
        assert_close(list(serial.values()), figures["serial"], 5 * FIT, what=", ".join(serial))


def test_predictions_match_ranef_of_a_nested_model(fit, r_figures, assert_close):
    figures = r_figures("random_effects")["results"]["nested"]
    fitted = fit(nested=True)
    order = np.array(figures["of_patient"], int) - 1
    assert_close(predict_random_effects(fitted)[order, 0], figures["blup_patient"], PREDICTED, se=0.1, what="patients")
    centres = predict_centre_effects(fitted)
    assert_close(centres, figures["blup_centre"], PREDICTED, se=0.1, what="centres")
    variances = compute_conditional_cov(fitted)[order, 0, 0]
    assert variances.shape == (48,)
    assert_close(variances, figures["condvar_patient"], PREDICTED, what="conditional variances")


def test_predictions_match_ranef_of_intercepts_and_slopes(fit, r_figures, assert_close):
    figures = r_figures("random_effects")["results"]["slope"]
    fitted = fit(q=2)
    order = np.array(figures["of_patient"], int) - 1
    predicted = predict_random_effects(fitted)[order].ravel()
    assert_close(predicted, figures["blup_patient"], PREDICTED, se=0.1, what="predictions")
    conditional = compute_conditional_cov(fitted)[order].ravel()
    assert_close(conditional, figures["condvar_patient"], PREDICTED, se=0.01, what="conditional covariances")
