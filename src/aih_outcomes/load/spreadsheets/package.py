"""The zip archive of a workbook: its sizes are checked before anything is unpacked."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from aih_outcomes.errors import DataError
from aih_outcomes.load.spreadsheets.separated import read_bytes
from aih_outcomes.load.spreadsheets.sheet_facts import SheetFacts, look_through_ods, look_through_xlsx

_MOST_BYTES = 1_000_000_000  # unpacked
_RATIO_FROM = 50_000_000  # below it a high ratio does no harm
_MOST_RATIO = 200
_MOST_PARTS = 10_000
_MOST_CELLS = 40_000_000  # of the rectangle that a sheet spans, blank ones counted
_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container: .xls, or a workbook encrypted with a password
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_UNUSABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, LookupError,
    StopIteration, ElementTree.ParseError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """A workbook's archive, safe to unpack.

    Attributes
    ----------
    ods : facts of each sheet of an .ods workbook, in order; an .xlsx workbook is looked through sheet by sheet
    """

    name: str
    data: bytes
    archive: zipfile.ZipFile
    ods: tuple[SheetFacts, ...] = ()

    def look_up(self, sheet: str, place: int) -> SheetFacts:
        """Return what the XML of a sheet says beside its values; ``place`` is its number, from 0."""
        if self.ods:
            return self.ods[place]
        try:
            facts = look_through_xlsx(self.archive, sheet)
        except _UNUSABLE:
            raise damaged(self.name) from None
        _refuse_span(f"{self.name}:{sheet}", facts)
        return facts


def open_package(path: Path, name: str) -> Package:
    """Open a workbook's archive after its sizes, declared and actual, were found to be harmless.

    Raises
    ------
    DataError : the file is no archive, is an old or encrypted workbook, is damaged, or unpacks to too much
    """
    data = read_bytes(path, name)
    if data.startswith(_OLD):
        raise _old_or_encrypted(name, encrypted=_ENCRYPTED in data)
    if not data.startswith(b"PK"):
        raise DataError(
            f"'{name}' is no workbook, whatever its name says",
            "Workbooks are .xlsx or .ods as spreadsheet programs save them",
            "If it is a text file with separated cells, name it .csv; else export it anew",
        )
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        _refuse_bomb(name, archive, len(data))
        broken = archive.testzip()  # reads each part, and finds one that is larger than it says
        ods = look_through_ods(archive) if "content.xml" in archive.namelist() and broken is None else []
    except _UNUSABLE:
        raise damaged(name) from None
    if broken is not None:
        raise damaged(name)
    for facts in ods:  # calamine lays out every sheet of an .ods workbook when it opens it
        _refuse_span(name, facts)
    return Package(name=name, data=data, archive=archive, ods=tuple(ods))


def damaged(name: str) -> DataError:
    """Return the error of a workbook that cannot be read."""
    return DataError(
        f"'{name}' cannot be read as a workbook: it is damaged or cut short",
        "Workbooks are .xlsx or .ods as spreadsheet programs save them",
        "Open it in the spreadsheet program and save it anew, or export the sheet as 'CSV UTF-8'",
    )


def locked(name: str) -> DataError:
    """Return the error of a workbook that is encrypted."""
    return DataError(
        f"'{name}' is protected with a password",
        "A workbook is read without a password",
        "Save a copy without password where only those may read it who may read the data, and read that",
    )


def _refuse_bomb(name: str, archive: zipfile.ZipFile, packed: int) -> None:
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if any(part.flag_bits & 1 for part in parts):
        raise locked(name)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_BYTES or unpacked > max(_RATIO_FROM, _MOST_RATIO * packed):
        raise DataError(
            f"'{name}' unpacks from {packed:,} to {unpacked:,} bytes in {len(parts):,} parts",
            f"A workbook unpacks to at most {_MOST_BYTES:,} bytes in {_MOST_PARTS:,} parts, and above "
            f"{_RATIO_FROM:,} bytes to at most {_MOST_RATIO} times its size",
            "If it is a real workbook, export its sheets as 'CSV UTF-8'; else find out who made it",
        )


def _refuse_span(name: str, facts: SheetFacts) -> None:
    if facts.n_rows * facts.n_columns > _MOST_CELLS:
        raise DataError(
            f"'{name}' spans {facts.n_rows:,} rows and {facts.n_columns:,} columns",
            f"A sheet spans at most {_MOST_CELLS:,} cells, blank ones counted",
            "Delete the cells far below or to the right of the table (mark the rows or columns, delete, save), "
            "or export the sheet as 'CSV UTF-8'",
        )


def _old_or_encrypted(name: str, *, encrypted: bool) -> DataError:
    if encrypted:
        return locked(name)
    return DataError(
        f"'{name}' is an old Excel workbook (.xls), whatever its name says",
        "Workbooks are .xlsx or .ods",
        "Open it and save it as 'Excel Workbook (.xlsx)'",
    )
