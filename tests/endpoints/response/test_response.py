"""Attained by a day, status at a day, and non-response at four weeks (statistics 1, 2, 9; clinic 6, 7)."""

import numpy as np
import pytest

from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.errors import DataError, PlanError
from tests.endpoints.tables import cohort, iaihg, same

NORMAL, ABNORMAL = 0.5, 3.0


def visits(*lines: str) -> str:
    """Complete visits ``patient day xuln``: ALT, AST and IgG alike."""
    rows = [f"{patient} {day} {a} {x}" for patient, day, x in map(str.split, lines) for a in ("alt", "ast", "igg")]
    return "\n".join(["patient day analyte xuln", *rows])


def respond(labs: str, definition: Definition | None = None, **others: str) -> Response:
    return derive_response(cohort(labs, **others), definition or iaihg())


def test_statistics_rule_2_attained_by_and_status_at_are_two_endpoints() -> None:
    response = respond(visits("lost_again 90 0.5", "lost_again 175 3", "slow 90 3", "slow 175 0.5"))
    same(response.status_by(182), """
        patient status onset known_at
        lost_again met 90 90
        slow met 175 175
    """)  # fmt: skip
    same(response.status_at((150, 182)), """
        patient     status   onset  known_at
        lost_again  not met  182    182
        slow        met      175    182
    """)  # fmt: skip


def test_statistics_rule_1_not_met_is_known_at_the_end_of_the_window() -> None:
    response = respond(visits("A 130 3", "B 160 3"))
    same(response.status_by(182), """
        patient  status   known_at  known_on
        A        not met  182       182
        B        not met  182       182
    """)  # fmt: skip
    same(response.status_at((150, 182)), """
        patient  status         known_at  because
        A        not evaluable  182       no result in the window
        B        not met        182       criteria not met
    """)  # fmt: skip


def test_response_completed_after_the_day_is_not_known_by_it() -> None:
    response = respond("""
        patient day analyte xuln
        A 180 alt 0.5
        A 180 ast 0.5
        A 185 igg 0.5
    """)
    same(response.status_by(182), """
        patient  status         because
        A        not evaluable  IgG missing
    """)  # fmt: skip
    same(response.status_by(185), """
        patient status onset known_at
        A met 180 185
    """)  # fmt: skip


def test_the_last_evaluable_evaluation_in_the_window_decides() -> None:
    labs = visits("A 155 3", "A 175 0.5", "B 155 0.5", "B 175 3", "C 155 0.5") + "\nC 180 alt 0.5\nC 180 ast 0.5"
    same(respond(labs).status_at((150, 182)), """
        patient  status
        A        met
        B        not met
        C        met
    """)  # fmt: skip


def test_insufficient_response_needs_an_evaluation_from_day_121_on() -> None:
    same(respond(visits("early 120 3", "late 121 3")).status_by(182), """
        patient  status
        early    not evaluable
        late     not met
    """)  # fmt: skip


def test_who_has_no_result_or_no_induction_is_not_counted_as_failing() -> None:
    made = cohort(
        visits("A 160 3"),
        patients="patient sex\nA female\nB male\nC male",
        treatments="patient drug start\nC azathioprine 0",
        steroid=False,
    )
    assert derive_response(made, iaihg()).status_by(182).empty
    treated = cohort(visits("A 160 3"), patients="patient sex\nA female\nB male")
    same(derive_response(treated, iaihg()).status_by(182), """
        patient  status         because
        A        not met        criteria not met
        B        not evaluable  no result in the window
    """)  # fmt: skip


def test_the_rate_without_igg_stands_beside_the_full_one() -> None:
    response = respond("""
        patient day analyte xuln
        A 170 alt 0.5
        A 170 ast 0.5
        B 170 alt 0.5
        B 170 ast 0.5
        B 170 igg 2
    """).transaminases_only()
    same(response.status_by(182), """
        patient  status
        A        met
        B        met
    """)  # fmt: skip
    assert response.definition.analytes == ("alt", "ast")
    assert "IgG" not in response.explain("B").splitlines()[1]


