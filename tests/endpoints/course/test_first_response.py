"""Time to the first response: an interval between two visits."""

import numpy as np

from aih_outcomes.endpoints.course.first_response import derive_first_response
from tests.endpoints.courses import followed, visits
from tests.endpoints.tables import same

LABS = visits(
    "seen 30 alt=5", "seen 90 alt=2", "seen 150", "never 30 alt=5", "never 200 alt=3", "open 90 igg=-", "at_once 20"
)


def test_statistics_rule_12_first_response_lies_between_the_last_visit_without_and_the_first_with() -> None:
    found = derive_first_response(followed(LABS))
    same(found.tidy(), """
        patient  status         last_without  onset  known_at  because
        at_once  met            -             20     20        criteria met
        never    not met        200           -      -         criteria not met
        open     not evaluable  -             -      -         no evaluable evaluation
        seen     met            90            150    150       criteria met
    """)  # fmt: skip
    intervals = found.to_intervals().frame
    same(intervals[np.isfinite(intervals["right"])], """
        patient left right
        at_once 0 20
        seen 90 150
    """)  # fmt: skip
    assert found.label == "First detected CBR"


def test_statistics_rule_12_who_never_responded_is_censored_at_the_last_evaluable_visit() -> None:
    outcome = derive_first_response(followed(LABS)).to_time_to_event(competing_within_days=0)
    same(outcome.frame, """
        patient  entry  exit  event
        at_once  0      20    First detected CBR
        never    0      200   censored
        seen     0      150   First detected CBR
    """)  # fmt: skip
    assert outcome.exclusions["n"].sum() == 1


def test_a_response_lost_and_regained_is_dated_at_the_first() -> None:
    found = derive_first_response(followed(visits("A 30 alt=5", "A 90", "A 150 alt=4", "A 210")))
    same(found.tidy(), """
        patient last_without onset
        A 30 90
    """)  # fmt: skip


def test_who_was_in_response_before_being_first_seen_is_not_at_risk() -> None:
    referred = "patient first_seen_date\nA 100\nB 100"
    found = derive_first_response(followed(visits("A 60", "A 120", "B 60 alt=5", "B 120"), patients=referred))
    same(found.tidy(), """
        patient  status         at_risk_from  onset  because
        A        not evaluable  -             60     in response before being first seen
        B        met            100           120    criteria met
    """)  # fmt: skip
