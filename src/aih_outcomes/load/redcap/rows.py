"""The lines of an export, shared out to the forms that they fill."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from sys import intern

from aih_outcomes.formats.redcap import INSTRUMENT
from aih_outcomes.load.redcap.columns import ExportColumn
from aih_outcomes.load.redcap.events import find_name
from aih_outcomes.load.spreadsheets.source import Line

Taker = Callable[[list[str]], tuple[str, ...]]
_NOT_FILLED = {"", "0"}
_NOT_TICKED = _NOT_FILLED | {"Unchecked"}
_NOT_BEGUN = _NOT_FILLED | {"Incomplete"}


@dataclass(frozen=True, slots=True, eq=False)
class FormLines:
    """The lines that fill one form.

    Attributes
    ----------
    columns : of the record, its event and group, then of the form
    numbers, rows : line of the file, and its cells in the order of ``columns``
    uneven : lines of this form that are longer or shorter than the header
    """

    columns: tuple[ExportColumn, ...]
    numbers: list[int]
    rows: list[tuple[str, ...]]
    uneven: list[int]

    def cells(self) -> dict[str, Sequence[str]]:
        """Return column → cells."""
        turned = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.columns)
        return {column.name: cells for column, cells in zip(self.columns, turned, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """The lines of an export by form, and the number of lines without any text or without any form."""

    forms: dict[str, FormLines]
    n_blank: int
    n_empty: int


def share_out(lines: Iterable[Line], width: int, columns: Sequence[ExportColumn], names: Mapping[str, str]) -> Shared:
    """Share the lines of an export out to its forms.

    A line fills the form that its repeat instrument names, and each other form of which it holds a cell: an unticked
    checkbox is none, nor is the state "incomplete" that REDCap gives to a form that was never opened.

    Parameters
    ----------
    lines : below the header
    width : number of columns of the header
    names : what the column of the repeat instrument may hold, the form's own name among it → form
    """
    shared = {form: _begin(form, columns) for form in names.values()}
    take = {form: _taker(one.columns) for form, one in shared.items()}
    at = next((column.position for column in columns if column.name == INSTRUMENT), None)
    named: dict[str, str] = {"": ""}
    searched: list[tuple[int, list[str], str]] = []
    n_blank = 0
    for number, cells in lines:
        if len(cells) != width:
            n_blank += _set_uneven(number, cells, at, shared, names)
            continue
        cell = "" if at is None else cells[at]
        form = named.get(cell)
        if form is None:
            form = named[cell] = find_name(cell.strip(), names)
        if form:
            row = tuple(map(intern, take[form](cells)))  # one object per distinct text: quicker to compare and count
            shared[form].numbers.append(number)
            shared[form].rows.append(row)
            if width - cells.count("") == len(row) - row.count(""):
                continue
        searched.append((number, cells, form))
    n_empty = _search(searched, shared, take)
    return Shared(shared, n_blank, n_empty)


def _begin(form: str, columns: Sequence[ExportColumn]) -> FormLines:
    taken = [column for column in columns if not column.form] + [column for column in columns if column.form == form]
    return FormLines(tuple(taken), [], [], [])


def _taker(columns: Sequence[ExportColumn]) -> Taker:
    first, *more = (column.position for column in columns)
    return itemgetter(first, *more) if more else lambda cells: (cells[first],)


def _set_uneven(
    number: int, cells: list[str], at: int | None, shared: dict[str, FormLines], names: Mapping[str, str]
) -> bool:
    """Give a line of another length to its form, or to the first; return whether it is blank instead."""
    if not any(map(str.strip, cells)):
        return True
    form = find_name(cells[at].strip(), names) if at is not None and at < len(cells) else ""
    shared[form or next(iter(shared))].uneven.append(number)
    return False


def _search(
    searched: Sequence[tuple[int, list[str], str]], shared: dict[str, FormLines], take: Mapping[str, Taker]
) -> int:
    """Add lines to each form of which they hold a cell; return the number of those that hold none."""
    filled = {number for number, _, named in searched if named}
    for form, one in shared.items():
        tests = [(column.position, _blank(column)) for column in one.columns if column.form and column.counts]
        more = [
            (number, take[form](cells))
            for number, cells, named in searched
            if named != form and any(cells[at].strip() not in blank for at, blank in tests)
        ]
        if not more:
            continue
        filled.update(number for number, _ in more)
        together = sorted([*zip(one.numbers, one.rows, strict=True), *more], key=itemgetter(0))
        one.numbers[:] = [number for number, _ in together]
        one.rows[:] = [row for _, row in together]
    return len(searched) - len(filled)


def _blank(column: ExportColumn) -> set[str]:
    if column.is_checkbox:
        return _NOT_TICKED
    return _NOT_BEGUN if column.field is None and column.name.endswith("_complete") else {""}
