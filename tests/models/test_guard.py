"""Nobody is compared from a time before anyone could know who belongs where."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.guard import check_known_at_entry, join_groups, require_time_to_event
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.outcomes import Groups, IntervalTime, RepeatedMeasures, TimeToEvent


def followed(entry=0, **more):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "entry": entry, "exit": [900, 800, 700], "event": [1, 0, 1], **more})
    return TimeToEvent.from_frame(
        frame, entry="entry", exit="exit", event="event", patient_id="id", covariates=list(more), label="death",
        time_zero="first dose",
    )  # fmt: skip


def groups(known_at, label=("responder", "non-responder", "responder"), **more):
    frame = pd.DataFrame({"patient_id": ["a", "b", "c"], "label": label, "onset": known_at, "known_at": known_at})
    return Groups(frame, "response", ("non-responder", "responder"), **{"time_zero": "first dose", **more})


def values(time, analyte="bilirubin", patient_id=("a", "b", "c")):
    frame = pd.DataFrame({"id": patient_id, "time": time, "value": [1.0, 2.0, 3.0]})
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="time", value="value", analyte=analyte, time_zero="first dose"
    )


def test_says_how_many_until_when_and_the_three_ways_out():
    with pytest.raises(ImmortalTimeError) as refused:
        check_known_at_entry(followed(), groups([90.0, 182.0, 120.0], landmark=182))
    said = str(refused.value)
    assert said.startswith(
        "These 3 of 3 patients had to survive without the event (death) until month 6 (day 182) to be called"
    )
    for way in ("landmark(outcome, groups, day=182)", "time_varying(outcome, groups)", "multi-state"):
        assert way in said
    assert refused.value.exit_code == 6


def test_names_no_day_of_a_single_patient():
    with pytest.raises(ImmortalTimeError) as refused:
        check_known_at_entry(followed(), groups([0.0, 0.0, 137.0]))
    assert str(refused.value).startswith("These 1 of 3 patients")
    assert "137" not in str(refused.value)


def test_membership_that_never_became_known_is_refused():
    with pytest.raises(ImmortalTimeError, match="These 1 of 3"):
        check_known_at_entry(followed(), groups([0.0, np.nan, 0.0]))


def test_membership_known_at_entry_passes():
    check_known_at_entry(followed(), groups([-30.0, 0.0, -1.0]))
    check_known_at_entry(followed(entry=182), groups([90.0, 182.0, 120.0]))


def test_groups_known_at_entry_enter_as_a_category_in_their_order():
    frame = join_groups(followed(), groups([-30.0, 0.0, -1.0]))
    assert frame["group"].tolist() == ["responder", "non-responder", "responder"]
    assert frame["group"].cat.categories.tolist() == ["non-responder", "responder"]


def test_another_clock_is_refused():
    with pytest.raises(OutcomeError, match="one clock"):
        check_known_at_entry(followed(), groups([0.0, 0.0, 0.0], time_zero="diagnosis"))


def test_a_patient_without_a_group_is_not_put_into_one():
    known = groups([0.0, 0.0, 0.0])
    some = Groups(known.frame.iloc[:2], known.name, known.levels, known.time_zero)
    with pytest.raises(OutcomeError, match="1 of 3 rows"):
        join_groups(followed(), some)
    with pytest.raises(OutcomeError, match="1 of 3 rows"):
        join_groups(followed(sex=["f", None, "m"]), "sex")


def test_an_undeclared_column_is_refused():
    with pytest.raises(OutcomeError, match="not among the covariates"):
        join_groups(followed(), "sex")


def test_numbers_are_levels_in_their_own_order():
    assert join_groups(followed(stage=[10, 2, 2]), "stage")["group"].cat.categories.tolist() == ["2", "10"]


def test_statistics_rule_7_a_mixed_model_from_before_membership_was_known_is_refused():
    with pytest.raises(ImmortalTimeError, match="be followed until"):
        fit_random_effects(values([0, 200, 300]), by=groups([90.0, 182.0, 120.0]))


def test_values_from_after_membership_was_known_pass():
    check_known_at_entry(values([90, 200, 300]), groups([90.0, 182.0, 120.0]))


def test_statistics_rule_7_an_analyte_that_decides_the_groups_is_only_described():
    with pytest.raises(ImmortalTimeError, match="describe_trajectories"):
        check_known_at_entry(values([400, 500, 600], "alt"), groups([90.0, 182.0, 120.0], analytes=("alt", "ast")))


INTERVALS = IntervalTime(pd.DataFrame({"patient_id": ["a"], "left": [0.0], "right": [9.0]}), "loss")


@pytest.mark.parametrize("model", [estimate_survival, fit_cox, compare_groups, require_time_to_event])
def test_a_survival_model_names_the_models_of_intervals(model):
    more = {"by": "group"} if model is compare_groups else {}
    with pytest.raises(
        OutcomeError, match=r"IntervalTime is no TimeToEvent.*fit_interval_hazards.*to_time_to_event\(\)"
    ):
        model(INTERVALS, **more)


@pytest.mark.parametrize("model", [estimate_survival, fit_cox])
@pytest.mark.parametrize("given", [pd.DataFrame({"t": [1]}), None])
def test_what_is_no_outcome_is_refused_with_the_way_to_one(model, given):
    with pytest.raises(OutcomeError, match=r"no TimeToEvent.*TimeToEvent\.from_frame"):
        model(given)


def test_two_clocks_are_refused_with_the_argument_that_sets_them():
    with pytest.raises(OutcomeError, match='time_zero="induction"'):
        check_known_at_entry(followed(), groups([0.0, 0.0, 0.0], time_zero="diagnosis"))
