"""MMRM against R's mmrm and nlme, and against SAS PROC MIXED."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from aih_outcomes.models.longitudinal.gaussian.inference import make_inference
from aih_outcomes.models.longitudinal.mixed_model import with_inference
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

STRUCTURES = {
    "us": "unstructured", "cs": "compound symmetry", "csh": "heterogeneous compound symmetry", "ar1": "ar1",
    "ar1h": "heterogeneous ar1", "toep": "toeplitz", "toeph": "heterogeneous toeplitz", "ad": "ante-dependence",
    "adh": "heterogeneous ante-dependence",
}  # fmt: skip
SAS = {
    "us": "unstructured", "cs": "compound symmetry", "csh": "heterogeneous compound symmetry", "ar1": "ar1",
    "arh1": "heterogeneous ar1", "toep": "toeplitz", "toeph": "heterogeneous toeplitz",
    "adh": "heterogeneous ante-dependence",
}  # fmt: skip
FEV = {"RACE: Black or African American (ref. Asian)": "RACEBlack or African American",
       "RACE: White (ref. Asian)": "RACEWhite", "SEX: Female (ref. Male)": "SEXFemale", "intercept": "(Intercept)",
       "group: TRT (ref. PBO)": "ARMCDTRT"}  # fmt: skip
FEV |= {f"visit: VIS{v} (ref. VIS1)": f"AVISITVIS{v}" for v in (2, 3, 4)}
FEV |= {f"group: TRT (ref. PBO) × visit: VIS{v} (ref. VIS1)": f"ARMCDTRT:AVISITVIS{v}" for v in (2, 3, 4)}
PBC = {"intercept": "(Intercept)", "lb0": "lb0", "group: 1 (ref. 0)": "arm1"}
PBC |= {f"visit: y{v} (ref. m6)": f"visity{v}" for v in (1, 2, 3)}
PBC |= {f"group: 1 (ref. 0) × visit: y{v} (ref. m6)": f"arm1:visity{v}" for v in (1, 2, 3)}
COUNTED_BY_MMRM = "variances only"


@pytest.fixture(scope="session")
def fev(data_set):
    return RepeatedMeasures.from_frame(
        data_set("fev_data"), patient_id="USUBJID", time="VISITN", value="FEV1", visit="AVISIT",
        covariates=["RACE", "SEX", "ARMCD", "WEIGHT"], label="FEV1",
    )  # fmt: skip


@pytest.fixture(scope="session")
def pbc_visits(data_set):
    return RepeatedMeasures.from_frame(
        data_set("derived_pbcseq_visits"), patient_id="id", time="day", value="lb", visit="visit",
        covariates=["dpca", "lb0"], label="log bilirubin",
    )  # fmt: skip


@pytest.fixture(scope="session")
def fit_fev(fev):
    def fit(covariance="unstructured", **how):
        return fit_repeated_measures(fev, by="ARMCD", covariates=["RACE", "C(SEX, reference='Male')"],
                                     covariance=covariance, **how)  # fmt: skip

    return fit


@pytest.fixture(scope="session")
def fit_pbc(pbc_visits):
    def fit(covariance="unstructured", **how):
        return fit_repeated_measures(pbc_visits, by="dpca", covariates=["lb0"], covariance=covariance, **how)

    return fit


@pytest.fixture
def assert_fit(assert_close):
    """Coefficients with their inference, log-likelihood, Σ and information criteria as mmrm prints them."""

    def check(fit, values, rtol, names, *, tag, covariance=True, df=True):
        fixed = pd.DataFrame(values["fixed"]).set_index("term")
        own = fit.tidy().assign(r=[names[term] for term in fit.names]).set_index("r").reindex(fixed.index)
        se = fixed["se"].to_numpy(float)
        assert_close(own["estimate"], fixed["est"], rtol, se=se, what=f"{tag} estimate")
        assert_close(own["std_error"], se, rtol, what=f"{tag} se")
        if df:
            assert_close(own["df"], fixed["df"], rtol, what=f"{tag} df")
            assert_close(own["statistic"], fixed["t"], rtol, se=1.0, what=f"{tag} t")
            assert_close(own["p_value"], fixed["p"], rtol, what=f"{tag} p")
        place = [[names[term] for term in fit.names].index(term) for term in values["vcov_fixed"]["rownames"]]
        scale = np.sqrt(np.diag(fit.vcov))[place]
        assert_close(fit.vcov[np.ix_(place, place)], values["vcov_fixed"]["values"], rtol,
                     se=np.outer(scale, scale), what=f"{tag} vcov")  # fmt: skip
        assert_close(fit.loglik, values["logLik"], 1e-8, what=f"{tag} logLik")
        assert fit.loglik >= values["logLik"] - 1e-6 * abs(values["logLik"])
        assert fit.fitted.scaled_gradient < 1e-6
        if covariance:
            facts, T = fit.glance(), len(values["cov"]["values"])
            sd = np.array([facts[f"sd_visit{v + 1}"] for v in range(T)])
            Sigma = np.diag(sd**2)
            for a in range(T):
                for b in range(a):
                    Sigma[a, b] = Sigma[b, a] = sd[a] * sd[b] * facts[f"correlation_visit{b + 1}_visit{a + 1}"]
            assert_close(Sigma, values["cov"]["values"], rtol, se=np.outer(sd, sd), what=f"{tag} Sigma")

    return check


@pytest.mark.parametrize("structure", STRUCTURES)
def test_matches_mmrm_with_satterthwaite_on_fev_data(structure, fit_fev, reference, assert_fit, assert_close):
    result = reference("fev_data_mmrm")["mmrm_satterthwaite"]
    values = result["values"][structure]
    fit = fit_fev(STRUCTURES[structure], df="satterthwaite")
    assert_fit(fit, values, result["rtol"], FEV, tag=structure)
    assert_close([fit.glance()["aic"], fit.glance()["bic"]], [values["AIC"], values["BIC"]], 1e-8, what="AIC, BIC")


@pytest.mark.parametrize("structure", ["us", "ar1", "toep", "cs", "ar1h", "csh"])
def test_matches_mmrm_with_kenward_roger_on_fev_data(structure, fit_fev, reference, assert_fit):
    result = reference("fev_data_mmrm")["mmrm_kenward_roger"]
    fit = fit_fev(STRUCTURES[structure], df="kenward-roger-mmrm")
    assert_fit(fit, result["values"][structure], result["rtol"], FEV, tag=f"{structure} KR")


def test_matches_mmrm_with_the_linear_kenward_roger(fit_fev, reference, assert_fit):
    result = reference("fev_data_mmrm")["mmrm_us_kr_linear"]
    assert_fit(fit_fev(df="kenward-roger-linear"), result["values"], result["rtol"], FEV, tag="us KR-linear")


def test_matches_mmrm_by_maximum_likelihood(fit_fev, reference, assert_fit, assert_close):
    result = reference("fev_data_mmrm")["mmrm_us_ML"]
    fit, values = fit_fev(df="satterthwaite", method="ML"), result["values"]
    assert_fit(fit, values, result["rtol"], FEV, tag="us ML")
    # mmrm counts variances only, also by ML, where that would favour ever more terms; here they count (11 of them).
    facts = fit.glance()
    assert_close(facts["aic"] - 2 * len(fit.names), values["AIC"], 1e-8, what=f"AIC, {COUNTED_BY_MMRM}")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("mmrm_us_residual_df", {"df": "residual", "vcov": "CR0"}),
        ("mmrm_us_between_within", {"df": "between-within"}),
        ("mmrm_us_weights", {"df": "satterthwaite", "weights": "WEIGHT"}),
    ],
)
def test_matches_other_choices_of_mmrm(name, how, fit_fev, reference, assert_fit):
    result = reference("fev_data_mmrm")[name]
    assert_fit(fit_fev(**how), result["values"], result["rtol"], FEV, tag=name)


@pytest.mark.parametrize("vcov", ["CR0", "CR2", "CR3"])
def test_matches_the_robust_covariances_of_mmrm(vcov, fit_fev, reference, assert_fit):
    result = reference("fev_data_mmrm")["mmrm_us_empirical"]
    assert_fit(fit_fev(df="satterthwaite", vcov=vcov), result["values"][vcov], result["rtol"], FEV, tag=vcov)


def test_matches_mmrm_with_a_covariance_per_group(fit_fev, reference, assert_fit, assert_close):
    result = reference("fev_data_mmrm")["mmrm_us_grouped"]
    fit = fit_fev(df="satterthwaite", covariance_by="ARMCD")
    assert_fit(fit, result["values"], result["rtol"], FEV, tag="grouped", covariance=False)
    for level, arm in enumerate(("PBO", "TRT"), start=1):
        variances = np.diag(result["values"]["cov"][arm]["values"])
        own = [fit.glance()[f"sd_visit{v}_ARMCD{level}"] ** 2 for v in (1, 2, 3, 4)]
        assert_close(own, variances, result["rtol"], what=f"variances {arm}")


def test_matches_mmrm_with_a_spatial_exponential_covariance(fit_fev, reference, assert_fit):
    result = reference("fev_data_mmrm")["mmrm_sp_exp"]
    fit = fit_fev("exponential", df="satterthwaite")
    assert_fit(fit, result["values"], result["rtol"], FEV, tag="sp_exp", covariance=False)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_matches_nlme_gls_unstructured(method, fit_fev, reference, assert_close):
    result = reference("fev_data_mmrm")[f"gls_us_{method}"]
    fit, values = fit_fev(df="normal", method=method), result["values"]
    fixed = pd.DataFrame(values["fixed"]).set_index("term")
    own = fit.tidy().assign(r=[FEV[term] for term in fit.names]).set_index("r").reindex(fixed.index)
    # nlme inflates ML standard errors by √(N / (N − p)).
    inflated = np.sqrt(537 / 526) if method == "ML" else 1.0
    assert_close(own["estimate"], fixed["est"], result["rtol"], se=fixed["se"], what="estimate")
    assert_close(own["std_error"] * inflated, fixed["se"], result["rtol"], what="se")
    assert_close(fit.loglik, values["logLik"], 1e-7, what="logLik")


@pytest.mark.parametrize("structure", STRUCTURES)
def test_matches_mmrm_on_visits_of_pbcseq(structure, fit_pbc, reference, assert_fit):
    result = reference("pbcseq_visits_mmrm")["mmrm_covariances"]
    fit = fit_pbc(STRUCTURES[structure], df="satterthwaite")
    assert_fit(fit, result["values"][structure], result["rtol"], PBC, tag=structure)


@pytest.mark.parametrize(("name", "df"), [("kr", "kenward-roger-mmrm"), ("kr_linear", "kenward-roger-linear")])
def test_matches_kenward_roger_on_visits_of_pbcseq(name, df, fit_pbc, reference, assert_fit):
    result = reference("pbcseq_visits_mmrm")["mmrm_us_kenward_roger"]
    assert_fit(fit_pbc(df=df), result["values"][name], result["rtol"], PBC, tag=name)


def test_matches_maximum_likelihood_on_visits_of_pbcseq(fit_pbc, reference, assert_fit):
    result = reference("pbcseq_visits_mmrm")["mmrm_us_ML"]
    assert_fit(fit_pbc(df="satterthwaite", method="ML"), result["values"], result["rtol"], PBC, tag="us ML")


def test_matches_gls_on_visits_of_pbcseq(fit_pbc, reference, assert_close):
    result = reference("pbcseq_visits_mmrm")["gls_unstructured_REML"]
    fit, fixed = fit_pbc(df="normal"), pd.DataFrame(result["values"]["fixed"]).set_index("term")
    own = fit.tidy().assign(r=[PBC[term] for term in fit.names]).set_index("r").reindex(fixed.index)
    assert_close(own["estimate"], fixed["est"], result["rtol"], se=fixed["se"], what="estimate")
    assert_close(own["std_error"], fixed["se"], result["rtol"], what="se")
    assert_close(fit.loglik, result["values"]["logLik"], 1e-7, what="logLik")


def test_the_windows_make_the_data_set_that_r_was_given(data_set, reference, pbc_visits):
    expected = reference("pbcseq_visits_mmrm")["dataset"]["values"]
    values = data_set("pbcseq").assign(lb=lambda d: np.log(d["bili"]))
    measures = RepeatedMeasures.from_frame(values[values["day"] > 0], patient_id="id", time="day", value="lb")
    windows = {"m6": (92, 182, 273), "y1": (274, 365, 547), "y2": (548, 730, 912), "y3": (913, 1095, 1277)}
    fit = fit_repeated_measures(measures, visits=windows)
    assert fit.glance()["n"] == expected["n_rows"]
    assert fit.glance()["n_patients"] == expected["n_ids"]
    assert fit.frame["visit"].value_counts().to_dict() == expected["per_visit"]
    np.testing.assert_allclose(np.sort(fit.frame["value"]), np.sort(pbc_visits.frame["value"]), atol=1e-9)


@pytest.fixture
def sas(shared):
    def read(name):
        return pd.read_csv(shared / "reference" / "sas" / f"{name}.csv").iloc[0]

    return read


def sas_may_stop_at(fit, df):
    """How far from the optimum PROC MIXED may stop: where gᵀ H⁻¹ g ≤ 1e-8 |f|, f = −2 log-likelihood.

    Returns
    -------
    widest : largest change of the treatment's estimate, standard error and df on that ellipsoid, by their slopes in θ
    """
    fitted, step = fit.fitted, 1e-5
    here, effect = fitted.evaluation, np.array([[0.0, 1.0]])

    def shown(theta):
        there = replace(fitted, evaluation=fitted.kernel.evaluate(theta))
        return np.concatenate(make_inference(there, df=df, vcov="model").contrast(effect))

    ways = np.eye(len(here.theta)) * step
    slopes = np.array([shown(here.theta + way) - shown(here.theta - way) for way in ways]) / (2 * step)
    size = 1e-8 * abs(here.loglik)  # in log-likelihood: half of f
    return np.sqrt(size * np.einsum("hi,hk,ki->i", slopes, np.linalg.inv(-here.hessian), slopes))


@pytest.mark.parametrize(("prefix", "df"), [("kr", "kenward-roger"), ("kr1", "kenward-roger-linear")])
@pytest.mark.parametrize("structure", SAS)
def test_matches_sas_proc_mixed_on_fev_data(structure, prefix, df, fev, sas, reference, assert_close):
    reference("fev_data_mmrm")["mmrm_kenward_roger"]  # the data set's origin; the figures are SAS's
    theirs = sas(f"{prefix}_{structure}")
    fit = fit_repeated_measures(fev, by="ARMCD", course=None, covariance=SAS[structure], df=df)
    own, widest = fit.tidy().iloc[1], sas_may_stop_at(fit, df)
    figures = (("estimate", "Estimate", 1e-5), ("std_error", "StdErr", 1e-4), ("df", "DF", 3e-4))
    for (ours, name, known), change in zip(figures, widest, strict=True):
        rtol = max(known, change / own[ours])
        assert rtol < 1e-3
        assert_close(own[ours], theirs[name], rtol, what=f"SAS {prefix} {structure} {ours}")


def test_the_converged_answer_that_sas_stops_before(fev):
    """Newton's limit, named on the page that explains the tolerance; SAS prints its third iterate."""
    own = fit_repeated_measures(fev, by="ARMCD", course=None, df="kenward-roger").tidy().iloc[1]
    np.testing.assert_allclose(own[["estimate", "std_error", "df"]].astype(float),
                               [3.819749536754, 0.661300458917, 160.690620], rtol=1e-8)  # fmt: skip


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_likelihood_is_that_of_the_normal_density(structure, pbc_visits):
    """ML log-likelihood against SciPy's density, patient by patient."""
    fit = fit_repeated_measures(pbc_visits, by="dpca", covariance=STRUCTURES[structure], method="ML", df="normal")
    total = 0.0
    for rows, covariances in fit.fitted.kernel.blocks(fit.fitted.evaluation):
        for own, V in zip(rows, covariances, strict=True):
            mean = fit.fitted.rows.X[own] @ fit.fitted.evaluation.beta
            total += multivariate_normal.logpdf(fit.fitted.rows.response[own], mean, V)
    assert fit.loglik == pytest.approx(total, abs=1e-8)


