"""Whether results met the criteria, which belong together, and since when (clinic 7, 11; statistics 1, 8)."""

import pandas as pd
import pytest

from aih_outcomes.endpoints.response.response import Response, derive_response
from tests.endpoints.tables import cohort, iaihg, same


def respond(labs: str, **others: str) -> Response:
    return derive_response(cohort(labs, **others), iaihg())


def status_at_six_months(labs: str, **others: str) -> pd.DataFrame:
    return respond(labs, **others).status_at((150, 182))


def test_response_needs_alt_ast_and_igg_at_most_uln() -> None:
    status = status_at_six_months("""
        patient day analyte xuln
        all_normal 170 alt 0.5
        all_normal 170 ast 1.0
        all_normal 170 igg 0.9
        alt_high 170 alt 1.1
        alt_high 170 ast 0.5
        alt_high 170 igg 0.9
        ast_high 170 alt 0.5
        ast_high 170 ast 1.1
        ast_high 170 igg 0.9
        igg_high 170 alt 0.5
        igg_high 170 ast 0.5
        igg_high 170 igg 1.1
        nothing 20 alt 9
    """)
    same(status, """
        patient     status         because
        all_normal  met            criteria met
        alt_high    not met        criteria not met
        ast_high    not met        criteria not met
        igg_high    not met        criteria not met
        nothing     not evaluable  no result in the window
    """)  # fmt: skip


def test_statistics_rule_8_missing_igg_is_not_evaluable_with_normal_alt_and_not_met_with_abnormal_alt() -> None:
    status = status_at_six_months("""
        patient day analyte xuln
        abnormal 170 alt 3
        abnormal 170 ast 0.5
        normal 170 alt 0.5
        normal 170 ast 0.5
        only_igg 170 igg 0.5
    """)
    same(status, """
        patient   status         because
        abnormal  not met        criteria not met
        normal    not evaluable  IgG missing
        only_igg  not evaluable  ALT missing, AST missing
    """)  # fmt: skip


def test_results_of_one_evaluation_lie_at_most_14_days_apart() -> None:
    first = respond("""
        patient day analyte xuln
        apart_14 150 alt 0.5
        apart_14 150 ast 0.5
        apart_14 164 igg 0.5
        apart_15 150 alt 0.5
        apart_15 150 ast 0.5
        apart_15 165 igg 0.5
        chain_20 150 alt 0.5
        chain_20 160 ast 0.5
        chain_20 170 igg 0.5
    """).first_attained()
    same(first, """
        patient onset known_at
        apart_14 150 164
    """)  # fmt: skip


def test_statistics_rule_1_known_on_is_the_last_result_used() -> None:
    first = respond("""
        patient day analyte xuln
        igg_later 80 alt 0.5
        igg_later 80 ast 0.5
        igg_later 90 igg 0.5
        same_day 80 alt 0.5
        same_day 80 ast 0.5
        same_day 80 igg 0.5
    """).first_attained()
    same(first, """
        patient onset known_at known_on
        igg_later 80 90 90
        same_day 80 80 80
    """)  # fmt: skip


def test_response_does_not_begin_before_the_last_abnormal_result() -> None:
    first = respond("""
        patient day analyte xuln
        A 80 alt 0.5
        A 80 ast 0.5
        A 80 igg 1.2
        A 90 igg 0.9
    """).first_attained()
    same(first, """
        patient onset known_at
        A 90 90
    """)  # fmt: skip


def test_an_evaluation_never_looks_ahead() -> None:
    evaluations = respond("""
        patient day analyte xuln
        A 80 alt 0.5
        A 80 ast 0.5
        A 85 igg 0.5
        A 90 alt 4
    """).evaluations
    same(evaluations, """
        patient  day  known_day  status
        A        80   80         not evaluable
        A        80   85         met
        A        90   90         not met
    """)  # fmt: skip


