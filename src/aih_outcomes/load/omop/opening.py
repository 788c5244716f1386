"""Find the tables of the OMOP model in a DuckDB file, or in a folder of CSV and Parquet files."""

import csv
import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis

from aih_outcomes.errors import DataError
from aih_outcomes.formats.omop import CDM
from aih_outcomes.load.omop.database import Database, OpenTable, keep, telling

REQUIRED = ("person", "condition_occurrence")
_ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet")
_BASES = (".duckdb", ".db", ".ddb")
_DUCKDB_MARK = slice(8, 12), b"DUCK"
_SEPARATORS = (",", "\t", ";", "|")
_LONGEST_LINE = 2_000_000  # bytes; longer ones are set aside
_MOST_BROKEN = 100  # a file with more broken lines is not what it seems
_START = 65_536  # bytes in which the header must end
_MEMORY = "1GB"  # the engine spills to disk beyond it
_ORIGIN_OF_PAGES = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def open_database(path: Path) -> Iterator[Database]:
    """Open a database for reading; nothing is written beside it, and nothing is fetched from elsewhere.

    Raises
    ------
    DataError : nothing is there, a table that is needed is missing, or a file cannot be read
    """
    path = _choose(path)
    with tempfile.TemporaryDirectory(prefix="aih-outcomes-") as spill:
        backend = _connect(path, spill)
        try:
            tables = _tables_of(backend, path) if path.is_file() else _files_of(backend, path)
            _check(path.name, tables)
            yield Database(name=path.name, backend=backend, tables=tables)
        finally:
            backend.disconnect()


def _choose(path: Path) -> Path:
    """Return the folder or DuckDB file; a folder of one DuckDB file and no table files is that file."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(_DUCKDB_MARK[0].stop)[_DUCKDB_MARK[0]] != _DUCKDB_MARK[1]:
                raise DataError(f"'{path.name}' is no DuckDB file", "An OMOP database is a DuckDB file or a folder",
                                "Give the folder that holds the tables as CSV or Parquet files")  # fmt: skip
        return path
    if not path.is_dir():
        raise DataError(f"There is no file or folder '{path.name}'", "Data are read from a file or folder",
                        "Check its path")  # fmt: skip
    bases = [one for one in path.iterdir() if one.suffix.lower() in _BASES]
    return bases[0] if len(bases) == 1 and not list(_table_files(path)) else path


def _connect(path: Path, spill: str) -> ibis.BaseBackend:
    # Without extensions and, for a database file, without access to other files: a view in it could name them.
    settings: dict[str, Any] = {
        "memory_limit": _MEMORY, "temp_directory": spill,
        "autoinstall_known_extensions": False, "autoload_known_extensions": False,
    }  # fmt: skip
    if not path.is_file():
        return ibis.duckdb.connect(**settings)
    with telling(path.name):
        return ibis.duckdb.connect(path, read_only=True, enable_external_access=False, **settings)


def _tables_of(backend: Any, path: Path) -> dict[str, OpenTable]:
    """Return the tables of a DuckDB file; where several schemas hold one, that of PERSON counts."""
    with telling(path.name):
        listed = backend.table("tables", database="information_schema").select("table_schema", "table_name").to_pandas()
    found = [pair for pair in listed.itertuples(index=False, name=None) if pair[1].lower() in CDM]
    homes = [schema for schema, table in found if table.lower() == "person"]
    if len(homes) > 1:
        raise DataError(
            f"{len(homes)} schemas of '{path.name}' hold a table PERSON ({', '.join(sorted(homes))})",
            "One database is read at a time",
            "Copy the one that is meant to a file of its own",
        )
    tables: dict[str, OpenTable] = {}
    for schema, table in sorted(found, key=lambda pair: (pair[0] not in homes, pair)):
        if table.lower() not in tables:
            with telling(table):
                rows = backend.table(table, database=schema)
            tables[table.lower()] = OpenTable(table.lower(), table, rows, _match(rows.columns, table.lower(), table))
    return tables


def _files_of(backend: Any, folder: Path) -> dict[str, OpenTable]:
    tables: dict[str, OpenTable] = {}
    for file in _table_files(folder):
        name = _stem(file)
        if name in tables:
            raise DataError(f"'{folder.name}' holds the table {name.upper()} twice, '{tables[name].source}' and "
                            f"'{file.name}'", "Each table stands in one file", "Take one of the two away")  # fmt: skip
        tables[name] = _open_parquet(backend, file) if _is_parquet(file) else _open_text(backend, file)
    return tables


def _table_files(folder: Path) -> Iterator[Path]:
    """Yield the files and folders of Parquet files that bear a table's name, in whatever case."""
    for file in sorted(folder.iterdir()):
        if _stem(file) in CDM and (file.name.lower().endswith(_ENDINGS) or _is_parquet(file)):
            yield file


