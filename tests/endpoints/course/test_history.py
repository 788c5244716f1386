"""States over time, each from the day it was known; paths that no patient can take (statistics 1, 3, 11, 12)."""

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.course.history import (
    LEGAL_PATHS,
    STATES,
    check_history,
    derive_state_history,
    derive_transitions,
)
from aih_outcomes.endpoints.definition import read_definition
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import StateHistory
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg, same


def followed(*patients: str, start: int = 0, end: int = 900) -> str:
    rows = [f"{patient} {start} {end} ongoing visit" for patient in patients]
    return "\n".join(["patient start end end_reason end_source", *rows])


def history(labs: str, *, end: int = 900, **others: str) -> StateHistory:
    """Patient A, followed from day 0; prednisolone from day 0 on."""
    others = {"follow_up": followed("A", end=end)} | others
    return derive_state_history(derive_response(cohort(labs, **others), iaihg()))


def test_response_is_entered_when_it_is_known_and_follow_up_ends_censored() -> None:
    same(history("patient day analyte xuln\nA 90 alt 0.5\nA 90 ast 0.5\nA 100 igg 0.5").frame, """
        patient  entry  exit  from_state  to_state
        A        0      100   Induction   Response
        A        100    900   Response    censored
    """)  # fmt: skip


def test_insufficient_response_is_entered_on_day_182_and_not_before() -> None:
    same(history(visits("A 90 3", "A 150 3")).frame, """
        patient  entry  exit  from_state             to_state
        A        0      182   Induction              Insufficient response
        A        182    900   Insufficient response  censored
    """)  # fmt: skip


def test_who_is_not_evaluable_stays_in_induction() -> None:
    same(history(visits("A 90 3")).frame, """
        patient  entry  exit  from_state  to_state
        A        0      900   Induction   censored
    """)  # fmt: skip


def test_a_late_response_is_reached_from_insufficient_response() -> None:
    same(history(visits("A 150 3", "A 300 0.5")).frame, """
        patient  entry  exit  from_state             to_state
        A        0      182   Induction              Insufficient response
        A        182    300   Insufficient response  Response
        A        300    900   Response               censored
    """)  # fmt: skip


def test_response_known_on_day_182_is_no_insufficient_response() -> None:
    same(history(visits("A 150 3", "A 182 0.5")).frame, """
        patient  entry  exit  from_state  to_state
        A        0      182   Induction   Response
        A        182    900   Response    censored
    """)  # fmt: skip


def test_response_may_be_lost_and_regained_again_and_again() -> None:
    lab = visits("A 90 0.5", "A 200 5", "A 210 5", "A 250 0.5", "A 300 5", "A 310 5", "A 350 0.5", "A 400 5", "A 410 5")
    states = history(lab).frame["to_state"].tolist()
    assert states == ["Response", "Loss of response", *["Response", "Loss of response"] * 2, "censored"]


def test_response_ends_on_treatment_though_relapse_needs_withdrawal() -> None:
    made = cohort(visits("A 90 0.5", "A 400 5", "A 420 5", "A 700 5"), follow_up=followed("A"))
    same(derive_state_history(derive_response(made, read_definition("aasld-2019"))).frame, """
        patient  entry  exit  from_state        to_state
        A        0      90    Induction         Response
        A        90     420   Response          Loss of response
        A        420    900   Loss of response  censored
    """)  # fmt: skip


def test_loss_is_entered_when_it_is_confirmed_and_left_at_the_next_response() -> None:
    lab = """
        patient day analyte xuln
        A 90 alt 0.5
        A 90 ast 0.5
        A 90 igg 0.5
        A 200 alt 1.5
        A 200 ast 0.5
        A 215 alt 1.5
        A 260 alt 0.5
        A 260 ast 0.5
        A 260 igg 0.5
    """
    same(history(lab).frame, """
        patient  entry  exit  from_state        to_state
        A        0      90    Induction         Response
        A        90     215   Response          Loss of response
        A        215    260   Loss of response  Response
        A        260    900   Response          censored
    """)  # fmt: skip


STOPPED = "patient drug start stop\nA prednisolone 0 100"


def test_steroid_free_response_is_entered_on_day_90_without_steroid() -> None:
    found = history(visits("A 90 0.5", "A 190 0.5"), treatments=STOPPED, steroid=False)
    same(found.frame, """
        patient  entry  exit  from_state              to_state
        A        0      90    Induction               Response
        A        90     190   Response                Steroid-free response
        A        190    900   Steroid-free response   censored
    """)  # fmt: skip


