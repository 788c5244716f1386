"""Acute severe presentation and paediatric acute liver failure (clinic 19)."""

import pytest

from aih_outcomes.endpoints.events.presentation import derive_presentation
from tests.endpoints.events.test_liver_events import examined
from tests.endpoints.tables import same


def inr(*lines: str) -> str:
    return "\n".join(["patient day analyte value", *lines])


def people(*lines: str) -> str:
    return "\n".join(["patient presentation cirrhosis_at_diagnosis", *lines])


def test_acute_severe_is_an_acute_presentation_with_inr_1_5_and_no_cirrhosis() -> None:
    timelines = examined(
        patients=people("all acute no", "failure acute_liver_failure no", "low acute no", "slow insidious no"),
        labs=inr("all 0 inr 1.5", "failure 0 inr 6", "low 0 inr 1.49", "slow 0 inr 3"),
    )
    same(derive_presentation(timelines), """
        patient  inr   acute_severe  acute_severe_because
        all      1.5   met           criteria met
        failure  6     met           criteria met
        low      1.49  not met       INR below 1.5
        slow     3     not met       presentation not acute
    """)  # fmt: skip


def test_acute_severe_is_not_evaluable_without_presentation_inr_or_knowledge_of_cirrhosis() -> None:
    timelines = examined(
        patients=people("inr acute no", "how - no", "cirrhosis acute -"), labs=inr("how 0 inr 2", "cirrhosis 0 inr 2")
    )
    same(derive_presentation(timelines), """
        patient    acute_severe   acute_severe_because
        cirrhosis  not evaluable  cirrhosis at diagnosis not known
        how        not evaluable  presentation not known
        inr        not evaluable  INR not known
    """)  # fmt: skip


def test_what_decides_against_it_counts_before_what_is_missing() -> None:
    timelines = examined(patients=people("A insidious -", "B - yes", "C - -"), labs=inr("C 0 inr 1.1"))
    same(derive_presentation(timelines), """
        patient  acute_severe  acute_severe_because
        A        not met       presentation not acute
        B        not met       cirrhosis at diagnosis
        C        not met       INR below 1.5
    """)  # fmt: skip


def test_a_biopsy_within_90_days_tells_of_cirrhosis_at_diagnosis() -> None:
    timelines = examined(
        patients=people("with acute -", "without acute -", "later acute -"),
        labs=inr("with 0 inr 2", "without 0 inr 2", "later 0 inr 2"),
        biopsies="patient day ishak_fibrosis adequate\nwith 90 5 yes\nwithout 30 3 yes\nlater 91 5 yes",
    )
    same(derive_presentation(timelines), """
        patient  acute_severe
        later    not evaluable
        with     not met
        without  met
    """)  # fmt: skip


def test_liver_failure_is_inr_2_or_inr_1_5_with_encephalopathy() -> None:
    timelines = examined(
        labs=inr("alone 0 inr 2", "with 0 inr 1.5", "below 0 inr 1.4", "not_enough 0 inr 1.9"),
        events="patient day kind\nwith 5 encephalopathy\nbelow 5 encephalopathy\nunmeasured 5 encephalopathy",
    )
    same(derive_presentation(timelines), """
        patient     liver_failure  liver_failure_because
        alone       met            INR of 2.0 or more
        below       not met        INR below 1.5
        not_enough  not met        INR below 2.0, no encephalopathy recorded
        unmeasured  not evaluable  INR not known
        with        met            INR of 1.5 or more with encephalopathy
    """)  # fmt: skip


@pytest.mark.parametrize(("day", "status"), [(-31, "not evaluable"), (-30, "met"), (14, "met"), (15, "not evaluable")])
def test_only_the_days_around_diagnosis_are_the_presentation(day: int, status: str) -> None:
    assert derive_presentation(examined(labs=inr(f"A {day} inr 3")))["liver_failure"].tolist() == [status]


def test_encephalopathy_long_after_diagnosis_is_not_the_presentation() -> None:
    timelines = examined(labs=inr("A 0 inr 1.7"), events="patient day kind\nA 15 encephalopathy")
    assert derive_presentation(timelines)["liver_failure"].tolist() == ["not met"]


def test_the_worst_inr_of_those_days_counts() -> None:
    timelines = examined(labs=inr("A 0 inr 1.2", "A 3 inr 2.4", "A 9 inr 1.3"))
    same(derive_presentation(timelines), """
        patient inr liver_failure
        A 2.4 met
    """)  # fmt: skip


def test_an_inr_printed_above_a_low_number_is_open() -> None:
    labs = "patient day analyte value comparator\nA 0 inr 1.2 >\nB 0 inr 5 >\nC 0 inr 1.5 <"
    same(derive_presentation(examined(labs=labs)), """
        patient  liver_failure
        A        not evaluable
        B        met
        C        not met
    """)  # fmt: skip


def test_the_window_follows_the_diagnosis_on_any_clock() -> None:
    timelines = examined("induction", patients="patient diagnosis_date\nA 40", labs=inr("A 45 inr 3", "A 0 inr 1"))
    same(derive_presentation(timelines), """
        patient inr liver_failure
        A 3 met
    """)  # fmt: skip
