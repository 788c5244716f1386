"""Groups compared where another event may come first: cause-specific ratio, difference of cumulative incidence."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.outcomes import TimeToEvent


def outcome(ends, arms, label="death", competing=("transplant",)):
    frame = pd.DataFrame({"t": range(3, 3 + len(ends)), "end": list(ends), "arm": pd.Categorical(list(arms))})
    return TimeToEvent.from_frame(
        frame, exit="t", event="end", covariates=["arm"], label=label, competing=list(competing)
    )


ENDS = ["death", "transplant", "censored", "death", "transplant", "death", "censored", "transplant"] * 4
ARMS = ["a", "b", "b", "a", "a", "b"] * 5 + ["a", "b"]


def test_ratio_and_test_are_those_of_the_cause_specific_hazard():
    found = compare_groups(outcome(ENDS, ARMS), by="arm")
    hazards = outcome(ENDS, ARMS).cause_specific()
    ratio = found.tidy().query("measure == 'hazard_ratio'")["estimate"].item()
    assert ratio == pytest.approx(fit_cox(hazards, by="arm").tidy()["hazard_ratio"].item())
    assert found.log_rank.statistic == pytest.approx(compare_survival(hazards, by="arm").statistic)
    assert found.survival is None
    assert found.glance()["competing"] == ("transplant",)
    assert found.sizes["n_event"].sum() == ENDS.count("death")


def test_risk_is_less_than_one_minus_kaplan_meier_would_say():
    """By hand: 1 of 5 dies, then 2 of 4 are transplanted, then 1 of 2 dies: 1/5 + 4/5 · 1/2 · 1/2."""
    frame = pd.DataFrame({
        "t": [1, 2, 2, 3, 9, 1, 9, 9, 9, 9], "arm": ["a"] * 5 + ["b"] * 5,
        "end": ["death", "transplant", "transplant", "death", "censored", "death", *["censored"] * 4],
    })  # fmt: skip
    frame = pd.concat([frame] * 5, ignore_index=True)
    data = TimeToEvent.from_frame(
        frame, exit="t", event="end", covariates=["arm"], label="death", competing=["transplant"]
    )
    found = compare_groups(data, by="arm", horizon=3).tidy().set_index("measure")["estimate"]
    assert found["risk_difference"] == pytest.approx(1 / 5 - (1 / 5 + 4 / 5 * 1 / 2 * 1 / 2))
    # Time lost by day 3: 2 days of everyone who died on day 1; who dies on day 3 loses none.
    assert found["time_lost_difference"] == pytest.approx(0)


def test_several_kinds_of_the_event_count_as_one():
    ends = [{"death": "liver death" if n % 2 else "other death"}.get(end, end) for n, end in enumerate(ENDS)]
    one, merged = (compare_groups(outcome(e, ARMS), by="arm").tidy() for e in (ENDS, ends))
    pd.testing.assert_frame_equal(merged, one)


def test_statistics_rule_20_the_horizon_is_the_last_time_with_five_at_risk_in_both():
    data = outcome(ENDS, ARMS)
    found = compare_groups(data, by="arm")
    last = [
        max(t for t in data.exit[data.frame["arm"] == arm] if np.sum(data.exit[data.frame["arm"] == arm] >= t) >= 5)
        for arm in "ab"
    ]
    assert found.glance()["horizon"] == min(last)
    late = compare_groups(data, by="arm", horizon=max(last) + 1)
    assert late.tidy().query("measure != 'hazard_ratio'")["estimate"].isna().all()
    assert "5 at risk" in late.describe()


def test_says_what_competes():
    said = compare_groups(outcome(ENDS, ARMS), by="arm").describe()
    assert "Cause-specific hazard ratio" in said
    assert "cumulative incidence" in said
    assert "transplant competing" in said


def test_one_group_and_no_event_of_interest_are_answered_with_the_reason():
    alone = compare_groups(outcome(ENDS, ["a"] * len(ENDS)), by="arm")
    assert alone.tidy().empty
    assert "only one group" in alone.describe()
    quiet = compare_groups(outcome([end.replace("death", "censored") for end in ENDS], ARMS), by="arm")
    assert quiet.tidy().query("measure == 'hazard_ratio'")["estimate"].isna().all()
    assert quiet.tidy().query("measure == 'risk_difference'")["estimate"].item() == 0
    assert quiet.tidy().query("measure == 'risk_difference'")["conf_low"].isna().all()


def test_a_change_of_unit_changes_times_alone():
    found = compare_groups(outcome(ENDS, ARMS), by="arm")
    days, years = (found.tidy(unit=unit).set_index("measure") for unit in ("days", "years"))
    assert years.loc["risk_difference", "estimate"] == days.loc["risk_difference", "estimate"]
    lost = "time_lost_difference"
    assert years.loc[lost, "estimate"] == pytest.approx(days.loc[lost, "estimate"] / 365.25)
    assert years.loc[lost, "time"] == pytest.approx(days.loc[lost, "time"] / 365.25)
