"""Groups and the event as states: the multi-state way out of the guard."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.designs.multi_state import as_states
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.models.survival.states.state_occupation import estimate_state_occupation
from aih_outcomes.models.survival.states.transition_probabilities import estimate_transitions
from aih_outcomes.outcomes import Groups, TimeToEvent


def told(rows, changes, levels=("no", "yes"), **how):
    frame = pd.DataFrame(rows, columns=["id", "entry", "exit", "event"])
    outcome = TimeToEvent.from_frame(
        frame, entry="entry", exit="exit", event="event", patient_id="id", **{"label": "death"} | how
    )
    known = pd.DataFrame(changes, columns=["patient_id", "label", "known_at"])
    return outcome, Groups(known.assign(onset=known["known_at"]), "status", levels)


def listed(history):
    return history.frame[["patient_id", "entry", "exit", "from_state", "to_state"]].to_numpy().tolist()


def test_a_change_is_a_transition_and_an_event_on_its_day_belongs_to_the_state_before():
    rows = [("a", 0, 90, 1), ("b", 0, 50, 1), ("c", 30, 80, 0)]
    history = as_states(*told(rows, [("a", "yes", 40.0), ("b", "yes", 50.0), ("c", "yes", 10.0)]))
    assert listed(history) == [
        ["a", 0, 40, "undetermined", "yes"], ["a", 40, 90, "yes", "death"], ["b", 0, 50, "undetermined", "death"],
        ["c", 30, 80, "yes", "censored"],
    ]  # fmt: skip
    assert history.states == ("undetermined", "yes", "death")


def test_states_may_change_back_and_competing_events_are_states_of_their_own():
    rows = [("a", 0, 90, "transplant"), ("b", 0, 70, "death")]
    changes = [("a", "yes", 10.0), ("a", "no", 30.0), ("a", "yes", 60.0)]
    history = as_states(*told(rows, changes, competing=["transplant"]))
    assert [row[3:] for row in listed(history)] == [
        ["undetermined", "yes"], ["yes", "no"], ["no", "yes"], ["yes", "transplant"], ["undetermined", "death"],
    ]  # fmt: skip
    assert history.states == ("undetermined", "no", "yes", "death", "transplant")


def test_a_group_named_as_the_event_is_refused():
    with pytest.raises(OutcomeError, match="yes is a group of 'status' and an event"):
        as_states(*told([("a", 0, 9, "yes")], [("a", "yes", 3.0)]))


def test_a_gap_in_observation_is_no_transition():
    history = as_states(*told([("a", 0, 10, 0), ("a", 20, 30, 1)], [("a", "yes", 15.0)]))
    assert listed(history) == [["a", 0, 10, "undetermined", "censored"], ["a", 20, 30, "yes", "death"]]


def test_covariates_and_weights_are_kept():
    frame = pd.DataFrame({"id": ["a", "b"], "t": [9, 8], "e": [1, 0], "age": [3, 4], "w": [1.0, 2.0]})
    outcome = TimeToEvent.from_frame(
        frame, exit="t", event="e", patient_id="id", weight="w", covariates=["age"], label="death"
    )
    history = as_states(outcome, told([], [("a", "yes", 3.0)])[1])
    assert history.covariates == ("age",)
    assert history.weight.tolist() == [1, 1, 2]
    assert history.frame["age"].tolist() == [3, 3, 4]


def test_hazards_of_the_event_are_those_of_status_changing_with_time(pbcseq, ever_responded):
    """Nelson-Aalen of each transition into the event is that of the Simon-Makuch curve of its group."""
    history = as_states(pbcseq, ever_responded)
    hazards = estimate_transitions(history, from_day=0).cumulative_hazards()
    curves = estimate_survival(time_varying(pbcseq, ever_responded), by="group", from_day=0)
    event = history.states[-1]
    for level in ("undetermined", "responder"):
        own = hazards[(hazards["term"] == level) & (hazards["state"] == event)]
        assert len(own) > 5
        same = curves.at(own["time"].tolist()).query("strata == @level")
        assert own["estimate"].to_numpy(float) == pytest.approx(same["cumulative_hazard"].to_numpy(float))


def test_the_ratio_of_these_hazards_is_the_time_varying_cox_model(pbcseq, ever_responded):
    history = as_states(pbcseq, ever_responded)
    rows = history.frame.assign(event=(history.frame["to_state"] == history.states[-1]).astype(int))
    rows["state"] = pd.Categorical(rows["from_state"], ["undetermined", "responder"])
    outcome = TimeToEvent.from_frame(
        rows, entry="entry", exit="exit", event="event", patient_id="patient_id", covariates=["state"]
    )
    one = fit_cox(outcome, by="state").tidy()["estimate"].item()
    other = fit_cox(time_varying(pbcseq, ever_responded), by="group").tidy()["estimate"].item()
    assert one == pytest.approx(other, rel=1e-10)


def test_says_the_words_of_rule_21(pbcseq, ever_responded):
    history = as_states(pbcseq, ever_responded)
    assert history.design == "multi-state: normal bilirubin"
    occupied = estimate_state_occupation(history).at([1826])
    assert occupied["estimate"].sum() == pytest.approx(1)
    assert np.isfinite(occupied["std_error"].to_numpy(float)).all()