def test_steroid_free_response_ends_when_response_is_lost() -> None:
    lab = visits("A 90 0.5", "A 190 0.5", "A 300 5", "A 310 5")
    states = history(lab, treatments=STOPPED, steroid=False).frame["to_state"].tolist()
    assert states == ["Response", "Steroid-free response", "Loss of response", "censored"]


def test_response_first_seen_long_after_the_steroid_stopped_is_steroid_free_at_once() -> None:
    same(history(visits("A 250 0.5"), treatments=STOPPED, steroid=False).frame.head(1), """
        patient  entry  exit  from_state  to_state
        A        0      250   Induction   Steroid-free response
    """)  # fmt: skip


@pytest.mark.parametrize("drug", ["infliximab", "ruxolitinib"])
def test_advanced_therapy_is_left_for_transplant_or_death_only(drug: str) -> None:
    lab = visits("A 90 0.5", "A 300 0.5", "A 500 5", "A 510 5")
    same(history(lab, treatments=f"patient drug start\nA {drug} 150", events="patient day kind\nA 700 death").frame, """
        patient  entry  exit  from_state        to_state
        A        0      90    Induction         Response
        A        90     150   Response          Advanced therapy
        A        150    700   Advanced therapy  Death
    """)  # fmt: skip


def test_a_biologic_for_the_bowel_is_no_advanced_therapy() -> None:
    treatments = "patient drug start indication\nA infliximab 150 ibd"
    assert history(visits("A 90 0.5"), treatments=treatments).frame["to_state"].tolist() == ["Response", "censored"]


def test_death_may_follow_transplant_and_nothing_else_may() -> None:
    lab = visits("A 90 0.5", "A 450 5", "A 500 0.5")
    same(history(lab, events="patient day kind\nA 400 transplant\nA 600 death").frame, """
        patient  entry  exit  from_state  to_state
        A        0      90    Induction   Response
        A        90     400   Response    Transplant
        A        400    600   Transplant  Death
    """)  # fmt: skip


def test_death_is_the_end_even_where_follow_up_was_recorded_on() -> None:
    found = history(visits("A 90 0.5"), events="patient day kind\nA 600 death", end=700).frame
    assert found["exit"].max() == 600


def test_an_event_that_arrives_by_linkage_counts_after_the_last_visit() -> None:
    found = history(visits("A 90 0.5"), events="patient day kind\nA 600 transplant", end=300).frame
    same(found, """
        patient  entry  exit  from_state  to_state
        A        0      90    Induction   Response
        A        90     600   Response    Transplant
    """)  # fmt: skip


def test_who_dies_on_the_day_of_transplant_was_transplanted_half_a_day_before() -> None:
    same(history(visits("A 90 0.5"), events="patient day kind\nA 400 transplant\nA 400 death").frame, """
        patient  entry  exit   from_state  to_state
        A        0      90     Induction   Response
        A        90     400    Response    Transplant
        A        400    400.5  Transplant  Death
    """)  # fmt: skip


def test_statistics_rule_11_death_on_the_day_of_entry_counts_half_a_day() -> None:
    same(history("", patients="patient sex\nA female", events="patient day kind\nA 0 death", end=0).frame, """
        patient  entry  exit  from_state  to_state
        A        0      0.5   Induction   Death
    """)  # fmt: skip


def test_of_two_states_on_one_day_the_graver_counts() -> None:
    both = history(visits("A 150 3", "A 182 3"), treatments="patient drug start\nA infliximab 182").frame
    assert both["to_state"].tolist() == ["Advanced therapy", "censored"]
    dead = history(visits("A 90 0.5"), events="patient day kind\nA 90 death", end=90).frame
    assert dead["to_state"].tolist() == ["Death"]


def test_statistics_rule_1_a_referred_patient_enters_in_the_state_known_by_then() -> None:
    lab = visits("A 90 0.5", "A 300 5", "A 310 5")
    same(history(lab, patients="patient first_seen_date\nA 200", follow_up=followed("A", start=200)).frame, """
        patient  entry  exit  from_state        to_state
        A        200    300   Response          Loss of response
        A        300    900   Loss of response  censored
    """)  # fmt: skip


def test_a_state_known_on_the_last_day_ends_the_history() -> None:
    same(history(visits("A 90 0.5"), end=90).frame, """
        patient  entry  exit  from_state  to_state
        A        0      90    Induction   Response
    """)  # fmt: skip


