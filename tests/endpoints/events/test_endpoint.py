"""Exact endpoints from a cohort: survival, transplant, liver events, decompensation (statistics 5, 10 to 12)."""

import pandas as pd
import pytest

from aih_outcomes.endpoints.events.endpoint import ENDPOINTS, derive_first_events, derive_time_to_event, read_endpoint
from aih_outcomes.endpoints.events.first_events import Source
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


def followed(*patients: str) -> str:
    """Everyone named, followed from day 0 to day 900."""
    rows = [f"{patient} 0 900 ongoing visit" for patient in patients]
    return "\n".join(["patient start end end_reason end_source", *rows])


def test_transplant_ends_in_transplant_and_death_without_it_competes() -> None:
    events = "patient day kind\ngrafted 300 transplant\ngrafted 400 death\ndead 500 death"
    outcome = derive("transplant", follow_up=followed("dead", "grafted", "well"), events=events)
    same(outcome.frame, """
        patient  exit  event
        dead     500   Death
        grafted  300   Liver transplant
        well     900   censored
    """)  # fmt: skip


DEATHS = """
    patient day kind cause
    grafted 300 transplant -
    liver 310 death liver
    other 320 death non_liver
    said_unknown 330 death unknown
    unsaid 340 death -
    """


def test_a_liver_event_is_transplant_or_liver_death_and_other_deaths_compete() -> None:
    everyone = followed("grafted", "liver", "other", "said_unknown", "unsaid")
    outcome = derive("liver-event", follow_up=everyone, events=DEATHS)
    same(outcome.frame, """
        patient       exit  event
        grafted       300   Transplant or liver death
        liver         310   Transplant or liver death
        other         320   Death not of the liver
        said_unknown  330   Death of unknown cause
        unsaid        340   Death of unknown cause
    """)  # fmt: skip
    assert list(outcome.frame["event"].cat.categories)[:2] == ["censored", "Transplant or liver death"]


def test_a_death_of_unknown_cause_is_taken_for_a_liver_death_in_the_sensitivity() -> None:
    everyone = followed("other", "said_unknown", "unsaid")
    events = "\n".join(line for line in DEATHS.splitlines() if "grafted" not in line and "liver 310" not in line)
    outcome = derive("liver-event-unexplained-deaths-counted", follow_up=everyone, events=events)
    same(outcome.frame, """
        patient       event
        other         Death not of the liver
        said_unknown  Transplant, liver or unexplained death
        unsaid        Transplant, liver or unexplained death
    """)  # fmt: skip


def test_carcinoma_found_in_the_explant_counts_on_the_day_of_the_transplant() -> None:
    events = "patient day kind\nA 700 hepatocellular_carcinoma\nA 700 transplant\nB 600 transplant\nB 700 death"
    outcome = derive("hepatocellular-carcinoma", follow_up=followed("A", "B"), events=events)
    same(outcome.frame, """
        patient  exit  event
        A        700   Hepatocellular carcinoma
        B        600   Liver transplant
    """)  # fmt: skip


def decompensate(events: str, *patients: str, **tables: str) -> TimeToEvent:
    return derive("decompensation", follow_up=followed(*patients), events=events, **tables)


def test_decompensation_is_the_first_of_its_complications() -> None:
    outcome = decompensate("""
        patient day kind
        ascites 100 ascites
        ascites 90 variceal_bleed
        kidneys 120 hepatorenal_syndrome
        peritonitis 110 spontaneous_bacterial_peritonitis
    """, "ascites", "kidneys", "peritonitis")  # fmt: skip
    same(outcome.frame, """
        patient      entry  exit  event
        ascites      28     90    Decompensation
        kidneys      28     120   Decompensation
        peritonitis  28     110   Decompensation
    """)  # fmt: skip


def test_encephalopathy_of_grade_1_is_no_decompensation_and_one_without_grade_is() -> None:
    events = """
        patient day kind grade
        mild 100 encephalopathy 1
        overt 110 encephalopathy 2
        ungraded 120 encephalopathy -
    """
    outcome = decompensate(events, "mild", "overt", "ungraded")
    same(outcome.frame, """
        patient   exit  event
        mild      900   censored
        overt     110   Decompensation
        ungraded  120   Decompensation
    """)  # fmt: skip


