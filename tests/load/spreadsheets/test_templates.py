"""The blank workbook of the schema: nobody in it, and ready to be filled in."""

import openpyxl
import pytest

from aih_outcomes.errors import DataError
from aih_outcomes.load import read_tables
from aih_outcomes.load.spreadsheets.templates import write_workbook_template
from aih_outcomes.schema import TABLES

FIRST = 5  # row of the example


@pytest.fixture
def template(tmp_path):
    write_workbook_template(tmp_path / "template.xlsx")
    return tmp_path / "template.xlsx"


def fill(template, **cells: object):
    """Return the template with its examples made into rows of a patient, and cells of the form sheet__A5 set."""
    book = openpyxl.load_workbook(template)
    for name in TABLES:
        book[name].cell(FIRST, 1, "P1")
    for place, value in cells.items():
        sheet, _, cell = place.rpartition("__")
        book[sheet][cell] = value
    filled = template.with_name("filled.xlsx")
    book.save(filled)
    return filled


def column_of(template, sheet: str, name: str) -> str:
    header = [cell for cell in openpyxl.load_workbook(template)[sheet][FIRST - 1] if cell.value == name]
    return header[0].column_letter


def test_the_blank_template_holds_no_patient(template):
    with pytest.raises(DataError) as caught:
        read_tables(template)
    assert caught.value.what == "0 patients in 'template.xlsx:patients'"


def test_its_examples_are_rows_that_can_be_read(template):
    cohort = read_tables(fill(template))
    assert cohort.set_aside.empty
    assert {name: len(table) for name, table in cohort.tables().items()} == dict.fromkeys(TABLES, 1)
    assert cohort.labs[["analyte", "value", "unit", "uln"]].to_numpy().tolist() == [["igg", 24.1, "g/L", 16.1]]
    assert cohort.treatments["dose"].tolist() == [1.5 * 31.5]
    assert set(cohort.load_report["columns_not_used"]) == {""}


def test_the_example_is_passed_over_beside_real_rows(template):
    patients = openpyxl.load_workbook(template)["patients"]
    row = {
        f"patients__{cell.column_letter}{FIRST + 1}": cell.value for cell in patients[FIRST] if cell.value is not None
    }
    filled = fill(template, **row | {"patients__A5": "EXAMPLE (invented)", f"patients__A{FIRST + 1}": "P1"})
    cohort = read_tables(filled)
    assert cohort.n_patients == 1
    assert cohort.load_report["how_read"][0] == (
        "3 lines above the header passed over; sheets not used: 'Read me', 'Codebook', 'Tests', 'Lists'; "
        "1 example row passed over"
    )


def test_results_are_entered_as_printed_with_their_unit(template):
    value, unit, analyte = (column_of(template, "labs", name) for name in ("raw_value", "raw_unit", "analyte"))
    limit, limit_unit = (column_of(template, "labs", name) for name in ("uln", "uln_unit"))
    cells = {f"labs__{analyte}5": "alt", f"labs__{value}5": "<2.5", f"labs__{unit}5": "ukat/L", f"labs__{limit}5": 0.6,
             f"labs__{limit_unit}5": None}  # fmt: skip
    labs = read_tables(fill(template, **cells)).labs
    assert labs[["comparator", "value", "uln", "uln_source"]].to_numpy().tolist() == [["<", 150.0, 36.0, "reported"]]


def test_words_are_chosen_from_the_lists_of_the_schema(template):
    book = openpyxl.load_workbook(template)
    for name, table in TABLES.items():
        rules = {str(rule.sqref).split(":")[0].rstrip("0123456789"): rule.formula1
                 for rule in book[name].data_validations.dataValidation}  # fmt: skip
        for cell in book[name][FIRST - 1]:
            levels = next((column.levels for column in table.columns if column.name == cell.value), ())
            if levels:
                chosen = rules[cell.column_letter].strip('"')
                if chosen.startswith("Lists!"):
                    first, last = chosen.removeprefix("Lists!").replace("$", "").split(":")
                    chosen = ",".join(str(row[0].value) for row in book["Lists"][first:last])
                assert tuple(chosen.split(",")) == levels


def test_the_codebook_names_every_column(template):
    rows = list(openpyxl.load_workbook(template)["Codebook"].iter_rows(min_row=2, values_only=True))
    assert {(row[0], row[2]) for row in rows} == {
        (name, column.name) for name, table in TABLES.items() for column in table.columns
    }


def test_the_same_bytes_each_time(template, tmp_path):
    write_workbook_template(tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == template.read_bytes()
