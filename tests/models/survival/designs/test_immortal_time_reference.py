"""Landmark, time-varying and naive comparison of pbcseq responders against R survival 3.5-3 and survRM2 1.0-4."""

import numpy as np
import pytest

from aih_outcomes.errors import ImmortalTimeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.naive import naive_comparison, naive_outcome
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import Groups

YEARS_5 = 1826.25
ADJUSTED = ["age", "log(bili0)"]


@pytest.fixture(scope="module")
def results(reference):
    return reference("pbcseq_landmark_immortal")


@pytest.fixture(scope="module")
def at_landmark(pbcseq, responded_by):
    return {day: landmark(pbcseq, responded_by(day), day=day) for day in (365, 730, 1095)}


@pytest.fixture
def assert_cox(assert_close):
    def check(fit, values, rtol):
        tidy, facts, own = fit.tidy(), fit.glance(), values["coefficients"]
        robust = "robust_se" in own
        model_se = tidy["std_error_model"] if robust else tidy["std_error"]
        assert_close(tidy["estimate"], own["coef"], rtol, se=own["se"], what="coef")
        assert_close(model_se, own["se"], rtol, what="se")
        assert_close(tidy["statistic"], own["robust_z" if robust else "z"], rtol, se=1, what="z")
        assert_close(tidy["p_value"], own["robust_p" if robust else "p"], rtol, what="p")
        assert_close(tidy["hazard_ratio"], own["hr"], rtol, what="hr")
        if robust:
            assert_close(tidy["std_error"], own["robust_se"], rtol, what="robust se")
            assert_close(
                fit.vcov, values["vcov_robust"]["values"], rtol, se=_outer(own["robust_se"]), what="robust vcov"
            )
        else:
            assert_close(tidy["hr_low"], own["hr_lower"], rtol, what="hr_low")
            assert_close(tidy["hr_high"], own["hr_upper"], rtol, what="hr_high")
        assert_close(fit.vcov_model, values["vcov_model"]["values"], rtol, se=_outer(own["se"]), what="vcov")
        for name in ("loglik_null", "loglik", "aic"):
            assert_close(facts[name], values[name], rtol, what=name)
        for name in ("lr", "wald", "score"):
            assert_close(facts[f"{name}_test"], values[f"{name}_test"]["chisq"], rtol, what=name)
            assert_close(facts[f"{name}_p_value"], values[f"{name}_test"]["p"], rtol, what=name)
        assert facts["scaled_gradient"] < 1e-6
        assert (facts["n"], facts["n_event"], facts["ties"]) == (values["n"], values["n_event"], values["ties"])
        c = values["concordance"]
        assert_close([facts["concordance"], facts["concordance_se"]], [c["c"], c["se"]], rtol, what="concordance")
        counted = ("concordant", "discordant", "tied_score", "tied_time", "tied_both")
        assert [facts[f"pairs_{name}"] for name in counted] == list(c["counts"].values())

    return check


def _outer(se):
    return np.outer(se, se)


@pytest.fixture
def assert_curves(assert_close):
    def check(outcome, values, rtol):
        for conf_type in ("log-log", "plain", "log"):
            curves = estimate_survival(outcome, by="group", conf_type=conf_type)
            for place, (own, curve) in enumerate(zip(values.values(), curves.curves, strict=True)):
                table, name = own["table"], conf_type.replace("-", "")
                at = curves.at(table["time"])
                at = at[at["strata"] == curve.strata]
                assert (curve.n, curve.n_event.sum()) == (own["n"], own["n_event_total"])
                columns = {
                    "n_risk": "n_risk", "n_event": "cum_event", "estimate": "surv", "std_error": "se_greenwood",
                    "cumulative_hazard": "cumhaz_nelson_aalen", "cumulative_hazard_se": "se_cumhaz",
                    "conf_low": f"lower_{name}", "conf_high": f"upper_{name}",
                }  # fmt: skip
                for column, other in columns.items():
                    assert_close(at[column], table[other], rtol, what=f"{column} {conf_type} {place}")
                quantiles = curves.quantiles()
                quantiles = quantiles[quantiles["strata"] == curve.strata]
                for column, other in (("estimate", "est"), ("conf_low", "lower"), ("conf_high", "upper")):
                    assert_close(quantiles[column], own["quantiles"][name][other], rtol, what=f"quantile {column}")

    return check


def test_cohort_has_the_sizes_of_the_rule(results, pbcseq, ever_responded, responded_by, at_landmark):
    expected = results["cohort"]["values"]
    groups = responded_by(365)
    rows = at_landmark[365].frame
    assert pbcseq.n_patients == expected["n_eligible"]
    assert len(ever_responded.frame) == expected["n_ever"]
    assert (groups.frame["label"] == "responder").sum() == expected["n_by_landmark"]
    assert len(rows) == expected["n_at_landmark"]
    assert (rows["group"] == "responder").sum() == expected["n_resp_at_landmark"]
    events = rows[rows["event"] != "censored"].groupby("group", observed=True).size()
    assert events.tolist() == list(expected["events_after_landmark"].values())


def test_curves_at_the_landmark_match_r(results, at_landmark, assert_curves):
    assert_curves(at_landmark[365], results["landmark_1y"]["values"]["km"], results["landmark_1y"]["rtol"])


