"""Native-liver and overall survival from a cohort (statistics 5, 10 to 12)."""

import pandas as pd
import pytest

from aih_outcomes.endpoints.endpoint import derive_time_to_event, read_endpoint
from aih_outcomes.errors import PlanError
from aih_outcomes.outcomes import TimeToEvent
from tests.endpoints.tables import cohort, same

FOLLOWED = """
    patient start end end_reason end_source
    both 0 900 ongoing visit
    censored 0 900 ongoing registry
    dead 0 900 death linkage
    day_0 0 0 death visit
    late 200 900 ongoing visit
    linked 0 300 lost visit
    same_day 0 700 death visit
    """
EVENTS = """
    patient day kind
    both 600 death
    both 400 transplant
    dead 800 death
    day_0 0 death
    linked 500 transplant
    same_day 700 death
    same_day 700 transplant
    """


def derive(name: str = "native-liver-survival", **tables: str) -> TimeToEvent:
    return derive_time_to_event(cohort(**tables), read_endpoint(name))


def test_native_liver_survival_ends_at_the_earlier_of_transplant_and_death() -> None:
    outcome = derive(follow_up=FOLLOWED, events=EVENTS, patients="patient first_seen_date\nlate 200")
    same(outcome.frame, """
        patient   entry  exit  event
        both      0      400   Liver transplant
        censored  0      900   censored
        day_0     0      0.5   Death
        dead      0      800   Death
        late      200    900   censored
        linked    0      500   Liver transplant
        same_day  0      700   Liver transplant
    """)  # fmt: skip
    assert outcome.n_half_day == 1
    assert list(outcome.frame["event"].cat.categories) == ["censored", "Liver transplant", "Death"]


def test_overall_survival_goes_on_after_transplant() -> None:
    outcome = derive("overall-survival", follow_up=FOLLOWED, events=EVENTS)
    same(outcome.frame.iloc[[0, 5]], """
        patient  exit  event
        both     600   Death
        linked   300   censored
    """)  # fmt: skip


def test_statistics_rule_11_death_on_the_day_first_seen_counts_half_a_day() -> None:
    outcome = derive(
        patients="patient first_seen_date\nA 50",
        events="patient day kind\nA 50 death",
        follow_up="patient start end end_reason end_source\nA 50 50 death visit",
    )
    same(outcome.frame, """
        patient entry exit event
        A 50 50.5 Death
    """)  # fmt: skip


def test_who_was_first_seen_is_taken_from_follow_up_where_it_is_not_recorded() -> None:
    outcome = derive(
        patients="patient first_seen_date\nA -\nB 10\nC -20",
        follow_up="""
        patient start end end_reason end_source
        A 30 300 ongoing visit
        B 30 300 ongoing visit
        C 30 300 ongoing visit
    """,
    )
    same(outcome.frame, """
        patient entry exit
        A 30 300
        B 10 300
        C 0 300
    """)  # fmt: skip


def test_who_cannot_enter_is_counted_by_reason() -> None:
    made = cohort(
        patients="patient first_seen_date\nnever_followed -\ntransplanted_elsewhere 300",
        follow_up="""
        patient start end end_reason end_source
        followed 0 500 ongoing visit
        transplanted_elsewhere 300 500 ongoing visit
        before 0 500 ongoing visit
        untreated 0 500 ongoing visit
    """,
        events="patient day kind\ntransplanted_elsewhere 200 transplant\nbefore -3 transplant",
        treatments="""
        patient drug start
        followed prednisolone 0
        before prednisolone 0
        never_followed prednisolone 0
        transplanted_elsewhere prednisolone 0
    """,
        steroid=False,
    )
    outcome = derive_time_to_event(made, read_endpoint("native-liver-survival"), time_zero="induction")
    same(outcome.exclusions, """
        reason                                                          n  n_event
        Event or last contact before being first seen                   1  1
        Event or last contact before the first dose of induction steroid  1  1
        No first dose of induction steroid recorded                     1  0
        No follow-up recorded                                           1  0
    """)  # fmt: skip
    assert list(outcome.frame["patient_id"]) == ["followed"]
    assert outcome.n_patients + outcome.exclusions["n"].sum() == made.n_patients


def test_covariates_known_at_time_zero_are_carried_along() -> None:
    made = cohort(follow_up=FOLLOWED)
    covariates = pd.DataFrame({"age": [3.0]}, index=pd.Index(["dead"], name="patient_id"))
    outcome = derive_time_to_event(made, read_endpoint("overall-survival"), covariates=covariates)
    assert outcome.covariates == ("age",)
    same(outcome.frame.iloc[[2, 3]], """
        patient age
        day_0 -
        dead 3
    """)  # fmt: skip


def test_an_unknown_endpoint_is_refused() -> None:
    with pytest.raises(PlanError, match="native-liver-survival"):
        read_endpoint("survival")


def test_without_follow_up_a_patient_is_out_whether_or_not_there_was_an_event() -> None:
    outcome = derive(
        patients="patient first_seen_date\nA 0\nB 0\nC 0",
        events="patient day kind\nA 50 death\nB 60 death",
        follow_up="patient start end end_reason end_source\nA 0 50 death visit",
    )
    assert outcome.frame["patient_id"].tolist() == ["A"]
    assert outcome.exclusions[["n", "n_event"]].to_numpy().tolist() == [[2, 1]]
