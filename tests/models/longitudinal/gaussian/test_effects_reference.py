"""Every random-effects result of the reference folder, from arrays, to its own tolerance."""

import numpy as np
import pytest

from aih_outcomes.models.longitudinal.gaussian.effects import fit_effects, predict_random_effects
from aih_outcomes.models.longitudinal.gaussian.inference import make_inference
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.terms.splines import natural_spline, spline_knots

NO_WORSE = 1e-6  # of the log-likelihood
DEGREES = 1e-3  # the folder's own for degrees of freedom
TIGHT = 5e-6  # of nlme with the tightest tolerance that it takes, where the folder's fit stopped short

SLEEP = {
    "lmer_REML": (2, {}), "lme_REML": (2, {}), "lmer_ML": (2, {}), "lmer_random_intercept": (1, {}),
    "lmer_uncorrelated": (2, {"diagonal": True}), "lme_AR1": (1, {"serial": "ar1"}),
}  # fmt: skip
BILIRUBIN = {
    "lme_REML_intercept_slope": (2, {}), "lme_ML_intercept_slope": (2, {}), "lmer_REML_intercept_slope": (2, {}),
    "lmer_ML_intercept_slope": (2, {}), "lmer_REML_random_intercept": (1, {}), "spline_REML": (2, {}),
    "spline_ML": (2, {}), "lme_AR1_visit": (1, {"serial": "ar1"}), "lme_CAR1_time": (1, {"serial": "exponential"}),
    "lme_corExp_time": (1, {"serial": "exponential"}), "lme_CAR1_time_slope": (2, {"serial": "exponential"}),
    "gls_corExp_time": (0, {"serial": "exponential"}),
}  # fmt: skip


def structure(q, *, diagonal=False, serial="independent"):
    return Structure(q, diagonal, False, 1, serial)


@pytest.fixture(scope="module")
def sleep(data_set, rows_of):
    frame = data_set("sleepstudy")
    days = frame["Days"].to_numpy(float)
    X = np.column_stack([np.ones(len(days)), days])
    return lambda q: rows_of(frame["Reaction"], X, frame["Subject"], days, q)


@pytest.fixture(scope="module")
def pbc(data_set, rows_of):
    frame = data_set("pbcseq").sort_values(["id", "day"])
    years, one = frame["day"].to_numpy() / 365.25, np.ones(len(frame))
    dpca = (frame["trt"] == 1).to_numpy(float)

    def build(q, *, spline=False, value=None):
        course = natural_spline(years, spline_knots(years, 3)) if spline else years[:, None]
        X = np.column_stack([one, course, dpca, course * dpca[:, None]])
        Z = np.column_stack([one, years])[:, :q]
        y = np.log(frame["bili"]) if value is None else frame[value]
        return rows_of(y, X, frame["id"], years, Z)

    return build


def check(fitted, result, assert_close):
    values, rtol, found = result["values"], result["rtol"], fitted.evaluation
    assert fitted.trouble is None
    assert fitted.scaled_gradient < 1e-6
    assert found.loglik >= values["logLik"] - NO_WORSE * abs(values["logLik"])
    assert_close(found.loglik, values["logLik"], rtol, what="logLik")
    se = np.sqrt(np.diag(found.root @ found.root.T))
    assert_close(found.beta, values["fixed"]["est"], rtol, se=se, what="fixed effects")
    assert_close(found.root @ found.root.T, values["vcov_fixed"]["values"], rtol, se=np.outer(se, se), what="vcov")
    k, n = len(found.beta) + len(found.theta), len(fitted.rows.response)
    assert_close(2 * k - 2 * found.loglik, values["AIC"], rtol, what="AIC")
    lmer = "varcorr" in values
    # nlme's BIC by REML takes the logarithm of N − p.
    size = n if lmer or not fitted.reml else n - len(found.beta)
    assert_close(k * np.log(size) - 2 * found.loglik, values["BIC"], rtol, what="BIC")
    variances(fitted, values, rtol, assert_close)


def variances(fitted, values, rtol, assert_close):
    kernel, found = fitted.kernel, fitted.evaluation
    residual = kernel.residual_sd(found)[0] ** 2
    if "varcorr" in values:
        G = kernel.random_cov(found)
        off = G[np.tril_indices(len(G), -1)] if not kernel.structure.diagonal else []
        scale = np.max(np.abs(values["varcorr"]["vcov"]))
        ours = np.r_[np.diag(G), off, residual]
        assert_close(ours, values["varcorr"]["vcov"], rtol, se=scale, what="variances and covariances")
    if "random_cov" in values:
        G = np.asarray(values["random_cov"]["values"])
        scale = np.sqrt(np.outer(np.diag(G), np.diag(G)))
        assert_close(kernel.random_cov(found), G, rtol, se=scale, what="random effects")
        assert_close(residual, values["residual_var"], rtol, what="residual variance")
    serial = kernel.serial(found)
    if "cor_struct" in values:
        phi = values["cor_struct"]["params"][0]
        ours = serial["correlation"] if "correlation" in serial else serial["range"]
        ours = np.exp(-1 / ours) if values["cor_struct"]["class"] == "corCAR1" else ours
        assert_close(ours, phi, rtol, what=values["cor_struct"]["class"])
    if "range" in values:
        assert_close(serial["range"], values["range"], rtol, what="range")


