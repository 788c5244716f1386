"""The project's own facts in OBSERVATION: columns of the schema that the model has no home for."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import pandas as pd

from aih_outcomes.formats.omop import OWN_FACTS
from aih_outcomes.load.omop.database import Database, fetch

KEY = "row_key"


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Facts by table: one row per row of the schema, its columns as text, ``""`` where there is none.

    Attributes
    ----------
    tables : table → frame with the columns said of it, ``person_id`` and ``source_row``; the index is the number of the
        row that they belong to, or the person where the table is ``patients``
    n_cells : rows of OBSERVATION that they were made of
    """

    tables: Mapping[str, pd.DataFrame]
    n_cells: int

    def of_rows(self, table: str, keys: pd.Series) -> pd.DataFrame:
        """Return the facts of these rows, in their order; ``""`` where there is none."""
        known = self.tables.get(table)
        if known is None:
            return pd.DataFrame(index=keys.index)
        said = known.drop(columns=["person_id", "source_row"]).reindex(keys.astype(str).to_numpy())
        return said.set_axis(keys.index).fillna("")

    def of_others(self, table: str, keys: pd.Series) -> pd.DataFrame:
        """Return the facts of a table that belong to none of these rows: they are rows of their own."""
        known = self.tables.get(table)
        if known is None:
            return pd.DataFrame()
        return known[~known.index.isin(keys.astype(str))].rename_axis(KEY).reset_index()


def read_facts(database: Database, persons: ibis.Table) -> Facts:
    """Read the facts of these persons; a database of others has none."""
    if "observation" not in database:
        return Facts({}, 0)
    rows = database.of_persons("observation", persons)
    rows = rows.filter(rows.observation_source_value.isin(OWN_FACTS)).order_by("source_row", "observation_event_id")
    cells = fetch(
        rows.select("person_id", "observation_source_value", "value_as_string", "observation_event_id", "source_row"),
        database.source("observation"),
    )
    named = cells["observation_source_value"].astype("string").str.split(".", n=1, expand=True).reindex(columns=[0, 1])
    tables = {}
    for table, part in cells.groupby(named[0].astype(object)):
        part = part.assign(column=named[1].reindex(part.index))
        part = part.dropna(subset="observation_event_id")
        part[KEY] = part["person_id" if table == "patients" else "observation_event_id"].astype(str)
        tables[str(table)] = _widen(part)
    return Facts(tables, len(cells))


def _widen(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row per key and one column per column of the schema; of a repeated fact the first counts."""
    once = cells.assign(value=cells["value_as_string"].astype(object)).drop_duplicates([KEY, "column"])
    wide = once.pivot(index=KEY, columns="column", values="value").fillna("")
    first = cells.drop_duplicates(KEY).set_index(KEY)[["person_id", "source_row"]]
    return wide.rename_axis(columns=None).join(first)
