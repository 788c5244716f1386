"""One CSV file as text: lines, header and cells, with nothing read into them yet."""

import csv
import io
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aih_outcomes.errors import DataError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The cells of one file.

    Attributes
    ----------
    name : file name as written by the user, never a path of this machine
    cells : one column per column of the file, all text without outer blanks, ``""`` where blank; the index is the
        line of the file, the header being line 1
    uneven : lines with more or fewer cells than the header; they cannot be read
    n_blank : lines without any text; they are not records
    """

    name: str
    cells: pd.DataFrame
    uneven: tuple[int, ...]
    n_blank: int

    @property
    def n_lines(self) -> int:
        """Number of lines below the header that hold text."""
        return len(self.cells) + len(self.uneven)

    def list_unused(self, used: Container[str]) -> str:
        """Return the names of the columns that are not in ``used``."""
        return ", ".join(str(column) or "(no name)" for column in self.cells if column not in used)


def read_source(folder: Path, name: str, *, separator: str = ",", encoding: str = "utf-8") -> Source:
    """Read a CSV file as text.

    Raises
    ------
    DataError : the file is in another encoding, is no text, has no header, a repeated column or a stray quotation mark
    """
    text = _decode(folder / name, name, encoding)
    lines = _split(text, name, separator)
    _, header = next(lines, (1, []))
    header = [cell.strip() for cell in header]
    if not any(header):
        raise DataError(
            f"'{name}' is empty: it has no header",
            "The first line of a CSV file names its columns",
            "Export the file again with its header, or take it out of the folder",
        )
    repeated = {cell for cell in header if cell and header.count(cell) > 1}
    if repeated:
        raise DataError(
            f"{len(repeated)} column name(s) of '{name}' stand more than once in its header",
            "Each column has a name of its own",
            "Rename the columns in line 1 of the file",
        )
    return _sort_lines(name, header, lines)


def _sort_lines(name: str, header: list[str], lines: Iterator[tuple[int, list[str]]]) -> Source:
    numbers, rows, uneven, n_blank = [], [], [], 0
    for number, cells in lines:
        if not any(map(str.strip, cells)):
            n_blank += 1
        elif len(cells) != len(header):
            uneven.append(number)
        else:
            numbers.append(number)
            rows.append(cells)
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    stripped = [[cell.strip() for cell in column] for column in columns]
    frame = pd.DataFrame(dict(enumerate(stripped)), index=pd.Index(numbers, dtype="int64"), dtype=object)
    frame.columns = pd.Index(header, dtype=object)
    return Source(name=name, cells=frame, uneven=tuple(uneven), n_blank=n_blank)


def _decode(path: Path, name: str, encoding: str) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding)
    except OSError as error:
        raise DataError(
            f"'{name}' cannot be opened ({error.strerror})",
            "Each file of the folder is read",
            "Check who may read the file, and whether another program holds it open",
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{name}' is not text in the encoding {encoding} (byte {error.start})",
            f"The file is read as {encoding}",
            "Save it as 'CSV UTF-8', or name its encoding in a mapping: [reading] encoding = \"cp1252\"",
        ) from None
    if "\0" in text:
        raise DataError(
            f"'{name}' is not a CSV file: it holds zero bytes",
            "Files are read as text with one line per row",
            "Save the sheet as 'CSV UTF-8'",
        )
    return text


def _split(text: str, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    first = 1
    try:
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1
    except csv.Error:
        raise DataError(
            f"Line {first} of '{name}' cannot be split into cells",
            "A cell that holds a quotation mark is quoted, and the mark is doubled",
            "Correct the quotation marks of that line, or export the file again",
        ) from None
