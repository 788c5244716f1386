"""One file or sheet as text: header, cells and their lines, with nothing read into them yet."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import pandas as pd

from aih_outcomes.errors import DataError

Line = tuple[int, list[str]]
Corners = tuple[tuple[int, int], tuple[int, int]]  # first and last cell of a merged range as row, column, from 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the table stands in its file or sheet.

    Attributes
    ----------
    first_row : line on which the header begins, as the spreadsheet numbers it, from 1
    header_rows : lines of the header; their words are joined, as in ``ALT | m3``
    """

    first_row: int = 1
    header_rows: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The cells of one file or sheet.

    Attributes
    ----------
    name : file name as written by the user, never a path of this machine; of a workbook ``clinic.xlsx:Sheet``
    cells : one column per column of the file, all text without outer blanks, ``""`` where blank; the index is the
        line as the spreadsheet shows it, the header of a plain file being line 1
    uneven : lines with more or fewer cells than the header; they cannot be read
    n_blank : lines without any text; they are not records
    notes : what else must be told of how the file was read
    typed_dates : dates came typed and are written ``YYYY-MM-DD`` here, however other cells of the file write them
    sheet : of a workbook
    labels : column → what its author wrote beside its name, where the format keeps it
    """

    name: str
    cells: pd.DataFrame
    uneven: tuple[int, ...]
    n_blank: int
    notes: tuple[str, ...] = ()
    typed_dates: bool = False
    sheet: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_lines(self) -> int:
        """Number of lines below the header that hold text."""
        return len(self.cells) + len(self.uneven)

    def list_unused(self, used: Container[str]) -> str:
        """Return the names of the columns that are not in ``used``."""
        return ", ".join(str(column) or "(no name)" for column in self.cells if column not in used)

    def tell(self) -> list[str]:
        """Return what must be told of how the file was read."""
        return [*self.notes, *([f"{count(self.n_blank, 'blank line')} passed over"] if self.n_blank else [])]


def count(n: int, word: str) -> str:
    """Return ``1 line``, ``2 lines``, ``1,000 lines``."""
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def arrange_lines(
    name: str, lines: Iterable[Line], layout: Layout, *, merged: Iterable[Corners] | None = None,
    notes: Iterable[str] = (), typed_dates: bool = False, sheet: str = "",
) -> Source:  # fmt: skip
    """Take the header off the lines of a file or sheet and sort the others into cells, uneven and blank ones.

    Parameters
    ----------
    lines : number of each line and its cells
    merged : ranges of merged cells; None where the format does not keep them

    Raises
    ------
    DataError : there is no header, or a name stands in it twice
    """
    rest = iter(lines)
    above = list(islice(rest, layout.first_row - 1)) if layout.first_row > 1 else []
    head = list(islice(rest, layout.header_rows))
    header = _join_header(head, merged)
    n_above = sum(any(map(str.strip, cells)) for _, cells in above)
    told = [*notes, *([f"{count(n_above, 'line')} above the header passed over"] if n_above else [])]
    if not any(header):
        raise _no_header(name, rest, layout)
    repeated = [cell for cell, n in Counter(header).items() if cell and n > 1]
    if repeated:
        raise DataError(
            f"{len(repeated)} column name(s) of '{name}' stand more than once in its header",
            "Each column has a name of its own",
            f"Rename the columns in line {layout.first_row} of the file"
            + ("" if layout.header_rows > 1 else ", or say that the header has several lines: header_rows = 2"),
        )
    cells, uneven, n_blank = _sort_lines(header, rest)
    return Source(
        name=name, cells=cells, uneven=uneven, n_blank=n_blank, notes=tuple(told), typed_dates=typed_dates, sheet=sheet
    )


def _no_header(name: str, rest: Iterable[Line], layout: Layout) -> DataError:
    """Say that the line that should hold the header is blank, and where the first words stand."""
    first = next((number for number, cells in rest if any(map(str.strip, cells))), None)
    if first is None:
        return DataError(
            f"'{name}' is empty: it has no header",
            f"Line {layout.first_row} of a file names its columns",
            "Export the file again with its header, or take it out of the folder",
        )
    return DataError(
        f"Line {layout.first_row} of '{name}' is blank: it has no header",
        "The first line of a file names its columns, unless a mapping says where they stand",
        f"Delete the lines above the header, or say where it begins in the block of the mapping: first_row = {first}",
    )


def _join_header(head: list[Line], merged: Iterable[Corners] | None) -> list[str]:
    """Return one name per column; what stands in a merged cell holds for all columns that it covers."""
    if not head:
        return []
    width = max(len(cells) for _, cells in head)
    rows = [[cell.strip() for cell in cells] + [""] * (width - len(cells)) for _, cells in head]
    if len(rows) > 1 and merged is None:
        rows[:-1] = [_carry_right(row) for row in rows[:-1]]
    first = head[0][0] - 1
    for (top, left), (bottom, right) in merged or ():
        if first <= top < first + len(rows):
            word = rows[top - first][left]
            for row in range(top - first, min(bottom - first, len(rows) - 1) + 1):
                rows[row][left : right + 1] = [word] * len(rows[row][left : right + 1])
    return [" | ".join(dict.fromkeys(filter(None, names))) for names in zip(*rows, strict=True)]


def _carry_right(row: list[str]) -> list[str]:
    carried, word = [], ""
    for cell in row:
        word = cell or word
        carried.append(word)
    return carried


def _sort_lines(header: list[str], lines: Iterable[Line]) -> tuple[pd.DataFrame, tuple[int, ...], int]:
    """Return the cells, the numbers of uneven lines, and how many lines are blank."""
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
    return frame, tuple(uneven), n_blank
