"""An OMOP database, opened: which tables there are, their columns by the model's names, and rows by person and code.

Everything here is an Ibis expression, run by the engine; only what a cohort needs comes to Python. The one thing that
belongs to DuckDB is how files are opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

from aih_outcomes.errors import DataError
from aih_outcomes.formats.omop import CDM, CellKind

_FIRST_DAY, _LAST_DAY = date(1850, 1, 1), date(2150, 12, 31)  # beyond them it is a slip of the hand
CODE_COLUMNS = ("concept", "source_concept", "source_value")
_NULLS = {"key": "string", "whole": "int64", "number": "float64", "date": "date", "text": "string"}
_FINITE = 1.7e308


@dataclass(frozen=True, slots=True, eq=False)
class OpenTable:
    """One table of the database.

    Attributes
    ----------
    name : as in the model, e.g. ``measurement``
    source : the file or table that holds it, as the user knows it
    rows : its rows; names of columns are those of the source
    column_of : column of the model → column of the source
    numbered : whether ``rows`` has a column ``source_row``, the line of a text file
    broken : lines of a text file that cannot be split into cells
    """

    name: str
    source: str
    rows: ibis.Table
    column_of: dict[str, str]
    numbered: bool = False
    broken: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """The tables that were found, and queries on them."""

    name: str
    backend: ibis.BaseBackend
    tables: dict[str, OpenTable]

    def __contains__(self, name: str) -> bool:
        return name in self.tables

    def source(self, name: str) -> str:
        """Return the file or table that holds a table of the model."""
        return self.tables[name].source if name in self.tables else ""

    def count(self, name: str) -> int:
        """Return the number of rows of a table, lines that cannot be split among them."""
        table = self.tables[name]
        with telling(table.source):
            return int(table.rows.count().execute()) + len(table.broken)

    def of_persons(self, name: str, persons: ibis.Table | None = None) -> ibis.Table:
        """Return a table's rows in the model's types, of these persons only where given.

        Cells that are not of their column's kind are empty, and ``unread`` names their columns. The persons' rows stay
        in the engine, so that what follows does not read the table again.
        """
        table = self.tables[name]
        rows = table.rows
        if persons is not None:
            key = self._person(table)
            rows = rows.mutate(person_key=key).semi_join(persons, [("person_key", "person_id")]).drop("person_key")
        typed = _typed(rows, table, person=self._person(table, rows) if "person_id" in CDM[name].columns else None)
        with telling(table.source):
            return typed if persons is None else keep(self.backend, typed)

    def _person(self, table: OpenTable, rows: ibis.Table | None = None) -> ibis.Value:
        column = (table.rows if rows is None else rows)[table.column_of["person_id"]]
        return _as_key(column).cast("string") if self._persons_are_text() else column.cast("int64")

    def _persons_are_text(self) -> bool:
        columns = [t.rows[t.column_of["person_id"]] for t in self.tables.values() if "person_id" in t.column_of]
        return not all(column.type().is_integer() for column in columns)

    def look_up(self, name: str, column: str, numbers: pd.Series) -> pd.DataFrame:
        """Return the rows of a vocabulary table whose ``column`` is among ``numbers``; none where it is not there."""
        columns = CDM[name].columns
        if name not in self.tables or numbers.empty:
            return pd.DataFrame({one: pd.Series(dtype=object) for one in columns})
        wanted = ibis.memtable(pa.table({column: pa.array(numbers.unique(), pa.int64())}))
        rows = self.of_persons(name).semi_join(wanted, column)
        return fetch(rows.select(*columns), self.source(name))


def keep(backend: Any, rows: ibis.Table) -> ibis.Table:
    """Run a query and keep its rows in the engine, so that what follows does not run it again."""
    kept: ibis.Table = backend.create_table(ibis.util.gen_name("kept"), rows, temp=True)
    return kept


@contextmanager
def telling(source: str) -> Iterator[None]:
    """Say in three parts that a table cannot be read; what the engine says may hold a patient's values."""
    from duckdb import Error

    try:
        yield
    except (Error, ibis.IbisError, pa.ArrowException) as error:
        raise DataError(
            f"'{source}' cannot be read to its end ({type(error).__name__})",
            "Each table is a CSV file in UTF-8, a Parquet file, or a table of a DuckDB file",
            "Export it again; a file that was cut short or is in another encoding cannot be read",
        ) from None


