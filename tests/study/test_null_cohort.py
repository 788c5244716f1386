"""The null cohort: response has nothing to do with survival, and only the honest designs say so (truth T5)."""

import pytest

import aih_outcomes as aih
from aih_outcomes.outcomes import Groups, TimeToEvent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def null() -> tuple[TimeToEvent, Groups, Groups]:
    """1,500 children without any effect of response; hazards raised so that so many suffice."""
    cohort = aih.simulate_cohort(20240130, 1500, response_effect="none", hazard="high", composite_child="left out")
    response = aih.derive_response(cohort, aih.read_definition("iaihg-2022"))
    outcome = aih.derive_time_to_event(cohort, aih.read_endpoint("native-liver-survival"), time_zero="induction")
    return outcome, aih.attained_by(response, 182), aih.ever_attained(response)


def ratio(result):
    row = result.tidy().iloc[0]
    return row["hr_low"], row["hr_high"]


def test_the_landmark_interval_holds_one(null):
    outcome, by_six_months, _ = null
    low, high = ratio(aih.fit_cox(aih.landmark(outcome, by_six_months, day=182), by="group"))
    assert low < 1 < high
    assert high / low < 2  # with so many events an interval that holds 1 is not just a wide one


def test_the_time_varying_interval_holds_one(null):
    outcome, _, ever = null
    low, high = ratio(aih.fit_cox(aih.time_varying(outcome, ever), by="group"))
    assert low < 1 < high


def test_the_comparison_from_day_0_is_far_from_one_and_says_that_it_is_biased(null):
    outcome, _, ever = null
    naive = aih.naive_comparison(outcome, ever, never="Not yet in response")
    assert ratio(naive.cox)[1] < 0.7
    assert "biased" in naive.describe()
    assert naive.tidy()["design"].str.contains("biased").all()


def test_the_guard_refuses_the_same_comparison_without_its_name(null):
    outcome, by_six_months, _ = null
    with pytest.raises(aih.ImmortalTimeError, match="landmark"):
        aih.fit_cox(outcome, by=by_six_months)
