"""A cohort on one clock: which results the endpoints may look at."""

import pytest

from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.timelines import derive_timelines
from tests.endpoints.tables import cohort, iaihg

NORMAL = """
    patient day analyte xuln date_precision
    A 170 alt 0.5 -
    A 170 ast 0.5 day
    A 170 igg 0.5 {precision}
"""


@pytest.mark.parametrize(
    ("precision", "n", "status"),
    [("-", 1, "met"), ("day", 1, "met"), ("month", 0, "not evaluable"), ("year", 0, "not evaluable")],
)
def test_a_result_dated_to_the_month_or_year_is_in_no_window(precision: str, n: int, status: str) -> None:
    made = cohort(NORMAL.format(precision=precision))
    assert len(derive_timelines(made).labs["igg"].day) == n
    assert derive_response(made, iaihg()).status_by(182)["status"].tolist() == [status]


@pytest.mark.parametrize(("precision", "days"), [("-", [170]), ("month", []), ("year", [])])
def test_a_result_that_may_be_of_a_graft_is_left_out(precision: str, days: list[int]) -> None:
    """Transplanted on day 180, or some day of that month or year: the normal result of day 170 may be the graft's."""
    made = cohort(
        "patient day analyte xuln\nA 170 alt 0.5",
        events=f"patient day kind date_precision\nA 180 transplant {precision}",
    )
    assert derive_timelines(made).labs["alt"].day.tolist() == days
