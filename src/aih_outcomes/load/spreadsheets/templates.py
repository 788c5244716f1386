"""A blank Excel workbook of the schema: a sheet per table with an example row, lists to choose from, and a codebook."""

from datetime import date, datetime
from pathlib import Path

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from aih_outcomes.load.spreadsheets.canonical import AS_PRINTED, EXAMPLE, MADE_BY_LOADING
from aih_outcomes.schema import TABLES, Column, Table, data_dictionary
from aih_outcomes.units import accepted_units, canonical_units

_CREATED = datetime(2024, 1, 1)  # in the file's properties: the same bytes whenever it is written
_HEADER_ROW = 3  # from 0; above it stand the title, what each column holds, and what is accepted
_LAST_ROW = 5000  # down to which lists are offered
_LONGEST_LIST = 255  # characters of a list that Excel keeps in the cell's own rule
_NOT_FILLED_IN = ("source_file", "source_row", "diagnosis_era")  # made by reading
# An invented patient; required columns that are not named here take the first of their words or the day below.
_DAY = date(2019, 5, 20)
_EXAMPLES: dict[str, dict[str, object]] = {
    "patients": {"sex": "female", "birth_date": date(2010, 3, 14), "diagnosis_date": _DAY, "centre": "Centre A",
                 "diagnosis": "aih", "aih_type": "type_1", "cirrhosis_at_diagnosis": "no"},
    "labs": {"analyte": "igg", "raw_value": 24.1, "raw_unit": "g/L", "uln": 16.1, "uln_unit": "g/L"},
    "treatments": {"drug": "prednisolone", "route": "oral", "raw_dose": 1.5, "raw_dose_unit": "mg/kg/day",
                   "stop": date(2019, 6, 20)},
    "events": {"date": date(2021, 2, 1), "kind": "listing"},
    "biopsies": {"hai": 9, "ishak_fibrosis": 3, "adequate": "yes"},
    "imaging": {"modality": "mrcp", "finding": "normal"},
    "measurements": {"measure": "weight", "value": 31.5},
    "variants": {"result": "no_variant"},
    "adverse_events": {"date": date(2019, 9, 2), "kind": "infection", "grade": 2},
    "clinician_responses": {"date": date(2019, 12, 1), "reason": "IgG not repeated", "initials": "XY"},
    "follow_up": {"end": date(2024, 1, 15), "end_reason": "ongoing", "end_source": "visit"},
}  # fmt: skip
_READ_ME = (
    "Template of aih-outcomes: one sheet per table, one row per fact.",
    f"Row {_HEADER_ROW + 1} of each sheet names its columns: leave it as it is. The rows above explain; none is read.",
    f"The first row below it is invented and marked '{EXAMPLE}': it is passed over. Type over it, or leave it.",
    "patient_id is a pseudonym, the same in every sheet. No names, hospital numbers or addresses anywhere.",
    "Dates: real dates, or text YYYY-MM-DD. A date known in part is YYYY-MM or YYYY; it is never made up.",
    "Results and doses: as printed, with their sign (<5) and unit. They are converted when they are read.",
    "Type a titre with an apostrophe in front ('1:640): else the spreadsheet takes it for a time of day.",
    "Empty means not known. Colour, bold and comments are not read.",
    "The sheet Codebook says what each column holds; the sheet Tests which units are understood.",
    'Read it with: aih_outcomes.read_tables("this file.xlsx"); look at it with: aih-outcomes check "this file.xlsx"',
)


def write_workbook_template(path: Path | str) -> None:
    """Write the blank workbook; ``read_tables`` reads it once it is filled in.

    Parameters
    ----------
    path : of the .xlsx file to write; the same bytes each time
    """
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        book.set_properties({"created": _CREATED})
        styles = {
            "head": book.add_format({"bold": True, "bottom": 1}),
            "small": book.add_format({"font_size": 9, "text_wrap": True, "valign": "top", "font_color": "#555555"}),
            "example": book.add_format({"italic": True, "font_color": "#777777"}),
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "text": book.add_format({"num_format": "@"}),
        }
        styles["example date"] = book.add_format({"italic": True, "font_color": "#777777", "num_format": "yyyy-mm-dd"})
        sheets = {name: book.add_worksheet(name) for name in ("Read me", *TABLES, "Codebook", "Tests", "Lists")}
        _write_lines(sheets["Read me"], _READ_ME)
        lists = _Lists(sheets["Lists"])
        for name, table in TABLES.items():
            _write_table(sheets[name], table, lists, styles)
        dictionary = data_dictionary()
        _write_frame(sheets["Codebook"], [list(dictionary.columns), *dictionary.to_numpy().tolist()], styles["head"])
        tests = [[name, unit, ", ".join(accepted_units(name))] for name, unit in canonical_units().items()]
        _write_frame(sheets["Tests"], [["analyte", "canonical unit", "units understood"], *tests], styles["head"])
        sheets["Lists"].hide()


