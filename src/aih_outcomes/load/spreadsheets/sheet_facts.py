"""What calamine leaves out of a sheet, looked up in its XML: error cells, formulas without a value, hidden rows, size.

Calamine shows the first two as blank, and lays out in memory the whole rectangle that a sheet spans.
"""

import re
import zipfile
from dataclasses import dataclass, field
from itertools import product
from xml.etree import ElementTree

Place = tuple[int, int]  # row and column, from 0
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TAG = rb"<(?:\w+:)?"
_END = rb"</(?:\w+:)?"
_IS = rb"""\s*=\s*["']"""
_ROW = re.compile(_TAG + rb"row\s([^>]*)>")
_ROW_NUMBER = re.compile(rb"\br" + _IS + rb"(\d+)")
_REFERENCE = re.compile(rb"\br" + _IS + rb"([A-Za-z]+)(\d+)")
_CELL = re.compile(_TAG + rb"c(\s[^>/]*)?>")
_IS_ERROR = rb"\bt" + _IS + rb"e\b"
_ERROR = re.compile(_TAG + rb"c\s([^>]*" + _IS_ERROR + rb"[^>]*)>(.*?)" + _END + rb"c>", re.DOTALL)
_IS_TEXT = re.compile(rb"\bt" + _IS + rb"str\b")
_IS_HIDDEN = re.compile(rb"\bhidden" + _IS + rb"(1|true)")
_VALUE = re.compile(_TAG + rb"v>([^<]*)<")
_ANY_FORMULA = re.compile(_TAG + rb"f\b")
_FORMULA = re.compile(
    _TAG + rb"c\s([^>]*)>\s*" + _TAG + rb"f\b[^>]*(?:/>|>[^<]*" + _END + rb"f>)\s*"
    rb"(?:" + _TAG + rb"v\s*/>|" + _TAG + rb"v>(0?)" + _END + rb"v>)?\s*" + _END + rb"c>"
)  # fmt: skip
_TO_COMPUTE = re.compile(rb"\bfullCalcOnLoad" + _IS + rb"(1|true)")
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_EXTRA = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_FAR_TOO_MANY = 10**9
_MOST_TOLD = 100_000  # repeats of one cell of an .ods sheet that are listed singly


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFacts:
    """What a sheet's XML says beside its values.

    Attributes
    ----------
    n_rows, n_columns : of the rectangle from the first cell to the last one that is not empty
    n_hidden : hidden rows
    errors : place → the error that the spreadsheet shows there
    uncomputed : places of formulas that were saved without a value
    """

    n_rows: int = 0
    n_columns: int = 0
    n_hidden: int = 0
    errors: dict[Place, str] = field(default_factory=dict)
    uncomputed: frozenset[Place] = frozenset()


def look_through_xlsx(archive: zipfile.ZipFile, sheet: str) -> SheetFacts:
    """Look through the XML of a sheet of an .xlsx workbook.

    A formula whose value is 0 counts as never computed where the workbook asks to be computed when it is opened: so do
    programs that write formulas and cannot compute them.
    """
    book = next(name for name in archive.namelist() if name.endswith("xl/workbook.xml"))
    xml = archive.read(book)
    data = archive.read(_find_part(archive, book, ElementTree.fromstring(xml), sheet))
    to_compute = _TO_COMPUTE.search(xml) is not None
    cells = [match[1] or b"" for match in _CELL.finditer(data)]
    places = _REFERENCE.findall(b"\n".join(cells))
    rows = [match[1] for match in _ROW.finditer(data)]
    numbers = [int(row) for _, row in places]
    if len(places) < len(cells):  # a cell without a place of its own stands in its row
        numbers += [int(number) for number in _ROW_NUMBER.findall(b"\n".join(rows))]
    computed = _FORMULA.finditer(data) if _ANY_FORMULA.search(data) else ()
    formulas = [match for match in computed if not _IS_TEXT.search(match[1])]
    wrong = _ERROR.finditer(data) if re.search(_IS_ERROR, data) else ()
    return SheetFacts(
        n_rows=max(numbers, default=0),
        n_columns=max((_column(letters) + 1 for letters in {letters for letters, _ in places}), default=0),
        n_hidden=sum(_IS_HIDDEN.search(row) is not None for row in rows),
        errors={
            place: value[1].decode() if (value := _VALUE.search(match[2])) else "#ERROR"
            for match in wrong
            for place in _places(match[1])
        },
        uncomputed=frozenset(
            place for match in formulas if to_compute or match[2] != b"0" for place in _places(match[1])
        ),
    )


