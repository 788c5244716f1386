"""The clinician's judgement beside the algorithm's, never in its place (clinic 26)."""

from collections.abc import Callable

import pandas as pd
import pytest

from aih_outcomes.endpoints.patients.clinician import compare_with_clinician, derive_overrides, override
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.errors import DataError, PlanError
from tests.endpoints.tables import cohort, iaihg, same

BY, FALL = "response_by_6_months", "non_response_4_weeks"
HEAD = "patient  day  endpoint  clinician_response  reason  initials"
# To the algorithm: good is met, bad is not met, open is not evaluable by six months.
LABS = """
    patient day analyte xuln
    good 100 alt 0.5
    good 100 ast 0.5
    good 100 igg 0.5
    bad 170 alt 3
    open 170 alt 0.5
    open 170 ast 0.5
    """


def judged(*lines: str, labs: str = LABS, steroid: bool = True) -> Response:
    """Return a response with judgements ``patient  day  clinician_response  reason  initials`` of one endpoint."""
    rows = [line.split("  ") for line in lines]
    table = "\n".join([HEAD, *("  ".join([r[0], r[1], BY, *r[2:]]) for r in rows)]) if rows else ""
    made = cohort(labs, clinician_responses=table, steroid=steroid)
    return derive_response(made, iaihg())


def by_six_months(response: Response, use: str | None = None) -> pd.DataFrame:
    return override(response, endpoint=BY, use=use)  # type: ignore[arg-type]


def test_clinic_rule_26_the_judgement_stands_beside_the_algorithm_s() -> None:
    same(derive_overrides(judged("bad  200  met  flare after a virus  AB", "good  200  met  agreed  CD")), """
        patient  endpoint              algorithm  clinician  agrees  reason               initials  date
        bad      response_by_6_months  not met    met        False   flare after a virus  AB        200
        good     response_by_6_months  met        met        True    agreed               CD        200
    """)  # fmt: skip


def test_a_clinician_may_judge_who_the_algorithm_cannot() -> None:
    same(derive_overrides(judged("open  200  met  IgG seen elsewhere  AB")), """
        patient  algorithm      clinician  agrees
        open     not evaluable  met        False
    """)  # fmt: skip


def test_both_may_call_it_not_evaluable_and_agree() -> None:
    same(derive_overrides(judged("open  200  not evaluable  no IgG  AB")), """
        patient  algorithm      clinician      agrees
        open     not evaluable  not evaluable  True
    """)  # fmt: skip


def test_clinic_rule_26_earlier_judgements_are_kept_and_counted_and_the_latest_counts() -> None:
    response = judged(
        "bad  300  not met  second look  CD", "bad  200  met  first look  AB", "bad  400  not evaluable  third  EF"
    )  # fmt: skip
    same(derive_overrides(response), """
        patient  date  clinician      latest  n_judgements
        bad      200   met            False   3
        bad      300   not met        False   3
        bad      400   not evaluable  True    3
    """)  # fmt: skip
    table = by_six_months(response)
    same(table[table["patient_id"] == "bad"], """
        patient  status   clinician_status  clinician_known_on  n_judgements
        bad      not met  not evaluable     400                 3
    """)  # fmt: skip


def test_judgements_of_two_endpoints_are_counted_apart() -> None:
    table = f"{HEAD}\ngood  200  {BY}  met  agreed  AB\ngood  200  {FALL}  not evaluable  no baseline  AB"
    made = cohort(LABS, clinician_responses=table)
    same(derive_overrides(derive_response(made, iaihg())), """
        patient  endpoint              algorithm      clinician      agrees  latest  n_judgements
        good     non_response_4_weeks  not evaluable  not evaluable  True    True    1
        good     response_by_6_months  met            met            True    True    1
    """)  # fmt: skip


def test_non_response_is_judged_as_such() -> None:
    labs = "\n".join(
        ["patient day analyte xuln", *(f"A {day} {a} {x}" for day, x in ((0, 20), (25, 15)) for a in ("alt", "ast"))]
    )
    made = cohort(labs, clinician_responses=f"{HEAD}\nA  40  {FALL}  met  ALT hardly fell  AB")
    same(derive_overrides(derive_response(made, iaihg())), """
        patient  algorithm  clinician  agrees
        A        met        met        True
    """)  # fmt: skip


def test_a_judgement_of_a_patient_without_time_zero_is_kept() -> None:
    response = judged("good  200  met  treated elsewhere  AB", steroid=False)
    same(derive_overrides(response), """
        patient  algorithm      clinician  agrees
        good     not evaluable  met        False
    """)  # fmt: skip
    table = compare_with_clinician(response, endpoint=BY)
    same(table[table["n"] > 0], """
        algorithm      clinician  n
        not evaluable  met        1
    """)  # fmt: skip


def test_without_judgements_there_is_nothing_to_list() -> None:
    table = derive_overrides(judged())
    assert table.empty
    assert "latest" in table


def test_clinic_rule_26_algorithm_against_clinician_as_counts() -> None:
    response = judged("bad  200  met  flare after a virus  AB", "open  200  not met  jaundiced  AB")
    same(compare_with_clinician(response, endpoint=BY), """
        algorithm      clinician      n
        met            met            0
        met            not met        0
        met            not evaluable  0
        met            not judged     1
        not met        met            1
        not met        not met        0
        not met        not evaluable  0
        not met        not judged     0
        not evaluable  met            0
        not evaluable  not met        1
        not evaluable  not evaluable  0
        not evaluable  not judged     0
    """)  # fmt: skip


