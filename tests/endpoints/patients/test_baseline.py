"""Who the patients were before treatment: IgG below the lower limit (clinic, rule 10)."""

from dataclasses import replace

import pandas as pd
import pytest

from aih_outcomes.endpoints.patients.baseline import derive_baseline, in_words
from aih_outcomes.endpoints.patients.patient_words import derive_analysis_set
from aih_outcomes.endpoints.response.response import derive_response
from tests.endpoints.tables import cohort, iaihg, same


def low_igg(labs: str, patients: str = "", **others: str) -> pd.Series:
    made = cohort(f"patient day analyte value comparator\n{labs.strip()}", patients=patients, **others)
    return derive_baseline(derive_response(made, iaihg()))["low_igg_before_treatment"]


# Lower limits of the UK Protein Reference Unit, g/L: 3.7 at 2, 4.9 from 3, 5.4 from 6, 6.0 from 15 years on.
@pytest.mark.parametrize(
    ("born", "igg", "low"),
    [
        (-3650, "5.3", True),
        (-3650, "5.4", False),
        (-3650, "12", False),
        (-915, "3.6", True),
        (-915, "3.8", False),
        (-1500, "4.8", True),
        (-1500, "4.9", False),
        (-5700, "5.8", True),
        (-5700, "6.0", False),
        (-9000, "5.8", True),
    ],
)
def test_clinic_rule_10_igg_is_low_below_the_lower_limit_of_the_age(born: int, igg: str, low: bool) -> None:
    found = low_igg(f"A -3 igg {igg} =", f"patient birth_date\nA {born}")
    assert found["A"] == low


def test_clinic_rule_10_the_age_is_that_of_the_sample() -> None:
    # Born 1,100 days before time zero, at 3.01 years: 20 days earlier the child was 2 and its limit was 3.7 g/L.
    patients = "patient birth_date\nA -1100\nB -1100"
    assert low_igg("A -20 igg 4 =\nB -3 igg 4 =", patients).tolist() == [False, True]


@pytest.mark.parametrize(
    ("igg", "low"),
    [("5.4 <", "True"), ("5.4 <=", "<NA>"), ("4 <=", "True"), ("7 <", "<NA>"), ("5 >", "<NA>"), ("5.4 >=", "False")],
)
def test_a_sign_may_leave_open_whether_igg_is_low(igg: str, low: str) -> None:
    assert str(low_igg(f"A -3 igg {igg}")["A"]) == low


def test_clinic_rule_10_without_an_interpretable_value_before_treatment_it_is_not_known() -> None:
    found = low_igg(
        "infused -3 igg 4 =\nlater 5 igg 4 =\nnone -3 alt 40 =\nlow -3 igg 4 =",
        treatments="patient drug start stop indication\ninfused immunoglobulin -20 -20 other",
    )
    assert found.astype(str).to_dict() == {
        "infused": "<NA>", "later": "<NA>", "low": "True", "none": "<NA>"
    }  # fmt: skip


def test_it_is_that_before_treatment_on_a_later_day_too() -> None:
    made = cohort("patient day analyte value\nA -3 igg 4\nA 180 igg 9")
    same(derive_baseline(derive_response(made, iaihg()), day=182).reset_index(), """
        patient igg low_igg_before_treatment
        A 9 True
    """)  # fmt: skip


def test_it_stands_in_table_1_and_in_the_analysis_set_in_words() -> None:
    made = cohort("patient day analyte value\nA -3 igg 4\nB -3 igg 9\nC -3 alt 40")
    response = derive_response(made, iaihg())
    words = "IgG below the lower limit before treatment"
    assert in_words(derive_baseline(response))[words].fillna("-").tolist() == ["yes", "no", "-"]
    table = derive_analysis_set(response)
    variable = next(variable for variable in table.variables if variable.name == "low_igg_before_treatment")
    assert variable.title == words
    assert table.words(variable).fillna("-").tolist() == ["yes", "no", "-"]


def test_the_era_of_diagnosis_is_the_noted_one_where_dates_were_moved() -> None:
    made = cohort("patient day analyte value comparator\nA -3 alt 400 =\nB -3 alt 400 =")  # diagnosed on 1 January 2020
    noted = made.patients["diagnosis_era"].mask(made.patients["patient_id"] == "B", "1990-1994")
    moved = replace(made, patients=made.patients.assign(diagnosis_era=noted))
    era = derive_baseline(derive_response(moved, iaihg()))["era"]
    assert era.to_dict() == {"A": "2020–2024", "B": "1990–1994"}
