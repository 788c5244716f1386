"""Whose category depends on the upper limit of normal, by its source and by why the limit changed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.tables.numbers import format_count
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "term", "state", "n", "denominator")


def tabulate_limit_changes(
    tidy: pd.DataFrame, *, caption: str = "Category by upper limits of normal", notes: Sequence[str] = ()
) -> Table:
    """Return one row per source of limits, reason and change of category that any patient made.

    Parameters
    ----------
    tidy : ``label`` (source)``, term`` (reason)``, state`` (change)``, n, denominator``, as from ``compare_uln``
    """
    require(tidy, COLUMNS, "the table of upper limits")
    mark = hidden_mark(tidy)
    rows = [
        (
            str(row["label"]),
            [
                str(row["term"]),
                str(row["state"]),
                f"{format_count(row['n'], hidden=mark)} of {format_count(row['denominator'], hidden=mark)}",
            ],
        )
        for _, row in tidy[tidy["n"].ne(0).fillna(True)].iterrows()
    ]
    told = [*notes, "Changes that no patient made are left out."]
    return make_table(caption, ["Why", "Change of category", "Patients"], rows, tidy, told)
