"""Workbooks (.xlsx, .ods): the cells of one sheet as text, by python-calamine; what it does not tell is looked up."""

import datetime
import io
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from aih_outcomes.errors import PlanError
from aih_outcomes.load.spreadsheets.package import damaged, locked, open_package
from aih_outcomes.load.spreadsheets.sheet_facts import SheetFacts
from aih_outcomes.load.spreadsheets.source import Layout, Line, Source, arrange_lines, count

WORKBOOKS = (".xlsx", ".xlsm", ".ods")
Cell = float | str | bool | datetime.time | datetime.date | datetime.timedelta

_EXACT = 1e15  # Excel keeps 15 digits
_HEAD = 20  # lines in which a header is looked for
_NO_VALUE = "#NO VALUE"  # stands for a formula that was never computed: neither blank nor a value


class Workbook:
    """An open workbook: its sheets by name, each read when it is asked for, with numbers written as text is."""

    def __init__(self, path: Path, name: str, decimal: str = ".") -> None:
        self.name, self.decimal = name, decimal
        self.package = open_package(path, name)
        try:
            self._book = CalamineWorkbook.from_filelike(io.BytesIO(self.package.data))
        except PasswordError:
            raise locked(name) from None
        except CalamineError:
            raise damaged(name) from None
        self.sheets = tuple(self._book.sheet_names)
        if not self.sheets:
            raise damaged(name)

    def read(self, sheet: str | None, layout: Layout) -> Source:
        """Return the cells of a sheet as text; without a name, of the first one.

        Raises
        ------
        DataError : the sheet is damaged, too large, or has no header
        PlanError : there is no sheet of that name
        """
        chosen = self._choose(sheet)
        facts = self.package.look_up(chosen, self.sheets.index(chosen))
        found = self._open(chosen)
        notes = self._tell(chosen, facts, named=sheet is not None)
        return arrange_lines(
            f"{self.name}:{chosen}", _lines(found, facts, self.decimal), layout,
            merged=found.merged_cell_ranges, notes=notes, typed_dates=True, sheet=chosen,
        )  # fmt: skip

    def find_line(self, sheet: str, word: str) -> int:
        """Return the first of the first lines that holds a word in a cell of its own; line 1 where none does."""
        self.package.look_up(sheet, self.sheets.index(sheet))
        rows = self._open(sheet).to_python(skip_empty_area=False, nrows=_HEAD)
        return next((number + 1 for number, row in enumerate(rows) if word in row), 1)

    def _open(self, sheet: str) -> CalamineSheet:
        try:
            return self._book.get_sheet_by_name(sheet)
        except CalamineError:
            raise damaged(self.name) from None

    def _choose(self, sheet: str | None) -> str:
        if sheet is None:
            return self.sheets[0]
        if sheet in self.sheets:
            return str(sheet)
        near = get_close_matches(str(sheet).casefold(), [name.casefold() for name in self.sheets], n=1)
        meant = next((name for name in self.sheets if near and name.casefold() == near[0]), None)
        raise PlanError(
            f"'{self.name}' has no sheet '{sheet}'",
            f"Its sheets are {', '.join(self.sheets)}",
            f"Perhaps '{meant}' is meant" if meant else 'Correct the line sheet = "…" of the mapping',
        )

    def _tell(self, sheet: str, facts: SheetFacts, *, named: bool) -> list[str]:
        visible = {meta.name: meta.visible for meta in self._book.sheets_metadata}
        told = []
        if not named and len(self.sheets) > 1:
            told.append(f"sheet '{sheet}', the first of {len(self.sheets)}")
        if visible[sheet] != SheetVisibleEnum.Visible:
            told.append("the sheet is hidden")
        if facts.n_hidden:
            told.append(f"{count(facts.n_hidden, 'hidden row')} read like the others")
        if facts.errors:
            told.append(f"{count(len(facts.errors), 'cell')} with an error such as #N/A")
        if facts.uncomputed:
            told.append(f"{count(len(facts.uncomputed), 'formula')} without a value: open and save the workbook once")
        return told


def _lines(sheet: CalamineSheet, facts: SheetFacts, decimal: str) -> Iterator[Line]:
    """Yield the number of each row, as the spreadsheet shows it, and its cells as text."""
    told = {**facts.errors, **dict.fromkeys(facts.uncomputed, _NO_VALUE)}
    rows_told = {row for row, _ in told}
    for number, row in enumerate(sheet.to_python(skip_empty_area=False)):
        cells = [write_cell(cell, decimal) for cell in row]
        if number in rows_told:
            cells = [told.get((number, column), cell) for column, cell in enumerate(cells)]
        yield number + 1, cells


def write_cell(cell: Cell, decimal: str = ".") -> str:
    """Return a typed cell as text: dates ``YYYY-MM-DD``, the shortest number that reads back as itself.

    Parameters
    ----------
    decimal : sign with which numbers are written that stand as text beside the typed ones

    Examples
    --------
    >>> [write_cell(cell) for cell in (5.0, 0.1, True, datetime.date(2019, 5, 3), "<5")]
    ['5', '0.1', 'TRUE', '2019-05-03', '<5']
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        return str(int(cell)) if abs(cell) < _EXACT and cell == int(cell) else repr(float(cell)).replace(".", decimal)
    return cell.isoformat(sep=" ") if isinstance(cell, datetime.datetime) else _write_time(cell)


def _write_time(cell: datetime.date | datetime.time | datetime.timedelta) -> str:
    return str(cell) if isinstance(cell, datetime.timedelta) else cell.isoformat()
