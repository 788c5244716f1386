"""Cox models of the Mayo trial of primary biliary cholangitis, figure by figure against R survival."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.cox.fit import fit_cox

COLUMNS = ["age", "edema", "bili", "protime", "albumin", "stage", "trt"]
MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
MODELS = {
    "cox_efron": ("protime", MAYO, {}),
    "cox_breslow": ("protime", MAYO, {"ties": "breslow"}),
    "cox_exact": ("protime", MAYO, {"ties": "exact"}),
    "cox_efron_robust": ("protime", MAYO, {"cluster": "patient_id"}),
    "cox_strata_edema": ("protime", ["age", "log(bili)", "log(albumin)"], {"strata": "edema"}),
    "cox_factor_stage": ("stage", ["age", "log(bili)"], {"by": "stage"}),
    "cox_interaction_trt": ("trt", "trt * log(bili) + age", {}),
    "cox_weighted": ("protime", MAYO, {"cluster": "patient_id"}),
    "cox_ns3_logbili": ("bili", "age + ns(log(bili), df=3)", {}),
}


@pytest.fixture
def pbc(data_set):
    frame = data_set("pbc")
    return frame.assign(dead=(frame["status"] == 2).astype(int))


@pytest.mark.parametrize("name", MODELS)
def test_matches_r_on_pbc(name, reference, pbc, spells, assert_fit):
    needed, covariates, how = MODELS[name]
    frame = pbc.dropna(subset=[needed]).assign(weight=1 + pbc["id"] % 3 if name == "cox_weighted" else 1)
    rows = spells(frame, COLUMNS, "time", "dead", patient_id="id", weight="weight")
    result = reference("pbc_cox")[name]
    assert_fit(fit_cox(rows, covariates=covariates, **how), result["values"], result["rtol"])


def test_one_formula_gives_the_factor_model_too(reference, pbc, spells, assert_fit):
    rows = spells(pbc.dropna(subset=["stage"]), COLUMNS, "time", "dead", patient_id="id")
    result = reference("pbc_cox")["cox_factor_stage"]
    assert_fit(fit_cox(rows, covariates="C(stage) + age + log(bili)"), result["values"], result["rtol"])


def test_terms_are_named_as_in_r_where_they_hold_numbers(reference, pbc, spells):
    rows = spells(pbc.dropna(subset=["trt"]), COLUMNS, "time", "dead", patient_id="id")
    names = reference("pbc_cox")["cox_interaction_trt"]["values"]["coefficients"]["term"]
    assert fit_cox(rows, covariates="trt * log(bili) + age").tidy()["term"].tolist() == names


LATE = {
    "lt_cox_age_scale": ["edema", "log(bili)", "log(albumin)"],
    "lt_cox_second_visit_entry": ["trt", "age", "log(bili)"],
    "naive_ignoring_truncation": ["trt", "age", "log(bili)"],
}


@pytest.mark.parametrize("name", LATE)
def test_matches_r_with_late_entry(name, reference, pbc, data_set, spells, assert_fit):
    result = reference("pbc_left_truncation")[name]
    if name == "lt_cox_age_scale":
        born = np.round(pbc["age"] * 365.25)
        frame = pbc.assign(entry=born, exit=born + pbc["time"], event=pbc["dead"])
    else:
        visits = data_set("pbcseq").sort_values(["id", "day"])
        second = visits[visits.groupby("id").cumcount() == 1]
        entry = second["day"] if name == "lt_cox_second_visit_entry" else 0
        frame = second.assign(entry=entry, exit=second["futime"], event=(second["status"] == 2).astype(int))
    rows = spells(frame, ["edema", "bili", "albumin", "trt", "age"], entry="entry")
    assert_fit(fit_cox(rows, covariates=LATE[name]), result["values"], result["rtol"])


def test_matches_r_in_each_imputed_copy(reference, data_set, spells, assert_close):
    result = reference("pbc_rubin")["cox"]
    expected = result["values"]["per_imputation"]
    fits = []
    for copy in range(1, 6):
        frame = data_set(f"pbc_imp{copy}")
        rows = spells(frame.assign(dead=(frame["status"] == 2).astype(int)),
                      ["age", "bili", "chol", "copper", "platelet"], "time", "dead")  # fmt: skip
        fits.append(fit_cox(rows, covariates=["age", "log(bili)", "log(chol)", "log(copper)", "platelet"]))
    se = np.sqrt(expected["var"]["values"])
    assert_close([fit.coefficients for fit in fits], expected["coef"]["values"], result["rtol"], se=se, what="coef")
    assert_close([np.diag(fit.vcov) for fit in fits], expected["var"]["values"], result["rtol"], what="var")


ANALYSES = {
    "iptw_trt": ("dpca", ["age", "sexf", "lb", "albumin", "edema"], None),
    "iptw_hepato": ("hepato", ["age", "sexf", "lb", "la", "edema", "platelet"], "platelet"),
}


@pytest.fixture
def exposed(pbc):
    """Columns of the weighting example, and its propensity score by maximum likelihood."""
    import statsmodels.api as sm

    def prepare(name):
        exposure, covariates, needed = ANALYSES[name]
        frame = pbc[pbc["id"] <= 312].dropna(subset=[needed] if needed else [])
        frame = frame.assign(dpca=(frame["trt"] == 1).astype(int), sexf=(frame["sex"] == "f").astype(int),
                             lb=np.log(frame["bili"]), la=np.log(frame["albumin"]))  # fmt: skip
        design = sm.add_constant(frame[covariates].astype(float))
        score = sm.GLM(frame[exposure], design, family=sm.families.Binomial()).fit(tol=1e-13).fittedvalues
        return frame.assign(A=frame[exposure]), np.asarray(score), covariates, exposure

    return prepare


def weights_of(a, score):
    treated = a * 1.0
    share = treated.mean()
    ate = treated / score + (1 - treated) / (1 - score)
    return {
        "ate": ate,
        "ate_stabilised": treated * share / score + (1 - treated) * (1 - share) / (1 - score),
        "att": treated + (1 - treated) * score / (1 - score),
        "overlap": treated * (1 - score) + (1 - treated) * score,
        "ate_truncated_1_99": np.clip(ate, *np.quantile(ate, [0.01, 0.99])),
    }


@pytest.mark.parametrize("name", ANALYSES)
def test_matches_r_weighted_by_propensity(name, reference, exposed, spells, assert_close, assert_fit):
    result = reference("pbc_iptw")[name]
    values, rtol = result["values"], result["rtol"]
    frame, score, covariates, exposure = exposed(name)
    rows = spells(frame, ["A"], "time", "dead", patient_id="id")
    assert_fit(fit_cox(rows, covariates=["A"]), values["unadjusted_cox"], rtol)
    for kind, weight in weights_of(frame["A"], score).items():
        weighted = spells(frame.assign(w=weight), ["A"], "time", "dead", patient_id="id", weight="w")
        assert_close(weight.sum(), values["weights"][kind]["sum"], rtol, what=f"{kind} sum of weights")
        for ties, expected in values["weighted_cox"][kind].items():
            fit = fit_cox(weighted, covariates=["A"], ties=ties, cluster="patient_id")
            robust, naive = float(np.sqrt(fit.vcov[0, 0])), float(np.sqrt(fit.vcov_model[0, 0]))
            assert_close(fit.coefficients[0], expected["coef"], rtol, se=robust, what=f"{kind} {ties} coef")
            assert_close([robust, naive], [expected["robust_se"], expected["naive_se"]], rtol, what=f"{kind} {ties} se")
            if "loglik" in expected:
                assert_close(fit.glance()["loglik"], expected["loglik"], rtol, what=f"{kind} {ties} loglik")
                assert_close(np.exp(fit.coefficients[0]), expected["hr"], rtol, what=f"{kind} {ties} hr")
    adjusted = fit_cox(spells(frame, [exposure, *covariates], "time", "dead"), covariates=[exposure, *covariates])
    expected = list(values["gcomp_cox"]["coef"].values())
    assert_close(adjusted.coefficients, expected, rtol, se=np.sqrt(np.diag(adjusted.vcov)), what="adjusted coef")


def test_the_monotone_likelihood_of_the_reference_is_seen(reference, pbc, spells):
    table = reference("pbc_firth")["monotone_likelihood"]["values"]["table_status_by_ascites"]
    frame = pbc[pbc["id"] <= 312].assign(transplant=lambda rows: (rows["status"] == 1).astype(int))
    assert pd.crosstab(frame["status"], frame["ascites"]).to_numpy().tolist() == table["values"]
    rows = spells(frame, ["ascites", "age", "bili"], "time", "transplant")
    fit = fit_cox(rows, covariates=["ascites", "age", "log(bili)"])
    assert "monotone in 'ascites' (" in fit.not_estimable
    assert 'penalty="firth"' in fit.not_estimable