class _Lists:
    """Long lists stand on a sheet of their own, a column each."""

    def __init__(self, sheet: Worksheet) -> None:
        self.sheet = sheet
        self.places: dict[tuple[str, ...], str] = {}

    def source(self, levels: tuple[str, ...]) -> list[str] | str:
        """Return what a cell's rule names as its list."""
        if len(",".join(levels)) <= _LONGEST_LIST:
            return list(levels)
        if levels not in self.places:
            column = len(self.places)
            self.sheet.write_column(0, column, levels)
            first, last = (xl_rowcol_to_cell(row, column, True, True) for row in (0, len(levels) - 1))
            self.places[levels] = f"=Lists!{first}:{last}"
        return self.places[levels]


def template_columns(table: Table) -> list[Column]:
    """Return the columns of a table that are filled in by hand: results and doses as printed."""
    made = (*_NOT_FILLED_IN, *MADE_BY_LOADING.get(table.name, ()))
    columns = [column for column in table.columns if column.name not in made]
    return [one for column in columns for one in (column, *(extra for extra in AS_PRINTED.get(table.name, ())
                                                            if extra.name == f"{column.name}_unit"))]  # fmt: skip


def _write_table(sheet: Worksheet, table: Table, lists: _Lists, styles: dict[str, Format]) -> None:
    sheet.write_string(0, 0, f"{table.name}: one row per {table.one_row_per}", styles["head"])
    sheet.set_row(1, 75)
    sheet.set_row(2, 45)
    sheet.freeze_panes(_HEADER_ROW + 1, 1)
    for place, column in enumerate(template_columns(table)):
        kind = {"date": styles["date"], "identifier": styles["text"]}.get(column.kind)
        sheet.set_column(place, place, max(14, len(column.name) + 2), kind)
        sheet.write_string(1, place, column.describes, styles["small"])
        sheet.write_string(2, place, _accepted(column), styles["small"])
        sheet.write_string(_HEADER_ROW, place, column.name, styles["head"])
        levels = ("yes", "no") if column.kind == "yes_no" else column.levels
        if levels:
            sheet.data_validation(
                _HEADER_ROW + 1, place, _LAST_ROW, place,
                {"validate": "list", "source": lists.source(levels), "error_title": column.name,
                 "error_message": "Choose a word of the list; the sheet Codebook explains them."},
            )  # fmt: skip
        _write_example(sheet, place, _example(table.name, column), styles)


def _accepted(column: Column) -> str:
    unit = f"{column.unit}; " if column.unit and column.unit != "canonical" else ""
    needed = "required" if column.required else "may be empty"
    return unit + {"date": "date; ", "number": "number; ", "integer": "whole number; "}.get(column.kind, "") + needed


def _example(table: str, column: Column) -> object:
    if column.name in _EXAMPLES[table]:
        return _EXAMPLES[table][column.name]
    if column.kind == "identifier":
        return EXAMPLE
    if not column.required:
        return ""
    return _DAY if column.kind == "date" else column.levels[0]


def _write_example(sheet: Worksheet, place: int, cell: object, styles: dict[str, Format]) -> None:
    row = _HEADER_ROW + 1
    if isinstance(cell, date):
        sheet.write_datetime(row, place, cell, styles["example date"])
    elif cell != "":
        sheet.write(row, place, cell, styles["example"])


def _write_lines(sheet: Worksheet, lines: tuple[str, ...]) -> None:
    sheet.set_column(0, 0, 120)
    for row, line in enumerate(lines):
        sheet.write_string(row, 0, line)


def _write_frame(sheet: Worksheet, rows: list[list[str]], head: Format) -> None:
    sheet.set_column(0, len(rows[0]) - 1, 24)
    sheet.freeze_panes(1, 0)
    for row, cells in enumerate(rows):
        for place, cell in enumerate(cells):
            sheet.write_string(row, place, str(cell), head if row == 0 else None)