FALLS = """
    patient day analyte xuln
    fell 0 alt 20
    fell 0 ast 20
    fell 12 alt 10
    fell 12 ast 9
    fell 25 alt 15
    fell 25 ast 15
    weak 0 alt 20
    weak 0 ast 20
    weak 25 alt 11
    weak 25 ast 11
    disagree 0 alt 20
    disagree 0 ast 20
    disagree 25 alt 11
    disagree 25 ast 5
    too_early 0 alt 20
    too_early 0 ast 20
    too_early 20 alt 11
    too_early 20 ast 11
    one_missing 0 alt 20
    one_missing 0 ast 20
    one_missing 25 alt 11
    one_outside 0 alt 20
    one_outside 0 ast 20
    one_outside 19 ast 11
    one_outside 25 alt 11
    after_28 0 alt 20
    after_28 0 ast 20
    after_28 29 alt 5
    after_28 29 ast 5
    no_start 25 alt 11
    no_start 25 ast 11
    """


def test_statistics_rule_9_non_response_at_four_weeks() -> None:
    same(respond(FALLS).non_response().set_index("patient_id").loc[
        ["fell", "weak", "disagree", "too_early", "one_missing", "one_outside", "after_28", "no_start"]
    ].reset_index(), """
        patient      status         known_at  because
        fell         not met        12        fell enough
        weak         met            28        fell too little in the window
        disagree     met            28        ALT and AST disagree: only one fell enough
        too_early    not evaluable  28        no complete result in the window
        one_missing  not evaluable  28        no complete result in the window
        one_outside  not evaluable  28        no complete result in the window
        after_28     not evaluable  28        no complete result in the window
        no_start     not evaluable  28        no baseline value
    """)  # fmt: skip


def test_statistics_rule_9_by_option_both_must_fall_too_little() -> None:
    rule = iaihg().non_response
    assert rule is not None
    both = iaihg().model_copy(update={"non_response": rule.model_copy(update={"less_fall_in": "all"})})
    table = respond(FALLS, both).non_response().set_index("patient_id").loc[["fell", "weak", "disagree"]].reset_index()
    same(table, """
        patient   status   known_at
        fell      not met  12
        weak      met      28
        disagree  not met  28
    """)  # fmt: skip


def test_statistics_rule_9_tolerant_window() -> None:
    rule = iaihg().non_response
    assert rule is not None
    tolerant = iaihg().model_copy(update={"non_response": rule.model_copy(update={"window": (21, 35)})})
    table = respond(FALLS, tolerant).non_response().set_index("patient_id").loc[["weak", "after_28"]].reset_index()
    same(table, """
        patient   status         known_at  because
        weak      met            35        fell too little in the window
        after_28  not evaluable  35        fell enough only after day 28
    """)  # fmt: skip


