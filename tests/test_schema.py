"""The declared tables check rows and print the data dictionary."""

import pandas as pd
import pytest

from aih_outcomes.schema import DTYPES, TABLES, conform, data_dictionary, empty_table, find_violations


def violations(name: str, **columns: list[object]) -> list[tuple[object, ...]]:
    found = find_violations(conform(pd.DataFrame(columns), name), name)
    return list(found.itertuples(index=False, name=None))


@pytest.mark.parametrize("name", TABLES)
def test_empty_table_has_the_declared_columns_and_types(name):
    table = empty_table(name)
    assert table.columns.tolist() == TABLES[name].column_names()
    assert table.dtypes.astype(str).tolist() == [DTYPES[column.kind] for column in TABLES[name].columns]
    assert find_violations(table, name).empty


@pytest.mark.parametrize("name", TABLES)
def test_conforming_twice_changes_nothing(name):
    once = conform(pd.DataFrame({"patient_id": ["a", "b"]}), name)
    pd.testing.assert_frame_equal(conform(once, name), once)


def test_required_values_levels_and_limits_are_checked():
    found = violations(
        "events", patient_id=["a", None, "c"], date=["2020-01-01", "2020-01-01", None], kind=["death", "deth", "death"]
    )
    assert [(row, column) for row, column, _ in found] == [(1, "patient_id"), (2, "date"), (1, "kind")]
    assert found[0][2] == "required value is missing"
    assert found[2][2].startswith("must be one of transplant, death")


def test_implausible_laboratory_values_name_the_analyte_and_its_range():
    found = violations(
        "labs", patient_id=["a", "a"], date=["2020-01-01"] * 2, analyte=["igg", "alt"], value=[1200.0, 1200.0],
        comparator=["=", "="], uln_source=["none", "none"],
    )  # fmt: skip
    assert found == [(0, "value", "igg must lie between 0.1 and 100 g/L to be plausible")]


def test_patient_needs_a_birth_date_or_an_age():
    found = violations(
        "patients", patient_id=["a", "b"], diagnosis_date=["2020-01-01"] * 2, age_at_diagnosis=[7.0, None]
    )
    assert found == [(1, "birth_date", "birth_date or age_at_diagnosis is required")]


def test_data_dictionary_has_one_line_per_column():
    dictionary = data_dictionary()
    assert len(dictionary) == sum(len(table.columns) for table in TABLES.values())
    assert dictionary["describes"].str.len().gt(0).all()
    assert not dictionary.duplicated(["table", "column"]).any()
