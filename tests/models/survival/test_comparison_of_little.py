"""What a comparison says when there is little to compare: not estimable, with the reason, and no traceback."""

import pandas as pd
import pytest

from aih_outcomes.models.survival.comparison import compare_groups
from aih_outcomes.outcomes import TimeToEvent


def outcome(event, group):
    frame = pd.DataFrame({"t": range(3, 3 + len(event)), "e": event, "group": pd.Categorical(group)})
    return TimeToEvent.from_frame(frame, exit="t", event="e", covariates=["group"])


def test_one_group_is_described_and_not_compared():
    alone = compare_groups(outcome([1, 0, 1, 0, 0, 1], ["a"] * 6), by="group")
    assert alone.tidy().empty
    assert list(alone.tidy().columns)[:3] == ["label", "strata", "term"]
    assert "only one group" in alone.describe()
    assert alone.survival.tidy()["strata"].eq("a").all()


def test_without_an_event_nothing_is_estimable_and_the_reason_is_said():
    quiet = compare_groups(outcome([0] * 12, ["a", "b"] * 6), by="group")
    ratio = quiet.tidy().query("measure == 'hazard_ratio'")
    assert ratio["estimate"].isna().all()
    assert "no event" in quiet.describe()


def test_one_patient_is_described():
    single = compare_groups(outcome([1], ["a"]), by="group")
    assert "Not estimable" in single.describe()


@pytest.mark.parametrize("event", [[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]])
def test_a_group_without_events_has_no_finite_hazard_ratio(event):
    separated = compare_groups(outcome(event, ["a"] * 4 + ["b"] * 4), by="group")
    assert separated.tidy().query("measure == 'hazard_ratio'")["estimate"].isna().all()
    assert separated.cox.not_estimable


def test_a_small_group_without_events_leaves_the_main_contrast_as_it_is():
    """R gives the same ratio of b against a with and without the group c, whose own ratio goes to 0."""
    event, group = [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0], ["a", "b"] * 6
    with_c = compare_groups(outcome([*event, 0, 0], [*group, "c", "c"]), by="group", horizon=5).tidy()
    without = compare_groups(outcome(event, group), by="group", horizon=5).tidy()
    ratio = with_c.query("measure == 'hazard_ratio'").set_index("strata")["estimate"]
    assert ratio["b"] == pytest.approx(without.query("measure == 'hazard_ratio'")["estimate"].iloc[0], rel=1e-9)
    assert pd.isna(ratio["c"])
    difference = with_c.query("measure == 'risk_difference'").set_index("strata")["estimate"]
    assert pd.notna(difference["b"])
    assert pd.isna(difference["c"])


def test_without_an_event_a_difference_has_no_interval():
    quiet = compare_groups(outcome([0] * 20, ["a", "b"] * 10), by="group", horizon=5).tidy()
    difference = quiet.query("measure == 'risk_difference'").iloc[0]
    assert difference["estimate"] == 0
    assert pd.isna(difference["conf_low"])
