"""Steroid burden, worked out by hand: mg × days, by the weight near each dose."""

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.treatment.burden import derive_steroid_burden
from aih_outcomes.errors import PlanError
from tests.endpoints.tables import cohort, same

SIZES = """
    patient day measure value
    A 0 weight 20
    A 0 height 125
    A 120 weight 25
"""


def burden(
    rows: str, *until: int, sizes: str = SIZES, last: int = 400, columns: str = "patient drug dose start stop",
    events: str = "",
) -> pd.DataFrame:  # fmt: skip
    made = cohort(
        treatments=f"{columns}\n{rows.strip()}",
        measurements=sizes,
        follow_up=f"patient start end end_reason end_source\nA 0 {last} ongoing visit",
        events=events,
        steroid=False,
    )
    return derive_steroid_burden(made, until_days=until or (28, 182))


TAPER = """
    A prednisolone 40 0 27
    A prednisolone 20 28 119
    A prednisolone 5 120 -
"""


def test_burden_is_dose_times_days_by_the_weight_near_each_dose() -> None:
    # 28 days × 40 mg / 20 kg; 92 × 20 / 20 (day 28: 20 kg is nearest); 62 × 5 / 25
    same(burden(TAPER), """
        patient until_day status mg mg_per_kg mean_mg_per_kg days_above_low_dose
        A 28 evaluable 1120 56 2 28
        A 182 evaluable 3270 160.4 0.881319 120
    """)  # fmt: skip


def test_a_horizon_holds_as_many_days_as_it_says() -> None:
    same(burden("A prednisolone 10 0 -", 1, 10), """
        patient until_day mg
        A 1 10
        A 10 100
    """)  # fmt: skip


def test_surface_is_mostellers_with_the_height_within_180_days() -> None:
    # √(125 × 20 / 3600) = 0.8333 m²; 25 mg/day × 10 days / 0.8333
    same(burden("A prednisolone 25 0 -", 10), """
        patient mg_per_m2
        A 300
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("drug", "dose", "mg"),
    [
        ("methylprednisolone", "8", "280"),
        ("hydrocortisone", "40", "280"),
        ("deflazacort", "12", "279.888"),
        ("prednisone", "10", "280"),
    ],
)
def test_burden_is_in_prednisolone_equivalents(drug: str, dose: str, mg: str) -> None:
    same(burden(f"A {drug} {dose} 0 -", 28), f"""
        patient mg
        A {mg}
    """)  # fmt: skip


def test_two_steroids_at_once_add_up_and_other_drugs_do_not() -> None:
    same(burden("""
        A prednisolone 10 0 - aih
        A methylprednisolone 8 10 19 aih
        A prednisolone 10 0 - ibd
        A azathioprine 50 0 - aih
    """, 28, columns="patient drug dose start stop indication"), """
        patient mg days_above_low_dose
        A 380 28
    """)  # fmt: skip


def test_clinic_rule_16_pulses_by_vein_are_counted_apart() -> None:
    same(burden("""
        A prednisolone oral 20 0 -
        A methylprednisolone intravenous 300 3 5
        A methylprednisolone intravenous 40 10 11
        A methylprednisolone intravenous 200 15 15
    """, 28, columns="patient drug route dose start stop"), """
        patient mg pulse_days pulse_mg
        A 660 4 1375
    """)  # 28 × 20 + 2 × 50 (2 mg/kg is no pulse); 3 × 375 and, 10 mg/kg, 1 × 250  # fmt: skip


def test_budesonide_has_no_equivalent_and_is_counted_in_days() -> None:
    same(burden("A prednisolone 20 0 9\nA budesonide 9 10 -", 28), """
        patient status mg budesonide_days
        A evaluable 200 18
    """)  # fmt: skip


def test_low_dose_is_not_above_low_dose() -> None:
    same(burden("A prednisolone 4 0 13\nA prednisolone 4.5 14 -", 28), """
        patient days_above_low_dose
        A 14
    """)  # fmt: skip


def test_whoever_was_not_followed_so_long_is_not_evaluable() -> None:
    found = burden(TAPER, 28, 182, last=100)
    assert found["status"].tolist() == ["evaluable", "not evaluable"]
    assert found["because"].tolist() == ["", "not followed so long"]
    assert found["followed_days"].tolist() == [28, 100]
    assert found["mg"].isna().tolist() == [False, True]


def test_steroid_after_transplant_is_for_the_graft() -> None:
    found = burden(TAPER, 28, 182, events="patient day kind\nA 100 transplant")
    assert found["because"].tolist() == ["", "not followed so long"]


def test_a_dose_that_was_not_recorded_is_not_zero() -> None:
    found = burden("A prednisolone 20 0 13\nA prednisolone - 14 20\nA prednisolone 10 21 -", 14, 28)
    assert found["because"].tolist() == ["", "dose not recorded"]
    assert found["mg"].tolist()[0] == 280


def test_without_a_weight_near_a_dose_mg_stand_and_mg_per_kg_do_not() -> None:
    same(burden("A prednisolone 20 0 60\nA prednisolone 10 61 -", 28, 182,
                sizes="patient day measure value\nA 0 weight 20"), """
        patient  until_day  status  mg  mg_per_kg  mg_per_m2
        A  28  evaluable  560  28  -
        A  182  not evaluable  2430  -  -
    """)  # fmt: skip


def test_what_was_taken_before_time_zero_does_not_count() -> None:
    made = cohort(
        treatments="patient drug dose start stop\nA prednisolone 40 -20 9\nA prednisolone - -50 -21",
        measurements=SIZES,
        follow_up="patient start end end_reason end_source\nA 0 400 ongoing visit",
        steroid=False,
    )
    same(derive_steroid_burden(made, time_zero="diagnosis", until_days=(28,)), """
        patient mg
        A 400
    """)  # fmt: skip


def test_no_steroid_at_all_is_a_burden_of_nothing() -> None:
    made = cohort(
        patients="patient sex\nA female\nB male\nC male",
        follow_up="patient start end end_reason end_source\nA 0 400 ongoing visit\nC 0 400 ongoing visit",
        treatments="patient drug start\nA azathioprine 0\nB azathioprine 0",
        steroid=False,
    )
    table = derive_steroid_burden(made, time_zero="diagnosis", until_days=(28,))
    same(table, """
        patient  status         mg  mg_per_kg
        A        evaluable      0   0
        B        not evaluable  -   -
        C        not evaluable  -   -
    """)  # fmt: skip
    assert table["because"].tolist() == ["", "no follow-up", "no treatment recorded"]


def test_nobody_gives_an_empty_table_and_day_0_is_no_horizon() -> None:
    nobody = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
    assert derive_steroid_burden(nobody).empty
    with pytest.raises(PlanError, match="until_days"):
        derive_steroid_burden(nobody, until_days=(0,))