def fetch(rows: ibis.Table, source: str) -> pd.DataFrame:
    """Return rows as a frame; texts are held once each (categories), dates are whole seconds."""
    with telling(source):
        table = rows.to_pyarrow()
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            columns[name] = column.combine_chunks().dictionary_encode().to_pandas()
        elif pa.types.is_date(column.type):
            columns[name] = pd.Series(column.to_numpy().astype("datetime64[s]"))
        elif pa.types.is_integer(column.type) and column.null_count:
            columns[name] = column.to_pandas(types_mapper={column.type: pd.Int64Dtype()}.get)
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns)


def count_codes(rows: ibis.Table, name: str) -> pd.DataFrame:
    """Return how often each code stands in the rows: ``concept, source_concept, source_value, n``."""
    counted = _with_code(rows, name).group_by(list(CODE_COLUMNS)).agg(n=ibis._.count())
    found = fetch(counted.order_by(*CODE_COLUMNS), name)
    return found.assign(source_value=found["source_value"].astype(object))


def with_words(rows: ibis.Table, name: str, codes: pd.DataFrame) -> ibis.Table:
    """Return the rows whose code is among ``codes``, with their ``word``."""
    chosen = pa.table(
        {
            "concept": pa.array(codes["concept"], pa.int64()),
            "source_concept": pa.array(codes["source_concept"], pa.int64()),
            "source_value": pa.array(codes["source_value"], pa.string()),
            "word": pa.array(codes["word"], pa.string()),
        }
    )
    joined = _with_code(rows, name).inner_join(ibis.memtable(chosen), list(CODE_COLUMNS))
    return joined.drop(*CODE_COLUMNS[:2])


def _with_code(rows: ibis.Table, name: str) -> ibis.Table:
    code = CDM[name].code
    return rows.mutate(
        concept=rows[f"{code}_concept_id"].fill_null(0),
        source_concept=rows[f"{code}_source_concept_id"].fill_null(0),
        source_value=rows[f"{code}_source_value"].fill_null("").strip(),
    )


def _typed(rows: ibis.Table, table: OpenTable, *, person: ibis.Value | None) -> ibis.Table:
    """Return the model's columns in its types, ``source_row``, and ``unread``: names of cells that are not so."""
    columns: dict[str, ibis.Value] = {}
    unread: list[ibis.Value] = []
    for name, kind in CDM[table.name].columns.items():
        if name not in table.column_of:
            columns[name] = ibis.null(_NULLS[kind])
            continue
        cell = rows[table.column_of[name]]
        columns[name] = person if name == "person_id" and person is not None else _as_kind(cell, kind)
        if kind in ("whole", "number", "date") and cell.type().is_string():
            bad = columns[name].isnull() & (cell.strip() != "")  # noqa: PD003 (an Ibis column has no isna)
            unread.append(ibis.ifelse(bad, f"{name} ", ""))
    number = CDM[table.name].number
    line: ibis.Value = ibis.null("int64")
    if table.numbered:
        line = rows["source_row"]
    elif number in table.column_of:
        line = _as_whole(rows[table.column_of[number]])
    found = sum(unread[1:], unread[0]) if unread else ibis.literal("")
    return rows.select(**columns, source_row=line, unread=found)


def _as_kind(cell: ibis.Value, kind: CellKind) -> ibis.Value:
    if kind == "date":
        return _as_date(cell)
    if kind == "number":
        return _as_number(cell)
    if kind == "whole":
        return _as_whole(cell)
    return _as_key(cell) if kind == "key" else cell.cast("string")


def _as_key(cell: ibis.Value) -> ibis.Value:
    """Return a key as it is where it is a number, else as text, without the ``.0`` that some programs add."""
    if cell.type().is_integer():
        return cell
    return cell.cast("string").strip().re_replace(r"^([0-9]+)\.0+$", r"\1").nullif("")


def _as_whole(cell: ibis.Value) -> ibis.Value:
    if cell.type().is_integer():
        return cell
    number = _as_number(cell)
    return ibis.ifelse(number == number.floor(), cell.cast("string").strip().try_cast("int64"), ibis.null("int64"))


def _as_number(cell: ibis.Value) -> ibis.Value:
    """Return a number; text that spells no finite one becomes empty."""
    if cell.type().is_numeric():
        return cell.cast("float64")
    number = cell.cast("string").strip().try_cast("float64")
    return ibis.ifelse(number.between(-_FINITE, _FINITE), number, ibis.null("float64"))


def _as_date(cell: ibis.Value) -> ibis.Value:
    if cell.type().is_date() or cell.type().is_timestamp():
        day = cell.cast("date")
    else:
        day = cell.cast("string").strip().try_cast("date")
    return ibis.ifelse(day.between(_FIRST_DAY, _LAST_DAY), day, ibis.null("date"))
