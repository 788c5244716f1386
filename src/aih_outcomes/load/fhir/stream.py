"""Resources out of files, one after the other: NDJSON, Bundles, single resources; also packed with gzip.

A line file is never held in memory as a whole. A Bundle is one JSON text and is: see ``LARGEST_DOCUMENT``.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aih_outcomes.errors import DataError
from aih_outcomes.load.fhir.datatypes import UNREADABLE, Decoder, Raw, is_malformed
from aih_outcomes.load.fhir.resources import Bundle, Entry, Kind

ENDINGS = (".ndjson", ".jsonl", ".json")
LONGEST_LINE = 2**25  # bytes of one resource; a laboratory result has 1,000
LARGEST_DOCUMENT = 2**29  # bytes of one Bundle, unpacked
_GIVEN_UP = 2**28  # bytes of one line after which the rest of the file is not read: it was packed to do harm
_BUFFER = 2**20
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NAMED = re.compile(rb'"resourceType"\s*:\s*"(\w{1,40})"')
# Most servers write the kind first; what follows is parsed when the resource is read, and told if it cannot be.
_FIRST_KEY = re.compile(rb'\{"resourceType": ?"(\w{1,40})",')
_EXPORT_AGAIN = "Export the file again; if it was cut off on its way, fetch it again"
_DAMAGED = (EOFError, zlib.error, OSError)
_KIND = Decoder(Kind)
_BUNDLE, _ENTRY = Decoder(Bundle), Decoder(Entry)
_ARRAY = Decoder(list[Raw])


class Found(NamedTuple):
    """One resource of a file; a tuple, as there are millions of them.

    Attributes
    ----------
    row : line of an NDJSON file, or place in a Bundle, from 1
    kind : its resourceType; ``""`` where it has none
    text : its JSON
    address : ``fullUrl`` in its Bundle
    """

    row: int
    kind: str
    text: bytes | Raw
    address: str = ""


class Fault(NamedTuple):
    """A line, entry or file that cannot be read, with the rule that it breaks and the way out."""

    row: int
    kind: str
    rule: str
    way_out: str = _EXPORT_AGAIN


def find_files(path: Path) -> list[tuple[str, Path]]:
    """Return name and path of each file of resources below a folder, or of the one file.

    Raises
    ------
    DataError : there is nothing there, or no file of resources
    """
    if path.is_file():
        return [(path.name, path)]
    files = sorted(one for one in path.rglob("*") if one.is_file() and _ending(one) in ENDINGS)
    if not files:
        what = f"The folder '{path.name}' holds no file of resources" if path.is_dir() else f"There is no '{path.name}'"
        raise DataError(
            what,
            "FHIR is read from .ndjson files or Bundles in .json, also packed with gzip (.gz)",
            "Name the folder of the bulk export, or one file",
        )
    return [(one.relative_to(path).as_posix(), one) for one in files]


def read_resources(path: Path) -> Iterator[Found | Fault]:
    """Yield each resource of a file in its order, and what cannot be read; nothing is raised for a broken file."""
    try:
        with _open(path) as file:
            lines = file.peek(1)[:1] == b"" or _ending(path) != ".json" or _first_line_is_whole(path)
            yield from _read_lines(file) if lines else _read_document(file)
    except _DAMAGED as error:
        yield _cut_off(1, error)


def first_kind(path: Path) -> str:
    """Return the kind of the first resource of a line file; ``""`` of other files, or where it cannot be told."""
    try:
        with _open(path) as file:
            named = _FIRST_KEY.match(file.readline(LONGEST_LINE).removeprefix(_BOM))
    except _DAMAGED:
        return ""
    return named[1].decode() if named and _ending(path) != ".json" else ""


def _cut_off(row: int, error: Exception) -> Fault:
    told = getattr(error, "strerror", None) or "its packing is damaged or cut off"
    return Fault(row, "", f"the file cannot be read from this line on ({told})")


class _Unpacked(io.RawIOBase):
    """The bytes of a gzip file as far as they go: a larger read of ``GzipFile`` would lose those before a cut."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.GzipFile(path)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self._file.read1(len(target))
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _open(path: Path) -> io.BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    if packed:
        return io.BufferedReader(_Unpacked(path), _BUFFER)
    return io.BufferedReader(io.FileIO(path), _BUFFER)


