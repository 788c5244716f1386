"""Groups that change with time: ever or current response, treatment beside it (statistics 2, 4)."""

from typing import Literal

import pytest

from aih_outcomes.endpoints.groups.groups_over_time import derive_groups_over_time, response_over_time
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.outcomes import Groups
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg, same

LOST_AND_REGAINED = visits("A 90 0.5", "A 200 5", "A 250 0.5")
GENE = """
    patient day result gene mechanism zygosity acmg_class mechanism_confirmed
    A 50 variant STAT1 gain_of_function heterozygous 5 yes
    """


def over_time(labs: str, kind: Literal["ever", "current"] = "current", **others: str) -> Groups:
    return derive_groups_over_time(derive_response(cohort(labs, **others), iaihg()), kind=kind)


def test_current_response_is_lost_and_regained() -> None:
    groups = response_over_time(derive_response(cohort(LOST_AND_REGAINED), iaihg()), kind="current")
    same(groups.frame, """
        patient  label          known_at
        A        Responder      90
        A        Response lost  200
        A        Responder      250
    """)  # fmt: skip
    assert not groups.irreversible


def test_who_ever_responded_stays_a_responder() -> None:
    groups = response_over_time(derive_response(cohort(LOST_AND_REGAINED), iaihg()), kind="ever")
    same(groups.frame, """
        patient label known_at
        A Responder 90
    """)  # fmt: skip
    assert groups.irreversible


def test_a_late_responder_leaves_insufficient_response() -> None:
    groups = response_over_time(derive_response(cohort(visits("A 150 3", "A 300 0.5")), iaihg()), kind="ever")
    same(groups.frame, """
        patient  label                  known_at
        A        Insufficient response  182
        A        Responder              300
    """)  # fmt: skip


def test_statistics_rule_2_who_is_undetermined_has_no_label() -> None:
    response = derive_response(cohort(visits("A 90 3", "B 90 0.5")), iaihg())
    assert response_over_time(response, kind="current").frame["patient_id"].tolist() == ["B"]


def test_the_label_says_whether_response_is_ever_or_current() -> None:
    response = derive_response(cohort(LOST_AND_REGAINED), iaihg())
    assert "current, over time" in response_over_time(response, kind="current").name
    assert "ever, and treatment" in derive_groups_over_time(response, kind="ever").name


@pytest.mark.parametrize("kind", ["ever", "current"])
def test_statistics_rule_4_targeted_is_absorbing(kind: Literal["ever", "current"]) -> None:
    groups = over_time(
        visits("A 150 3", "A 400 0.5", "A 500 5"),
        kind,
        treatments="patient drug start\nA ruxolitinib 300",
        variants=GENE,
    )
    same(groups.frame, """
        patient  label                  known_at
        A        Insufficient response  182
        A        Targeted therapy       300
    """)  # fmt: skip


def test_empirical_advanced_therapy_is_left_for_targeted_only() -> None:
    treatments = "patient drug start\nA infliximab 100\nA ruxolitinib 300"
    same(over_time(visits("A 150 0.5", "A 200 5"), treatments=treatments, variants=GENE).frame, """
        patient  label                      known_at
        A        Empirical advanced therapy  100
        A        Targeted therapy           300
    """)  # fmt: skip


def test_second_line_is_a_group_of_its_own_with_and_without_response() -> None:
    treatments = "patient drug start\nA azathioprine 10\nA mycophenolate 200"
    same(over_time(visits("A 150 3", "A 300 0.5", "A 400 5"), treatments=treatments).frame, """
        patient  label                        known_at
        A        Insufficient response        182
        A        Second line, not in response  200
        A        Responder on second line     300
        A        Second line, not in response  400
    """)  # fmt: skip


def test_second_line_begun_in_response_is_a_responder_on_second_line() -> None:
    treatments = "patient drug start\nA azathioprine 10\nA mycophenolate 200"
    same(over_time(visits("A 90 0.5"), treatments=treatments).frame, """
        patient  label                     known_at
        A        Responder                 90
        A        Responder on second line  200
    """)  # fmt: skip


def test_nothing_known_gives_no_label() -> None:
    assert over_time("", patients="patient sex\nA female").frame.empty
    assert over_time("", patients="patient sex\nA female", steroid=False).frame.empty  # type: ignore[arg-type]
