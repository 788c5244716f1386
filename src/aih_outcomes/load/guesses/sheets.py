"""The sheets of a source as its user has them: every file, sheet or form, with the place of its header found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aih_outcomes.errors import DataError
from aih_outcomes.load.guesses.columns import Sheet, find_roles
from aih_outcomes.load.spreadsheets.files import READABLE, TEXTS, Files
from aih_outcomes.load.spreadsheets.sheets import WORKBOOKS, Workbook
from aih_outcomes.load.spreadsheets.source import Layout, Source

_LAST_HEADER = 12  # a title above the header is seldom longer
_ENCODING = re.compile(r'encoding = "([^"]+)"')


@dataclass(frozen=True, slots=True, eq=False)
class Sheets:
    """What was found.

    Attributes
    ----------
    sheets : those with a header and lines below it
    reading : keys of ``[reading]`` without which the files cannot be read
    not_read : which files and sheets could not be read, and why
    """

    sheets: tuple[Sheet, ...]
    reading: dict[str, str] = field(default_factory=dict)
    not_read: tuple[str, ...] = ()


def look_at_tables(path: Path) -> Sheets:
    """Return the sheets of a file, or of the files of a folder; one that cannot be read is named with its reason.

    Raises
    ------
    DataError : not one of them can be read
    """
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.suffix.lower() in READABLE)
    reading: dict[str, str] = {}
    sheets, failed = [], {}
    passed_over: list[str] = []
    for file in files:
        try:
            sheets += [
                Sheet(place, source.cells, labels=source.labels, typed=source.typed_dates)
                for place, source in _read_all(file, reading, passed_over)
                if len(source.cells)
            ]
        except DataError as error:
            failed[file.name] = error
    if failed and not sheets:
        raise next(iter(failed.values()))
    return Sheets(tuple(sheets), reading, (*(error.what for error in failed.values()), *passed_over))


def look_at_forms(path: Path) -> Sheets:
    """Return the forms of a REDCap project, each with the labels of its fields and of their codes.

    Of the fields that the project marks as identifying, those are read that a cohort needs, such as a date of birth.
    """
    from aih_outcomes.load.redcap.project import read_project

    reading: dict[str, str] = {}
    try:
        project = read_project(path)
    except DataError as error:
        offered = _ENCODING.search(error.way_out)
        if offered is None:
            raise
        reading["encoding"] = offered[1]
        project = read_project(path, encoding=offered[1])
    needed = [one for one in project.fields if one.name in project.withheld and find_roles(one.name, one.label)]
    project = read_project(path, keep=[one.name for one in needed], **reading)
    labels = {one.name: one.label for one in project.fields}
    choices = {one.name: one.choices for one in project.fields if one.choices}
    named = project.record_id
    forms = [Sheet({"file": form}, one.cells, choices, labels, named) for form, one in project.forms.items()]
    return Sheets(tuple(form for form in forms if len(form.cells)), reading)


def _read_all(
    file: Path, reading: dict[str, str], passed_over: list[str]
) -> Iterator[tuple[dict[str, str | int], Source]]:
    """Yield the place and cells of each sheet; one that is no table is named in ``passed_over``, with its reason."""
    if file.suffix.lower() not in WORKBOOKS:
        yield {"file": file.name}, _read_one(file, reading)
        return
    book = Workbook(file, file.name)
    for sheet in book.sheets:
        try:
            layout, source = _find_header(book, sheet)
        except DataError as error:  # a sheet without a header, or with two columns of one name
            passed_over.append(error.what)
            continue
        place: dict[str, str | int] = {"file": file.name, "sheet": sheet}
        if layout.first_row > 1:
            place["first_row"] = layout.first_row
        if layout.header_rows > 1:
            place["header_rows"] = layout.header_rows
        yield place, source


def _read_one(file: Path, reading: dict[str, str]) -> Source:
    """Read a file; where its encoding is refused, in the one that is offered."""
    try:
        return Files(encoding=reading.get("encoding", "utf-8")).read(file)
    except DataError as error:
        offered = _ENCODING.search(error.way_out)
        if offered is None or file.suffix.lower() not in TEXTS:
            raise
        source = Files(encoding=offered[1]).read(file)
        reading["encoding"] = offered[1]
        return source


def _find_header(book: Workbook, sheet: str) -> tuple[Layout, Source]:
    """Return the layout in which a sheet's header names all columns, or else most of them."""
    best: tuple[int, Layout, Source] | None = None
    failed: DataError | None = None
    for layout in (Layout(first_row=row, header_rows=n) for row in range(1, _LAST_HEADER + 1) for n in (1, 2)):
        try:
            source = book.read(sheet, layout)
        except DataError as error:
            failed = failed or error
            continue
        named = _count_names(source, layout)
        if best is None or named > best[0]:
            best = (named, layout, source)
        if named == source.cells.shape[1] > 1:
            break
    if best is None or not best[0]:  # what stands there are no names: they would copy a patient's line
        raise failed or _no_table(sheet)
    return best[1], best[2]


def _no_table(sheet: str) -> DataError:
    return DataError(f"The sheet '{sheet}' has no line of column names", "A table has a header", "Write one above it")


def _count_names(source: Source, layout: Layout) -> int:
    """Count the columns whose header is a name; a number, or a date, in the header is a cell of a patient's line."""
    names = [str(name) for name in source.cells.columns if name]
    if any(re.fullmatch(r"[<>]?[\d.,:/ -]+", part) for name in names for part in name.split(" | ")[-1:]):
        return 0
    joined = sum(" | " in name for name in names)
    return len(names) if layout.header_rows == 1 or joined >= 2 else 0  # two lines that belong together share words
