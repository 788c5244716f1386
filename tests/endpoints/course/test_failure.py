"""Treatment failure: worse than before treatment (Czaja's rule)."""

import pytest

from aih_outcomes.endpoints.course.failure import derive_treatment_failure
from aih_outcomes.endpoints.rules import FailureRule
from aih_outcomes.errors import PlanError
from tests.endpoints.courses import followed
from tests.endpoints.tables import iaihg, same

TRANSAMINASES = FailureRule(analytes=("alt", "ast"))
START = "patient day analyte value uln\nA 0 alt 400 40\nA 0 ast 400 40\nA 0 bilirubin 30 20"


def failing(*lines: str, drugs: str = "") -> str:
    found = derive_treatment_failure(followed("\n".join([START, *lines]), drugs=drugs))
    return " ".join(str(cell) for cell in found.tidy()[["status", "onset"]].iloc[0])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A 60 alt 668 40", "met 60.0"),  # 67 % above 400
        ("A 60 alt 667 40", "not evaluable nan"),  # less; AST and bilirubin not measured
        ("A 60 ast 700 40", "met 60.0"),
        ("A 60 bilirubin 50.1 20", "met 60.0"),
        ("A 27 alt 900 40", "not evaluable nan"),  # before day 28: the disease before the drugs act
        ("A 28 alt 900 40", "met 28.0"),
    ],
)
def test_one_analyte_67_percent_above_its_value_before_treatment_is_failure(line: str, expected: str) -> None:
    assert failing(line) == expected


def test_not_having_failed_needs_all_analytes() -> None:
    assert failing("A 60 alt 100 40", "A 60 ast 100 40", "A 70 bilirubin 10 20") == "not met nan"
    assert failing("A 60 alt 100 40", "A 60 ast 100 40") == "not evaluable nan"


def test_a_rise_without_treatment_is_no_failure_of_it() -> None:
    drugs = "A prednisolone 0 50 5 planned\nA prednisolone 100 - 20 -"
    assert failing("A 60 alt 900 40", drugs=drugs) == "not evaluable nan"
    assert failing("A 60 alt 900 40", "A 100 alt 900 40", drugs=drugs) == "met 100.0"


def test_a_missing_value_before_treatment_is_not_evaluable_and_named() -> None:
    labs = """
        patient day analyte value uln
        none 60 alt 900 40
        some 0 alt 400 40
        some 0 ast 400 40
        some 60 alt 100 40
        some 60 ast 100 40
        some 60 bilirubin 10 20
        worse 0 alt 400 40
        worse 60 alt 900 40
    """
    same(derive_treatment_failure(followed(labs)).tidy(), """
        patient  status         at_risk_from  onset  because
        none     not evaluable  -             -      no value before treatment of ALT, AST, bilirubin
        some     not evaluable  28            -      no value before treatment of bilirubin
        worse    met            28            60     ALT 67 % or more above the value before treatment
    """)  # fmt: skip
    assert derive_treatment_failure(followed(labs), rule=TRANSAMINASES).tidy()["status"].iloc[1] == "not met"


@pytest.mark.parametrize(
    ("start", "later", "status"),
    [
        ("400 =", "700 >", "met"),
        ("400 =", "600 >", "not evaluable"),
        ("400 =", "700 <", "not evaluable"),
        ("400 =", "600 <", "not met"),
        ("400 >", "700 =", "not evaluable"),  # it began higher than printed
        ("400 >", "600 =", "not met"),
        ("400 <", "700 =", "met"),
    ],
)
def test_a_sign_leaves_open_what_it_may_hide(start: str, later: str, status: str) -> None:
    labs = f"patient day analyte value comparator\nA 0 alt {start}\nA 60 alt {later}"
    found = derive_treatment_failure(followed(labs), rule=FailureRule(analytes=("alt",)))
    assert found.tidy()["status"].tolist() == [status]


def test_criteria_without_a_rule_of_failure_refuse() -> None:
    with pytest.raises(PlanError, match="no rule of treatment failure"):
        derive_treatment_failure(followed(START, definition=iaihg().model_copy(update={"failure": None})))


def test_the_way_out_names_the_class_of_the_rule() -> None:
    with pytest.raises(PlanError, match=r"rule=FailureRule\(\.\.\.\)"):
        derive_treatment_failure(followed(START, definition=iaihg().model_copy(update={"failure": None})))


def test_a_rule_of_another_kind_is_refused() -> None:
    with pytest.raises(PlanError, match="Worsening is no rule of treatment failure"):
        derive_treatment_failure(followed(START), rule=iaihg().loss)  # type: ignore[arg-type]
