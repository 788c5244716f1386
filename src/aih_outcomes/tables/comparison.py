"""Comparisons of groups: relative and absolute effects side by side, the design named."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.tables.numbers import MISSING, format_count, format_interval, format_ratio
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = ("label", "design", "term", "measure", "n", "n_event", "estimate", "conf_low", "conf_high")
IN_TIME = {
    "restricted_mean_difference": "Restricted-mean difference",
    "time_lost_difference": "Difference in time lost",
}
BIASED = "Biased: groups are compared from a time before anyone could know who belongs to them."


def tabulate_comparison(tidy: pd.DataFrame, *, caption: str = "Comparisons", notes: Sequence[str] = ()) -> Table:
    """Return one row per contrast, grouped by design: n, events, hazard ratio, risk and restricted-mean difference.

    Parameters
    ----------
    tidy : ``label, design, term, measure`` (hazard_ratio, risk_difference, and restricted_mean_difference or, where
        events compete, time_lost_difference), ``n, n_event, estimate, conf_low, conf_high, biased`` (bool); ``attrs``
        may hold ``time_unit`` and ``horizon``
    """
    require(tidy, COLUMNS, "the table of comparisons")
    mark = hidden_mark(tidy)
    rows: list[tuple[str, list[str]]] = []
    has_biased = False
    designs = tidy["design"].astype("string").fillna("design not named")
    for design in designs.unique():
        part = tidy[designs == design]
        for (label, term), contrast in part.groupby(
            [part["label"].astype(str), part["term"].astype("string").fillna("").astype(str)], sort=False
        ):
            is_biased = "biased" in contrast and bool(contrast["biased"].any())
            has_biased |= is_biased
            name = term or str(label)
            heading = f"{str(design)[:1].upper()}{str(design)[1:]}"
            rows.append((heading, [name + (" (biased)" if is_biased else ""), *_cells(contrast, mark)]))
    time_unit = str(tidy.attrs.get("time_unit", "years"))
    horizon = f" at {tidy.attrs['horizon']:g} {time_unit}" if "horizon" in tidy.attrs else ""
    in_time = [words for measure, words in IN_TIME.items() if tidy["measure"].eq(measure).any()]
    header = [
        "Contrast",
        "n",
        "Events",
        "Hazard ratio (95 % CI)",
        f"Risk difference{horizon} (%; 95 % CI)",
        f"{' or '.join(in_time) or IN_TIME['restricted_mean_difference']}{horizon} ({time_unit}; 95 % CI)",
    ]
    return make_table(caption, header, rows, tidy, (BIASED if has_biased else "", *notes))


def _cells(contrast: pd.DataFrame, mark: str) -> list[str]:
    first = contrast.iloc[0]
    by_measure = {str(row["measure"]): row for _, row in contrast.iterrows()}
    cells = [format_count(first["n"], hidden=mark), format_count(first["n_event"], hidden=mark)]
    in_time = next((measure for measure in IN_TIME if measure in by_measure), "")
    for measure, decimals, factor in (("risk_difference", 1, 100.0), (in_time, 2, 1.0)):
        row = by_measure.get(measure)
        ends = (None, None, None) if row is None else (row["estimate"], row["conf_low"], row["conf_high"])
        cells.append(format_interval(*ends, decimals=decimals, factor=factor))
    ratio = by_measure.get("hazard_ratio")
    text = MISSING if ratio is None else format_ratio(ratio["estimate"], ratio["conf_low"], ratio["conf_high"])
    return [*cells[:2], text, *cells[2:]]