def test_statistics_rule_9_baseline_is_the_last_value_before_treatment_and_an_early_one_is_flagged() -> None:
    response = respond("""
        patient day analyte xuln
        early -20 alt 20
        early -20 ast 20
        early 25 alt 15
        early 25 ast 15
        peak -10 alt 40
        peak -2 alt 20
        peak -2 ast 20
        peak 25 alt 15
        peak 25 ast 15
        too_early -31 alt 20
        too_early -31 ast 20
        too_early 25 alt 15
        too_early 25 ast 15
    """)
    same(response.baseline("alt"), """
        patient day xuln fallback
        early -20 20 True
        peak -2 20 False
    """)  # fmt: skip
    same(response.non_response(), """
        patient    status         because
        early      met            fell too little in the window; baseline value is an early one
        peak       met            fell too little in the window
        too_early  not evaluable  no baseline value
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("start", "later", "status"),
    [
        ("> 800", "= 300", "not met"),  # it fell from 800 or more: at least by 62 %
        ("> 800", "= 500", "not evaluable"),  # by 37 % or more
        ("= 800", "> 500", "met"),  # by 37 % or less
        ("= 800", "> 300", "not evaluable"),
        ("= 800", "< 300", "not met"),
    ],
)
def test_a_fall_is_judged_only_as_far_as_signs_allow(start: str, later: str, status: str) -> None:
    before, value = (text.split() for text in (start, later))
    lines = [
        f"A {day} {analyte} {number} {sign}"
        for analyte in ("alt", "ast")
        for day, (sign, number) in ((0, before), (25, value))
    ]
    response = respond("\n".join(["patient day analyte value comparator", *lines]))
    assert list(response.non_response()["status"]) == [status]


def test_criteria_without_a_rule_of_non_response_refuse_it() -> None:
    with pytest.raises(PlanError, match="no rule of non-response"):
        respond(FALLS, iaihg().model_copy(update={"non_response": None})).non_response()


def test_explain_refuses_a_patient_without_time_zero() -> None:
    with pytest.raises(DataError, match="no time zero"):
        respond(FALLS).explain("nobody")


def test_a_result_without_upper_limit_is_called_so_and_is_no_multiple_of_it() -> None:
    labs = """
        patient day analyte value uln
        A -3 alt 400 -
        A -3 ast 400 40
        A 160 alt 20 -
        A 160 ast 20 40
        A 160 igg 10 16
    """
    response = respond(labs)
    same(response.status_by(182), """
        patient  status         because
        A        not evaluable  ALT without upper limit
    """)  # fmt: skip
    told = response.explain("A")
    assert "nan" not in told
    assert "before treatment ALT 400, no upper limit of normal (day -3, row 1), AST 10.00 × ULN" in told
    assert "ALT 20, no upper limit of normal (day 160, row 3)" in told


def test_a_sign_that_leaves_a_result_open_is_still_called_unclear() -> None:
    labs = "patient day analyte value uln comparator\nA 160 alt 50 40 <\nA 160 ast 20 40 =\nA 160 igg 10 16 ="
    same(respond(labs).status_by(182), """
        patient  because
        A        ALT unclear
    """)  # fmt: skip


@pytest.mark.parametrize(
    "window", [(182, 150), (150.0, 182), ("150", "182"), (150, 182, 200), 182, (-5, 182), (150, True)]
)
def test_a_window_that_is_none_is_refused(window: object) -> None:
    with pytest.raises(PlanError, match=r"status_at\(\(150, 182\)\)"):
        respond(FALLS).status_at(window)  # type: ignore[arg-type]


@pytest.mark.parametrize("day", ["182", 182.0, -1, None, True])
def test_a_day_that_is_none_is_refused(day: object) -> None:
    with pytest.raises(PlanError, match=r"status_by\(182\)"):
        respond(FALLS).status_by(day)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_days() -> None:
    response = respond(FALLS)
    assert response.status_by(np.int64(182)).equals(response.status_by(182))  # type: ignore[arg-type]


@pytest.mark.parametrize("criteria", ["iaihg-2022", None, iaihg])
def test_criteria_by_name_are_to_be_read_first(criteria: object) -> None:
    with pytest.raises(PlanError, match=r'read_definition\("iaihg-2022"\)') as caught:
        derive_response(cohort(FALLS), criteria)  # type: ignore[arg-type]
    assert caught.value.rule
    with pytest.raises(PlanError, match="read_definition"):
        respond(FALLS).judged_by(criteria)  # type: ignore[arg-type]


def test_statistics_rule_9_on_another_clock_a_value_under_treatment_is_no_baseline() -> None:
    labs = visits("treated -2 5", "treated 26 4.5", "new -2 5", "new 26 4.5")
    given = "patient drug start\ntreated prednisolone -60\nnew prednisolone 3"
    made = cohort(labs, treatments=given, steroid=False)
    same(derive_response(made, iaihg(), time_zero="diagnosis").non_response(), """
        patient  status         because
        new      met            fell too little in the window
        treated  not evaluable  treated before time zero
    """)  # fmt: skip