def test_naive_curves_match_r_and_say_that_they_are_biased(results, pbcseq, ever_responded, assert_curves):
    outcome = naive_outcome(pbcseq, ever_responded, never="never")
    assert_curves(outcome, results["naive_ever_responder"]["values"]["km"], results["naive_ever_responder"]["rtol"])
    curves = estimate_survival(outcome, by="group")
    assert curves.tidy()["label"].str.contains("comparison from day 0 \\(biased\\)").all()
    assert "biased" in curves.describe()


@pytest.mark.parametrize("name", ["landmark_1y", "naive_ever_responder"])
def test_log_rank_matches_r(name, results, at_landmark, pbcseq, ever_responded, assert_close):
    values, rtol = results[name]["values"]["logrank"], results[name]["rtol"]
    naive = naive_outcome(pbcseq, ever_responded, never="never")
    test = compare_survival(at_landmark[365] if name == "landmark_1y" else naive, by="group")
    assert test.n.tolist() == values["n"]
    for attribute, other in (
        ("observed", "observed"),
        ("expected", "expected"),
        ("statistic", "chisq"),
        ("p_value", "p"),
    ):
        assert_close(getattr(test, attribute), values[other], rtol, what=other)
    assert_close(test.variance, values["var"]["values"], rtol)


@pytest.mark.parametrize("key", ["cox", "cox_adj"])
def test_landmark_cox_matches_r(key, results, at_landmark, assert_cox):
    fit = fit_cox(at_landmark[365], by="group", covariates=ADJUSTED if key == "cox_adj" else [])
    assert_cox(fit, results["landmark_1y"]["values"][key], results["landmark_1y"]["rtol"])


@pytest.mark.parametrize("day", [730, 1095])
def test_later_landmarks_match_r(day, results, at_landmark, assert_cox):
    later = results["landmark_2y_3y"]
    assert_cox(fit_cox(at_landmark[day], by="group"), later["values"][f"lm{day}"], later["rtol"])


@pytest.mark.parametrize("key", ["cox", "cox_adj"])
def test_naive_cox_matches_r(key, results, pbcseq, ever_responded, assert_cox):
    covariates = ADJUSTED if key == "cox_adj" else []
    comparison = naive_comparison(pbcseq, ever_responded, never="never", covariates=covariates)
    assert_cox(comparison.cox, results["naive_ever_responder"]["values"][key], results["naive_ever_responder"]["rtol"])


def test_naive_responders_by_one_year_match_r(results, pbcseq, responded_by, assert_cox):
    early = responded_by(365)
    groups = Groups(early.frame[early.frame["label"] == "responder"], early.name, early.levels)
    comparison = naive_comparison(pbcseq, groups, never="not yet")
    milder = results["naive_1y_responder_from_day0"]
    assert_cox(comparison.cox, milder["values"]["cox"], milder["rtol"])


@pytest.mark.parametrize("key", ["cox", "cox_adj", "cox_adj_cluster"])
def test_time_varying_cox_matches_r(key, results, pbcseq, ever_responded, assert_cox):
    spells = time_varying(pbcseq, ever_responded)
    cluster = "patient_id" if key == "cox_adj_cluster" else None
    fit = fit_cox(spells, by="group", covariates=[] if key == "cox" else ADJUSTED, cluster=cluster)
    assert_cox(fit, results["time_dependent_responder"]["values"][key], results["time_dependent_responder"]["rtol"])


def test_restricted_means_match_survrm2(results, at_landmark, assert_close):
    expected, rtol = results["landmark_1y"]["values"]["rmst_diff_5y"], results["landmark_1y"]["rtol"]
    result = compare_restricted_means(at_landmark[365], by="group", horizon=YEARS_5)
    for place, arm in enumerate(("arm0", "arm1")):
        row = result.groups.iloc[place]
        own = [row["estimate"], row["std_error"], row["conf_low"], row["conf_high"]]
        assert_close(own, [expected[arm][name] for name in ("rmst", "se", "lower", "upper")], rtol)
    contrasts = result.contrasts.set_index("measure")
    named = {
        "restricted_mean_difference": "difference_1_minus_0",
        "restricted_mean_ratio": "ratio",
        "time_lost_ratio": "rmtl_ratio",
    }
    for measure, other in named.items():
        own = contrasts.loc[measure, ["estimate", "conf_low", "conf_high", "p_value"]]
        assert_close(
            own.to_numpy(float), [expected[other][name] for name in ("est", "lower", "upper", "p")], rtol, what=other
        )
    assert_close(contrasts.loc["restricted_mean_difference", "std_error"], expected["difference_se"], rtol)


@pytest.mark.parametrize(
    "compare", [estimate_survival, compare_survival, fit_cox, compare_groups, compare_restricted_means]
)
def test_every_survival_model_refuses_responders_from_day_zero(compare, pbcseq, responded_by):
    with pytest.raises(ImmortalTimeError, match="landmark"):
        compare(pbcseq, by=responded_by(365))


def test_the_bias_makes_responders_look_better_than_either_honest_design(pbcseq, at_landmark, ever_responded):
    naive = naive_comparison(pbcseq, ever_responded, never="never").tidy()["estimate"][0]
    restarted = compare_groups(at_landmark[365], by="group").tidy()["estimate"][0]
    changing = compare_groups(time_varying(pbcseq, ever_responded), by="group").tidy()["estimate"][0]
    assert naive < changing < 1
    assert naive < restarted < 1
