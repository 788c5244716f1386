"""Which file a mapping means, whatever its kind."""

import pytest

from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load import read_tables
from aih_outcomes.load.mapping import parse_mapping
from tests.load.workbooks import write_xlsx

PATIENTS = """
[patients]
file = "clinic.xlsx"
sheet = "Children"
columns.patient_id = "Study no"
columns.age_at_diagnosis = "Age"
columns.diagnosis_date = "Biopsy"
"""
EVENTS = """
[events]
file = "events.csv"
columns.patient_id = "id"
columns.date = "day"
columns.kind = "what"
"""


@pytest.fixture
def mixed(tmp_path):
    """Return a folder with a workbook and a text file."""

    def fill(book):
        for name in ("Children", "Remarks", "Old"):
            sheet = book.add_worksheet(name)
            sheet.write_row("A1", ["Study no", "Age", "Biopsy"])
            sheet.write_row("A2", ["k1", 7.5, "2019-05"])

    write_xlsx(tmp_path / "clinic.xlsx", fill)
    (tmp_path / "events.csv").write_text("id\tday\twhat\nk1\t2021-02-03\tlisting\n", encoding="utf-8")
    return tmp_path


def refused(path, mapping: str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        read_tables(path, parse_mapping(mapping))
    return caught.value


def test_a_folder_may_hold_workbooks_and_text_files(mixed):
    cohort = read_tables(mixed, parse_mapping(PATIENTS + EVENTS))
    report = cohort.load_report.set_index("table")
    assert report.loc["patients", "source_file"] == "clinic.xlsx:Children"
    assert report.loc["patients", "how_read"] == "1 line; sheets not used: 'Remarks', 'Old'"
    assert report.loc["events", "how_read"] == "1 line; cells separated by tab, as the first lines show"
    assert cohort.patients["date_precision"].tolist() == ["month"]
    assert cohort.events["kind"].tolist() == ["listing"]


def test_where_one_file_is_read_it_need_not_be_named(mixed):
    one = PATIENTS.replace('file = "clinic.xlsx"\n', "")
    assert read_tables(mixed / "clinic.xlsx", parse_mapping(one)).n_patients == 1
    error = refused(mixed, one)
    assert "names no file for 'patients'" in error.what
    assert 'file = "…"' in error.way_out
    assert "and 'clinic.xlsx' is read" in refused(mixed / "clinic.xlsx", PATIENTS + EVENTS).what


def test_a_slip_in_the_name_of_file_or_sheet_has_a_near_miss(mixed):
    assert refused(mixed, PATIENTS.replace("clinic", "Clinic")).way_out == "Perhaps 'clinic.xlsx' is meant"
    assert refused(mixed, PATIENTS.replace("Children", "Child")).way_out == "Perhaps 'Children' is meant"
    assert "which has none" in refused(mixed, EVENTS.replace("columns.p", 'sheet = "x"\ncolumns.p', 1) + PATIENTS).what


def test_one_text_file_without_a_mapping_is_no_cohort(mixed):
    with pytest.raises(DataError) as caught:
        read_tables(mixed / "events.csv")
    assert "is one file and no workbook" in caught.value.what
