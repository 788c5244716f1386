"""Medians by visit."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.trajectories import describe_trajectories
from aih_outcomes.outcomes import Groups, RepeatedMeasures

VISITS = {"start": (-14, 0, 0), "month 6": (150, 182, 212)}
VALUES = [
    ("a", 0, 10.0), ("a", 170, 4.0), ("a", 190, 2.0), ("a", 400, 1.0),
    ("b", -10, 20.0), ("b", -3, 12.0), ("b", 192, 3.0), ("b", 172, 6.0),
    ("c", 0, 8.0), ("c", 182, 5.0), ("c", 182, 7.0),
]  # fmt: skip


def measures(analyte="alt"):
    frame = pd.DataFrame(VALUES, columns=["id", "day", "value"]).assign(sex=[*"ffff", *"mmmm", *"fff"])
    return RepeatedMeasures.from_frame(
        frame,
        patient_id="id",
        time="day",
        value="value",
        covariates=["sex"],
        label="ALT",
        analyte=analyte,
        unit="× ULN",
    )


def groups(analytes=("alt",)):
    frame = pd.DataFrame(
        {"patient_id": ["a", "b"], "label": ["yes", "no"], "onset": [90.0, 182.0], "known_at": [90.0, 182.0]}
    )
    return Groups(frame, "response", ("no", "yes"), analytes=analytes)


def test_a_visit_is_the_value_nearest_its_day_the_earlier_of_two_never_the_worst():
    tidy = describe_trajectories(measures(), visits=VISITS).tidy()
    assert tidy[["term", "time", "n"]].to_numpy().tolist() == [["start", 0.0, 3], ["month 6", 182.0, 3]]
    # start: 10, 12, 8; month 6: 2 (day 190), 6 (day 172 before 192), 6 (two values of day 182 averaged)
    assert tidy["estimate"].tolist() == [10.0, 6.0]
    assert tidy["conf_low"].tolist() == [9.0, 4.0]


def test_values_outside_the_windows_are_counted():
    result = describe_trajectories(measures(), visits=VISITS)
    assert result.glance()["n_outside_windows"] == 1
    assert "outside the visit windows" in result.describe()


def test_groups_selected_on_the_outcome_say_so_everywhere_and_have_no_p_value():
    result = describe_trajectories(measures(), by=groups(), visits=VISITS)
    tidy = result.tidy()
    assert tidy["label"].eq("ALT, selected on the outcome").all()
    assert tidy["design"].str.startswith("selected on the outcome").all()
    assert "Selected on the outcome" in result.describe()
    assert "p_value" not in tidy
    assert tidy["strata"].unique().tolist() == ["no", "yes", "not known"]


def test_groups_known_only_later_are_named_so():
    result = describe_trajectories(measures("bilirubin"), by=groups(), visits=VISITS)
    assert result.glance()["design"] == "groups known only later"
    assert "a description, not a comparison" in result.describe()


def test_a_covariate_is_a_group():
    tidy = describe_trajectories(measures(), by="sex", visits=VISITS).tidy()
    assert tidy.groupby("strata")["n"].sum().to_dict() == {"f": 4, "m": 2}


def test_nominal_days_reach_half_way_to_the_next():
    result = describe_trajectories(measures(), visits=[0, 182, 365])
    assert list(result.windows) == ["day 0", "day 182", "day 365"]
    assert result.tidy()["n"].tolist() == [3, 3, 1]
    assert result.glance()["n_outside_windows"] == 0


@pytest.mark.parametrize("visits", [{}, {"a": (0, 20, 10)}, {"a": (0, 5, 10), "b": (10, 15, 20)}])
def test_windows_hold_their_day_and_do_not_overlap(visits):
    with pytest.raises(OutcomeError, match="visit window"):
        describe_trajectories(measures(), visits=visits)


def test_row_order_changes_nothing():
    one = describe_trajectories(measures(), visits=VISITS).tidy()
    frame = measures().frame.iloc[::-1].reset_index(drop=True)
    turned = RepeatedMeasures(frame, "ALT", "alt", "× ULN", covariates=("sex",))
    other = describe_trajectories(turned, visits=VISITS).tidy()
    assert np.array_equal(
        one[["n", "estimate", "conf_low"]].to_numpy(float), other[["n", "estimate", "conf_low"]].to_numpy(float)
    )
