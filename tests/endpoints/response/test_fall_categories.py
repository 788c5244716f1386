"""ALT and AST at four weeks: a row for those in whom they disagree (clinic 7)."""

import pytest

from aih_outcomes.endpoints.response.fall_categories import derive_fall_categories
from aih_outcomes.errors import PlanError
from tests.endpoints.courses import followed, visits
from tests.endpoints.tables import iaihg, same


def category(*lines: str) -> str:
    table = derive_fall_categories(followed(visits(*lines)))
    return f"{table['category'].iloc[0]} {table['known_at'].iloc[0]:g}"


START = "A 0 alt=20 ast=20"


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (["A 25 alt=10 ast=10"], "both fell 25"),
        (["A 12 alt=9 ast=9", "A 25 alt=15 ast=15"], "both fell 12"),  # a fall on any day up to 28
        (["A 25 alt=10 ast=11"], "ALT only 28"),
        (["A 25 alt=11 ast=10"], "AST only 28"),
        (["A 25 alt=11 ast=11"], "neither fell 28"),
        (["A 22 alt=11 ast=11", "A 27 alt=10 ast=11"], "neither fell 28"),  # the worst in the window
        (["A 20 alt=11 ast=11"], "not evaluable 28"),  # before the window
        (["A 25 alt=11 ast=-"], "not evaluable 28"),
        (["A 29 alt=5 ast=5"], "not evaluable 28"),
    ],
)
def test_clinic_rule_7_both_one_or_neither(later: list[str], expected: str) -> None:
    assert category(START, *later) == expected


def test_a_fall_from_a_normal_value_says_nothing() -> None:
    labs = visits("both 0", "both 25 alt=0.1 ast=0.1", "ast 0 alt=20 ast=1.0", "ast 25 alt=5 ast=0.9", "none 25")
    same(derive_fall_categories(followed(labs)), """
        patient  category                                because
        ast      both fell                               fell enough
        both     not evaluable: normal before treatment  normal before treatment
        none     not evaluable                           no baseline value
    """)  # fmt: skip


def test_the_categories_agree_with_non_response() -> None:
    labs = visits(
        "fell 0 alt=20 ast=20", "fell 25 alt=5 ast=5", "alt 0 alt=20 ast=20", "alt 25 alt=5 ast=15",
        "weak 0 alt=20 ast=20", "weak 25 alt=15 ast=15",
    )  # fmt: skip
    response = followed(labs)
    assert derive_fall_categories(response)["category"].tolist() == ["ALT only", "both fell", "neither fell"]
    assert response.non_response()["status"].tolist() == ["met", "not met", "met"]


def test_criteria_without_a_rule_of_non_response_refuse() -> None:
    with pytest.raises(PlanError, match="no rule of non-response"):
        derive_fall_categories(followed(visits(START), definition=iaihg().model_copy(update={"non_response": None})))
