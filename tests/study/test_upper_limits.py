"""Who changes category with the choice of upper limits, and who by age band, laboratory or assay (clinic, rule 11)."""

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import PlanError
from aih_outcomes.study.upper_limits import AGE_BANDS, REASONS, UlnComparison, compare_uln
from tests.endpoints.tables import DAY_0, cohort, iaihg, same

# IgG at 14.5 g/L with normal transaminases, in a child who turns two between the two visits.
TURNS_TWO = """
    patient day analyte value uln uln_source
    child 100 alt 20 40 reported
    child 100 ast 20 40 reported
    child 100 igg 14.5 13.8 age_sex_table
    child 150 alt 20 40 reported
    child 150 ast 20 40 reported
    child 150 igg 14.5 15.8 age_sex_table
"""


def compare(made: Cohort, *upper_limits: str) -> UlnComparison:
    return compare_uln(made, iaihg(), upper_limits=upper_limits or ("as_recorded",))


def with_columns(made: Cohort, **columns: list[str | None]) -> Cohort:
    """Return the cohort with these columns of its results."""
    labs = made.labs.assign(**{name: pd.array(values, dtype="string") for name, values in columns.items()})
    return Cohort(**{**made.tables(), "labs": labs})


def born(made: Cohort, day: int) -> Cohort:
    patients = made.patients.assign(birth_date=DAY_0 + pd.Timedelta(days=day))
    return Cohort(**{**made.tables(), "patients": patients})


def reasons(found: UlnComparison) -> list[tuple[str, str, str]]:
    columns = found.patients[["reason", "analyte", "age_band"]]
    return list(columns.itertuples(index=False, name=None))


def test_a_birthday_that_opens_the_next_band_is_an_age_band() -> None:
    made = born(cohort(TURNS_TWO), 120 - 731)
    assert reasons(compare(made)) == [("age band", "igg", "0–4 years")]


def test_limits_that_the_laboratory_reports_from_a_table_by_age_are_an_age_band_too() -> None:
    """13.8 and 15.8 g/L are UK PRU's limits before and after the second birthday."""
    made = born(cohort(TURNS_TWO.replace("age_sex_table", "reported")), 120 - 731)
    assert reasons(compare(made)) == [("age band", "igg", "0–4 years")]


def test_the_same_limits_in_a_child_who_had_no_such_birthday_are_another_laboratory() -> None:
    made = cohort(TURNS_TWO.replace("age_sex_table", "reported"))  # nine, and ten soon after day 0
    assert reasons(compare(made)) == [("laboratory", "igg", "10–14 years")]


def test_the_limits_of_two_tables_for_one_age_are_another_laboratory() -> None:
    """At 20 and 21 months UK PRU has 13.8 g/L and CALIPER 11.5: no birthday lies between."""
    text = TURNS_TWO.replace("14.5", "12.5").replace("15.8", "11.5")
    assert reasons(compare(born(cohort(text), 150 - 640))) == [("laboratory", "igg", "0–4 years")]


@pytest.mark.parametrize(
    ("method", "unit", "reason"),
    [
        ((None, "elisa"), ("g/L", "g/L"), "laboratory"),  # a method that is not known did not change
        (("blot", "elisa"), ("g/L", "g/L"), "assay"),
        ((None, None), ("g/L", "mg/dL"), "assay"),
        ((None, None), ("g/L", " g/l"), "laboratory"),  # the same unit, written otherwise
        ((None, None), (None, "mg/dL"), "laboratory"),
    ],
)
def test_another_method_or_unit_is_another_assay(
    method: tuple[str | None, str | None], unit: tuple[str | None, str | None], reason: str
) -> None:
    made = cohort(TURNS_TWO.replace("age_sex_table", "reported"))
    made = with_columns(
        made,
        method=[None, None, method[0], None, None, method[1]],
        raw_unit=[None, None, unit[0], None, None, unit[1]],
    )
    assert [row[0] for row in reasons(compare(made))] == [reason]


BY_CHOICE = """
    patient day analyte value uln
    strict 170 alt 35 50
    strict 170 ast 30 50
    strict 170 igg 10 16
    lenient 170 alt 35 30
    lenient 170 ast 30 50
    lenient 170 igg 10 16
    same 170 alt 10 50
    same 170 ast 10 50
    same 170 igg 8 16
"""


