"""The declared tables check rows and print the data dictionary."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import DataError
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


def refused(name: str, **columns: object) -> DataError:
    """Conform a frame whose faulty cells all hold SECRET or 7777; neither may be said."""
    with pytest.raises(DataError) as caught:
        conform(pd.DataFrame(columns), name)
    assert "SECRET" not in str(caught.value)
    assert "7777" not in str(caught.value)
    assert name in caught.value.what
    return caught.value


@pytest.mark.parametrize("cell", ["02/03/2010", "23/03/2010", "2010-3-2", "20100302", "2010-02-30", "2010-03-02 10:00",
                                  "SECRET", 20100302, 77773, True])  # fmt: skip
def test_a_date_is_a_date_or_iso_text_and_is_never_guessed(cell: object) -> None:
    error = refused("patients", patient_id=["a", "b", "c"], birth_date=["2010-03-02", cell, None])
    assert error.what == "1 of 3 rows of 'patients' hold no date in column 'birth_date'"
    assert error.rule == "A date is a datetime without a time zone, or text written YYYY-MM-DD"
    assert "read_tables" in error.way_out
    assert "date_format" in error.way_out


@pytest.mark.parametrize("unit", ["s", "ns", "us"])
def test_dates_are_taken_as_iso_text_datetimes_or_days_of_the_calendar(unit: str) -> None:
    for given in (
        ["2010-03-02", None, ""],
        [dt.date(2010, 3, 2), None, pd.NaT],
        [dt.datetime(2010, 3, 2), None, pd.NaT],
        pd.Series(pd.to_datetime(["2010-03-02", None, None])).astype(f"datetime64[{unit}]"),
        pd.Series(["2010-03-02", None, None], dtype="category"),
    ):
        column = conform(pd.DataFrame({"birth_date": given}), "patients")["birth_date"]
        assert column.dtype == "datetime64[s]"
        assert column.tolist() == [pd.Timestamp("2010-03-02"), pd.NaT, pd.NaT]


def test_a_column_of_numbers_is_no_column_of_dates_but_an_empty_one_is() -> None:
    assert refused("events", date=[7777.0, np.nan]).what.startswith("1 of 2 rows")
    assert conform(pd.DataFrame({"date": [np.nan, np.nan]}), "events")["date"].isna().all()


def test_dates_with_a_time_zone_are_refused() -> None:
    aware = pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/London")
    for given in (aware, aware.astype(object)):
        error = refused("events", date=given)
        assert error.what == "1 of 2 rows of 'events' hold no date in column 'date'"
        assert "time zone" in error.rule


@pytest.mark.parametrize("cell", ["9SECRET", "7777,5", "SECRET"])
def test_a_number_is_a_number(cell: str) -> None:
    error = refused("labs", value=[1.5, cell, "2.5", None])
    assert error.what == "1 of 4 rows of 'labs' hold no number in column 'value'"
    assert refused("labs", value=pd.to_datetime(["2020-01-01"])).what.startswith("1 of 1 rows")


def test_numbers_as_text_and_empty_cells_are_taken() -> None:
    values = conform(pd.DataFrame({"value": ["1.5", "", None, 2]}), "labs")["value"]
    assert values.tolist()[::3] == [1.5, 2.0]
    assert values.isna().tolist() == [False, True, True, False]


@pytest.mark.parametrize("cell", [1.5, "SECRET", float("inf"), 7.777e30])
def test_a_grade_is_a_whole_number(cell: object) -> None:
    assert refused("events", grade=[2, cell, None]).what == (
        "1 of 3 rows of 'events' hold no whole number in column 'grade'"
    )


@pytest.mark.parametrize("cell", ["SECRET", "yes", 7777, 0.5])
def test_a_flag_is_true_or_false(cell: object) -> None:
    error = refused("patients", ibd=[True, cell, None])
    assert error.what == "1 of 3 rows of 'patients' hold neither True nor False in column 'ibd'"


@pytest.mark.parametrize("given", [[True, False, None], [1, 0, None], [1.0, 0.0, np.nan], ["1", "0", ""]])
def test_flags_are_taken_as_true_and_false_or_as_1_and_0(given: list[object]) -> None:
    flags = conform(pd.DataFrame({"ibd": given}), "patients")["ibd"]
    assert flags.dtype == "boolean"
    assert flags.tolist() == [True, False, pd.NA]


@pytest.mark.parametrize(
    ("given", "meant"), [("ULN", "uln"), ("uln_", "uln"), ("PatientID", "patient_id"), ("raw unit", "raw_unit")]
)
def test_a_column_that_differs_by_its_spelling_alone_is_refused(given: str, meant: str) -> None:
    error = refused("labs", **{given: [7777.0]})
    assert error.what == f"1 column(s) of 'labs' differ from declared ones by their spelling alone: {given}"
    assert meant in error.way_out


def test_a_column_that_is_not_declared_is_left_out() -> None:
    assert "note" not in conform(pd.DataFrame({"note": ["x"], 3: [1]}), "labs")


def test_a_column_given_twice_is_refused() -> None:
    twice = pd.DataFrame([["a", "b"]], columns=["patient_id", "patient_id"])
    with pytest.raises(DataError, match=r"1 column\(s\) of 'labs' stand there twice: patient_id"):
        conform(twice, "labs")


@pytest.mark.parametrize("given", [None, [{"patient_id": "a"}]])
def test_what_is_no_frame_is_refused(given: object) -> None:
    with pytest.raises(DataError, match="'labs' is no table") as caught:
        conform(given, "labs")  # type: ignore[arg-type]
    assert "empty" in caught.value.way_out
