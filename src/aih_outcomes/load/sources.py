"""Which format a path is in, and the reader of each format."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError, refuse_unknown
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms

SourceName = Literal["tables", "redcap", "fhir", "omop"]
# Imported when first asked for: each of the coded sources stands on packages of an extra of its own.
READERS: dict[SourceName, tuple[str, str]] = {
    "tables": ("aih_outcomes.load.spreadsheets.tables", "read_tables"),
    "redcap": ("aih_outcomes.load.redcap", "read_redcap"),
    "fhir": ("aih_outcomes.load.fhir", "read_fhir"),
    "omop": ("aih_outcomes.load.omop", "read_omop"),
}
CODED: tuple[SourceName, ...] = ("fhir", "omop")  # whose patients are found by the code of their condition
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
STATISTICAL = (".sav", ".zsav", ".dta")
TEXT_TABLES = (".csv", ".tsv", ".txt")
_FHIR = (".ndjson", ".jsonl", ".json")
_CDM_TABLES = {"person", "condition_occurrence", "drug_exposure", "observation_period", "procedure_occurrence"}
_CDM_FILES = (".csv", ".tsv", ".txt", ".parquet", "")  # a table may be a folder of Parquet files
_DICTIONARY = {("variable / field name", "form name"), ("field_name", "form_name")}
_ENDINGS: dict[SourceName, tuple[str, ...]] = {
    "tables": (*TEXT_TABLES, *WORKBOOKS, *STATISTICAL),
    "redcap": (".csv",),
    "fhir": _FHIR,
    "omop": (*_CDM_FILES, ".duckdb", ".db"),
}
_START = 65_536  # bytes read of a file: a header of thousands of columns, or the first keys of a resource
_DUCKDB_MARK, _MARK_AT = b"DUCK", 8  # DuckDB's storage format: https://duckdb.org/docs/stable/internals/storage
_KNOWN = (
    "Known are: a workbook (.xlsx, .ods), CSV, SPSS (.sav) or Stata (.dta) files or a folder of them, a REDCap export "
    "with its dictionary, FHIR (.ndjson or Bundles in .json, also .gz), and OMOP tables (CSV, Parquet or DuckDB)"
)


@dataclass(frozen=True, slots=True)
class FoundSource:
    """What a path is: ``name`` of its format, a key of ``READERS``, and what it was recognised by, in words."""

    name: SourceName
    recognised_by: str


def find_source(path: str | Path) -> FoundSource:
    """Tell which format a file or folder is in, from names and the first bytes of its files.

    A file that only tables have (``patients.csv``), or only REDCap, FHIR or OMOP, decides; other CSV files and
    workbooks beside it (a table of upper limits, a codebook) do not.

    Raises
    ------
    DataError : there is nothing there, no format is recognised, or several are
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"There is no file or folder '{path.name}'", "Data are read from a file or folder",
                        "Check its path")  # fmt: skip
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if not one.name.startswith("."))
    found = [source for look in (_as_tables, _as_redcap, _as_fhir, _as_omop) if (source := look(files))]
    if len(found) > 1:
        raise DataError(
            f"'{path.name}' holds {len(found)} formats: {'; '.join(one.recognised_by for one in found)}",
            "One source is read at a time, so that nothing of another is passed over unseen",
            "Lay the files of each format in a folder of their own",
        )
    if found:
        return found[0]
    plain = [one for one in files if _ends(one, (*WORKBOOKS, *STATISTICAL, *TEXT_TABLES))]
    if plain:
        return FoundSource("tables", _count(plain))
    noun = "file" if path.is_file() else f"folder ({len(files)} file(s) and folder(s))"
    raise DataError(
        f"The format of the {noun} '{path.name}' is not recognised", _KNOWN,
        "Name the folder that holds the export's files themselves, or save them in one of these formats",
    )  # fmt: skip