def test_the_choice_of_limits_moves_patients_in_both_directions() -> None:
    """Fixed: ALT 40; CALIPER for a child of ten: ALT 25, AST 36, IgG 15.3."""
    made = cohort(BY_CHOICE)
    same(compare(made, "as_recorded", "fixed", "caliper").patients, """
        label                          reason            patient  day  age_band     status_before  status
        fixed: ALT 40, AST 40, IgG 16  choice of limits  lenient  182  10–14 years  not met        met
        CALIPER: ALT, AST, IgG         choice of limits  strict   182  10–14 years  met            not met
    """)  # fmt: skip


def test_tidy_counts_patients_by_source_reason_and_change_with_zeros() -> None:
    tidy = compare(cohort(BY_CHOICE), "as_recorded", "fixed").tidy()
    assert tidy.columns.tolist() == ["label", "term", "state", "n", "denominator"]
    counted = tidy.set_index(["label", "term", "state"])["n"]
    fixed = "fixed: ALT 40, AST 40, IgG 16"
    assert counted[fixed, "choice of limits", "not met → met"] == 1
    assert counted.sum() == 1
    assert ("as recorded", "choice of limits", "met → not met") not in counted.index
    assert {term for _, term, _ in counted.index} == set(REASONS)
    assert set(tidy["denominator"]) == {3}


TWICE = """
    patient day analyte value uln
    child 100 alt 38 35
    child 100 ast 20 40
    child 100 igg 10 16
    child 150 alt 38 45
    child 150 ast 20 40
    child 150 igg 10 16
    child 200 alt 38 35
    child 200 ast 20 40
    child 200 igg 10 16
    child 250 alt 38 45
    child 250 ast 20 40
    child 250 igg 10 16
"""


def test_a_patient_who_changes_twice_for_one_reason_counts_once() -> None:
    found = compare(cohort(TWICE))
    assert len(found.patients) == 3
    assert found.tidy().query("n > 0")[["term", "state", "n"]].to_numpy().tolist() == [
        ["laboratory", "met → not met", 1],
        ["laboratory", "not met → met", 1],
    ]
    assert found.by_age().query("n > 0")[["strata", "term", "n"]].to_numpy().tolist() == [
        ["10–14 years", "laboratory", 1]
    ]


@pytest.mark.parametrize(
    ("days", "band"), [(1825, 0), (1827, 1), (3651, 1), (3653, 2), (5477, 2), (5479, 3), (15000, 3)]
)
def test_age_bands_begin_on_the_birthday(days: int, band: int) -> None:
    """Five years before day 150 are 1826 days, ten 3652, fifteen 5479."""
    found = compare(born(cohort(TWICE.partition("child 200")[0].strip() + "\n"), 150 - days))
    assert found.patients["age_band"].tolist() == [AGE_BANDS[band]]


def test_the_age_at_diagnosis_stands_in_for_a_birth_date() -> None:
    made = cohort(TWICE.partition("child 200")[0].strip() + "\n")
    for age, band in ((8.0, "5–9 years"), (9.9, "10–14 years")):
        patients = made.patients.assign(birth_date=pd.NaT, age_at_diagnosis=age, diagnosis_date=DAY_0)
        found = compare(Cohort(**{**made.tables(), "patients": patients}))
        assert found.patients["age_band"].tolist() == [band]


def test_counts_pass_the_door_of_disclosure_and_small_ones_are_hidden() -> None:
    found = compare(cohort(BY_CHOICE), "as_recorded", "fixed")
    shown = apply_policy(found.tidy(), "lt5")
    assert shown["n"].isna().sum() == len(shown)  # of three patients nothing is shown
    assert apply_policy(found.by_age(), "lt5")["n"].isna().all()


def test_a_cohort_without_results_and_the_default_criteria() -> None:
    found = compare_uln(cohort("patient day analyte xuln\nA 100 alt 0.5"), upper_limits=("as_recorded", "fixed"))
    assert found.patients.empty
    assert (found.tidy()["n"] == 0).all()
    assert (found.by_age()["n"] == 0).all()


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(PlanError, match="not a source of upper limits"):
        compare(cohort(BY_CHOICE), "as_recorded", "local")