def _stem(file: Path) -> str:
    return file.name.lower().partition(".")[0]


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() == ".parquet" or (file.is_dir() and any(file.glob("*.parquet")))


def _open_parquet(backend: Any, file: Path) -> OpenTable:
    name = _stem(file)
    with telling(file.name):
        rows = backend.read_parquet(str(file / "*.parquet" if file.is_dir() else file), table_name=name)
    return OpenTable(name, file.name, rows, _match(rows.columns, name, file.name))


def _open_text(backend: Any, file: Path) -> OpenTable:
    """Read a CSV file as text, its columns by place, each line with its number; broken lines are kept apart."""
    name, header, separator = _stem(file), *_read_header(file)
    column_of = {meant: f"c{header.index(cell)}" for meant, cell in _match(header, name, file.name).items()}
    with telling(file.name):
        rows = backend.read_csv(
            str(file), table_name=name, columns={f"c{place}": "VARCHAR" for place in range(len(header))},
            auto_detect=False, header=True, delim=separator, quote='"', escape='"', max_line_size=_LONGEST_LINE,
            store_rejects=True, rejects_table=f"{name}_broken", rejects_scan=f"{name}_scans", rejects_limit=0,
        )  # fmt: skip
        lines = keep(backend, rows.select(*column_of.values(), source_row=ibis.row_number() + 2))
        broken = backend.table(f"{name}_broken").select("line", "csv_line").distinct().to_pandas()
    numbers = tuple(sorted({int(line) for line in broken["line"]}))
    if len(numbers) > _MOST_BROKEN or broken["csv_line"].str.strip().str.contains("\n", regex=False).any():
        raise DataError(
            f"Line {numbers[0]} of '{file.name}' cannot be split into cells ({len(numbers)} such line(s) in all)",
            "A cell that holds a quotation mark is quoted, and the mark is doubled",
            "Correct the quotation marks of that line, or export the file again",
        )
    shift = sum(
        (ibis.ifelse(lines.source_row >= line - place, 1, 0) for place, line in enumerate(numbers)), ibis.literal(0)
    )
    return OpenTable(name, file.name, lines.mutate(source_row=lines.source_row + shift), column_of, True, numbers)


def _read_header(file: Path) -> tuple[list[str], str]:
    """Return the names in line 1 and the mark that separates them."""
    opened = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opened(file, "rb") as bytes_of:
            start = bytes_of.read(_START)
    except (OSError, EOFError):
        raise DataError(f"'{file.name}' cannot be opened", "Each table is read", "Export it again") from None
    line = start.decode("utf-8-sig", errors="replace").splitlines()[0] if start.strip() else ""
    if start[:2] in _ORIGIN_OF_PAGES or "\0" in line or not line:
        raise DataError(
            f"'{file.name}' has no header that can be read",
            "Line 1 of a table names its columns, in UTF-8",
            "Save the file as 'CSV UTF-8' with its header",
        )
    separator = max(_SEPARATORS, key=line.count)
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))], separator


def _match(header: Any, name: str, source: str) -> dict[str, str]:
    """Return column of the model → column of the source, whatever its case; refuse a table that lacks one it needs."""
    column_of: dict[str, str] = {}
    for cell in header:
        meant = cell.strip().lower()
        if meant in column_of:
            raise DataError(f"The column '{meant}' stands twice in '{source}'", "Each column has a name of its own",
                            "Rename one of the two, or drop it")  # fmt: skip
        if meant in CDM[name].columns:
            column_of[meant] = cell
    missing = [column for column in CDM[name].needed if column not in column_of]
    if missing:
        raise DataError(
            f"'{source}' lacks {len(missing)} column(s) of {name.upper()}: {', '.join(missing)}",
            "A table of the OMOP CDM (5.3 or 5.4) bears the columns of the model, in upper or lower case",
            "Export the table again with these columns; or take it out of the folder if it is something else",
        )
    return column_of


def _check(name: str, tables: dict[str, OpenTable]) -> None:
    missing = [table.upper() for table in REQUIRED if table not in tables]
    if missing:
        found = ", ".join(sorted(table.upper() for table in tables)) or "none"
        raise DataError(
            f"'{name}' lacks {len(missing)} table(s): {', '.join(missing)} (tables of the model that it has: {found})",
            "PERSON says who there is, CONDITION_OCCURRENCE who has the condition; the other tables may be missing",
            "Add them, as CSV or Parquet files named like the tables, or give the folder that holds them",
        )
