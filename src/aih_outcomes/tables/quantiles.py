"""Medians of a time, by group."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.tables.numbers import format_interval, format_percent
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("strata", "probability", "estimate", "conf_low", "conf_high")


def tabulate_quantiles(
    tidy: pd.DataFrame, *, caption: str = "Times", unit: str = "years", notes: Sequence[str] = ()
) -> Table:
    """Return one row per group and quantile, with its interval.

    Parameters
    ----------
    tidy : ``strata, probability`` (share who have had the event by then), ``estimate, conf_low, conf_high`` in ``unit``
    """
    require(tidy, COLUMNS, "the table of quantiles")
    rows = [
        (
            "",
            [
                str(row["strata"]),
                format_percent(row["probability"]),
                format_interval(row["estimate"], row["conf_low"], row["conf_high"], decimals=1),
            ],
        )
        for _, row in tidy.iterrows()
    ]
    return make_table(caption, ["", "% by then", f"{unit.capitalize()} (95 % CI)"], rows, tidy, notes)
