"""The terms of one model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from aih_outcomes.tables.numbers import format_interval, format_number, format_p
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "term", "estimate", "std_error", "conf_low", "conf_high", "p_value")
LEAST, MOST = 2, 5  # decimals
NOTE = "Estimates and their limits stand on the scale of the model."


def tabulate_model(tidy: pd.DataFrame, *, caption: str = "Terms of the model", notes: Sequence[str] = ()) -> Table:
    """Return one row per term: estimate with interval, standard error, p-value.

    Parameters
    ----------
    tidy : ``label, term, estimate, std_error, conf_low, conf_high, p_value`` on the model's own scale, and ``strata``
        where terms come again; each row has the decimals that its standard error deserves
    """
    require(tidy, COLUMNS, "the table of a model")
    rows = [
        (
            _section(row),
            [
                _capital(str(row["term"])),
                format_interval(
                    row["estimate"], row["conf_low"], row["conf_high"], decimals=decimals_of(row["std_error"])
                ),
                format_number(row["std_error"], decimals_of(row["std_error"])),
                format_p(row["p_value"]),
            ],
        )
        for _, row in tidy.iterrows()
    ]
    return make_table(caption, ["Term", "Estimate (95 % CI)", "Standard error", "p"], rows, tidy, (NOTE, *notes))


def decimals_of(std_error: object) -> int:
    """Return how many decimals show a standard error with two digits, so that a limit never reads as 0 by rounding.

    Examples
    --------
    >>> decimals_of(0.024), decimals_of(0.0024), decimals_of(3.1), decimals_of(None)
    (3, 4, 2, 2)
    """
    size = float("nan") if std_error is None or pd.isna(std_error) else float(std_error)  # type: ignore[call-overload,arg-type]  # a number by contract
    return LEAST if not size > 0 else min(max(1 - math.floor(math.log10(size)), LEAST), MOST)


def _section(row: pd.Series) -> str:
    """Name what the term belongs to: the stratum, such as a contrast of groups, where there is one."""
    strata = row.get("strata")
    return str(row["label"]) if strata is None or pd.isna(strata) else str(strata)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
