"""Response rates with all their denominators: met, not met, not evaluable, and what each reading would give."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.tables.numbers import MISSING, format_count, format_interval, format_percent
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "n_met", "n_not_met", "n_not_evaluable", "estimate")
HEADER = (
    "",
    "Met",
    "Not met",
    "Not evaluable",
    "Met of evaluable, % (95 % CI)",
    "If none to all not evaluable met, %",
    "By transaminases only, %",
    "Corrected for missing results, % (95 % CI)",
)
NOTE = (
    "Raised transaminases with IgG missing are not met; normal ones with IgG missing are not evaluable: met of "
    "evaluable is too low even when IgG is missing at random.",
)


def tabulate_rates(tidy: pd.DataFrame, *, caption: str = "Response", notes: Sequence[str] = ()) -> Table:
    """Return one row per group: counts, the rate with its interval, its bounds, and the transaminase-only rate.

    Parameters
    ----------
    tidy : ``label, n_met, n_not_met, n_not_evaluable, estimate`` (met / (met + not met)), ``conf_low, conf_high,
        bound_low`` (no not-evaluable met), ``bound_high`` (all), ``transaminase_only, corrected, corrected_low,
        corrected_high`` (no column without a corrected rate); shares from 0 to 1; optional ``design``, ``variable`` or
        ``upper_limits`` (then ``definition`` stands for the label) heads the rows of a group
    """
    require(tidy, COLUMNS, "the table of response rates")
    mark = hidden_mark(tidy)
    corrected = "corrected" in tidy and tidy["corrected"].notna().any()
    heading = next((column for column in ("variable", "upper_limits", "design") if column in tidy), None)
    rows = []
    for _, row in tidy.iterrows():
        counts = [format_count(row[column], hidden=mark) for column in ("n_met", "n_not_met", "n_not_evaluable")]
        rate = format_interval(row["estimate"], row.get("conf_low"), row.get("conf_high"), decimals=0, factor=100)
        cells = [
            str(row["definition" if heading == "upper_limits" else "label"]),
            *counts,
            rate,
            _bounds(row),
            format_percent(row.get("transaminase_only")),
        ]
        if corrected:
            limits = row.get("corrected_low"), row.get("corrected_high")
            cells.append(format_interval(row["corrected"], *limits, decimals=0, factor=100))
        rows.append(("" if heading is None or pd.isna(row[heading]) else str(row[heading]), cells))
    return make_table(caption, HEADER if corrected else HEADER[:-1], rows, tidy, (*NOTE, *notes))


def _bounds(row: pd.Series) -> str:
    low, high = (format_percent(row.get(column)) for column in ("bound_low", "bound_high"))
    return MISSING if MISSING in (low, high) else f"{low} to {high}"