@pytest.mark.parametrize("structure", [*STRUCTURES.values(), "exponential"])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_derivatives_are_those_of_the_likelihood(structure, method, pbc_visits):
    same_days = pbc_visits.frame.assign(
        time=pbc_visits.frame["visit"].map({"m6": 0.5, "y1": 1.0, "y2": 2.0, "y3": 3.0})
    )
    fit = fit_repeated_measures(
        replace(pbc_visits, frame=same_days), by="dpca", covariance=structure, method=method, df="normal"
    )
    kernel, theta = fit.fitted.kernel, fit.fitted.evaluation.theta + 0.07
    here, step = kernel.evaluate(theta), 1e-5
    ways = np.eye(len(theta)) * step
    up, down = [kernel.evaluate(theta + way) for way in ways], [kernel.evaluate(theta - way) for way in ways]
    slope = [(a.loglik - b.loglik) / (2 * step) for a, b in zip(up, down, strict=True)]
    curve = [(a.gradient - b.gradient) / (2 * step) for a, b in zip(up, down, strict=True)]
    np.testing.assert_allclose(here.gradient, slope, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(here.hessian, curve, rtol=1e-4, atol=1e-3)


def test_with_inference_changes_no_estimate(fit_fev):
    fit = fit_fev(df="satterthwaite")
    other = with_inference(fit, "kenward-roger", "model")
    np.testing.assert_array_equal(other.estimate, fit.estimate)
    np.testing.assert_allclose(other.tidy()["std_error"], fit_fev(df="kenward-roger").tidy()["std_error"], rtol=1e-12)
