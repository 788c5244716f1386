"""A cohort as a clinic would keep it in Excel: a sheet per table, and the mapping that reads it back."""

import math
import re
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import xlsxwriter

from aih_outcomes.simulate.exports.printed import Printed
from aih_outcomes.simulate.exports.tables import say_limit_unit

WORKBOOK, MAPPING = "clinic.xlsx", "mapping.toml"
CREATED = datetime(2024, 1, 1)  # stands in the file's properties: the same bytes whenever it is written
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST_DAY = date(1900, 3, 1)  # before it Excel's calendar has a day too many
_WIDTH = 14
# What a clinic calls a column of the schema, where it is not the same words.
_HEADERS = {
    "patient_id": "Study no",
    "raw_value": "Result",
    "raw_unit": "Unit",
    "raw_dose": "Dose",
    "raw_dose_unit": "Dose unit",
    "uln": "Upper limit",
    "uln_unit": "Upper limit unit",
    "uln_source": "Upper limit from",
}
_MAPPED = {"raw_value": "value", "raw_unit": "unit", "raw_dose": "dose", "raw_dose_unit": "dose_unit"}


def export_workbook(printed: Printed, folder: Path | str) -> None:
    """Write ``clinic.xlsx`` and ``mapping.toml``, by which ``read_tables(folder / "clinic.xlsx", …)`` reads it back.

    Dates are real dates and numbers are numbers where they come back as the same text; all else is text, also what
    begins with ``=``.

    Parameters
    ----------
    printed : table → cells as text, see ``print_cohort``
    folder : where to write; it is made if it does not exist
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    sheets = {name: say_limit_unit(table) for name, table in printed.items()}
    with xlsxwriter.Workbook(out / WORKBOOK, {"default_date_format": "dd/mm/yyyy"}) as book:
        book.set_properties({"created": CREATED})
        bold = book.add_format({"bold": True})
        for name, table in sheets.items():
            sheet = book.add_worksheet(_title(name))
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, table.shape[1] - 1, _WIDTH)
            for place, column in enumerate(table):
                sheet.write_string(0, place, _header(str(column)), bold)
                _write_column(sheet, place, table[column])
    text = "\n".join(["# How clinic.xlsx becomes a cohort.", "", 'label = "clinic workbook"', "",
                      *(line for name, table in sheets.items() for line in _map_table(name, table))])  # fmt: skip
    (out / MAPPING).write_text(text, encoding="utf-8", newline="\n")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _header(column: str) -> str:
    return _HEADERS.get(column, column.replace("_", " ").capitalize())


def _write_column(sheet: xlsxwriter.worksheet.Worksheet, place: int, cells: pd.Series) -> None:
    for row, text in enumerate(cells, start=1):
        cell = _as_typed(text)
        if isinstance(cell, date):
            sheet.write_datetime(row, place, cell)
        elif isinstance(cell, float):
            sheet.write_number(row, place, cell)
        elif cell:
            sheet.write_string(row, place, cell)


def _as_typed(text: str) -> date | float | str:
    """Return a date or number where the spreadsheet gives the same text back, else the text itself."""
    if _ISO.fullmatch(text):
        try:
            found = date.fromisoformat(text)
        except ValueError:
            return text
        return found if found >= _FIRST_DAY else text
    try:
        number = float(f"{float(text):.16G}")  # as xlsxwriter writes it
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    shown = str(int(number)) if abs(number) < 1e15 and number == int(number) else repr(number)
    return number if shown == text else text


def _map_table(name: str, table: pd.DataFrame) -> list[str]:
    """Return the block of the mapping for one sheet."""
    lines = [f"[{name}]", f'sheet = "{_title(name)}"']
    lines += [f'columns.{_MAPPED.get(str(column), column)} = "{_header(str(column))}"' for column in table]
    return [*lines, ""]