def test_who_cannot_enter_is_counted_by_reason() -> None:
    made = cohort(
        visits("fine 90 0.5"),
        patients="patient first_seen_date\nnever_followed -\nlate 300\nuntreated -",
        follow_up=followed("fine", "late", "grafted", "untreated", end=200),
        events="patient day kind\ngrafted -5 transplant\nuntreated 50 death",
        treatments="\n".join(["patient drug start", *(f"{p} prednisolone 0" for p in ("fine", "late", "grafted"))])
        + "\nnever_followed prednisolone 0",
        steroid=False,
    )
    found = derive_state_history(derive_response(made, iaihg()))
    same(found.exclusions, """
        reason                                                n  n_event
        Event or last contact before being first seen         1  0
        No first dose of induction steroid recorded           1  1
        No follow-up recorded                                 1  0
        Transplanted before the first dose of induction steroid  1  1
    """)  # fmt: skip
    assert set(found.frame["patient_id"]) == {"fine"}


def test_transitions_are_counted_in_the_order_of_the_states() -> None:
    made = cohort(
        visits("A 90 0.5", "B 100 0.5", "C 150 3"),
        follow_up=followed("A", "B", "C"),
        events="patient day kind\nB 400 transplant",
    )
    same(derive_transitions(derive_state_history(derive_response(made, iaihg()))), """
        from_state             to_state               n
        Induction              Insufficient response  1
        Induction              Response               2
        Insufficient response  censored               1
        Response               Transplant             1
        Response               censored               1
        Transplant             censored               1
    """)  # fmt: skip


# --- paths that no patient can take


def of_states(*spells: tuple[str, int, int, str, str]) -> StateHistory:
    columns = ["patient_id", "entry", "exit", "from_state", "to_state"]
    return StateHistory(pd.DataFrame(list(spells), columns=columns), "states", STATES)


def test_illegal_paths_are_named_with_how_often_they_occur() -> None:
    found = check_history(
        of_states(
            ("A", 0, 100, "Induction", "Transplant"),
            ("A", 100, 200, "Transplant", "Response"),
            ("A", 200, 300, "Response", "censored"),
            ("B", 0, 100, "Transplant", "Response"),
            ("C", 0, 100, "Death", "Induction"),
            ("D", 0, 100, "Advanced therapy", "Loss of response"),
            ("E", 0, 100, "Steroid-free response", "Insufficient response"),
        )
    )
    same(found, """
        from_state             to_state               n
        Steroid-free response  Insufficient response  1
        Advanced therapy       Loss of response       1
        Transplant             Response               2
        Death                  Induction              1
    """)  # fmt: skip


def test_every_path_of_a_history_that_was_derived_is_legal() -> None:
    lab = visits("A 90 0.5", "A 200 5", "A 210 5", "A 250 0.5")
    assert check_history(history(lab, events="patient day kind\nA 400 transplant\nA 400 death")).empty


def test_nothing_leaves_death_and_only_death_leaves_transplant() -> None:
    assert LEGAL_PATHS["Death"] == ()
    assert LEGAL_PATHS["Transplant"] == ("Death",)
    assert set(LEGAL_PATHS) == set(STATES)


def test_spells_that_overlap_are_refused() -> None:
    with pytest.raises(OutcomeError, match="overlap an earlier spell"):
        of_states(("A", 0, 100, "Induction", "censored"), ("A", 50, 200, "Induction", "censored"))


@pytest.mark.parametrize("later", [("A", 100, 200, "Induction", "censored"), ("A", 150, 200, "Response", "censored")])
def test_a_spell_begins_when_and_where_the_one_before_ended(later: tuple[str, int, int, str, str]) -> None:
    with pytest.raises(OutcomeError, match="1 of 2 rows of states do not begin when and where"):
        of_states(("A", 0, 100, "Induction", "Response"), later)


def test_a_patient_may_be_out_of_sight_between_two_spells() -> None:
    kept = of_states(("A", 0, 100, "Induction", "censored"), ("A", 150, 200, "Response", "censored"))
    assert len(kept.frame) == 2


# --- nothing to judge


def test_nobody_and_nothing_give_an_empty_history() -> None:
    nobody = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
    for made in (nobody, cohort(patients="patient sex\nA female", steroid=False), cohort(visits("A 90 0.5"))):
        found = derive_state_history(derive_response(made, iaihg()))
        assert found.frame.empty
        assert derive_transitions(found).empty
        assert check_history(found).empty
        assert found.exclusions["n"].sum() == made.n_patients


def test_criteria_without_a_rule_of_loss_or_flares_know_no_loss() -> None:
    without = iaihg().model_copy(update={"loss": None, "flare": None})
    made = cohort(visits("A 90 0.5", "A 200 5", "A 300 5"), follow_up=followed("A"))
    found = derive_state_history(derive_response(made, without)).frame
    assert found["to_state"].tolist() == ["Response", "censored"]