def _first_line_is_whole(path: Path) -> bool:
    """Return whether a .json file holds one resource per line, as some servers name their bulk files."""
    with _open(path) as file:
        first = file.readline(LONGEST_LINE).removeprefix(_BOM)
        second = file.readline(LONGEST_LINE)
    if not second.strip():
        return False
    try:
        _KIND.decode(first)
    except UNREADABLE:
        return False
    return True


def _read_lines(file: io.BufferedReader) -> Iterator[Found | Fault]:
    row = 0
    try:
        while line := file.readline(LONGEST_LINE):
            row += 1
            if row == 1:
                line = line.removeprefix(_BOM)
                if line[:2] in _UTF16:
                    yield Fault(1, "", "the file is not in UTF-8", "Save the file as UTF-8")
                    return
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                yield Fault(row, _kind_named(line), f"a line has more than {LONGEST_LINE // 2**20} MiB")
                if not _skip_line(file):
                    rule = f"the file is not read beyond a line of more than {_GIVEN_UP // 2**20} MiB"
                    yield Fault(row + 1, "", rule)
                    return
            elif (named := _FIRST_KEY.match(line)) and named[1] != b"Bundle":
                yield Found(row, named[1].decode(), line)
            elif not line.isspace():
                yield from _read_text(row, line)
    except _DAMAGED as error:
        yield _cut_off(row + 1, error)


def _skip_line(file: io.BufferedReader) -> bool:
    """Read on to the end of the line, without keeping it; return whether it has an end within reason."""
    skipped = 0
    while skipped < _GIVEN_UP:
        part = file.readline(_BUFFER)
        if len(part) < _BUFFER or part.endswith(b"\n"):
            return True
        skipped += len(part)
    return False


def _read_text(row: int, text: bytes | Raw, address: str = "") -> Iterator[Found | Fault]:
    """Yield the resource of one JSON text, or those of a Bundle."""
    try:
        kind = _KIND.decode(text).resource_type or ""
    except UNREADABLE as error:
        named = _kind_named(bytes(text))
        yield Fault(row, named, "the line is not valid JSON" if is_malformed(error) else "the line is no resource")
        return
    if kind == "Bundle":
        for found in _read_bundle(text):
            yield found._replace(row=row)
    else:
        yield Found(row, kind, text, address)


def _read_document(file: io.BufferedReader) -> Iterator[Found | Fault]:
    text = file.read(LARGEST_DOCUMENT + 1).removeprefix(_BOM)
    if len(text) > LARGEST_DOCUMENT:
        yield Fault(1, "", f"a document has more than {LARGEST_DOCUMENT // 2**20} MiB",
                    "Export as NDJSON (bulk export), which is read line by line")  # fmt: skip
        return
    if text[:2] in _UTF16:
        yield Fault(1, "", "the file is not in UTF-8", "Save the file as UTF-8")
        return
    if text.lstrip()[:1] == b"[":
        yield from _read_array(text)
        return
    try:
        kind = _KIND.decode(text).resource_type or ""
    except UNREADABLE as error:
        yield Fault(1, "", "the file is not valid JSON" if is_malformed(error) else "the file is no resource")
        return
    if kind == "Bundle":
        yield from _read_bundle(text)
    else:
        yield Found(1, kind, text)


def _read_array(text: bytes) -> Iterator[Found | Fault]:
    try:
        parts = _ARRAY.decode(text)
    except UNREADABLE:
        yield Fault(1, "", "the file is not valid JSON")
        return
    for row, part in enumerate(parts, start=1):
        yield from _read_text(row, part)


def _read_bundle(text: bytes | Raw) -> Iterator[Found | Fault]:
    """Yield the resources of a Bundle; their row is the place of their entry."""
    try:
        entries = _BUNDLE.decode(text).entry or []
    except UNREADABLE:
        yield Fault(1, "Bundle", "the Bundle cannot be read: it has no list of entries as in FHIR R4")
        return
    for row, part in enumerate(entries, start=1):
        try:
            entry = _ENTRY.decode(part)
        except UNREADABLE:
            yield Fault(row, _kind_named(bytes(part)), "the entry of the Bundle is none of FHIR R4")
            continue
        if bytes(entry.resource):  # an answer to a transaction may have none
            yield from _read_text(row, entry.resource, entry.full_url or "")


def _kind_named(text: bytes) -> str:
    """Return the resourceType that a text which cannot be read seems to have."""
    named = _NAMED.search(text)
    return named.group(1).decode() if named else ""
