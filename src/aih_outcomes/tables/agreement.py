"""Two sets of criteria on the same patients: the two-way table, and how far they agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.tables.numbers import format_count, format_interval, format_percent
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "strata", "state", "measure", "first", "second", "n", "denominator", "n_missing", "estimate")
PATIENTS, OBSERVED, KAPPA = "patients", "observed_agreement", "kappa"
STATUSES = ("met", "not met", "not evaluable")


def tabulate_agreement(tidy: pd.DataFrame, *, caption: str = "Agreement", notes: Sequence[str] = ()) -> Table:
    """Return the two-way table of each pair of criteria, with observed agreement and kappa in a line under it.

    Parameters
    ----------
    tidy : ``label, first, second`` (the two sets of criteria)``, measure`` (patients, observed_agreement, kappa)``,
        strata, state`` (status by the first and the second)``, n, denominator, n_missing, estimate``, optional
        ``conf_low, conf_high`` of kappa
    """
    require(tidy, COLUMNS, "the table of agreement")
    mark, rows, lines = hidden_mark(tidy), [], []
    pairs = list(tidy["label"].drop_duplicates())
    for pair in pairs:
        own = tidy[tidy["label"] == pair]
        first, second = str(own["first"].iloc[0]), str(own["second"].iloc[0])
        counts = own[own["measure"] == PATIENTS].set_index(["strata", "state"])["n"]
        for status in STATUSES:
            cells = [format_count(counts.get((status, other)), hidden=mark) for other in STATUSES]
            rows.append((f"{first} (rows), {second} (columns)", [_named(status), *cells]))
        lines.append((f"{pair}: " if len(pairs) > 1 else "") + _line(own, mark))
    said = lines or ["No other criteria or limits are laid beside these."]
    return make_table(caption, ["", *map(_named, STATUSES)], rows, tidy, (*said, *notes))


def _line(own: pd.DataFrame, mark: str) -> str:
    """Return agreement and kappa of one pair in words."""
    by_measure = {str(row["measure"]): row for _, row in own.iterrows()}
    observed, kappa = by_measure[OBSERVED], by_measure[KAPPA]
    both, left_out = (format_count(kappa[column], hidden=mark) for column in ("denominator", "n_missing"))
    if pd.isna(kappa["estimate"]):
        return (
            f"Evaluable by both: {both}; not evaluable by one or both: {left_out}. Kappa: not estimable or not shown."
        )
    agree = format_percent(observed["estimate"])
    interval = format_interval(kappa["estimate"], kappa.get("conf_low"), kappa.get("conf_high"))
    interval = interval.replace("(", "(95 % CI ")
    return (
        f"Of {both} evaluable by both, {agree} % agree; Cohen's kappa {interval}. Not evaluable by one or both, and "
        f"left out: {left_out}."
    )


def _named(status: str) -> str:
    return status[:1].upper() + status[1:]
