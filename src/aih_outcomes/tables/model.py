"""The terms of one model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.tables.numbers import format_interval, format_number, format_p
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "term", "estimate", "std_error", "conf_low", "conf_high", "p_value")
DECIMALS = 3


def tabulate_model(tidy: pd.DataFrame, *, caption: str = "Terms of the model", notes: Sequence[str] = ()) -> Table:
    """Return one row per term: estimate with interval, standard error, p-value.

    Parameters
    ----------
    tidy : ``label, term, estimate, std_error, conf_low, conf_high, p_value`` on the model's own scale
    """
    require(tidy, COLUMNS, "the table of a model")
    rows = [
        (
            str(row["label"]),
            [
                str(row["term"]),
                format_interval(row["estimate"], row["conf_low"], row["conf_high"], decimals=DECIMALS),
                format_number(row["std_error"], DECIMALS),
                format_p(row["p_value"]),
            ],
        )
        for _, row in tidy.iterrows()
    ]
    return make_table(caption, ["Term", "Estimate (95 % CI)", "Standard error", "p"], rows, tidy, notes)
