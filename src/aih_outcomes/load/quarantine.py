"""Rows set aside for checking: what breaks a rule leaves the tables with its reason, and everything read is counted."""

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.cohort import LOAD_COLUMNS, SET_ASIDE_COLUMNS, Cohort, empty_set_aside, find_cohort_violations
from aih_outcomes.errors import DataError
from aih_outcomes.load.records import Records, describe_aside, join_problems
from aih_outcomes.schema import TABLES, empty_table, positions

_ORPHAN = "patient is not in the table 'patients'"
_GONE = "patient was set aside"
# The way out of each rule, by the words it begins with.
_WAYS_OUT = {
    "required value is missing": "Fill the cell, or take the row out of the file",
    "must be one of": "Correct the cell, or translate it in a mapping: codes",
    "must lie between": "Check the value against the notes; if it is right, its unit may be wrong",
    "birth_date or age_at_diagnosis": "Fill one of the two cells",
    "date is before the patient's birth": "Correct this date or the date of birth",
    "date is after the patient's death": "Correct this date or the day of death",
    "one row per patient": "Keep the right one of the rows of this patient",
    "a patient dies once": "Keep the right one of the deaths of this patient",
    "follow-up ends before it starts": "Correct start or end",
    _ORPHAN: "Add the patient to the table 'patients', or correct the identifier",
    _GONE: "Correct the row of this patient in 'patients'",
    "repeats an earlier row": "Nothing, if the row was exported twice; else add what tells the two apart",
}


def quarantine(records: Sequence[Records], *, label: str) -> Cohort:
    """Set aside every row that breaks a rule, until none does, and return the cohort of the others.

    A row that repeats an earlier one is set aside; so are all rows of a patient who has several different rows in
    'patients', and then this patient's rows elsewhere.

    Raises
    ------
    DataError : no patient is left
    """
    tables = {name: _join_kept(records, name) for name in TABLES}
    aside = {name: [part.aside for part in records if part.table == name] for name in TABLES}
    for name in TABLES:
        content = [column for column in tables[name] if column not in ("source_file", "source_row")]
        repeats = pd.DataFrame({"row": positions(tables[name].duplicated(content))})
        _move(tables, aside, name, repeats.assign(column="", rule="repeats an earlier row"))
    while len(violations := find_cohort_violations(tables)):
        for table, broken in violations.groupby("table"):
            _move(tables, aside, str(table), broken)
    if tables["patients"].empty:
        raise _no_patients(records, aside["patients"])
    return Cohort(**tables, set_aside=_list_aside(aside), load_report=_report(records, tables, aside), label=label)


def _join_kept(records: Sequence[Records], name: str) -> pd.DataFrame:
    parts = [part.kept for part in records if part.table == name and len(part.kept)]
    return pd.concat(parts, ignore_index=True) if parts else empty_table(name)


def _move(
    tables: dict[str, pd.DataFrame], aside: dict[str, list[pd.DataFrame]], name: str, broken: pd.DataFrame
) -> None:
    """Move the rows named in ``broken`` (``row, column, rule``) from ``tables`` to ``aside``."""
    if broken.empty:
        return
    table = tables[name]
    left = pd.concat([pd.Series(dtype="string"), *(part["patient_id"] for part in aside["patients"])])
    gone = table["patient_id"].isin(set(left.dropna()))
    rules = broken["rule"].mask((broken["rule"] == _ORPHAN) & gone.iloc[broken["row"]].to_numpy(), _GONE)
    ways = [
        next((way for start, way in _WAYS_OUT.items() if rule.startswith(start)), _find_way(rule)) for rule in rules
    ]
    problems = join_problems([broken[["row", "column"]].assign(rule=rules, way_out=ways)])
    aside[name].append(describe_aside(table, problems))
    tables[name] = table.drop(index=table.index[problems["row"].to_numpy(dtype="int64")]).reset_index(drop=True)


def _find_way(rule: str) -> str:
    return _WAYS_OUT["must lie between"] if "must lie between" in rule else "Correct the cell in the file"


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
        files = dict.fromkeys(part.source_file for part in records if part.table == name)
        set_aside = [row for part in aside[name] for row in part["source_file"]]
        for file in files:
            parts = [part for part in records if part.table == name and part.source_file == file]
            rows.append(
                {
                    "table": name, "source_file": file, "n_read": sum(part.n_read for part in parts),
                    "n_kept": int((tables[name]["source_file"] == file).sum()), "n_set_aside": set_aside.count(file),
                    "columns_not_used": parts[0].columns_not_used,
                    "how_read": "; ".join(part.how_read for part in parts if part.how_read),
                }
            )  # fmt: skip
        if not files:
            rows.append({"table": name, "source_file": "", "n_read": 0, "n_kept": 0, "n_set_aside": 0,
                         "columns_not_used": "", "how_read": "no file"})  # fmt: skip
    return pd.DataFrame(rows, columns=list(LOAD_COLUMNS))


def _no_patients(records: Sequence[Records], aside: list[pd.DataFrame]) -> DataError:
    files = " and ".join(dict.fromkeys(f"'{part.source_file}'" for part in records if part.table == "patients"))
    rows = pd.concat(aside, ignore_index=True)
    if rows.empty:
        return DataError(
            f"0 patients in {files}",
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
