"""The synthetic cohort as canonical tables and as a clinic's workbook: what is read back is what was written."""

import openpyxl
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from aih_outcomes.load import read_tables
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.tables import SEED, export_tables
from aih_outcomes.simulate.exports.workbook import export_workbook
from aih_outcomes.simulate.synthetic import simulate_cohort


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(SEED, 24)


def read_back(folder, form: str):
    if form == "tables":
        return read_tables(folder)
    return read_tables(folder / "clinic.xlsx", folder / "mapping.toml")


def export(printed, folder, form: str):
    (export_tables if form == "tables" else export_workbook)(printed, folder)
    return read_back(folder, form)


def assert_same(again, cohort):
    assert again.set_aside.empty
    for name, table in cohort.tables().items():
        columns = [column for column in table if column not in ("source_file", "source_row")]
        both = [frame[columns].sort_values(columns, ignore_index=True) for frame in (again.tables()[name], table)]
        assert_frame_equal(*both, check_exact=True, obj=name)
    report = again.load_report
    assert (report["n_read"] == report["n_kept"] + report["n_set_aside"]).all()
    assert dict(zip(report["table"], report["n_read"], strict=True)) == {n: len(t) for n, t in cohort.tables().items()}


@pytest.mark.parametrize("form", ["tables", "workbook"])
def test_what_is_written_is_read_back_bit_for_bit(cohort, tmp_path, form):
    assert_same(export(print_cohort(cohort), tmp_path, form), cohort)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tables", "workbook"])
def test_the_whole_synthetic_cohort_is_read_back_bit_for_bit(tmp_path, form):
    whole = simulate_cohort(SEED, 350)
    assert_same(export(print_cohort(whole), tmp_path, form), whole)


@pytest.mark.parametrize("form", ["tables", "workbook"])
def test_the_same_bytes_each_time(cohort, tmp_path, form):
    printed = print_cohort(cohort)
    for place in ("one", "two"):
        (export_tables if form == "tables" else export_workbook)(printed, tmp_path / place)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def spoil(printed):
    """Write into the first rows what clinics write: each with the column and table in which it must be set aside."""
    labs, patients, events = printed["labs"].copy(), printed["patients"].copy(), printed["events"].copy()
    wrong = [
        ("date", "31/02/2019", "date"), ("date", "", "date"),
        ("raw_unit", "", "unit"), ("raw_unit", "mg/furlong", "unit"),
        ("raw_value", "haemolysed", "value"), ("raw_value", "=2+2", "value"), ("analyte", "ALLT", "analyte"),
        ("patient_id", "'; DROP TABLE patients; --", "patient_id"), ("uln", "forty", "uln"),
    ]  # fmt: skip
    rows = labs.index[labs["analyte"] == "alt"][: len(wrong)]
    for row, (column, text, _) in zip(rows, wrong, strict=True):
        labs.loc[row, column] = text
    patients.loc[0, "birth_date"] = "2012-05"
    patients.loc[0, "date_precision"] = ""
    events = pd.concat([events, events.iloc[:1]], ignore_index=True)
    return printed | {"labs": labs, "patients": patients, "events": events}, [column for *_, column in wrong]


@pytest.mark.parametrize("form", ["tables", "workbook"])
def test_what_cannot_be_read_is_written_as_it_is_and_set_aside(cohort, tmp_path, form):
    printed, columns = spoil(print_cohort(cohort))
    again = export(printed, tmp_path, form)
    aside = again.set_aside
    assert sorted(aside.loc[aside["table"] == "labs", "column"]) == sorted(columns)
    assert aside.loc[aside["table"] == "events", "rule"].tolist() == ["repeats an earlier row"]
    born = again.patients.set_index("patient_id").loc[printed["patients"].loc[0, "patient_id"]]
    assert (str(born["birth_date"].date()), born["date_precision"]) == ("2012-05-15", "month")


def test_a_clinic_finds_real_dates_numbers_and_signs(cohort, tmp_path):
    export_workbook(print_cohort(cohort), tmp_path)
    sheet = openpyxl.load_workbook(tmp_path / "clinic.xlsx")["Labs"]
    header = [cell.value for cell in sheet[1]]
    frame = pd.DataFrame(sheet.iter_rows(min_row=2, values_only=True), columns=header)
    assert frame["Date"].dtype.kind == "M"
    assert {type(cell).__name__ for cell in frame["Result"]} >= {"float", "int", "str"}
    assert frame["Result"].astype(str).str.match(r"^(<|>|1:|\d|<1:)").all()
