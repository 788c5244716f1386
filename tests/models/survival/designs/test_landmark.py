"""The landmark: who is kept, who is left out and why."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.naive import naive_comparison
from aih_outcomes.outcomes import Groups, RecurrentEvents, TimeToEvent

# patient, followed from, until, event, label, known on day
STORY = [
    ("responds", 0, 900, 1, "yes", 90),
    ("known on the landmark day", 0, 800, 0, "no", 182),
    ("known a day late", 0, 700, 1, "yes", 183),
    ("never known", 0, 600, 0, "yes", np.nan),
    ("dies on the landmark day", 0, 182, 1, "no", 182),
    ("dies before", 0, 100, 1, "no", 50),
    ("lost before", 0, 182, 0, "yes", 90),
    ("referred later, status documented", 400, 950, 1, "yes", 120),
    ("referred later, status unknown", 400, 990, 0, "no", 500),
    ("seen first and dead on the landmark day", 182, 182, 1, "yes", 182),
]


@pytest.fixture
def story():
    frame = pd.DataFrame(STORY, columns=["id", "entry", "exit", "event", "label", "known_at"])
    outcome = TimeToEvent.from_frame(
        frame, entry="entry", exit="exit", event="event", patient_id="id", label="death", time_zero="first dose"
    )
    rows = frame.assign(patient_id=frame["id"], onset=frame["known_at"])[["patient_id", "label", "onset", "known_at"]]
    return outcome, Groups(rows, "response", ("no", "yes"), time_zero="first dose", landmark=182)


def test_keeps_who_is_followed_beyond_the_landmark_with_a_known_status(story):
    kept = landmark(*story, day=182).frame.set_index("patient_id")
    assert kept.index.tolist() == ["responds", "known on the landmark day", "referred later, status documented"]
    assert kept["entry"].tolist() == [0, 0, 218]
    assert kept["exit"].tolist() == [718, 618, 768]
    assert kept["group"].tolist() == ["yes", "no", "yes"]


def test_counts_who_is_left_out_by_reason_with_their_events(story):
    left_out = landmark(*story, day=182).exclusions
    assert left_out.to_numpy().tolist() == [
        ["event on or before the landmark", 3, 3],
        ["censored on or before the landmark", 1, 0],
        ["not yet followed at the landmark, status not documented", 1, 0],
        ["membership not known at the landmark", 2, 1],
    ]
    assert left_out["n"].sum() + 3 == len(STORY)


def test_names_itself_and_its_clock(story):
    outcome = landmark(*story, day=182)
    assert outcome.design == "landmark at day 182: response"
    assert outcome.time_zero == "day 182 after first dose"
    assert outcome.covariates == ("group",)
    said = estimate_survival(outcome, by="group").describe()
    assert "Prognostic association, not a treatment effect." in said


@pytest.mark.parametrize(
    ("day", "problem"),
    [(181, "window to day 182"), (182.5, "whole number"), (-1, "whole number"), (True, "whole number")],
)
def test_a_landmark_is_a_day_not_before_the_end_of_the_window(day, problem, story):
    with pytest.raises(OutcomeError, match=problem):
        landmark(*story, day=day)


def test_nobody_left_is_an_error(story):
    with pytest.raises(OutcomeError, match="None of 10 patients"):
        landmark(*story, day=5000)


def test_groups_are_fixed_once(story):
    outcome, groups = story
    with pytest.raises(OutcomeError, match="first dose"):
        landmark(landmark(outcome, groups, day=182), groups, day=365)


def test_the_naive_comparison_says_so_in_every_place(story):
    comparison = naive_comparison(*story, never="no", horizon=None)
    words = "comparison from day 0 (biased)"
    assert comparison.tidy()["label"].str.contains(words, regex=False).all()
    assert comparison.tidy()["design"].str.startswith(words).all()
    assert comparison.tidy()["biased"].all()
    assert words in comparison.describe()
    assert words in comparison.survival.describe()
    assert words in comparison.cox.describe()
    assert words in comparison.log_rank.describe()
    assert comparison.glance()["design"].startswith(words)
    assert comparison.outcome.n_patients == len(STORY)


def test_who_had_a_competing_event_before_the_landmark_is_counted_as_such():
    frame = pd.DataFrame({"id": ["a", "b", "c"], "exit": [100, 120, 900], "event": ["transplant", "death", "censored"]})
    outcome = TimeToEvent.from_frame(
        frame, exit="exit", event="event", patient_id="id", label="death", competing=["transplant"]
    )
    known = pd.DataFrame({"patient_id": list("abc"), "label": "yes", "onset": 30.0, "known_at": 30.0})
    left = landmark(outcome, Groups(known, "response", ("yes",)), day=182).exclusions
    assert left.to_numpy().tolist() == [
        ["event on or before the landmark", 1, 1], ["competing event on or before the landmark", 1, 0],
    ]  # fmt: skip


def test_only_what_is_terminal_before_the_landmark_leaves_a_patient_with_recurrent_events_out():
    rows = [("a", 0, 90, "flare"), ("a", 90, 300, "flare"), ("a", 300, 400, "censored"), ("b", 0, 182, "flare"),
            ("b", 182, 182, "death"), ("c", 0, 150, "censored")]  # fmt: skip
    frame = pd.DataFrame(rows[::-1], columns=["id", "start", "stop", "what"])
    outcome = RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["death"], label="flare"
    )
    known = pd.DataFrame({"patient_id": list("abc"), "label": "yes", "onset": 30.0, "known_at": 30.0})
    start = landmark(outcome, Groups(known, "response", ("yes",)), day=182)
    assert sorted(start.frame[["entry", "exit"]].to_numpy().tolist()) == [[0, 118], [118, 218]]
    assert start.event.sum() == 1
    assert start.exclusions.to_numpy().tolist() == [
        ["terminal event on or before the landmark", 1, 1], ["censored on or before the landmark", 1, 0],
    ]  # fmt: skip
