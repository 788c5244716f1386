"""Table 1: who they are, by group, with what is missing counted."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.tables.numbers import MISSING, format_count, format_median_iqr, format_number, format_share
from aih_outcomes.tables.table import Table, make_table, require

COLUMNS = (
    "label", "variable", "level", "n", "denominator", "n_missing", "n_group", "estimate", "conf_low", "conf_high",
)  # fmt: skip
LAST_GROUPS = ("undetermined", "not evaluable")  # shown, never merged, after the groups that are compared
NOTES = ("Measured values: median [interquartile range]. Categories: n/N (%), N with a known value.",)
SMD_NOTE = "SMD: standardised mean difference."
YES, NO = "yes", "no"


def tabulate_baseline(tidy: pd.DataFrame, *, caption: str = "Characteristics", notes: Sequence[str] = ()) -> Table:
    """Return Table 1: a row per variable or level, a column per group (not evaluable last), the SMD at the end.

    Parameters
    ----------
    tidy : ``label`` (group), ``variable, level`` (missing for a measured value), ``n, denominator`` (with a known
        value), ``n_missing, n_group, estimate`` (median or share), ``conf_low, conf_high`` (quartiles), ``smd``,
        optional ``unit``; rows in the order shown. Of a variable with the levels yes and no, yes is shown
    """
    require(tidy, COLUMNS, "Table 1")
    groups = _groups(tidy)
    mark = hidden_mark(tidy)
    has_smd = "smd" in tidy and bool(tidy["smd"].notna().any())
    rows: list[tuple[str, list[str]]] = []
    for variable in tidy["variable"].astype(str).unique():
        rows += _rows_of(tidy[tidy["variable"].astype(str) == variable], groups, mark, has_smd)
    sizes = [_size(tidy[tidy["label"].astype(str) == group]) for group in groups]
    header = [f"{group} (n = {format_count(n, hidden=mark)})" for group, n in zip(groups, sizes, strict=True)]
    notes = (*NOTES, SMD_NOTE if has_smd else "", *notes)
    return make_table(caption, ["", *header, *(["SMD"] if has_smd else [])], rows, tidy, notes)


def _groups(tidy: pd.DataFrame) -> list[str]:
    rank = {name: place for place, name in enumerate(LAST_GROUPS, start=1)}
    return sorted(tidy["label"].astype(str).unique(), key=lambda name: rank.get(name.casefold(), 0))


def _size(rows: pd.DataFrame) -> float:
    """Patients of a group; NaN where hidden."""
    size = rows["n_group"].dropna()
    return float(size.iloc[0]) if len(size) else float("nan")


def _rows_of(part: pd.DataFrame, groups: list[str], mark: str, has_smd: bool) -> list[tuple[str, list[str]]]:
    """Return the rows of one variable: one for a measured value, one per level under a heading, one for the missing."""
    levels = part["level"].astype("string").fillna("")
    name = _with_unit(part)
    is_measured = bool((levels == "").all())
    is_yes_no = YES in set(levels) <= {YES, NO}
    heading = "" if is_measured or is_yes_no else name
    rows: list[tuple[str, list[str]]] = []
    for place, level in enumerate([YES] if is_yes_no else levels.unique()):
        of_level = part[levels == level]
        cells = [_cell(of_level[of_level["label"].astype(str) == group], mark) for group in groups]
        smd = [_smd(of_level) if place == 0 else ""] if has_smd else []
        rows.append((heading, [name if is_yes_no else str(level) or name, *cells, *smd]))
    if (part["n_missing"].isna() & (mark != MISSING)).any() or (part["n_missing"].fillna(0) > 0).any():
        first = part.drop_duplicates("label")
        counts = [first.loc[first["label"].astype(str) == group, "n_missing"] for group in groups]
        cells = [format_count(n.iloc[0], hidden=mark) if len(n) else MISSING for n in counts]
        label = "Missing" if heading else f"{name}: missing"
        rows.append((heading, [label, *cells, *([""] if has_smd else [])]))
    return rows


def _with_unit(part: pd.DataFrame) -> str:
    name = str(part["variable"].iloc[0])
    unit = part["unit"].dropna() if "unit" in part else pd.Series(dtype=object)
    return f"{name}, {unit.iloc[0]}" if len(unit) and str(unit.iloc[0]) else name


def _cell(row: pd.DataFrame, mark: str) -> str:
    if row.empty:
        return MISSING
    one = row.iloc[0]
    if pd.isna(one["level"]) or not str(one["level"]):
        text = format_median_iqr(one["estimate"], one["conf_low"], one["conf_high"])
        return mark if text == MISSING and pd.isna(one["n"]) else text
    return format_share(one["n"], one["denominator"], one["estimate"], hidden=mark)


def _smd(rows: pd.DataFrame) -> str:
    known = rows["smd"].dropna()
    return format_number(known.iloc[0], 2) if len(known) else ""
