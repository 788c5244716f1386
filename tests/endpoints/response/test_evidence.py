"""Which rows decided: the same in words and as a frame."""

from aih_outcomes.endpoints.response.evidence import derive_evidence
from aih_outcomes.endpoints.response.response import derive_response
from tests.endpoints.tables import cohort, iaihg, same

MADE = cohort(
    """
    patient day analyte xuln
    A -3 alt 20
    A 90 alt 0.5
    A 90 ast 2.5
    A 100 igg 0.9
""",
    treatments="patient drug start stop indication\nA immunoglobulin 95 96 cytopenia",
)


def test_each_result_that_decided_an_evaluation_has_a_row_and_a_missing_one_is_said() -> None:
    same(derive_evidence(derive_response(MADE, iaihg())), """
        patient  known_day  status   analyte  judgement      sample_day  xuln  row  interpretable
        A        90         not met  alt      met            90          0.5   2    True
        A        90         not met  ast      not met        90          2.5   3    True
        A        90         not met  igg      not evaluable  -           -     -    -
        A        100        not met  alt      met            90          0.5   2    True
        A        100        not met  ast      not met        90          2.5   3    True
        A        100        not met  igg      not evaluable  100         0.9   4    False
    """)  # fmt: skip


def test_the_words_name_the_same_rows() -> None:
    words = derive_response(MADE, iaihg()).explain("A")
    assert "day 90: not met: ALT 0.50 × ULN (day 90, row 2), AST 2.50 × ULN (day 90, row 3), IgG missing" in words
    assert "IgG 0.90 × ULN (day 100, row 4, not interpretable)" in words
    assert "before treatment ALT 20.00 × ULN (day -3, row 1)" in words


def test_without_an_evaluation_the_frame_is_empty() -> None:
    none = cohort("patient day analyte xuln\nA -3 alt 20")
    assert derive_evidence(derive_response(none, iaihg())).empty
