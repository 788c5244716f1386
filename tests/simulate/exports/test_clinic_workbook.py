"""The invented clinic's workbook has the habits that real ones have, and is the same file each time."""

import datetime as dt

import openpyxl
import pytest

from aih_outcomes.simulate.exports.clinic_workbook import write_clinic_workbook


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return write_clinic_workbook(tmp_path_factory.mktemp("clinic") / "clinic.xlsx", n_patients=12)


@pytest.fixture(scope="module")
def book(clinic):
    return openpyxl.load_workbook(clinic.path)


def column(sheet, name, header_row):
    place = [cell.value for cell in sheet[header_row]].index(name) + 1
    return [sheet.cell(row, place).value for row in range(header_row + 1, sheet.max_row + 1)]


def test_the_same_seed_gives_the_same_bytes(clinic, tmp_path):
    again = write_clinic_workbook(tmp_path / "again.xlsx", n_patients=12)
    assert again.path.read_bytes() == clinic.path.read_bytes()


def test_dates_are_real_ones_text_and_months(book):
    written = column(book["Children"], "Diagnosed", 4)
    assert any(isinstance(cell, dt.datetime) for cell in written)
    assert any(isinstance(cell, str) and len(cell) == len("01.02.2020") for cell in written)
    assert any(isinstance(cell, str) and len(cell) == len("02.2020") for cell in written)


def test_a_title_stands_above_the_list_and_a_total_below(book):
    sheet = book["Children"]
    assert "list of children" in sheet["A1"].value
    assert sheet.cell(sheet.max_row, 1).value == "Total"


def test_the_header_of_the_visits_is_merged(book):
    assert {str(merged) for merged in book["Visits"].merged_cells.ranges} == {"A1:A2", "B1:E1", "F1:I1"}
    assert [cell.value for cell in book["Visits"][2]][1:] == ["m0", "m3", "m6", "m12"] * 2


def test_results_bear_signs_and_titres_and_units_of_several_laboratories(book):
    results = [cell for cell in column(book["Bloods"], "Result", 1) if isinstance(cell, str)]
    units = set(column(book["Bloods"], "Unit", 1))
    assert any(cell.startswith("<") for cell in results)
    assert any("1:" in cell for cell in results)
    assert {"g/L", "mg/dL"} & units or None in units
    assert len(units) > 3


def test_some_lines_are_coloured_and_colour_says_nothing_else(book):
    fills = {book["Children"].cell(row, 1).fill.fgColor.rgb for row in range(5, 17)}
    assert len(fills) == 2


def test_every_line_of_the_laboratory_is_in_the_answer(book, clinic):
    lines = book["Bloods"].max_row - 1
    visits = sum(isinstance(cell.value, int | float) for row in book["Visits"]["F3:I40"] for cell in row)
    assert len(clinic.answer["labs"]) == lines + visits
