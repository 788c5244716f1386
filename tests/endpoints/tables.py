"""Cohorts from small text tables, and frames back into them: what a clinician can read in a test.

Days are counted from 1 January 2020, the first dose of induction steroid. ``-`` is an empty cell.
"""

from __future__ import annotations

import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.schema import TABLES, empty_table

DAY_0 = pd.Timestamp("2020-01-01")
BORN = pd.Timestamp("2010-01-01")
ULN = {"alt": 40.0, "ast": 40.0, "igg": 16.0}  # the upper limits of normal of these tests
NUMBERS = {"uln", "value", "dose", "acmg_class", "age_at_diagnosis"}


def read(text: str) -> pd.DataFrame:
    """Read a text table: the first line names the columns, cells are parted by blanks; two blanks keep a sentence."""
    lines = [line.strip() for line in text.strip().splitlines()]
    part = "  " if any("  " in line for line in lines) else " "
    cells = [[cell.strip() for cell in line.split(part) if cell.strip()] for line in lines]
    return pd.DataFrame(cells[1:], columns=cells[0]).replace("-", None)


def cohort(
    labs: str = "", *, patients: str = "", steroid: bool = True, start: pd.Timestamp = DAY_0, **others: str
) -> Cohort:
    """Build a cohort; ``labs`` has ``patient day analyte xuln`` and, at will, ``value uln comparator``.

    Every patient named anywhere has a row, born on 1 January 2010 and diagnosed on day 0, and takes prednisolone from
    day 0 on unless ``steroid`` is False.
    """
    tables = {name: _dates(read(text), start) for name, text in others.items() if text}
    results = _results(_dates(read(labs), start)) if labs else empty_table("labs")
    named = _dates(read(patients), start) if patients else pd.DataFrame(columns=["patient_id"])
    everyone = [frame["patient_id"] for frame in (named, results, *tables.values())]
    ids = sorted(set(pd.concat(everyone, ignore_index=True).dropna()))
    who = pd.DataFrame({"patient_id": ids, "birth_date": BORN + (start - DAY_0), "diagnosis_date": start})
    who = who.set_index("patient_id")
    for column in named.columns.drop("patient_id"):
        given = named.set_index("patient_id")[column].reindex(who.index)
        who[column] = given if column not in who else given.fillna(who[column])
    given = tables.get("treatments", pd.DataFrame())
    if steroid:
        induction = pd.DataFrame({"patient_id": ids, "drug": "prednisolone", "start": start})
        given = pd.concat([induction, given], ignore_index=True)
    given = given.assign(indication=given["indication"].fillna("aih") if "indication" in given else "aih")
    if len(given):
        tables["treatments"] = given
    return Cohort(who.reset_index(), results, **tables)


def _dates(frame: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """Turn days into dates: ``day`` is the table's ``date``; other day columns keep their name."""
    frame = frame.rename(columns={"patient": "patient_id", "day": "date"})
    for column in frame.columns:
        if column in {"date", "start", "stop", "end", "first_seen_date", "diagnosis_date", "birth_date"}:
            frame[column] = start + pd.to_timedelta(pd.to_numeric(frame[column]), unit="D")
        elif column in NUMBERS:
            frame[column] = pd.to_numeric(frame[column])
        elif column == "mechanism_confirmed":
            frame[column] = frame[column].map({"yes": True, "no": False})
    return frame


def _results(frame: pd.DataFrame) -> pd.DataFrame:
    uln = frame["analyte"].map(ULN)
    uln = frame["uln"].where(frame["uln"].notna(), uln) if "uln" in frame else uln
    if "xuln" in frame:
        value = pd.to_numeric(frame["xuln"]) * uln
        frame["value"] = frame["value"].where(frame["value"].notna(), value) if "value" in frame else value
    if "uln" in frame and "xuln" not in frame:
        uln = frame["uln"]
    sign = frame["comparator"].fillna("=") if "comparator" in frame else "="
    return frame.assign(uln=uln, comparator=sign, uln_source="reported")


def iaihg() -> Definition:
    """Return the shipped criteria of these tests."""
    return read_definition("iaihg-2022")


def written(frame: pd.DataFrame, columns: str = "") -> pd.DataFrame:
    """Return a frame as cells of text, ``-`` where empty; whole numbers without a point."""
    shown = frame[columns.split()] if columns else frame
    cells = shown.rename(columns={"patient_id": "patient"}).astype(object)
    return cells.map(_cell).reset_index(drop=True)


def _cell(value: object) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, pd.Timestamp):
        return f"{(value - DAY_0).days}"
    return str(value)


def same(frame: pd.DataFrame, text: str) -> None:
    """Assert that a frame, in the columns of the text table, reads as the table does."""
    expected = read(text).astype(object).where(lambda cells: cells.notna(), "-")
    columns = ["patient_id" if column == "patient" else column for column in expected.columns]
    found = written(frame, " ".join(columns))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_index_type=False, check_names=False)


def table_names() -> list[str]:
    """Return the names of a cohort's tables."""
    return list(TABLES)
