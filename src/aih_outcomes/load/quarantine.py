"""Rows set aside for checking: what breaks a rule leaves the tables with its reason, and everything read is counted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aih_outcomes.cohort import LOAD_COLUMNS, SET_ASIDE_COLUMNS, Cohort, empty_set_aside, find_cohort_violations
from aih_outcomes.cohort.violations import ORPHAN
from aih_outcomes.errors import DataError
from aih_outcomes.load.records import Records, describe_aside, join_problems
from aih_outcomes.load.ways_out import name_ways_out
from aih_outcomes.schema import TABLES, empty_table

GONE = "patient was set aside"
REPEATS = "repeats an earlier row"
# Patients first, whose loss takes their rows with them; then events, whose deaths end what can have been measured.
_ORDER = ("patients", "events", *(name for name in TABLES if name not in ("patients", "events")))
_PLACE = ("source_file", "source_row")


def quarantine(records: Sequence[Records], *, label: str) -> Cohort:
    """Set aside every row that breaks a rule and return the cohort of the others.

    A row that repeats an earlier one is set aside; so are all rows of a patient who has several different rows in
    'patients', and then this patient's rows elsewhere.

    Raises
    ------
    DataError : no patient is left
    """
    tables = {name: _join_kept(records, name) for name in TABLES}
    aside = {name: [part.aside for part in records if part.table == name] for name in TABLES}
    for name in TABLES:
        repeats = pd.DataFrame({"row": _find_repeats(tables[name])})
        _move(tables, aside, name, repeats.assign(column="", rule=REPEATS))
    for name in _ORDER:
        _move(tables, aside, name, find_cohort_violations(tables, (name,)))
    if tables["patients"].empty:
        raise _no_patients(records, aside["patients"])
    report = _report(records, tables, aside)
    return Cohort.of_valid(tables, set_aside=_list_aside(aside), load_report=report, label=label)


def _join_kept(records: Sequence[Records], name: str) -> pd.DataFrame:
    parts = [part.kept for part in records if part.table == name and len(part.kept)]
    return pd.concat(parts, ignore_index=True) if parts else empty_table(name)


def _find_repeats(table: pd.DataFrame) -> np.ndarray:
    """Return the positions of rows that equal an earlier one in all but their place.

    Words take long to compare: only rows of one patient with the same dates and numbers come so far.
    """
    plain = [name for name in table if table[name].dtype.kind in "Mf"]
    content = [name for name in table if name not in _PLACE]
    rows = np.arange(len(table))
    for columns in (plain[:2], plain, [*plain, "patient_id"]):
        if columns and len(rows):
            part = table[columns] if len(rows) == len(table) else table[columns].iloc[rows]
            rows = rows[part.duplicated(keep=False).to_numpy(bool)]
    repeats: np.ndarray = rows[table.iloc[rows].duplicated(content).to_numpy(bool)]
    return repeats


def _move(
    tables: dict[str, pd.DataFrame], aside: dict[str, list[pd.DataFrame]], name: str, broken: pd.DataFrame
) -> None:
    """Move the rows named in ``broken`` (``row, column, rule``) from ``tables`` to ``aside``."""
    if broken.empty:
        return
    table = tables[name]
    left = pd.concat([pd.Series(dtype="string"), *(part["patient_id"] for part in aside["patients"])])
    gone = table["patient_id"].iloc[broken["row"]].isin(left.dropna()).to_numpy(bool)
    rules = broken["rule"].mask((broken["rule"] == ORPHAN) & gone, GONE)
    reasons = name_ways_out(name, broken[["row", "column"]].assign(rule=rules))
    problems = join_problems([reasons])
    aside[name].append(describe_aside(table, problems))
    stays = np.ones(len(table), dtype=bool)
    stays[problems["row"].to_numpy(dtype="int64")] = False
    tables[name] = table[stays].reset_index(drop=True)


def _list_aside(aside: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    empty = empty_set_aside()
    parts = [part.assign(table=name) for name, found in aside.items() for part in found if len(part)]
    if not parts:
        return empty
    listed = pd.concat(parts, ignore_index=True)[list(SET_ASIDE_COLUMNS)].astype(empty.dtypes.to_dict())
    order = {name: place for place, name in enumerate(TABLES)}
    by = listed.assign(place=listed["table"].map(order)).sort_values(
        ["place", "source_file", "source_row"], kind="stable"
    )
    return by.drop(columns="place").reset_index(drop=True)


def _report(
    records: Sequence[Records], tables: dict[str, pd.DataFrame], aside: dict[str, list[pd.DataFrame]]
) -> pd.DataFrame:
    """Return one line per table and file; each of its numbers is counted on its own, so that they can disagree."""
    rows: list[dict[str, object]] = []
    for name in TABLES:
        by_file: dict[str, list[Records]] = {}
        for part in records:
            if part.table == name:
                by_file.setdefault(part.source_file, []).append(part)
        kept = tables[name]["source_file"].value_counts().to_dict()
        left = pd.concat([pd.Series(dtype="string"), *(part["source_file"] for part in aside[name])])
        set_aside = left.value_counts().to_dict()
        for file, parts in by_file.items():
            told = dict.fromkeys(part.how_read for part in parts if part.how_read)
            rows.append(
                {
                    "table": name, "source_file": file, "n_read": sum(part.n_read for part in parts),
                    "n_kept": kept.get(file, 0), "n_set_aside": set_aside.get(file, 0),
                    "columns_not_used": parts[0].columns_not_used, "how_read": "; ".join(told),
                }
            )  # fmt: skip
        if not by_file:
            rows.append({"table": name, "source_file": "", "n_read": 0, "n_kept": 0, "n_set_aside": 0,
                         "columns_not_used": "", "how_read": "no file"})  # fmt: skip
    return pd.DataFrame(rows, columns=list(LOAD_COLUMNS))


def _no_patients(records: Sequence[Records], aside: list[pd.DataFrame]) -> DataError:
    files = " and ".join(dict.fromkeys(f"'{part.source_file}'" for part in records if part.table == "patients"))
    rows = pd.concat(aside, ignore_index=True) if aside else pd.DataFrame()
    if rows.empty:
        return DataError(
            f"0 patients in {files or 'the data'}",
            "A cohort needs at least one patient",
            "Add rows below the header, or check which lines the mapping selects (only, only_if_filled)",
        )
    reason = rows.groupby(["column", "rule"], sort=False).ngroup()
    commonest = rows[reason == reason.mode()[0]]
    column, rule, way_out = commonest[["column", "rule", "way_out"]].iloc[0]
    shown = ", ".join(str(line) for line in commonest["source_row"][:5]) + (" …" if len(commonest) > 5 else "")
    where = f"column '{column}'" if column else "the line as a whole"
    return DataError(
        f"0 patients left: all {len(rows)} row(s) of {files} were set aside, {len(commonest)} of them for "
        f"{where} (lines {shown})",
        f"{column}: {rule}" if column else rule,
        way_out,
    )