def test_an_encephalopathy_without_grade_stands_apart_in_the_evidence() -> None:
    made = cohort(events="patient day kind grade\nB 120 encephalopathy -\nA 90 encephalopathy 3\nA 95 ascites -")
    same(derive_first_events(made, read_endpoint("decompensation")), """
        patient  day  event           because
        A        90   Decompensation  Encephalopathy of grade 2 or more
        B        120  Decompensation  Encephalopathy, grade not recorded
    """)  # fmt: skip


def test_clinic_rule_19_decompensation_at_presentation_is_baseline_and_not_at_risk() -> None:
    events = "patient day kind\nbefore -5 ascites\nday_28 28 ascites\nday_29 29 ascites\nday_28 300 variceal_bleed"
    outcome = decompensate(events, "before", "day_28", "day_29", "never")
    same(outcome.frame, """
        patient  entry  exit  event
        day_29   28     29    Decompensation
        never    28     900   censored
    """)  # fmt: skip
    same(outcome.exclusions, """
        reason                                            n  n_event
        Event part of the presentation (up to day 28)     2  2
    """)  # fmt: skip


def test_who_dies_in_the_first_four_weeks_never_comes_to_be_at_risk_of_decompensation() -> None:
    outcome = decompensate("patient day kind\ndead 20 death\nday_28 28 transplant", "dead", "day_28")
    same(outcome.frame, """
        patient  entry  exit  event
        day_28   28     28.5  Liver transplant
    """)  # fmt: skip
    assert outcome.exclusions["reason"].tolist() == ["Event or last contact before day 28"]


def test_transplant_and_death_compete_with_decompensation() -> None:
    outcome = decompensate("patient day kind\nA 100 transplant\nA 200 ascites\nB 150 death", "A", "B")
    same(outcome.frame, """
        patient  exit  event
        A        100   Liver transplant
        B        150   Death
    """)  # fmt: skip


def test_jaundice_is_no_decompensation_and_neither_are_dialysis_and_listing() -> None:
    outcome = decompensate("patient day kind\nA 100 dialysis\nA 110 listing", "A")
    assert outcome.frame["event"].tolist() == ["censored"]


def test_complicated_liver_disease_adds_varices_transplant_and_death_each_by_its_name() -> None:
    outcome = derive(
        "complicated-liver-disease",
        follow_up=followed("dead", "varices", "varices_first", "normal"),
        events="patient day kind\ndead 400 death",
        imaging="""
        patient day modality finding shows
        varices 300 endoscopy abnormal varices
        varices_first 10 endoscopy abnormal varices
        normal 300 ultrasound abnormal splenomegaly
    """,
    )
    same(outcome.frame, """
        patient  exit  event
        dead     400   Death
        normal   900   censored
        varices  300   Varices on endoscopy
    """)  # fmt: skip


def test_second_line_counts_conventional_and_advanced_therapy_for_the_disease() -> None:
    outcome = derive(
        "second-line",
        follow_up=followed("advanced", "bowel", "first_line", "mycophenolate"),
        treatments="""
        patient drug start indication
        advanced infliximab 50 aih
        bowel infliximab 60 ibd
        first_line azathioprine 30 aih
        mycophenolate mycophenolate 200 aih
    """,
    )
    same(outcome.frame, """
        patient        exit  event
        advanced       50    Second-line or advanced therapy
        bowel          900   censored
        first_line     900   censored
        mycophenolate  200   Second-line or advanced therapy
    """)  # fmt: skip


def test_a_source_accepts_an_empty_cell_only_where_it_says_so() -> None:
    table = pd.DataFrame({"cause": pd.array(["liver", None], dtype="string"), "grade": pd.array([1, None], "Int64")})
    named = Source(table="events", where={"cause": ("liver",)}, because="x")
    empty = Source(table="events", where={"cause": ("",)}, because="x")
    graded = Source(table="events", where={}, at_least={"grade": 0.0}, because="x")
    assert named.rows(table).tolist() == [True, False]
    assert empty.rows(table).tolist() == [False, True]
    assert graded.rows(table).tolist() == [True, False]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_endpoint_says_where_it_comes_from_and_accounts_for_everyone(name: str) -> None:
    outcome = derive(name, follow_up=FOLLOWED, events=EVENTS)
    assert ENDPOINTS[name].reference
    assert outcome.n_patients + outcome.exclusions["n"].sum() == 7
