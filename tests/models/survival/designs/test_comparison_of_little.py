"""What a comparison says when there is little to compare: not estimable, with the reason, and no traceback."""

import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.designs.comparison import compare_groups
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


def adjusted(missing):
    """Events of c lie only where the covariate is missing; a and b have both events and values."""
    event, group = [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0], ["a", "b"] * 6
    frame = pd.DataFrame(
        {
            "t": range(3, 19),
            "e": [*event, 1, 0, 1, 0],
            "group": pd.Categorical([*group, "c", "c", "c", "b"]),
            "age": [4.0, 9, 2, 12, 7, 5, 11, 3, 8, 6, 10, 13, None, 5, None, None],
        }
    )
    outcome = TimeToEvent.from_frame(frame, exit="t", event="e", covariates=["group", "age"])
    return compare_groups(outcome, by="group", covariates=["age"], horizon=5, missing=missing)


def test_a_group_whose_only_events_lack_a_covariate_leaves_the_adjusted_contrast_as_it_is():
    """The rows without a value leave first; what is then a group without events leaves the others' ratio as it is."""
    found = adjusted("exclude")
    assert found.cox.not_estimable is None
    alone = pd.DataFrame({"t": range(3, 15), "e": [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0], "group": ["a", "b"] * 6,
                          "age": [4.0, 9, 2, 12, 7, 5, 11, 3, 8, 6, 10, 13]})  # fmt: skip
    plain = fit_cox(
        TimeToEvent.from_frame(alone, exit="t", event="e", covariates=["group", "age"]), by="group", covariates=["age"]
    )
    ratio = found.tidy().query("measure == 'hazard_ratio'").set_index("strata")["estimate"]
    assert ratio["b"] == pytest.approx(plain.tidy()["hazard_ratio"].iloc[0], rel=1e-9)
    assert pd.isna(ratio["c"])
    assert found.cox.n_missing == 3
    assert found.sizes["n_event"].tolist() == [4, 3, 2]
    assert "without a hazard ratio: c" in found.describe()


def test_rows_that_lack_a_covariate_are_refused_unless_they_are_to_be_left_out():
    with pytest.raises(OutcomeError, match="3 of 15 rows of 'event' lack a covariate"):
        adjusted("raise")


def test_a_covariate_that_is_not_declared_is_refused():
    with pytest.raises(OutcomeError, match=r"1 term\(s\) are unknown: weight"):
        compare_groups(outcome([1, 0, 1, 1], ["a", "b"] * 2), by="group", covariates=["weight"])