def degrees(fitted, values, assert_close):
    p = len(fitted.evaluation.beta)
    for df, key in (("satterthwaite", "satterthwaite"), ("kenward-roger", "kenward_roger")):
        if key in values:
            inference = make_inference(fitted, df=df, vcov="model")
            _, se, found = inference.contrast(np.eye(p))
            assert_close(found, values[key]["df"], DEGREES, what=f"{key} df")
            assert_close(se, values[key]["se"], DEGREES, what=f"{key} se")
    if "vcov_kr_adjusted" in values:
        expected = np.asarray(values["vcov_kr_adjusted"]["values"])
        se = np.sqrt(np.diag(expected))
        inference = make_inference(fitted, df="kenward-roger", vcov="model")
        assert_close(inference.vcov, expected, DEGREES, se=np.outer(se, se), what="Kenward-Roger covariance")


@pytest.mark.parametrize("name", SLEEP)
def test_matches_r_on_sleepstudy(name, sleep, reference, assert_close):
    q, how = SLEEP[name]
    result = reference("sleepstudy_mixed")[name]
    fitted = fit_effects(sleep(q), structure(q, **how), reml=result["values"]["method"] == "REML")
    check(fitted, result, assert_close)
    degrees(fitted, result["values"], assert_close)


@pytest.mark.parametrize("name", BILIRUBIN)
def test_matches_r_on_log_bilirubin(name, pbc, reference, assert_close):
    q, how = BILIRUBIN[name]
    result = reference("pbcseq_mixed")[name]
    if name == "lme_AR1_visit":
        del result["values"]["random_cov"]  # 2.4e-4 off: the fit stopped short, see below
    reml = result["values"]["method"] == "REML"
    fitted = fit_effects(pbc(q, spline=name.startswith("spline")), structure(q, **how), reml=reml)
    check(fitted, result, assert_close)
    degrees(fitted, result["values"], assert_close)


def test_albumin_lies_above_lme_and_matches_a_tighter_lmer(pbc, reference, r_figures, assert_close):
    fitted = fit_effects(pbc(2, value="albumin"), structure(2), reml=True)
    found = fitted.evaluation
    result = reference("pbcseq_mixed")["lme_albumin_REML"]
    values, se = result["values"], np.sqrt(np.diag(found.root @ found.root.T))
    assert found.loglik > values["logLik"]
    # lme stopped short: its β is 1.8e-5 of a standard error off, its smallest covariance 7e-3; the rest holds.
    assert_close(found.loglik, values["logLik"], result["rtol"], what="logLik")
    assert_close(fitted.kernel.residual_sd(found)[0] ** 2, values["residual_var"], result["rtol"], what="residual_var")
    figures = r_figures("tight_fits")["albumin"]
    assert_close(found.loglik, figures["loglik"][0], 1e-10, what="logLik")
    assert_close(found.beta, figures["beta"], 1e-7, se=se, what="fixed effects")
    G = fitted.kernel.random_cov(found)
    ours = np.r_[G[0, 0], G[1, 0], G[1, 1], fitted.kernel.residual_sd(found)[0] ** 2]
    scale = [G[0, 0], np.sqrt(G[0, 0] * G[1, 1]), G[1, 1], ours[3]]
    assert_close(ours, figures["variances"], 1e-6, se=scale, what="variances")


def test_ar1_lies_above_lme_and_matches_a_tighter_one(pbc, reference, r_figures, assert_close):
    fitted = fit_effects(pbc(1), structure(1, serial="ar1"), reml=True)
    found = fitted.evaluation
    assert found.loglik > reference("pbcseq_mixed")["lme_AR1_visit"]["values"]["logLik"]
    figures = r_figures("tight_fits")["ar1"]
    se = np.sqrt(np.diag(found.root @ found.root.T))
    assert_close(found.loglik, figures["loglik"][0], 1e-10, what="logLik")
    assert_close(found.beta, figures["beta"], TIGHT, se=se, what="fixed effects")
    kernel = fitted.kernel
    ours = [kernel.random_cov(found)[0, 0], kernel.residual_sd(found)[0] ** 2, kernel.serial(found)["correlation"]]
    assert_close(ours, figures["variances"], TIGHT, what="variances and correlation")


def test_predictions_match_ranef(sleep, pbc, reference, assert_close):
    blups = reference("sleepstudy_mixed")["ranef"]
    predicted = predict_random_effects(fit_effects(sleep(2), structure(2), reml=True))
    assert_close(predicted, blups["values"]["values"], blups["rtol"], se=1.0, what="sleepstudy")
    ten = reference("pbcseq_mixed")["blups_first10"]
    predicted = predict_random_effects(fit_effects(pbc(2), structure(2), reml=True))
    assert_close(predicted[:10], ten["values"]["values"], ten["rtol"], what="pbcseq")
