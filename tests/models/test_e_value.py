"""The E-value: published figures, the rule for the limit, and what is no ratio."""

import numpy as np
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.e_value import compute_e_value


def test_matches_the_reference_for_risk_ratios(reference, assert_close):
    result = reference("evalue")["rr"]
    found = [compute_e_value(ratio, measure="risk ratio").e_value for ratio in result["values"]["rr"]]
    assert_close(found, result["values"]["e"], result["rtol"], what="E-value")


def test_matches_the_reference_for_hazard_ratios_of_common_outcomes(reference, assert_close):
    result = reference("evalue")["hr_common_outcome"]
    found = [compute_e_value(ratio, measure="hazard ratio") for ratio in result["values"]["hr"]]
    assert_close([one.risk_ratio for one in found], result["values"]["rr"], result["rtol"], what="risk ratio")
    assert_close([one.e_value for one in found], result["values"]["e"], result["rtol"], what="E-value")


def test_matches_the_reference_for_odds_ratios_of_common_outcomes(reference, assert_close):
    result = reference("evalue")["or_common_outcome"]
    found = [compute_e_value(ratio, measure="odds ratio").e_value for ratio in result["values"]["or"]]
    assert_close(found, result["values"]["e"], result["rtol"], what="E-value")


def test_matches_the_reference_for_the_limit(reference, assert_close):
    result = reference("evalue")["ci_rule"]
    values = result["values"]
    found = [
        compute_e_value(ratio, conf_low=low, conf_high=high, measure="risk ratio")
        for ratio, low, high in zip(values["rr"], values["lower"], values["upper"], strict=True)
    ]
    assert_close([one.e_value for one in found], values["e_point"], result["rtol"], what="E-value")
    assert_close([one.e_value_limit for one in found], values["e_ci"], result["rtol"], what="E-value of the limit")


def test_published_example_is_found_again():
    # VanderWeele & Ding 2017: RR 3.9 (1.8 to 8.7), E-value 7.26, of the limit 3.0
    found = compute_e_value(3.9, conf_low=1.8, conf_high=8.7, measure="risk ratio")
    assert round(found.e_value, 2) == 7.26
    assert round(found.e_value_limit, 1) == 3.0


@pytest.mark.parametrize("measure", ["hazard ratio", "odds ratio"])
def test_a_rare_outcome_takes_the_ratio_for_a_risk_ratio(measure):
    rare, plain = compute_e_value(2.0, measure=measure, outcome="rare"), compute_e_value(2.0, measure="risk ratio")
    assert rare.e_value == plain.e_value == pytest.approx(2 + 2**0.5)
    assert compute_e_value(2.0, measure=measure).e_value < rare.e_value


@pytest.mark.parametrize("ratio", [0.3, 0.8, 1.7])
@pytest.mark.parametrize("measure", ["risk ratio", "hazard ratio", "odds ratio"])
def test_a_ratio_and_its_inverse_have_the_same(ratio, measure):
    one, other = compute_e_value(ratio, measure=measure), compute_e_value(1 / ratio, measure=measure)
    assert one.e_value == pytest.approx(other.e_value, rel=1e-12)


def test_no_association_needs_no_confounder():
    found = compute_e_value(1.0, conf_low=0.8, conf_high=1.3, measure="hazard ratio")
    assert found.e_value == pytest.approx(1)
    assert found.e_value_limit == 1
    assert "includes no association" in found.describe()


def test_says_what_it_means_in_a_sentence():
    found = compute_e_value(1.8, conf_low=1.2, conf_high=2.7, measure="risk ratio")
    assert "at least 3.00 each" in found.describe()
    assert "1.69" in found.describe()
    assert found.tidy()["e_value"].tolist() == [found.e_value]
    without = compute_e_value(1.8, measure="risk ratio")
    assert np.isnan(without.glance()["e_value_limit"])
    assert without.describe().endswith("away.")
    with pytest.raises(OutcomeError, match="one number"):
        found.plot()


@pytest.mark.parametrize(("estimate", "limits", "how"), [
    (-0.4, {}, {}), (0.0, {}, {}), (float("nan"), {}, {}), (float("inf"), {}, {}), (2.0, {"conf_low": 1.0}, {}),
    (2.0, {"conf_low": 2.5, "conf_high": 3.0}, {}), (2.0, {"conf_low": -1, "conf_high": 3.0}, {}),
    (2.0, {}, {"measure": "difference"}), (2.0, {}, {"outcome": "frequent"}),
])  # fmt: skip
def test_what_is_no_ratio_is_refused(estimate, limits, how):
    with pytest.raises(OutcomeError):
        compute_e_value(estimate, **limits, **({"measure": "risk ratio"} | how))


@pytest.mark.parametrize("ratio", [1e300, 1e-300])
def test_a_ratio_of_any_size_has_an_e_value(ratio):
    assert np.isfinite(compute_e_value(ratio, measure="hazard ratio").e_value)
    assert compute_e_value(ratio, measure="risk ratio").e_value == pytest.approx(2e300, rel=1e-12)


@pytest.mark.parametrize("given", [None, "2", True, float("nan")])
def test_what_is_no_number_is_refused(given):
    with pytest.raises(OutcomeError, match="is no ratio"):
        compute_e_value(given, measure="risk ratio")
