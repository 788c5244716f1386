"""Clinically evident portal hypertension: definite, possible, uncertain (clinic 20)."""

import pytest

from aih_outcomes.endpoints.events.portal_hypertension import derive_portal_hypertension
from tests.endpoints.events.test_liver_events import examined
from tests.endpoints.tables import same

NORMAL = "A 10 platelets 300"  # a look that shows none


def labs(*lines: str) -> str:
    return "\n".join(["patient day analyte value", *lines])


def spleen(*lines: str) -> str:
    return "\n".join(["patient day measure value", *(line.replace("spleen", SPLEEN) for line in lines)])


SPLEEN = "spleen_below_costal_margin"


def test_definite_is_a_palpable_spleen_and_low_platelets_together() -> None:
    timelines = examined(labs=labs(NORMAL, "A 400 platelets 149"), measurements=spleen("A 400 spleen 2.5"))
    same(derive_portal_hypertension(timelines).tidy(), """
        patient  status  at_risk_from  last_without  onset  because
        A        met     10            10            400    spleen and platelets
    """)  # fmt: skip


@pytest.mark.parametrize(("size", "count"), [("2", "100"), ("3", "150")])
def test_a_spleen_of_2_cm_or_platelets_of_150_are_not_enough(size: str, count: str) -> None:
    timelines = examined(labs=labs(NORMAL, f"A 400 platelets {count}"), measurements=spleen(f"A 400 spleen {size}"))
    same(derive_portal_hypertension(timelines).tidy(), """
        patient  status   last_without
        A        not met  400
    """)  # fmt: skip


def test_the_two_belong_together_for_90_days_and_are_known_at_the_later_one() -> None:
    lines = ["A 10 platelets 300", "B 10 platelets 300", "A 490 platelets 100", "B 491 platelets 100"]
    timelines = examined(labs=labs(*lines), measurements=spleen("A 400 spleen 4", "B 400 spleen 4"))
    same(derive_portal_hypertension(timelines).tidy(), """
        patient  status         onset
        A        met            490
        B        not evaluable  -
    """)  # fmt: skip


@pytest.mark.parametrize(("kind", "words"), [("ascites", "ascites"), ("variceal_bleed", "variceal bleed")])
def test_a_complication_alone_is_definite(kind: str, words: str) -> None:
    timelines = examined(labs=labs(NORMAL), events=f"patient day kind\nA 500 {kind}")
    found = derive_portal_hypertension(timelines)
    assert (found.onset.tolist(), found.because.tolist()) == ([500], [words])


def test_varices_on_endoscopy_are_definite() -> None:
    timelines = examined(
        labs=labs(NORMAL),
        imaging="patient day modality finding shows\nA 500 endoscopy abnormal varices\nA 400 ultrasound abnormal -",
    )
    assert derive_portal_hypertension(timelines).onset.tolist() == [500]


def test_either_alone_is_possible_and_said_so() -> None:
    timelines = examined(
        labs=labs(
            "low 10 platelets 300", "low 400 platelets 100", "low 500 platelets 300", "palpable 10 platelets 300"
        ),
        measurements=spleen("palpable 400 spleen 5", "palpable 500 spleen 1"),
    )
    same(derive_portal_hypertension(timelines).tidy(), """
        patient   status   because
        low       not met  possible: low platelets, spleen not known to be palpable
        palpable  not met  possible: spleen palpable, platelets not known to be low
    """)  # fmt: skip


UNCERTAIN = "uncertain: spleen palpable, low platelets with cytopenia of another cause"


@pytest.mark.parametrize(("day", "status"), [(220, "not evaluable"), (219, "met"), (580, "not evaluable")])
def test_low_platelets_within_180_days_of_a_cytopenia_of_another_cause_are_uncertain(day: int, status: str) -> None:
    timelines = examined(
        labs=labs(NORMAL, "A 400 platelets 100"),
        measurements=spleen("A 400 spleen 4"),
        adverse_events=f"patient day kind\nA {day} cytopenia",
    )
    found = derive_portal_hypertension(timelines).tidy()
    assert found["status"].tolist() == [status]
    assert (found["because"] == UNCERTAIN).tolist() == [status != "met"]


def test_treatment_of_a_cytopenia_makes_low_platelets_uncertain_while_it_lasts() -> None:
    timelines = examined(
        labs=labs(NORMAL, "A 2000 platelets 100"),
        measurements=spleen("A 2000 spleen 4"),
        treatments="patient drug start stop indication\nA rituximab 300 - cytopenia",
    )
    assert derive_portal_hypertension(timelines).tidy()["because"].tolist() == [UNCERTAIN]


def test_a_spleen_that_is_not_palpable_decides_even_where_platelets_are_uncertain() -> None:
    timelines = examined(
        labs=labs(NORMAL, "A 400 platelets 100"),
        measurements=spleen("A 400 spleen 0"),
        adverse_events="patient day kind\nA 400 cytopenia",
    )
    same(derive_portal_hypertension(timelines).tidy(), """
        patient  status   last_without
        A        not met  400
    """)  # fmt: skip


def test_a_count_printed_below_a_high_number_is_open() -> None:
    timelines = examined(
        labs="patient day analyte value comparator\nA 10 platelets 300 =\nA 400 platelets 200 <\nB 10 platelets 300 =\n"
        "B 400 platelets 150 <",
        measurements=spleen("A 400 spleen 4", "B 400 spleen 4"),
    )
    same(derive_portal_hypertension(timelines).tidy(), """
        patient  status
        A        not evaluable
        B        met
    """)  # fmt: skip


def test_portal_hypertension_at_diagnosis_is_never_new() -> None:
    timelines = examined(
        labs=labs("A 5 platelets 90", "A 200 platelets 300"),
        measurements=spleen("A 5 spleen 6"),
        events="patient day kind\nB 20 ascites\nB 800 variceal_bleed",
    )
    same(derive_portal_hypertension(timelines).tidy(), """
        patient  status         because
        A        not evaluable  portal hypertension at diagnosis
        B        not evaluable  portal hypertension at diagnosis
    """)  # fmt: skip


def test_nobody_measured_is_nobody_evaluable() -> None:
    assert derive_portal_hypertension(examined(patients="patient sex\nA female")).tidy()["because"].tolist() == [
        "never shown to be absent"
    ]
