"""Which upper limit is used, and whose category only the limit changed (clinic 11, domain 1.3 and 4.3)."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.response.limits import UPPER_LIMITS, limits_in_words, list_limit_changes, with_upper_limits
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.errors import PlanError
from aih_outcomes.units import canonical_units
from tests.endpoints.tables import DAY_0, cohort, iaihg, same


def aged(*lines: str) -> Cohort:
    """Return one result each: ``analyte sex birth sample``, dates in full."""
    rows = [line.split() for line in lines]
    ids = [f"p{i}" for i in range(len(rows))]
    born = pd.to_datetime([row[2] for row in rows])
    sex = pd.Series([row[1] for row in rows]).replace("-", None)
    patients = pd.DataFrame({"patient_id": ids, "sex": sex, "birth_date": born, "diagnosis_date": DAY_0})
    labs = pd.DataFrame({"patient_id": ids, "date": pd.to_datetime([row[3] for row in rows]),
                         "analyte": [row[0] for row in rows], "value": 10.0, "comparator": "=", "uln": 99.0,
                         "uln_source": "reported"})  # fmt: skip
    return Cohort(patients, labs)


def limits(made: Cohort, source: str) -> list[float | None]:
    uln = with_upper_limits(made, source).labs["uln"]
    return [None if np.isnan(limit) else limit for limit in uln]


def test_as_recorded_changes_nothing() -> None:
    made = cohort("patient day analyte xuln\nA 100 alt 0.5")
    assert with_upper_limits(made, "as_recorded") is made


def test_fixed_limits_are_40_40_and_16_and_leave_other_analytes_alone() -> None:
    made = cohort("""
        patient day analyte value uln
        A 100 alt 30 25
        A 100 ast 30 25
        A 100 igg 12 11.5
        A 100 bilirubin 10 21
    """)
    changed = with_upper_limits(made, "fixed").labs
    assert changed["uln"].tolist() == [40, 40, 16, 21]
    assert changed["uln_source"].tolist() == ["fixed", "fixed", "fixed", "reported"]
    assert made.labs["uln"].tolist() == [25, 25, 11.5, 21]


def test_a_result_without_a_limit_is_given_one() -> None:
    made = cohort("patient day analyte value uln\nA 100 alt 30 -")
    assert limits(made, "fixed") == [40]


@pytest.mark.parametrize(
    ("source", "line", "limit"),
    [
        ("uk-pru", "igg - 2018-03-10 2020-03-09", 13.8),  # the day before the second birthday
        ("uk-pru", "igg - 2018-03-10 2020-03-10", 15.8),  # clinic 11: 13.8 becomes 15.8 at age 2
        ("uk-pru", "igg - 2019-03-10 2020-03-09", 10.9),
        ("uk-pru", "igg - 2019-03-10 2020-03-10", 13.8),  # a year of 366 days
        ("uk-pru", "igg - 2018-03-10 2019-03-10", 13.8),  # a year of 365 days
        ("uk-pru", "igg - 2016-02-29 2019-02-28", 15.8),
        ("uk-pru", "igg - 2016-02-29 2019-03-01", 16.1),
        ("uk-pru", "igg - 2005-01-01 2020-01-01", 16.0),
        ("caliper", "igg female 2018-04-01 2020-01-01", 11.5),  # domain 4.3: at 21 months the table decides
        ("uk-pru", "igg female 2018-04-01 2020-01-01", 13.8),
        ("caliper", "ast any 2020-01-01 2020-01-15", 162),  # 14 days old
        ("caliper", "ast any 2020-01-01 2020-01-16", 67),
        ("caliper", "alt female 2006-01-01 2020-01-01", 22),
        ("caliper", "alt male 2006-01-01 2020-01-01", 24),
        ("caliper", "ast male 2008-01-02 2020-01-01", 36),  # 11 years: one limit for both sexes
        ("caliper", "ast male 2008-01-01 2020-01-01", 35),
        ("adult", "alt female 1990-01-01 2020-01-01", 25),
        ("adult", "alt male 1990-01-01 2020-01-01", 33),
        ("prati-2002", "alt male 1990-01-01 2020-01-01", 30),
    ],
)
def test_clinic_rule_11_the_limit_is_that_of_sex_and_age_at_the_sample(source: str, line: str, limit: float) -> None:
    made = aged(line.replace(" any ", " - "))
    assert limits(made, source) == [limit]
    assert with_upper_limits(made, source).labs["uln_source"].tolist() == ["age_sex_table"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("caliper", "alt male 2001-01-01 2020-01-01"),  # 19 years: the table ends
        ("caliper", "alt unknown 2006-01-01 2020-01-01"),  # 14 years, two limits, sex not known
        ("caliper", "alt - 2006-01-01 2020-01-01"),
        ("adult", "alt male 2010-01-01 2020-01-01"),
    ],
)
def test_where_no_band_fits_the_limit_is_missing_never_guessed(source: str, line: str) -> None:
    made = aged(line)
    assert limits(made, source) == [None]
    assert with_upper_limits(made, source).labs["uln_source"].tolist() == ["none"]


def test_an_analyte_that_the_table_lacks_keeps_its_limit() -> None:
    made = aged("alt male 2010-01-01 2020-01-01", "igg male 2010-01-01 2020-01-01")
    assert limits(made, "uk-pru") == [99, 16.1]
    assert with_upper_limits(made, "uk-pru").labs["uln_source"].tolist() == ["reported", "age_sex_table"]


def test_age_from_the_age_at_diagnosis_where_no_birth_date_is_known() -> None:
    patients = pd.DataFrame({"patient_id": ["A", "B"], "diagnosis_date": DAY_0, "age_at_diagnosis": [1.5, 0.1]})
    labs = pd.DataFrame({"patient_id": ["A", "A", "B"], "date": DAY_0 + pd.to_timedelta([0, 200, 0], unit="D"),
                         "analyte": "igg", "value": 10.0, "comparator": "=", "uln": 20.0,
                         "uln_source": "reported"})  # fmt: skip
    assert limits(Cohort(patients, labs), "uk-pru") == [13.8, 15.8, 13.0]


def test_an_empty_cohort_has_nothing_to_change() -> None:
    nobody = Cohort(pd.DataFrame(columns=["patient_id"]))
    assert [len(with_upper_limits(nobody, source).labs) for source in UPPER_LIMITS] == [0] * len(UPPER_LIMITS)


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(PlanError, match="not a source of upper limits"):
        with_upper_limits(cohort("patient day analyte xuln\nA 100 alt 0.5"), "local")


def test_the_tables_are_in_canonical_units_and_change_at_birthdays() -> None:
    table = read_reference_limits()
    assert set(table["confidence"]) == {"remembered"}
    assert (table["unit"] == table["analyte"].map(canonical_units())).all()
    later = table.loc[table["age_from_years"] >= 1, "age_from_years"]
    assert (later == later.round()).all()  # completed years decide
    assert (table["lower"].isna() | (table["lower"] < table["upper"])).all()


@pytest.mark.parametrize("sex", ["female", "male"])
def test_no_two_bands_of_a_table_overlap(sex: str) -> None:
    table = read_reference_limits()
    table = table[table["sex"].isin(["any", sex])].sort_values(["table", "analyte", "age_from_years"])
    begins = table["age_from_years"].shift(-1)
    same_kind = (table[["table", "analyte"]] == table[["table", "analyte"]].shift(-1)).all(axis=1)
    assert (table["age_to_years"] == begins)[same_kind].all()


def test_sources_in_words() -> None:
    assert [limits_in_words(source) for source in ("as_recorded", "caliper")] == [
        "as recorded", "CALIPER: ALT, AST, IgG",
    ]  # fmt: skip


# Whose category only the limit changed -------------------------------------------------------------------------------


def changes(labs: str) -> pd.DataFrame:
    return list_limit_changes(derive_response(cohort(labs), iaihg()))


def test_clinic_rule_11_a_band_that_opens_at_a_birthday_makes_a_response() -> None:
    same(changes("""
        patient day analyte value uln
        A 100 alt 20 40
        A 100 ast 20 40
        A 100 igg 14.5 13.8
        A 150 alt 20 40
        A 150 ast 20 40
        A 150 igg 14.5 15.8
    """), """
        patient  day  analyte  uln_before  uln   status_before  status  status_with_earlier_limit
        A        150  igg      13.8        15.8  not met        met     not met
    """)  # fmt: skip


def test_clinic_rule_11_another_laboratory_takes_a_response_away() -> None:
    same(changes("""
        patient day analyte value uln
        A 100 alt 38 45
        A 100 ast 20 40
        A 100 igg 10 16
        A 150 alt 38 35
        A 150 ast 20 40
        A 150 igg 10 16
    """), """
        patient  day  analyte  uln_before  uln  status_before  status   status_with_earlier_limit
        A        150  alt      45          35   met            not met  met
    """)  # fmt: skip


def test_a_change_of_limit_beside_a_change_of_value_is_not_listed() -> None:
    assert changes("""
        patient day analyte value uln
        fell 100 alt 80 45
        fell 100 ast 20 40
        fell 100 igg 10 16
        fell 150 alt 20 35
        fell 150 ast 20 40
        fell 150 igg 10 16
        stays 100 alt 20 45
        stays 100 ast 20 40
        stays 100 igg 10 16
        stays 150 alt 20 35
        stays 150 ast 20 40
        stays 150 igg 10 16
        still_high 100 alt 80 45
        still_high 100 ast 20 40
        still_high 100 igg 10 16
        still_high 150 alt 40 45
        still_high 150 ast 20 40
        still_high 150 igg 15 14
    """).empty


def test_an_evaluation_that_cannot_be_judged_lies_between_and_does_not_count() -> None:
    same(changes("""
        patient day analyte value uln
        A 100 alt 38 45
        A 100 ast 20 40
        A 100 igg 10 16
        A 125 alt 30 35
        A 125 igg 10 16
        A 165 alt 38 35
        A 165 ast 20 40
        A 165 igg 10 16
    """), """
        patient  day  analyte  uln_before  uln  status_before  status   status_with_earlier_limit
        A        165  alt      45          35   met            not met  met
    """)  # fmt: skip


def test_a_limit_that_alone_makes_a_set_without_ast_not_met_is_listed() -> None:
    same(changes("""
        patient day analyte value uln
        A 100 alt 38 45
        A 100 ast 20 40
        A 100 igg 10 16
        A 150 alt 38 35
        A 150 igg 10 16
    """), """
        patient  day  analyte  uln_before  uln  status_before  status   status_with_earlier_limit
        A        150  alt      45          35   met            not met  not evaluable
    """)  # fmt: skip


def test_both_transaminases_may_be_needed_and_each_is_listed() -> None:
    same(changes("""
        patient day analyte value uln
        A 100 alt 45 40
        A 100 ast 45 40
        A 100 igg 10 16
        A 150 alt 45 50
        A 150 ast 45 50
        A 150 igg 10 16
    """), """
        patient  day  analyte  uln_before  uln  status_before  status  status_with_earlier_limit
        A        150  alt      40          50   not met        met     not met
        A        150  ast      40          50   not met        met     not met
    """)  # fmt: skip


def test_the_limit_of_another_patient_is_never_the_earlier_one() -> None:
    assert changes("""
        patient day analyte value uln
        A 100 alt 38 35
        A 100 ast 20 40
        A 100 igg 10 16
        B 100 alt 38 45
        B 100 ast 20 40
        B 100 igg 10 16
    """).empty


def test_a_sign_that_leaves_the_earlier_limit_open_is_listed_as_such() -> None:
    """Below 42 is met at a limit of 45; at 40 it may be either."""
    same(changes("""
        patient day analyte value uln comparator
        A 100 alt 50 40 =
        A 100 ast 20 40 =
        A 100 igg 10 16 =
        A 150 alt 42 45 <
        A 150 ast 20 40 =
        A 150 igg 10 16 =
    """), """
        patient  day  analyte  uln_before  uln  status_before  status  status_with_earlier_limit
        A        150  alt      40          45   not met        met     not evaluable
    """)  # fmt: skip


def test_nobody_and_one_evaluation_have_no_change() -> None:
    assert changes("").empty
    assert changes("patient day analyte value uln\nA 100 alt 38 45").empty


def test_a_limit_in_a_unit_does_not_move_with_the_upper_limit() -> None:
    rule = iaihg().response
    criterion = rule.criteria[2].model_copy(update={"at_most_xuln": None, "at_most": 16.0, "unit": "g/L"})
    fixed = rule.model_copy(update={"criteria": (*rule.criteria[:2], criterion)})
    response = derive_response(cohort("""
        patient day analyte value uln
        A 100 alt 20 40
        A 100 ast 20 40
        A 100 igg 15 16
        A 150 alt 20 40
        A 150 ast 20 40
        A 150 igg 15 14
    """), iaihg().model_copy(update={"response": fixed}))  # fmt: skip
    assert list_limit_changes(response).empty
