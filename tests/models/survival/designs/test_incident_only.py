"""The sensitivity analysis for late referral leaves out who was first seen after time zero, and counts them."""

import pandas as pd

from aih_outcomes.models.survival.designs.landmark import incident_only, landmark
from aih_outcomes.outcomes import Groups, TimeToEvent

ROWS = pd.DataFrame(
    {"id": ["a", "b", "c", "d"], "entry": [0, 30, 0, 200], "exit": [400, 500, 600, 700], "event": [1, 1, 0, 0]}
)


def test_late_referrals_are_counted_with_their_events():
    outcome = TimeToEvent.from_frame(ROWS, exit="exit", event="event", entry="entry", patient_id="id")
    kept = incident_only(outcome)
    assert kept.frame["patient_id"].tolist() == ["a", "c"]
    assert kept.exclusions[["reason", "n", "n_event"]].to_numpy().tolist() == [["first seen after time zero", 2, 1]]


def test_the_design_of_a_landmark_says_so():
    outcome = incident_only(TimeToEvent.from_frame(ROWS, exit="exit", event="event", entry="entry", patient_id="id"))
    frame = pd.DataFrame({"patient_id": ["a", "c"], "label": ["x", "y"], "onset": 0.0, "known_at": [10.0, 20.0]})
    at_landmark = landmark(outcome, Groups(frame, "groups", ("x", "y")), day=100)
    assert at_landmark.design == "landmark at day 100: groups, incident patients only"