def test_results_up_to_day_0_are_baseline_and_never_response() -> None:
    response = respond("""
        patient day analyte xuln
        A -5 igg 0.5
        A 0 alt 0.5
        A 0 ast 0.5
        A 0 igg 0.5
        B -3 igg 0.5
        B 8 alt 0.5
        B 8 ast 0.5
    """)
    assert response.first_attained().empty
    same(response.evaluations, """
        patient  day  status
        B        8    not evaluable
    """)  # fmt: skip
    assert list(response.in_response_at_baseline()) == ["A"]


def test_autoantibody_titres_do_not_matter_to_iaihg_2022() -> None:
    status = status_at_six_months("""
        patient day analyte xuln value uln
        A 170 alt 0.5 - -
        A 170 ast 0.5 - -
        A 170 igg 0.5 - -
        A 170 ana - 2560 1
    """)
    same(status, """
        patient status
        A met
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("sign", "value", "status"),
    [
        ("<", 30, "met"),
        ("<", 40, "met"),
        ("<=", 40, "met"),
        ("<", 50, "not evaluable"),
        (">", 50, "not met"),
        (">", 40, "not met"),
        (">=", 40, "not evaluable"),
        (">", 30, "not evaluable"),
    ],
)
def test_a_sign_before_the_result_decides_only_what_it_can(sign: str, value: int, status: str) -> None:
    found = status_at_six_months(f"""
        patient day analyte xuln value comparator
        A 170 alt - {value} {sign}
        A 170 ast 0.5 - -
        A 170 igg 0.5 - -
    """)
    assert list(found["status"]) == [status]


def test_without_an_upper_limit_of_normal_a_result_is_not_evaluable() -> None:
    status = status_at_six_months("""
        patient day analyte value uln
        A 170 alt 20 40
        A 170 ast 20 40
        A 170 igg 9 -
    """)
    same(status, """
        patient  status         because
        A        not evaluable  IgG without upper limit
    """)  # fmt: skip


def test_of_several_results_on_one_day_the_worst_counts() -> None:
    status = status_at_six_months("""
        patient day analyte xuln
        A 170 alt 0.5
        A 170 alt 1.5
        A 170 ast 0.5
        A 170 igg 0.5
    """)
    same(status, """
        patient  status
        A        not met
    """)  # fmt: skip


def test_clinic_rule_11_the_limit_is_that_of_the_age_at_the_sample() -> None:
    # IgG 15 g/L: above 13.8 on the last day of the second year of life, below 15.8 on the birthday.
    status = status_at_six_months("""
        patient day analyte value uln
        birthday 170 alt 20 40
        birthday 170 ast 20 40
        birthday 170 igg 15 15.8
        day_before 169 alt 20 40
        day_before 169 ast 20 40
        day_before 169 igg 15 13.8
    """)
    same(status, """
        patient     status
        birthday    met
        day_before  not met
    """)  # fmt: skip


def test_a_result_at_the_limit_meets_it_whatever_unit_it_came_in() -> None:
    value = 1610 * 0.01  # mg/dL into g/L leaves a last bit
    status = status_at_six_months(f"""
        patient day analyte value uln
        A 170 alt 40 40
        A 170 ast 40 40
        A 170 igg {value * (1 + 2e-16)!r} 16.1
    """)
    assert list(status["status"]) == ["met"]


def test_results_from_the_day_of_transplant_on_are_left_out() -> None:
    response = respond(
        """
        patient day analyte xuln
        A 160 alt 0.5
        A 160 ast 0.5
        A 160 igg 0.5
        A 90 alt 5
    """,
        events="""
        patient day kind
        A 160 transplant
    """,
    )
    assert response.first_attained().empty
    assert len(response.results) == 1


def test_explain_names_the_rows_that_decided() -> None:
    text = respond(
        """
        patient day analyte xuln comparator
        A 80 alt 0.5 <
        A 80 ast 0.5 -
        A 90 igg 0.5 -
    """,
        treatments="""
        patient drug start stop indication
        A immunoglobulin 85 85 other
    """,
    ).explain("A")
    assert "- day 90: not evaluable: ALT < 0.50 × ULN (day 80, row 1), AST 0.50 × ULN (day 80, row 2), " in text
    assert "IgG 0.50 × ULN (day 90, row 3, not interpretable)" in text
    assert text.endswith("must not guide treatment of an individual.")
