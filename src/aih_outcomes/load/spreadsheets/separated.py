"""Text files with separated cells (.csv): their encoding, their separator, their lines."""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from charset_normalizer import CharsetMatch, from_bytes

from aih_outcomes.errors import DataError
from aih_outcomes.load.spreadsheets.source import Layout, Line, Source, arrange_lines

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LOOKED_AT = 50  # lines from which the separator is found
_HEAD = 1_000_000  # characters in which they stand
_GUESSED_FROM = 100_000  # bytes around the first that is not UTF-8
_AS_LIKELY = 0.9  # of the share of letters that is usual in a language
_ZIP = b"PK\x03\x04"
# Longest first: the mark of UTF-16 begins that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "mac_roman", "cp850", "koi8_r",
    "shift_jis", "gb18030", "big5", "euc_kr",
]  # fmt: skip


def read_separated(
    path: Path, name: str, *, separator: str | None = None, encoding: str = "utf-8", layout: Layout | None = None
) -> Source:
    """Read a file of separated cells as text.

    Parameters
    ----------
    separator : None to find the one by which the first lines agree; it is told where it is no comma
    encoding : of a file without byte order mark; the mark of UTF-8, UTF-16 or UTF-32 speaks for itself

    Raises
    ------
    DataError : the file is in another encoding, is no text, has no header, a repeated column or a stray quotation mark
    """
    lines, notes = read_lines(path, name, separator=separator, encoding=encoding, layout=layout)
    return arrange_lines(name, lines, layout or Layout(), notes=notes)


def read_lines(
    path: Path, name: str, *, separator: str | None = None, encoding: str = "utf-8", layout: Layout | None = None
) -> tuple[Iterator[Line], list[str]]:
    """Return the lines of a file of separated cells, the header among them, and what must be told of them."""
    text, notes = _decode(path, name, encoding)
    found = separator or _find_separator(text, layout or Layout())
    if separator is None and found != ",":
        notes.append(f"cells separated by {SEPARATORS[found]}, as the first lines show")
    return _split(text, name, found), notes


def _decode(path: Path, name: str, encoding: str) -> tuple[str, list[str]]:
    """Return the text of a file, and what must be told of its encoding."""
    data = read_bytes(path, name)
    if data.startswith(_ZIP):
        raise DataError(
            f"'{name}' is no text but a workbook or another zip archive, whatever its name says",
            "Text files hold one line per row",
            "If it is a workbook, name it .xlsx or .ods; else unpack it",
        )
    marked = next((found for mark, found in _MARKS if data.startswith(mark)), None)
    told = [] if marked in (None, "utf-8-sig") else [f"text in {marked}, as its byte order mark says"]
    try:
        text = data.decode(marked or encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{name}' is not text in the encoding {marked or encoding} (line {_line_of(data, error.start)})",
            f"The file is read as {marked or encoding}",
            "Save it as 'CSV UTF-8', or name its encoding in a mapping: "
            f'[reading] encoding = "{_guess_encoding(data, error.start)}", and check its accented letters',
        ) from None
    if "\0" in text:
        raise DataError(
            f"'{name}' is not a CSV file: it holds zero bytes",
            "Files are read as text with one line per row",
            "Save the sheet as 'CSV UTF-8'; if it is UTF-16 without a byte order mark, name it in a mapping: "
            '[reading] encoding = "utf-16-le"',
        )
    return text, told


def read_bytes(path: Path, name: str) -> bytes:
    """Return the bytes of a file; raise DataError where it cannot be opened."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"'{name}' cannot be opened ({error.strerror})",
            "Each file of the folder is read",
            "Check who may read the file, and whether another program holds it open",
        ) from None


def _line_of(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1


def _guess_encoding(data: bytes, place: int) -> str:
    """Return the encoding that a file most looks like; it is offered, never used."""
    start = max(0, place - _GUESSED_FROM // 2)
    matches = from_bytes(data[start : start + _GUESSED_FROM], cp_isolation=_USUAL)
    best = matches.best()
    if best is None or any(_is_as_likely(one, best) for one in matches if "cp1252" in one.could_be_from_charset):
        return "cp1252"  # what Windows writes; a few letters look like those of many encodings
    return best.encoding


def _is_as_likely(one: CharsetMatch, best: CharsetMatch) -> bool:
    return one.chaos <= best.chaos and one.coherence >= _AS_LIKELY * best.coherence


def _find_separator(text: str, layout: Layout) -> str:
    """Return the separator that splits the header, and most of the first lines into as many cells as the header.

    Where two do so equally well the comma is not meant: it stands in numbers and remarks. Where none splits the header,
    the file has one column.
    """
    agreement = {}
    for separator in reversed(SEPARATORS):
        head = csv.reader(io.StringIO(text[:_HEAD], newline=""), delimiter=separator)
        try:
            widths = [
                len(cells) for cells in islice(head, layout.first_row - 1, layout.first_row + _LOOKED_AT) if cells
            ]
        except csv.Error:  # a cell longer than csv takes; _split names its line
            continue
        if widths and widths[0] > 1:
            agreement[separator] = widths.count(widths[0]) / len(widths)
    return max(agreement, key=lambda separator: agreement[separator], default=",")


def _split(text: str, name: str, separator: str) -> Iterator[Line]:
    """Yield the line on which each row begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    first = 1
    try:
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise DataError(
                f"Line {first} of '{name}' has a cell of more than {csv.field_size_limit():,} characters",
                "A cell of a table holds a word, a number or a remark",
                "Look for a quotation mark that is never closed, or take the text out of the cell",
            ) from None
        raise DataError(
            f"Line {first} of '{name}' cannot be split into cells",
            "A cell that holds a quotation mark is quoted, and the mark is doubled",
            "Correct the quotation marks of that line, or export the file again",
        ) from None
