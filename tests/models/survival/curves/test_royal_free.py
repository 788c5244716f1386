"""The Royal Free trial of prednisolone (44 patients) against R survival, and the figures printed by its readers."""

import math

import pytest

from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.proportional_hazards import check_proportional_hazards
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means, restricted_mean
from aih_outcomes.models.survival.designs.comparison import compare_groups

ARMS = {"control": 0, "prednisolone": 1}
RTOL = 1e-7  # Cox: an iterative fit in R


@pytest.fixture(scope="module")
def figures(r_figures):
    return r_figures("royal_free")


@pytest.mark.parametrize("conf_type", ["log-log", "log", "plain"])
@pytest.mark.parametrize("arm", ARMS)
def test_curves_and_quantiles_match_r(arm, conf_type, royal_free, figures, assert_close):
    expected = figures[f"curve_{ARMS[arm]}_{conf_type}"]
    curves = estimate_survival(royal_free, by="arm", conf_type=conf_type)
    at = curves.at(expected["time"]).query("strata == @arm")
    columns = {"n_risk": "n_risk", "estimate": "surv", "std_error": "se", "cumulative_hazard": "cumhaz",
               "cumulative_hazard_se": "se_cumhaz", "conf_low": "lower", "conf_high": "upper"}  # fmt: skip
    for column, other in columns.items():
        assert_close(at[column], expected[other], what=column)
    quantiles = curves.quantiles().query("strata == @arm")
    for column, other in (("estimate", "est"), ("conf_low", "lower"), ("conf_high", "upper")):
        assert_close(quantiles[column], figures[f"quantiles_{ARMS[arm]}_{conf_type}"][other], what=column)


def test_median_is_the_middle_of_a_step_at_one_half(royal_free):
    medians = estimate_survival(royal_free, by="arm").quantiles([0.5])
    assert medians["estimate"].tolist() == [40.5, 146.0]


def test_published_survival_is_found_again(royal_free):
    curves = estimate_survival(royal_free, by="arm")
    at = curves.at([40, 182]).query("strata == 'control'")["estimate"].tolist()
    assert at[0] == pytest.approx(1 / 2, rel=1e-12)
    assert round(at[1], 4) == 0.2727
    drug = curves.at([96, 146]).query("strata == 'prednisolone'")["estimate"]
    assert drug.round(4).tolist() == [0.6257, 0.4562]


@pytest.mark.parametrize(("rho", "name"), [(0, "logrank"), (1, "peto")])
def test_log_rank_and_peto_match_r(rho, name, royal_free, figures, assert_close):
    test = compare_survival(royal_free, by="arm", rho=rho)
    assert_close(test.observed, figures[name]["observed"])
    assert_close(test.expected, figures[name]["expected"])
    assert_close(test.statistic, figures[name]["chisq"][0])


def test_published_log_rank_is_found_again(royal_free):
    test = compare_survival(royal_free, by="arm")
    assert round(test.statistic, 4) == 4.6599
    assert round(test.p_value, 5) == 0.03087
    assert test.tidy()["n_event"].tolist() == [16, 11]


@pytest.mark.parametrize(
    ("ties", "ratio", "low", "high"), [("efron", 0.4358, 0.200, 0.949), ("breslow", 0.4350, 0.200, 0.948)]
)
def test_cox_matches_r(ties, ratio, low, high, royal_free, figures, assert_close):
    fit = fit_cox(royal_free, by="arm", ties=ties)
    expected, tidy, facts = figures[ties], fit.tidy().iloc[0], fit.glance()
    assert [round(tidy["hazard_ratio"], 4), round(tidy["hr_low"], 3), round(tidy["hr_high"], 3)] == [ratio, low, high]
    assert_close(tidy["estimate"], expected["coef"][0], RTOL, se=tidy["std_error"])
    assert_close(tidy["std_error"] ** 2, expected["vcov"][0], RTOL)
    assert_close([facts["loglik_null"], facts["loglik"]], expected["loglik"], RTOL)
    assert_close([facts["score_test"], facts["wald_test"]], [expected["score"][0], expected["wald"][0]], RTOL)
    assert_close([facts["concordance"], facts["concordance_se"]], expected["concordance"][5:], RTOL)
    for transform in ("km", "rank", "identity", "log"):
        statistic = check_proportional_hazards(fit, transform=transform).tidy()["statistic"]
        assert_close(statistic, expected[f"zph_{transform}"], RTOL, what=transform)


def test_restricted_means_to_144_months_match_r(royal_free, figures, assert_close):
    means = [restricted_mean(curve, 144) for curve in estimate_survival(royal_free, by="arm").curves]
    assert_close([mean for mean, _ in means], figures["rmst"])
    assert_close([se for _, se in means], figures["rmst_se"])
    assert round(means[1][0] - means[0][0], 1) == 48.0


def test_beyond_five_at_risk_nothing_is_estimated_and_the_latest_horizon_named(royal_free):
    too_late = compare_restricted_means(royal_free, by="arm", horizon=144)
    assert "beyond the last time with 5 at risk" in too_late.glance()["not_estimable"]
    assert too_late.contrasts["estimate"].isna().all()
    assert compare_restricted_means(royal_free, by="arm").horizon == 140


def test_the_comparison_holds_relative_and_absolute_effects(royal_free):
    comparison = compare_groups(royal_free, by="arm")
    tidy = comparison.tidy()
    assert tidy["measure"].tolist() == ["hazard_ratio", "risk_difference", "restricted_mean_difference"]
    assert tidy["n"].tolist() == [22] * 3
    assert comparison.glance()["groups"] == {"control": (22, 16), "prednisolone": (22, 11)}
    assert math.isclose(comparison.glance()["log_rank"], 4.6599, abs_tol=5e-5)
    assert "not a treatment effect" not in comparison.describe()  # a trial: groups known at time zero
