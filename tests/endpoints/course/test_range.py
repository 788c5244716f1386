"""Time in target range: the last value holds until the next, for 180 days at most. Followed to day 400."""

import pandas as pd
import pytest

from aih_outcomes.endpoints.course.range import derive_time_in_range
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.errors import PlanError
from tests.endpoints.tables import cohort, iaihg, same


def in_range(
    results: str,
    *,
    analyte: str = "alt",
    last: int = 400,
    until_day: int = 100,
    at_most_xuln: float = 1.0,
    **others: str,
) -> pd.DataFrame:
    rows = [f"A {line.strip().replace(' ', f' {analyte} ', 1)}" for line in results.strip().splitlines()]
    made = cohort(
        "patient day analyte xuln comparator\n" + "\n".join(rows),
        follow_up=f"patient start end end_reason end_source\nA 0 {last} ongoing visit",
        **others,
    )
    response = derive_response(made, iaihg())
    return derive_time_in_range(response, analyte, until_day=until_day, at_most_xuln=at_most_xuln)


def test_a_value_holds_from_its_day_until_the_next() -> None:
    # days 1 to 20 above, 21 to 80 at the limit, 81 to 100 above
    same(in_range("-3 5 =\n21 1 =\n81 1.1 ="), """
        patient status share days_in_range days_covered
        A evaluable 0.6 60 100
    """)  # fmt: skip


def test_another_target_may_be_asked() -> None:
    assert in_range("-3 5 =\n21 1.9 =", at_most_xuln=2)["share"].tolist() == [0.8]


def test_of_two_results_of_one_day_the_worst_counts() -> None:
    assert in_range("0 5 =\n21 1 =\n21 3 =")["share"].tolist() == [0]


def test_a_value_speaks_for_180_days() -> None:
    same(in_range("0 1 =", until_day=365), """
        patient  status  because  share  days_covered
        A  not evaluable  less than half of the days covered  -  180
    """)  # fmt: skip
    same(in_range("0 1 =\n200 5 =", until_day=365), """
        patient days_in_range days_covered
        A 180 346
    """)  # days 1 to 180, then 200 to 365  # fmt: skip


@pytest.mark.parametrize(("day", "status"), [("51", "evaluable"), ("52", "not evaluable")])
def test_half_of_the_days_have_to_be_covered(day: str, status: str) -> None:
    assert in_range(f"{day} 1 =")["status"].tolist() == [status]


def test_values_after_the_asked_days_and_long_before_do_not_count() -> None:
    assert in_range("-200 1 =\n120 1 =")["days_covered"].tolist() == [0]


def test_nothing_is_carried_beyond_follow_up_transplant_or_death() -> None:
    assert in_range("0 1 =", last=60)["days_covered"].tolist() == [60]
    assert in_range("0 1 =", events="patient day kind\nA 70 transplant")["days_covered"].tolist() == [70]
    assert in_range("0 1 =", last=80, events="patient day kind\nA 80 death")["days_covered"].tolist() == [80]


def test_a_result_that_may_be_either_side_of_the_target_says_nothing() -> None:
    found = in_range("0 1 =\n60 1.5 <\n90 3 =")
    assert found["days_covered"].tolist() == [59 + 11]
    assert found["days_in_range"].tolist() == [59]


def test_igg_that_is_not_interpretable_says_nothing() -> None:
    taken = "patient drug route start stop\nA immunoglobulin intravenous 10 10"
    assert in_range("0 1 =\n20 1 =\n90 1 =", analyte="igg", treatments=taken)["days_covered"].tolist() == [19]


def test_without_follow_up_or_results_nothing_is_evaluable() -> None:
    made = cohort("patient day analyte xuln\nA 0 alt 1", patients="patient sex\nB female")
    found = derive_time_in_range(derive_response(made, iaihg()))
    assert found["because"].tolist() == ["no follow-up", "no follow-up"]
    assert found["share"].isna().all()


def test_an_unknown_analyte_and_day_0_are_refused() -> None:
    response = derive_response(cohort("patient day analyte xuln\nA 0 alt 1"), iaihg())
    for wrong in ({"analyte": "sodium_of_the_moon"}, {"until_day": 0}):
        with pytest.raises(PlanError, match="until_day"):
            derive_time_in_range(response, **wrong)
