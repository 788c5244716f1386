"""From what was found when someone looked to an outcome: clocks, competing events, and who is left out."""

import pytest

from aih_outcomes.endpoints.course.withdrawal import derive_treatment_restart
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.events.liver_events import derive_cirrhosis
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.timelines import derive_timelines
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from tests.endpoints.tables import cohort, iaihg, same

STOPPED = """
    patient drug start stop indication
    again prednisolone 0 100 aih
    again azathioprine 300 - aih
    died prednisolone 0 200 aih
    free prednisolone 0 470 aih
    on prednisolone 0 - aih
    on_too prednisolone 0 - aih
"""
FOLLOWED = """
    patient start end end_reason end_source
    again 0 2000 ongoing visit
    died 0 900 death visit
    free 0 2000 ongoing visit
    on 0 2000 ongoing visit
    on_too 0 2000 ongoing visit
"""


def restarts() -> Detection:
    """Off treatment, known on its 30th day: again 130 to 300, died 230 to 900, free 500 to 2000."""
    made = cohort(
        treatments=STOPPED, steroid=False, follow_up=FOLLOWED,
        events="patient day kind\ndied 900 death\non_too 700 transplant",
    )  # fmt: skip
    return derive_treatment_restart(derive_response(made, iaihg()))


def test_who_is_not_evaluable_is_counted_by_reason_with_deaths_and_transplants() -> None:
    outcome = restarts().to_time_to_event()
    same(outcome.exclusions, """
        reason           n  n_event
        never withdrawn  2  1
    """)  # fmt: skip
    assert len(outcome.frame) + outcome.exclusions["n"].sum() == 5


def test_who_has_no_time_zero_is_counted_too() -> None:
    made = cohort(
        patients="patient sex\ntreated female\nuntreated male\ndead male",
        treatments="patient drug start\ntreated prednisolone 0",
        steroid=False,
        events="patient day kind\ndead 90 death",
    )
    same(derive_treatment_restart(derive_response(made, iaihg())).to_time_to_event().exclusions, """
        reason                                      n  n_event
        No first dose of induction steroid recorded  2  1
        never withdrawn                             1  0
    """)  # fmt: skip


def test_reasons_of_several_kinds_are_grouped() -> None:
    timelines = derive_timelines(
        cohort(biopsies="patient day ishak_fibrosis\nold 10 5\nold_too 20 6\nonce 0 2\nlate 800 5"),
        time_zero="diagnosis",
    )
    same(derive_cirrhosis(timelines).to_time_to_event().exclusions, """
        reason                       n  n_event
        cirrhosis at diagnosis       2  0
        cirrhosis at the first look  1  0
        never shown to be absent     1  0
    """)  # fmt: skip


def test_statistics_rule_12_the_clock_of_cohort_and_endpoint_or_the_patients_own() -> None:
    found = restarts()
    same(found.to_time_to_event(competing_within_days=0).frame, """
        patient  entry  exit  event
        again    130    300   Treatment begun again
        died     230    900   censored
        free     500    2000  censored
    """)  # fmt: skip
    own = found.to_time_to_event(competing_within_days=0, clock="at risk")
    same(own.frame, """
        patient  entry  exit  event
        again    0      170   Treatment begun again
        died     0      670   censored
        free     0      1500  censored
    """)  # fmt: skip
    assert own.time_zero == "the day at risk (Treatment begun again)"
    assert own.exclusions["n"].tolist() == [2]


def test_by_hand_one_of_three_at_risk_from_the_day_of_stopping_begins_again() -> None:
    own = restarts().to_time_to_event(competing_within_days=0, clock="at risk")
    curve = estimate_survival(own).tidy()
    assert curve["time"].tolist() == [170, 670, 1500]
    assert curve["n_risk"].tolist() == [3, 2, 1]
    assert curve["estimate"].tolist() == pytest.approx([2 / 3] * 3)


def test_a_death_competes_within_the_days_given_and_with_0_none_does() -> None:
    found = restarts()
    competing = found.to_time_to_event()
    assert competing.competing == ("Death",)
    with pytest.raises(OutcomeError, match=r"cause_specific\(\).*competing_within_days=0"):
        estimate_survival(competing)
    none = found.to_time_to_event(competing_within_days=0)
    assert none.competing == ()
    assert none.frame["event"].cat.categories.tolist() == ["censored", "Treatment begun again"]


def test_a_negative_number_of_days_and_an_unknown_clock_are_refused() -> None:
    with pytest.raises(PlanError, match="competing_within_days"):
        restarts().to_time_to_event(competing_within_days=-1)
    with pytest.raises(PlanError, match="'time zero' or 'at risk'"):
        restarts().to_time_to_event(clock="diagnosis")  # type: ignore[arg-type]


def test_where_nobody_is_left_the_error_names_the_commonest_reason() -> None:
    timelines = derive_timelines(
        cohort(biopsies="patient day ishak_fibrosis\nold 10 5\nold_too 20 6\nonce 0 2"), time_zero="diagnosis"
    )
    with pytest.raises(OutcomeError, match="most often because: cirrhosis at diagnosis"):
        estimate_survival(derive_cirrhosis(timelines).to_time_to_event())
