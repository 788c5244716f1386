"""Whatever a file is, by the end of its name: separated text, a workbook's sheet, SPSS or Stata."""

from collections.abc import Container
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from aih_outcomes.errors import PlanError
from aih_outcomes.load.spreadsheets.separated import read_separated
from aih_outcomes.load.spreadsheets.sheets import WORKBOOKS, Workbook
from aih_outcomes.load.spreadsheets.source import Layout, Source
from aih_outcomes.load.spreadsheets.statistical import STATISTICAL, read_statistical

TEXTS = (".csv", ".tsv", ".txt")
_OLD = (".xls", ".xlsb")  # refused as what they are, not as text in a strange encoding
READABLE = (*TEXTS, *WORKBOOKS, *STATISTICAL)


class Files:
    """The files of one reading, by what the ends of their names say they are; a workbook is opened once."""

    def __init__(
        self, *, separator: str | None = None, encoding: str = "utf-8", values: Literal["labels", "codes"] = "labels",
        decimal: str = ".",
    ) -> None:  # fmt: skip
        self.separator, self.encoding, self.values, self.decimal = separator, encoding, values, decimal
        self._books: dict[Path, Workbook] = {}

    def read(self, path: Path, sheet: str | None = None, layout: Layout | None = None) -> Source:
        """Return the cells of a file, or of a sheet of it, as text.

        Raises
        ------
        DataError : the file cannot be read
        PlanError : a sheet is named for a file that has none, or is not there
        """
        layout, suffix = layout or Layout(), path.suffix.lower()
        if suffix in (*WORKBOOKS, *_OLD):
            return self.open_book(path).read(sheet, layout)
        if sheet is not None:
            raise PlanError(
                f"The mapping names the sheet '{sheet}' of '{path.name}', which has none",
                f"Sheets stand in workbooks: {', '.join(WORKBOOKS)}",
                "Take out the line sheet, or name the workbook",
            )
        if suffix in STATISTICAL:
            encoding = None if self.encoding == "utf-8" else self.encoding
            return read_statistical(path, path.name, values=self.values, encoding=encoding, decimal=self.decimal)
        return read_separated(path, path.name, separator=self.separator, encoding=self.encoding, layout=layout)

    def open_book(self, path: Path) -> Workbook:
        """Return an open workbook."""
        if path not in self._books:
            self._books[path] = Workbook(path, path.name, self.decimal)
        return self._books[path]

    def list_other_sheets(self, path: Path, used: Container[str]) -> str:
        """Return the names of the sheets of a workbook that are not in ``used``."""
        book = self._books.get(path)
        return ", ".join(f"'{sheet}'" for sheet in book.sheets if sheet not in used) if book else ""


def find_file(path: Path, file: str | None, table: str) -> Path:
    """Return the file that a mapping names for a table; ``path`` is the folder, or the one file itself.

    Raises
    ------
    PlanError : it is not there, or no file is named
    """
    if path.is_file():
        if file in (None, path.name):
            return path
        raise PlanError(
            f"The mapping names the file '{file}' for '{table}', and '{path.name}' is read",
            "A mapping for one file names that file or none",
            'Take out the line file = "…", or read the folder that holds both',
        )
    files = sorted(one.name for one in path.iterdir() if one.suffix.lower() in READABLE)
    if file is None:
        raise PlanError(
            f"The mapping names no file for '{table}'",
            "Where a folder is read, each block of the mapping names its file",
            f'Add the line file = "{files[0] if len(files) == 1 else "…"}" to the block [{table}]',
        )
    if not (path / file).is_file():
        near = get_close_matches(file, files, n=1)
        raise PlanError(
            f"The mapping names the file '{file}' for '{table}', and it is not in the folder '{path.name}'",
            "Files are looked for in the folder that is read",
            f"Perhaps '{near[0]}' is meant" if near else 'Correct the line file = "…" of the mapping',
        )
    return path / file
