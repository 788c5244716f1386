"""Who began another treatment after the landmark, and stayed in the group."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.tables.numbers import format_count, format_number
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "moved_to", "n", "median_day")
DAYS_PER_YEAR = 365.25


def tabulate_moves(tidy: pd.DataFrame, *, caption: str = "Later treatment", notes: Sequence[str] = ()) -> Table:
    """Return one row per group and later treatment: how many, and the median time of its beginning.

    Parameters
    ----------
    tidy : ``label`` (group), ``moved_to, n, median_day`` (days since time zero)
    """
    require(tidy, COLUMNS, "the table of later treatment")
    mark = hidden_mark(tidy)
    rows = [
        (
            str(row["label"]),
            [
                str(row["moved_to"]),
                format_count(row["n"], hidden=mark),
                format_number(row["median_day"] / DAYS_PER_YEAR, 1),
            ],
        )
        for _, row in tidy.iterrows()
    ]
    return make_table(caption, ["Began later", "n", "Median time (years)"], rows, tidy, notes)