def read_source(
    path: str | Path, mapping: str | Path | None = None, *, source: SourceName | None = None,
    condition: str | None = None, label: str | None = None, pseudonyms: Pseudonyms | None = None,
) -> Cohort:  # fmt: skip
    """Read a file or folder of any known format into a cohort.

    Parameters
    ----------
    mapping : says which column, unit or local code holds what
    source : its format; found by looking where not given
    condition : whose patients are read from a coded source (FHIR, OMOP); autoimmune hepatitis where not given
    label, pseudonyms : as of ``read_tables``

    Raises
    ------
    DataError, PlanError : the source cannot be read, or ``source`` or ``condition`` cannot be used
    """
    name = source if source is not None else find_source(path).name
    refuse_unknown(name, get_args(SourceName), "a source")
    chosen: dict[str, Any] = {"label": label, "pseudonyms": pseudonyms}
    if condition is not None:
        refuse_unknown(name, CODED, "a source whose patients are found by a condition")
        chosen["condition"] = condition
    return _reader_of(name)(path, mapping, **chosen)


def list_files(path: Path, source: SourceName) -> list[Path]:
    """Return the files of a source, whether or not a mapping reads them: the file itself, or those of its folder."""
    if path.is_file():
        return [path]
    inside = [one for one in (*path.glob("*"), *path.glob("*/*.parquet")) if one.is_file() and one.name[0] != "."]
    return sorted(one for one in inside if _ends(one, _ENDINGS[source]))


def _reader_of(name: SourceName) -> Callable[..., Cohort]:
    module, function = READERS[name]
    reader: Callable[..., Cohort] = getattr(import_module(module), function)
    return reader


def _as_tables(files: list[Path]) -> FoundSource | None:
    if any(one.name.lower() == "patients.csv" for one in files):
        return FoundSource("tables", f"patients.csv among {_count(files)}" if len(files) > 1 else "patients.csv")
    return None


def _as_redcap(files: list[Path]) -> FoundSource | None:
    headers = {one.name: _header(one) for one in files if one.suffix.lower() == ".csv" and one.is_file()}
    dictionaries = [name for name, cells in headers.items() if tuple(cells[:2]) in _DICTIONARY]
    exports = [name for name, cells in headers.items() if name not in dictionaries and _is_redcap(cells)]
    if exports:
        return FoundSource("redcap", f"{exports[0]} with columns that REDCap names")
    if dictionaries:
        return FoundSource("redcap", f"{dictionaries[0]}, a data dictionary of REDCap")
    return None


def _is_redcap(cells: list[str]) -> bool:
    """Return whether a header is that of an export: its own columns, checkboxes, or a form's status."""
    own = any(cell.startswith("redcap_") or re.fullmatch(r"\w+___-?\w+", cell) for cell in cells)
    return own or ("record_id" in cells[:2] and any(cell.endswith("_complete") for cell in cells))


def _as_fhir(files: list[Path]) -> FoundSource | None:
    of_fhir = [one for one in files if _ends(one, _FHIR) and one.is_file() and b'"resourceType"' in _start_of(one)]
    bulk = [one for one in files if _ends(one, _FHIR[:2]) and one.is_file()]
    named = of_fhir or bulk  # an empty or broken line file is still one: its reader says what is wrong with it
    return FoundSource("fhir", f"{len(named)} file(s) of resources") if named else None  # some are named by patients


def _as_omop(files: list[Path]) -> FoundSource | None:
    bases = [one for one in files if one.is_file() and _start_of(one).startswith(_DUCKDB_MARK, _MARK_AT)]
    stems = {_stem(one) for one in files if _ends(one, _CDM_FILES)}
    named = sorted(stems & _CDM_TABLES)
    if len(named) > 1:  # its reader says if one that it needs is not among them
        return FoundSource("omop", f"tables {named[0]} and {named[1]}")
    return FoundSource("omop", f"{bases[0].name}, a DuckDB file") if bases else None


def _header(path: Path) -> list[str]:
    """Return the cells of the first line, in lower case; a header has no quoted separators worth keeping."""
    start = _start_of(path)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    line = start.decode(encoding, errors="replace").partition("\n")[0]
    return [cell.strip(" \r\"'").lower() for cell in re.split("[,;\t|]", line)]


def _start_of(path: Path) -> bytes:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            return bytes(file.read(_START))
    except (OSError, EOFError, zlib.error):  # its reader says what is wrong with it
        return b""


def _stem(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").partition(".")[0]


def _ends(path: Path, endings: Iterable[str]) -> bool:
    return Path(path.name.lower().removesuffix(".gz")).suffix in endings


def _count(files: list[Path]) -> str:
    return files[0].name if len(files) == 1 else f"{len(files)} files"