def _find_part(archive: zipfile.ZipFile, book: str, xml: ElementTree.Element, sheet: str) -> str:
    """Return the name of the part that holds a sheet; raise KeyError where the workbook does not say."""
    identity = {element.get("name"): element.get(_RELATION) for element in xml.iter() if element.tag.endswith("}sheet")}
    folder = book.removesuffix("workbook.xml")
    relations = ElementTree.fromstring(archive.read(f"{folder}_rels/workbook.xml.rels"))
    target = {element.get("Id"): str(element.get("Target")) for element in relations}[identity[sheet]]
    return target.removeprefix("/") if target.startswith("/") else folder + target


def _places(attributes: bytes) -> list[Place]:
    return [(int(row) - 1, _column(letters)) for letters, row in _REFERENCE.findall(attributes)]


def _column(letters: bytes) -> int:
    """Return the number, from 0, of a column named by letters."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - ord("A") + 1
    return number - 1


def look_through_ods(archive: zipfile.ZipFile) -> list[SheetFacts]:
    """Look through the XML of each sheet of an .ods workbook."""
    found: list[_OdsSheet] = []
    with archive.open("content.xml") as part:
        for event, element in ElementTree.iterparse(part, events=("start", "end")):
            if event == "start" and element.tag == f"{_TABLE}table":
                found.append(_OdsSheet())
            elif event == "end" and element.tag == f"{_TABLE}table-row" and found:
                found[-1].add_row(element)
                element.clear()
    return [sheet.facts() for sheet in found]


class _OdsSheet:
    """Counts the rows of an .ods sheet as they come; runs of equal rows and cells are written once there."""

    def __init__(self) -> None:
        self.row = self.n_rows = self.n_columns = self.n_hidden = 0
        self.errors: dict[Place, str] = {}
        self.uncomputed: set[Place] = set()

    def add_row(self, element: ElementTree.Element) -> None:
        repeats, column, filled = _count_repeats(element, "rows"), 0, 0
        for cell in element:
            wide = _count_repeats(cell, "columns")
            if cell.get(f"{_OFFICE}value-type") or len(cell):
                filled = column + wide
            self._note(cell, range(self.row, self.row + repeats), range(column, column + wide))
            column += wide
        if filled:
            self.n_rows, self.n_columns = self.row + repeats, max(self.n_columns, filled)
            self.n_hidden += repeats * (element.get(f"{_TABLE}visibility", "visible") != "visible")
        self.row += repeats

    def _note(self, cell: ElementTree.Element, rows: range, columns: range) -> None:
        wrong = cell.get(f"{_EXTRA}value-type") == "error"
        empty = cell.get(f"{_TABLE}formula") is not None and not cell.get(f"{_OFFICE}value-type")
        if not (wrong or empty) or len(rows) * len(columns) > _MOST_TOLD:
            return
        if wrong:
            self.errors |= dict.fromkeys(product(rows, columns), "".join(cell.itertext()) or "#ERROR")
        else:
            self.uncomputed.update(product(rows, columns))

    def facts(self) -> SheetFacts:
        return SheetFacts(
            n_rows=self.n_rows, n_columns=self.n_columns, n_hidden=self.n_hidden, errors=self.errors,
            uncomputed=frozenset(self.uncomputed),
        )  # fmt: skip


def _count_repeats(element: ElementTree.Element, of: str) -> int:
    """Return for how many rows or columns an element stands; more than any sheet has counts as far too many."""
    return min(max(int(element.get(f"{_TABLE}number-{of}-repeated", 1)), 0), _FAR_TOO_MANY)