def test_the_counts_take_the_latest_judgement_only() -> None:
    response = judged("good  200  not met  first look  AB", "good  300  met  second look  AB")
    table = compare_with_clinician(response, endpoint=BY)
    same(table[(table["n"] > 0) & (table["algorithm"] == "met")], """
        algorithm  clinician  n
        met        met        1
    """)  # fmt: skip
    assert int(table["n"].sum()) == 3


def test_nobody_judged_and_nobody_there_are_counts_of_zero() -> None:
    response = judged(labs="")
    table = compare_with_clinician(response, endpoint=BY)
    assert table["n"].tolist() == [0] * 12


def test_clinic_rule_26_the_algorithm_s_status_is_never_overwritten() -> None:
    response = judged("bad  200  met  flare after a virus  AB")
    before = response.status_by(182)
    for use in (None, "algorithm", "clinician"):
        table = by_six_months(response, use)
        pd.testing.assert_frame_equal(table[before.columns], before)
    assert "status_used" not in by_six_months(response)


def test_clinic_rule_26_the_clinician_s_status_is_used_only_when_asked_and_the_source_is_named() -> None:
    response = judged("bad  200  met  flare after a virus  AB")
    same(by_six_months(response, "clinician"), """
        patient  status         clinician_status  clinician_reason     status_used    status_source
        bad      not met        met               flare after a virus  met            clinician
        good     met            -                 -                    met            algorithm
        open     not evaluable  -                 -                    not evaluable  algorithm
    """)  # fmt: skip
    same(by_six_months(response, "algorithm"), """
        patient  status         clinician_status  clinician_initials  status_used    status_source
        bad      not met        met               AB                  not met        algorithm
        good     met            -                 -                   met            algorithm
        open     not evaluable  -                 -                   not evaluable  algorithm
    """)  # fmt: skip


def test_statistics_rule_1_a_judgement_is_known_on_the_day_it_was_written_down() -> None:
    response = judged("bad  900  met  case conference  AB")
    same(by_six_months(response, "clinician"), """
        patient  known_on  clinician_known_on  known_on_used
        bad      182       900                 900
        good     100       -                   100
        open     182       -                   182
    """)  # fmt: skip


def test_the_status_beside_a_judgement_is_that_of_its_own_endpoint() -> None:
    table = f"{HEAD}\ngood  200  {FALL}  met  hardly fell  AB\nbad  200  {BY}  met  agreed  AB"
    response = derive_response(cohort(LABS, clinician_responses=table), iaihg())
    found = override(response, endpoint=FALL, use="clinician")
    pd.testing.assert_frame_equal(found[response.non_response().columns], response.non_response())
    same(found, """
        patient  status         clinician_status  status_used    status_source
        bad      not evaluable  -                 not evaluable  algorithm
        good     not evaluable  met               met            clinician
        open     not evaluable  -                 not evaluable  algorithm
    """)  # fmt: skip


@pytest.mark.parametrize("ask", [override, compare_with_clinician])
def test_an_endpoint_that_nobody_judges_is_refused(ask: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(PlanError, match="response_by_6_months, non_response_4_weeks") as caught:
        ask(judged("bad  200  met  first  AB"), endpoint="response_by_6_month")
    assert caught.value.way_out == "Perhaps 'response_by_6_months' was meant"


def test_same_day_and_different_is_an_error_in_three_parts() -> None:
    response = judged("bad  200  met  first  AB", "bad  200  not met  second  CD", "good  200  met  agreed  AB")
    with pytest.raises(DataError) as caught:
        derive_overrides(response)
    assert str(caught.value) == (
        "1 judgement(s) in 'clinician_responses' contradict another of the same day. "
        "Rule: A patient has one judgement per endpoint and day; of several days the latest counts. "
        "Way out: Settle them in the notes and keep one row, or correct the date of the later one."
    )
    with pytest.raises(DataError, match="contradict"):
        compare_with_clinician(response, endpoint=BY)
    with pytest.raises(DataError, match="contradict"):
        by_six_months(response)


def test_same_day_and_the_same_is_two_clinicians_who_agree() -> None:
    response = judged("bad  200  met  first  AB", "bad  200  met  second  CD")
    same(derive_overrides(response), """
        patient  initials  latest  n_judgements
        bad      AB        False   2
        bad      CD        True    2
    """)  # fmt: skip


def test_nobody_else_s_judgement_can_be_used() -> None:
    with pytest.raises(PlanError, match="Choices are algorithm, clinician"):
        by_six_months(judged("bad  200  met  first  AB"), "consensus")


def test_a_judgement_of_non_response_needs_a_rule_of_it() -> None:
    made = cohort(LABS, clinician_responses=f"{HEAD}\ngood  200  {FALL}  met  hardly fell  AB")
    response = derive_response(made, iaihg().model_copy(update={"non_response": None}))
    with pytest.raises(PlanError, match="no rule of non-response"):
        derive_overrides(response)
