"""Values followed over time, and what was known at time zero (statistics 7, 15; clinic 10)."""

import pytest

from aih_outcomes.endpoints.patients.baseline import derive_baseline
from aih_outcomes.endpoints.patients.measures import derive_measures
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.errors import PlanError
from tests.endpoints.tables import cohort, iaihg, same


def test_statistics_rule_15_a_visit_is_the_value_nearest_its_nominal_day() -> None:
    made = cohort("""
        patient day analyte xuln
        A -20 alt 20
        A -2 alt 16
        A 20 alt 8
        A 24 alt 2
        A 30 alt 4
        A 95 alt 1
        A 180 alt 1
        A 184 alt 8
        B 28 alt 1
        B 28 alt 2
    """)
    same(derive_measures(derive_response(made, iaihg()), "alt").frame, """
        patient time visit value
        A -2 0 16
        A 20 - 8
        A 24 - 2
        A 30 28 4
        A 95 91 1
        A 180 182 1
        A 184 - 8
        B 28 28 1
        B 28 - 2
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "value", "unit"), [("xuln", 4, "× ULN"), ("value", 160, "U/L"), ("log2_xuln", 2, "log2 × ULN")]
)
def test_scales(scale: str, value: float, unit: str) -> None:
    made = cohort("patient day analyte xuln\nA 28 alt 4")
    found = derive_measures(derive_response(made, iaihg()), "alt", scale=scale)
    assert (list(found.frame["value"]), found.unit) == ([value], unit)
    assert (found.analyte, found.time_zero) == ("alt", "first dose of induction steroid")


def test_igg_that_is_not_interpretable_is_not_followed() -> None:
    made = cohort(
        "patient day analyte xuln\nA 28 igg 2\nA 90 igg 1",
        treatments="patient drug start stop indication\nA immunoglobulin 60 60 other",
    )
    same(derive_measures(derive_response(made, iaihg()), "igg").frame, """
        patient time value
        A 28 2
    """)  # fmt: skip


def test_steroid_dose_is_followed_while_the_patient_is() -> None:
    made = cohort(
        treatments="patient drug dose start\nA prednisolone 20 0",
        measurements="patient day measure value\nA 0 weight 20",
        follow_up="patient start end end_reason end_source\nA 0 60 lost visit",
        steroid=False,
    )
    found = derive_measures(derive_response(made, iaihg()), "steroid")
    same(found.frame, """
        patient time visit value
        A 0 0 1
        A 28 28 1
        A 56 56 1
    """)  # fmt: skip
    assert found.unit == "mg/kg/day"


def test_a_weight_dated_to_the_year_is_of_no_day() -> None:
    made = cohort(
        treatments="patient drug dose start stop\nA prednisolone 20 0 -\nB prednisolone 20 0 -",
        measurements="patient day measure value date_precision\nA 0 weight 20 year\nB 0 weight 20 month",
        follow_up="patient start end end_reason end_source\nA 0 10 lost visit\nB 0 10 lost visit",
        steroid=False,
    )
    found = derive_measures(derive_response(made, iaihg()), "steroid")
    same(found.frame, """
        patient time value
        B 0 1
    """)  # fmt: skip


def test_a_series_ends_before_transplant_and_what_is_left_out_is_counted() -> None:
    made = cohort(
        """
        patient day analyte xuln
        A -20 igg 2
        A 28 igg 2
        A 90 igg 1
        A 200 igg 1
        A 300 igg 1
        """,
        treatments="patient drug start stop indication\nA immunoglobulin 60 60 other",
        events="patient day kind\nA 300 transplant",
    )
    found = derive_measures(derive_response(made, iaihg()), "igg")
    same(found.frame, """
        patient time value
        A 28 2
        A 200 1
    """)  # fmt: skip
    same(found.exclusions, """
        reason  n
        Value from transplant on  1
        Value more than 14 days before time zero  1
        Value not interpretable (after immunoglobulin or anti-CD20 antibody)  1
    """)  # fmt: skip


def test_a_value_dated_in_part_belongs_to_no_visit_and_is_counted() -> None:
    made = cohort("patient day analyte xuln date_precision\nA 28 alt 4 -\nA 91 alt 2 month\nA 182 alt 1 year")
    found = derive_measures(derive_response(made, iaihg()), "alt")
    same(found.frame, """
        patient time value
        A 28 4
    """)  # fmt: skip
    same(found.exclusions, """
        reason  n
        Date known to the month or year only  2
    """)  # fmt: skip


def test_values_carry_what_held_on_their_day() -> None:
    made = cohort(
        "patient day analyte xuln visit\nA 28 alt 4 scheduled\nA 40 alt 9 unscheduled\nA 91 alt 2 -",
        steroid=False,
        treatments="patient drug dose start stop\nA prednisolone 20 0 30\nA prednisolone 10 31 60",
        measurements="patient day measure value\nA 0 weight 20",
    )
    found = derive_measures(derive_response(made, iaihg()), "alt")
    assert found.covariates == ("steroid", "targeted", "unscheduled", "followed_until")
    same(found.frame, """
        patient time value steroid targeted unscheduled
        A 28 4 1 0 0
        A 40 9 0.5 0 1
        A 91 2 0 0 -
    """)  # fmt: skip


def test_targeted_begins_with_the_first_dose_of_a_gene_matched_drug() -> None:
    made = cohort(
        "patient day analyte xuln\nA 28 alt 4\nA 120 alt 9\nA 121 alt 2",
        treatments="patient drug start\nA ruxolitinib 121",
        variants="""
            patient day gene mechanism zygosity acmg_class mechanism_confirmed result
            A 60 STAT1 gain_of_function heterozygous 5 yes variant
        """,
    )
    found = derive_measures(derive_response(made, iaihg()), "alt")
    assert found.frame["targeted"].tolist() == [0, 0, 1]


def test_the_dose_itself_ends_at_transplant_too() -> None:
    made = cohort(
        treatments="patient drug dose start\nA prednisolone 20 0",
        measurements="patient day measure value\nA 0 weight 20",
        follow_up="patient start end end_reason end_source\nA 0 60 lost visit",
        events="patient day kind\nA 40 transplant",
        steroid=False,
    )
    found = derive_measures(derive_response(made, iaihg()), "steroid")
    assert found.frame["time"].tolist() == [0, 28]
    assert found.covariates == ("targeted", "followed_until")
    assert found.frame["followed_until"].tolist() == [40, 40]


@pytest.mark.parametrize(("analyte", "scale"), [("alat", "xuln"), ("alt", "log10")])
def test_an_unknown_analyte_or_scale_is_refused(analyte: str, scale: str) -> None:
    made = cohort("patient day analyte xuln\nA 28 alt 4")
    with pytest.raises(PlanError, match="Choices are"):
        derive_measures(derive_response(made, iaihg()), analyte, scale=scale)


def test_baseline_is_what_was_known_at_time_zero() -> None:
    made = cohort(
        "patient day analyte xuln\nA -3 alt 20\nA 5 alt 30\nB -3 igg 2",
        patients="patient sex first_seen_date\nA female 10\nB male -\nC - -5",
        treatments="patient drug start stop indication\nB immunoglobulin -20 -20 other",
    )
    table = derive_baseline(derive_response(made, iaihg())).reset_index()
    same(table, """
        patient age era sex referred_late alt alt_xuln igg
        A 9.99863 2020–2024 female True 800 20 -
        B 9.99863 2020–2024 male - - - -
        C 9.99863 2020–2024 - False - - -
    """)  # fmt: skip
