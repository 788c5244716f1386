"""Time without steroid, on little, without immunosuppression, and steps up (clinic 16). Followed to day 400."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.rules import TreatmentRule
from aih_outcomes.endpoints.spells import Spells
from aih_outcomes.endpoints.timelines import Timelines, derive_timelines
from aih_outcomes.endpoints.treatment.dosing import (
    find_dose_weight,
    find_escalations,
    find_low_dose,
    find_off_treatment,
    find_steroid_free,
)
from tests.endpoints.tables import cohort

SIZE = "patient day measure value\nA {0} weight {1}\nA {0} height 100"
COLUMNS = "patient drug route dose start stop indication\nA prednisolone oral 10 0 99 aih\n"


def timelines(rows: str = "", *, weight: float = 36, measured: int = 0, last: int = 400) -> Timelines:
    """Return one child of 36 kg and 1 m, so of 1 m²: prednisolone 10 mg on days 0 to 99, and what ``rows`` add."""
    made = cohort(
        treatments=COLUMNS + rows,
        measurements=SIZE.format(measured, weight),
        follow_up=f"patient start end end_reason end_source\nA 0 {last} ongoing visit",
        steroid=False,
    )
    return derive_timelines(made)


def days(spells: Spells) -> str:
    return " ".join(f"{a}-{b}" for a, b in zip(spells.start, spells.stop, strict=True))


@pytest.mark.parametrize(
    ("row", "free"),
    [
        ("", "100-400"),
        ("A prednisolone oral 2.5 100 199 aih", "200-400"),
        ("A prednisolone oral 0 100 199 aih", "100-400"),  # written down as zero
        ("A prednisolone oral - 100 199 aih", "200-400"),  # a dose not recorded is a dose
        ("A methylprednisolone intravenous 500 200 202 aih", "100-199 203-400"),
        ("A budesonide oral 9 100 199 aih", "200-400"),
        ("A budesonide - 9 100 199 aih", "200-400"),
        ("A budesonide inhaled 1 100 199 other", "100-400"),
        ("A budesonide rectal 2 100 199 aih", "100-400"),
        ("A budesonide swallowed_topical 2 100 199 other", "100-400"),
        ("A prednisolone rectal 20 100 199 aih", "100-400"),
        ("A prednisolone oral 20 100 199 ibd", "100-400"),
        ("A hydrocortisone oral 12 100 199 replacement", "100-400"),
        ("A hydrocortisone oral 12.5 100 199 replacement", "200-400"),
        ("A hydrocortisone oral - 100 199 replacement", "100-400"),
        ("A hydrocortisone oral 12 100 199 aih", "200-400"),
        ("A prednisolone oral 3 100 199 replacement", "200-400"),  # only hydrocortisone is replacement
        ("A prednisolone oral 5 380 - aih", "100-379"),
        ("A azathioprine oral 50 0 - aih", "100-400"),
    ],
)
def test_clinic_rule_16_steroid_free_is_free_of_systemic_steroid_for_aih(row: str, free: str) -> None:
    assert days(find_steroid_free(timelines(row, measured=100), TreatmentRule())) == free


@pytest.mark.parametrize(
    ("row", "weight", "low"),
    [
        ("", 36, "100-400"),
        ("A prednisolone oral 5 100 199 aih", 36, "100-400"),
        ("A prednisolone oral 5 100 199 aih", 25, "100-400"),  # 0.2 mg/kg
        ("A prednisolone oral 5 100 199 aih", 24, "200-400"),  # 0.208 mg/kg
        ("A prednisolone oral 5.5 100 199 aih", 36, "200-400"),  # 0.15 mg/kg, but above 5 mg
        ("A methylprednisolone oral 4 100 199 aih", 36, "100-400"),  # 5 mg of prednisolone
        ("A prednisolone oral - 100 199 aih", 36, "200-400"),  # not known to be low
        ("A budesonide oral 3 100 199 aih", 36, "200-400"),  # no equivalent: no low dose
        ("A prednisolone oral 2.5 100 199 aih\nA prednisone oral 5 150 160 aih", 36, "100-149 161-400"),
    ],
)
def test_clinic_rule_16_a_low_dose_is_low_by_weight_and_in_mg(row: str, weight: float, low: str) -> None:
    assert days(find_low_dose(timelines(row, weight=weight, measured=100), TreatmentRule()).sure) == low


def test_replacement_of_a_child_whose_surface_is_not_known_is_taken_at_its_word() -> None:
    taken = timelines("A hydrocortisone oral 12.5 100 199 replacement", measured=39)
    assert days(find_steroid_free(taken, TreatmentRule())) == "100-400"


@pytest.mark.parametrize(("measured", "low"), [(40, "100-400"), (39, "200-400")])
def test_a_dose_without_a_weight_within_60_days_of_its_start_is_not_known_to_be_low(measured: int, low: str) -> None:
    taken = timelines("A prednisolone oral 5 100 199 aih", measured=measured)
    assert days(find_low_dose(taken, TreatmentRule()).sure) == low


@pytest.mark.parametrize(
    ("row", "measured", "possible", "unrecorded"),
    [
        ("A prednisolone oral - 100 199 aih", 100, "100-400", True),
        ("A prednisolone oral 5 100 199 aih", 39, "100-400", False),  # no weight
        ("A prednisolone oral 6 100 199 aih", 39, "200-400", False),  # above 5 mg whatever the weight
        ("A prednisolone oral - 100 199 aih\nA prednisone oral 20 150 160 aih", 100, "100-149 161-400", True),
        ("A prednisolone oral - 100 199 aih\nA prednisone oral 20 90 250 aih", 100, "251-400", False),
        ("A budesonide oral - 100 199 aih", 100, "200-400", False),
    ],
)
def test_a_dose_that_is_not_known_may_be_low(row: str, measured: int, possible: str, unrecorded: bool) -> None:
    found = find_low_dose(timelines(row, measured=measured), TreatmentRule())
    assert days(found.possible) == possible
    assert found.unrecorded.tolist() == [unrecorded]


@pytest.mark.parametrize(
    ("weights", "kg", "measured"),
    [
        ("40 30, 101 31", 30, 40),  # the last before the dose, though one after is nearer
        ("40 30, 90 29, 101 31", 29, 90),
        ("100 32, 100 33", 32, 100),  # of two of one day the lowest
        ("39 30, 160 31", 31, 160),  # none within 60 days before: the first after
        ("39 30, 161 31", None, None),
    ],
)
def test_a_dose_is_judged_by_the_last_weight_before_it_else_by_the_first_after(
    weights: str, kg: float | None, measured: float | None
) -> None:
    rows = "\n".join("A {} weight {}".format(*weight.split()) for weight in weights.split(", "))
    made = derive_timelines(cohort(measurements=f"patient day measure value\n{rows}"))
    found = find_dose_weight(made, np.array([0]), np.array([100]))
    assert [None if np.isnan(part[0]) else part[0] for part in found] == [kg, measured]


@pytest.mark.parametrize(
    ("row", "off"),
    [
        ("", "100-400"),
        ("A azathioprine oral 50 0 149 aih", "150-400"),
        ("A azathioprine oral 0 0 149 aih", "100-400"),
        ("A mycophenolate oral - 0 149 aih", "150-400"),
        ("A adalimumab subcutaneous 2 0 149 ibd", "150-400"),  # kept for the bowel
        ("A prednisolone oral 20 120 149 ibd", "100-119 150-400"),
        ("A tacrolimus oral 2 120 - rejection", "100-119"),
        ("A hydrocortisone oral 10 100 149 replacement", "100-400"),
        ("A budesonide rectal 2 100 149 ibd", "100-400"),
        ("A budesonide inhaled 1 100 149 other", "100-400"),
        ("A ursodeoxycholic_acid oral 500 0 - aih", "100-400"),
        ("A immunoglobulin intravenous - 120 120 cytopenia", "100-400"),
    ],
)
def test_off_treatment_is_free_of_any_immunosuppressant_whatever_it_was_for(row: str, off: str) -> None:
    assert days(find_off_treatment(timelines(row), TreatmentRule())) == off


def test_time_off_treatment_ends_with_follow_up_and_without_follow_up_there_is_none() -> None:
    assert days(find_off_treatment(timelines(last=120), TreatmentRule())) == "100-120"
    made = cohort(treatments="patient drug start stop\nA prednisolone 0 99", steroid=False)
    assert days(find_off_treatment(derive_timelines(made), TreatmentRule())) == ""


@pytest.mark.parametrize(("limit", "off"), [(12, "100-400"), (6, "200-400")])
def test_how_much_hydrocortisone_is_replacement_is_a_rule_of_the_criteria(limit: float, off: str) -> None:
    taken = timelines("A hydrocortisone oral 10 100 199 replacement", measured=100)
    assert days(find_off_treatment(taken, TreatmentRule(replacement_mg_per_m2=limit))) == off


@pytest.mark.parametrize(
    ("row", "stepped_up"),
    [
        ("", ""),
        ("A prednisolone oral 12 100 199 aih", ""),  # less than 2.5 mg more
        ("A prednisolone oral 12.5 100 199 aih", "100"),
        ("A prednisolone oral 5 100 199 aih\nA prednisolone oral 10 200 - aih", "200"),
        ("A prednisolone oral 10 130 199 aih", ""),  # a pause of 30 days
        ("A prednisolone oral 2.5 131 199 aih", "131"),  # begun again
        ("A prednisolone oral 20 99 199 aih", "99"),  # the day of the change belongs to the new dose
        ("A prednisolone oral 10 99 199 aih", ""),
        ("A methylprednisolone intravenous 500 50 52 aih", "50"),
        ("A prednisolone oral - 50 60 aih", ""),  # how much more is not known
        ("A azathioprine oral 50 0 - aih", ""),  # begun with the steroid
        ("A azathioprine oral 50 14 - aih", "14"),
        ("A azathioprine oral 50 14 - ibd", ""),
        ("A azathioprine oral 50 14 40 aih\nA azathioprine oral 75 41 - aih", "14"),  # doses of others are not read
        ("A azathioprine oral 50 14 40 aih\nA mercaptopurine oral 25 50 - aih", "14"),  # a switch within the class
        ("A azathioprine oral 50 14 40 aih\nA azathioprine oral 50 72 - aih", "14 72"),
        ("A budesonide oral 9 150 - aih", "150"),
        ("A ursodeoxycholic_acid oral 500 150 - aih", ""),
        ("A azathioprine oral 50 14 - aih\nA prednisolone oral 40 14 20 aih", "14"),
    ],
)
def test_a_step_up_is_more_steroid_or_a_new_class_of_immunosuppressant(row: str, stepped_up: str) -> None:
    patient, day = find_escalations(timelines(row))
    assert " ".join(map(str, day)) == stepped_up
    assert (patient == 0).all()


def test_nobody_has_no_spells_and_no_steps() -> None:
    nobody = derive_timelines(Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")})))
    low = find_low_dose(nobody, TreatmentRule())
    off = find_off_treatment(nobody, TreatmentRule())
    for found in (find_steroid_free(nobody, TreatmentRule()), low.sure, low.possible, off):
        assert days(found) == ""
    assert len(find_escalations(nobody)[0]) == 0
