"""What R prints of a Cox model, compared figure by figure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.cox.proportional_hazards import check_proportional_hazards
from aih_outcomes.outcomes import TimeToEvent

REFERENCE = Path(__file__).parents[3] / "reference"
COUNTED = ("concordant", "discordant", "tied_score", "tied_time", "tied_both")


@pytest.fixture(scope="session")
def spells():
    """Read columns of a frame as spells (entry, exit] with an event."""

    def read(frame, covariates, exit="exit", event="event", **how):
        return TimeToEvent.from_frame(frame, exit=exit, event=event, covariates=covariates, **how)

    return read


@pytest.fixture
def assert_fit(assert_close):
    """Everything that R prints of a fit, from one result of the reference folder."""

    def check(fit, values, rtol):
        own, tidy, facts = values["coefficients"], fit.tidy(), fit.glance()
        robust = "robust_se" in own
        assert_close(tidy["estimate"], own["coef"], rtol, se=own["se"], what="coef")
        assert_close(np.sqrt(np.diag(fit.vcov_model)), own["se"], rtol, what="se")
        assert_close(tidy["statistic"], own["robust_z" if robust else "z"], rtol, se=1.0, what="z")
        assert_close(tidy["p_value"], own["robust_p" if robust else "p"], rtol, what="p")
        assert_close(tidy["hazard_ratio"], own["hr"], rtol, what="hr")
        if not robust:
            assert_close(tidy["hr_low"], own["hr_lower"], rtol, what="hr lower")
            assert_close(tidy["hr_high"], own["hr_upper"], rtol, what="hr upper")
        scale = np.outer(own["se"], own["se"])
        assert_close(fit.vcov_model, values["vcov_model"]["values"], rtol, se=scale, what="vcov")
        if robust:
            assert_close(tidy["std_error"], own["robust_se"], rtol, what="robust se")
            scale = np.outer(own["robust_se"], own["robust_se"])
            assert_close(fit.vcov, values["vcov_robust"]["values"], rtol, se=scale, what="robust vcov")
        for name in ("n", "n_event"):
            if name in values:
                assert facts[name] == values[name]
        for name in ("loglik_null", "loglik", "aic"):
            assert_close(facts[name], values[name], rtol, what=name)
        for name in ("lr", "wald", "score"):
            assert_close(facts[f"{name}_test"], values[f"{name}_test"]["chisq"], rtol, what=name)
            assert_close(facts[f"{name}_p_value"], values[f"{name}_test"]["p"], rtol, what=f"{name} p")
            assert values[f"{name}_test"]["df"] == facts["effective_df"]
        assert facts["scaled_gradient"] < 1e-6
        assert facts["loglik"] >= values["loglik"] - 1e-6 * abs(values["loglik"])
        if "concordance" in values:
            _concordance(facts, values["concordance"], rtol)
        for transform, table in values.get("cox_zph_survival3", {}).items():
            tests = check_proportional_hazards(fit, transform=transform).tidy()
            assert_close(tests["statistic"], table["chisq"], rtol, what=f"zph {transform}")
            assert_close(tests["p_value"], table["p"], rtol, what=f"zph p {transform}")
            assert tests["df"].tolist() == table["df"]

    def _concordance(facts, c, rtol):
        counts = c["counts"]
        totals = (
            [sum(np.ravel(counts[name])) for name in counts] if isinstance(counts, dict) else np.sum(counts, axis=0)
        )
        assert_close([facts["concordance"], facts["concordance_se"]], [c["c"], c["se"]], rtol, what="concordance")
        assert_close([facts[f"pairs_{name}"] for name in COUNTED], totals, what="pairs")

    return check


@pytest.fixture(scope="session")
def terms_outcome(spells):
    """150 invented spells of cox_terms.R; ``weight`` names the column of weights, if they count."""
    frame = pd.read_csv(REFERENCE / "cox_terms.csv")
    covariates = ["x", "bili", "alk.phos", "arm", "sex", "stage", "known", "gap", "week"]

    def read(weight=None, exit="stop", entry="start", patient_id="id"):
        rows = frame.assign(week=np.ceil(frame["stop"] / 7))
        return spells(rows, covariates, exit, "dead", entry=entry, patient_id=patient_id, weight=weight)

    return read


@pytest.fixture
def assert_terms(assert_close, r_figures):
    """Compare a fit with a model of cox_terms.json."""

    def check(fit, name, rtol=1e-7):
        expected, facts = r_figures("cox_terms")[name], fit.glance()
        se = np.sqrt(np.diag(fit.vcov))
        assert_close(fit.coefficients, expected["coef"], rtol, se=se, what=f"{name} coef")
        assert_close(fit.vcov.ravel(), expected["vcov"], rtol, se=np.outer(se, se).ravel(), what=f"{name} vcov")
        assert_close(
            fit.vcov_model.ravel(), expected["vcov_model"], rtol, se=np.outer(se, se).ravel(), what=f"{name} vcov_model"
        )
        assert [facts["n"], facts["n_event"]] == [expected["n"], expected["n_event"]]
        assert_close([facts["loglik_null"], facts["loglik"]], expected["loglik"], rtol, what=f"{name} loglik")
        assert_close(
            [facts["effective_df"], facts["aic"]], [expected["df"][0], expected["aic"][0]], rtol, what=f"{name} df, aic"
        )
        if expected["score"][0] is not None:
            assert_close(facts["score_test"], expected["score"][0], rtol, what=f"{name} score")
        assert_close(facts["wald_test"], expected["wald"][0], rtol, what=f"{name} wald")
        counts = [facts[f"pairs_{counted}"] for counted in COUNTED]
        assert_close(
            [*counts, facts["concordance"], facts["concordance_se"]],
            expected["concordance"],
            rtol,
            what=f"{name} concordance",
        )

    return check
