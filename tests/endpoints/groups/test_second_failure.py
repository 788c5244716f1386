"""When the second line failed: the clock of targeted therapy against others (statistics 10)."""

import pandas as pd

from aih_outcomes.endpoints.groups.second_failure import find_second_failure
from aih_outcomes.endpoints.response.response import derive_response
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg, same

SECOND = "patient drug start stop\nA azathioprine 10 200\nA mycophenolate 200 -"  # second line from day 200


def failed(labs: str, treatments: str = SECOND, **others: str) -> pd.DataFrame:
    follow_up = "patient start end end_reason end_source\nA 0 900 ongoing visit"
    made = cohort(labs, treatments=treatments, **({"follow_up": follow_up} | others))
    return find_second_failure(derive_response(made, iaihg())).reset_index()


def expect(found: pd.DataFrame, day: str) -> None:
    same(found, f"patient second_failure\nA {day}")


def test_statistics_rule_10_a_third_line_is_a_second_failure_whatever_it_was_begun_for() -> None:
    expect(failed("", SECOND.replace("200 -", "200 300") + "\nA tacrolimus 300 -"), "300")


def test_targeted_therapy_as_third_line_starts_its_own_clock() -> None:
    expect(failed("", SECOND + "\nA ruxolitinib 350 -"), "350")


def test_a_response_lost_on_second_line_is_a_second_failure() -> None:
    expect(failed(visits("A 150 3", "A 300 0.5", "A 400 5")), "400")


def test_a_response_lost_before_the_second_line_is_the_first_failure_only() -> None:
    expect(failed(visits("A 90 0.5", "A 190 5", "A 300 0.5")), "-")


def test_a_loss_shown_before_the_second_line_and_confirmed_after_it_is_the_first_failure_only() -> None:
    expect(failed(visits("A 90 0.5", "A 190 1.5", "A 210 1.5", "A 300 0.5")), "-")
    expect(failed(visits("A 90 0.5", "A 201 1.5", "A 210 1.5", "A 300 0.5")), "210")


def test_insufficient_response_to_the_second_line_is_known_on_its_day_182() -> None:
    expect(failed(visits("A 150 3", "A 321 3")), "382")


def test_insufficient_response_needs_an_evaluation_from_day_121_of_the_second_line_on() -> None:
    expect(failed(visits("A 150 3", "A 320 3")), "-")


def test_who_responds_within_the_window_of_the_second_line_did_not_fail_it() -> None:
    expect(failed(visits("A 150 3", "A 250 3", "A 382 0.5")), "-")


def test_first_line_alone_never_fails_twice() -> None:
    expect(failed(visits("A 90 0.5", "A 200 5", "A 400 5"), "patient drug start\nA azathioprine 10"), "-")


def test_after_transplant_no_line_fails() -> None:
    expect(failed(visits("A 150 3", "A 330 3"), events="patient day kind\nA 350 transplant"), "-")
