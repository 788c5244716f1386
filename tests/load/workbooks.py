"""Workbooks for tests: .xlsx by xlsxwriter, .ods by hand."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import xlsxwriter

_NAMES = {
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    "calcext": "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0",
}
_ODS = "application/vnd.oasis.opendocument.spreadsheet"
_MANIFEST = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'


def write_xlsx(path: Path, fill: Callable[[xlsxwriter.Workbook], None]) -> Path:
    with xlsxwriter.Workbook(path, {"default_date_format": "dd/mm/yyyy"}) as book:
        fill(book)
    return path


def ods_cell(word: str | float, more: str = "") -> str:
    if isinstance(word, str):
        return f'<table:table-cell {more} office:value-type="string"><text:p>{word}</text:p></table:table-cell>'
    return f'<table:table-cell {more} office:value-type="float" office:value="{word}"/>'


def ods_row(*cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def write_ods(path: Path, rows: str, *, before: str = "", sheet: str = "Sheet1") -> Path:
    names = " ".join(f'xmlns:{short}="{name}"' for short, name in _NAMES.items())
    body = f'<table:table table:name="{sheet}">{rows}</table:table>'
    spreadsheet = f"<office:body><office:spreadsheet>{body}</office:spreadsheet></office:body>"
    xml = f'<?xml version="1.0"?>{before}<office:document-content {names}>{spreadsheet}</office:document-content>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", _ODS)
        archive.writestr("META-INF/manifest.xml", _MANIFEST)
        archive.writestr("content.xml", xml)
    return path


def change_part(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return the archive with one of its parts changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return changed.getvalue()
