"""What cannot be true of a cohort's rows: within a table, across tables, and in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.schema import TABLES, find_violations, list_broken
from aih_outcomes.units import find_conversion

Dates = NDArray[np.datetime64]
Flags = NDArray[np.bool_]
Check = tuple[Flags, str, str]

BEFORE_BIRTH = "date is before the patient's birth"
AFTER_DEATH = "date is after the patient's death"
ORPHAN = "patient is not in the table 'patients'"
ONE_ROW = "one row per patient; this identifier is repeated"
ONE_DEATH = "a patient dies once; this patient has several deaths"
ENDS_EARLY = {"follow_up": "follow-up ends before it starts", "treatments": "treatment stops before it starts"}
CONFLICTING = "conflicting units: results of the same sample were printed in different units and disagree"
# A day on which something was done to, or found in, a living patient. A gene result, a judgement or the end of a period
# of follow-up may well be written down later.
_IN_LIFE = {
    "labs": "date", "measurements": "date", "biopsies": "date", "imaging": "date", "events": "date",
    "adverse_events": "date", "treatments": "start",
}  # fmt: skip
_PERIODS = {"follow_up": ("start", "end"), "treatments": ("start", "stop")}
# Days of a month around its 15th and of a year around 1 July, at the most: where dates were shifted, the calendar does
# not tell which month or year was meant.
_SPANS = {"month": (14, 16), "year": (182, 183)}
_NEVER = np.array(["NaT"], dtype="datetime64[D]")
_FAR_APART = 3.0  # [P] the same sample measured twice may differ, but not threefold; another unit differs by more


@dataclass(frozen=True, slots=True, eq=False)
class _Lives:
    """When each patient was born and died, for certain; the last entry (position −1) is for those not known."""

    index: pd.Index
    born: Dates
    died: Dates

    def find(self, patient_id: pd.Series) -> NDArray[np.intp]:
        """Return the position of each row's patient; −1 where there is none."""
        return self.index.get_indexer(pd.Index(patient_id.to_numpy(object)))


def find_cohort_violations(tables: Mapping[str, pd.DataFrame], names: Sequence[str] = tuple(TABLES)) -> pd.DataFrame:
    """Check every rule, within and across tables.

    A date known to the month or year breaks a rule only where each of its days would.

    Parameters
    ----------
    names : tables whose rows are checked; the others are looked at

    Returns
    -------
    frame ``table, row, column, rule``; ``row`` is the position in the table; an empty frame means valid
    """
    lives = _find_lives(tables["patients"], tables["events"])
    found = []
    for name in names:
        across = list_broken(_checks_across(tables[name], name, lives))
        found += [find_violations(tables[name], name).assign(table=name), across.assign(table=name)]
    return pd.concat(found, ignore_index=True)[["table", "row", "column", "rule"]]


def date_span(table: pd.DataFrame, column: str) -> tuple[Dates, Dates]:
    """Return the first and the last day that a date may stand for, by the precision of its row."""
    day = table[column].to_numpy("datetime64[D]")
    if table["date_precision"].isna().all():
        return day, day
    precision = table["date_precision"].to_numpy(object, na_value="")
    before, after = np.zeros((2, len(day)), dtype="timedelta64[D]")
    for word, (days_before, days_after) in _SPANS.items():
        before[precision == word], after[precision == word] = days_before, days_after
    return day - before, day + after


def dated_to_the_day(table: pd.DataFrame) -> Flags:
    """Return which rows have dates that are known to the day."""
    precision = table["date_precision"]
    return (precision.isna() | precision.eq("day").fillna(False)).to_numpy(bool)


def _find_lives(patients: pd.DataFrame, events: pd.DataFrame) -> _Lives:
    """Return births and deaths; of several deaths, or one before birth, none counts: those rows are set aside."""
    once = patients[~patients["patient_id"].duplicated().to_numpy(bool)]
    index = pd.Index(once["patient_id"].to_numpy(object))
    born = np.append(date_span(once, "birth_date")[0], _NEVER)
    died = np.full(len(index) + 1, _NEVER[0])
    deaths = events[events["kind"].eq("death").to_numpy(bool, na_value=False)]
    deaths = deaths[~deaths["patient_id"].duplicated(keep=False).to_numpy(bool)]
    patient = index.get_indexer(pd.Index(deaths["patient_id"].to_numpy(object)))
    last = date_span(deaths, "date")[1]
    counts = (patient >= 0) & ~(last < born[patient])
    died[patient[counts]] = last[counts]
    return _Lives(index, born, died)


def _checks_across(table: pd.DataFrame, name: str, lives: _Lives) -> list[Check]:
    """Return the checks of one table that need other rows or other tables: mask of bad rows, column, rule."""
    patient_id = table["patient_id"]
    at = lives.find(patient_id)
    dated = [column.name for column in TABLES[name].columns if column.kind == "date" and column.name != "birth_date"]
    checks: list[Check] = [(date_span(table, column)[1] < lives.born[at], column, BEFORE_BIRTH) for column in dated]
    if name == "patients":
        checks.append((patient_id.duplicated(keep=False).to_numpy(bool), "patient_id", ONE_ROW))
    elif (at < 0).any():
        checks.append(((at < 0) & patient_id.notna().to_numpy(bool), "patient_id", ORPHAN))
    if name in _IN_LIFE:
        later = date_span(table, _IN_LIFE[name])[0] > lives.died[at]
        checks.append((later, _IN_LIFE[name], AFTER_DEATH))
    if name == "events":
        dead = table["kind"].eq("death").to_numpy(bool, na_value=False)
        several = table.duplicated(["patient_id", "kind"], keep=False).to_numpy(bool)
        checks.append((dead & several, "kind", ONE_DEATH))
    if name in _PERIODS:
        start, end = _PERIODS[name]
        checks.append((date_span(table, end)[1] < date_span(table, start)[0], end, ENDS_EARLY[name]))
    if name == "labs":
        checks.append((_find_conflicting(table, at), "raw_unit", CONFLICTING))
    return checks


def _find_conflicting(labs: pd.DataFrame, patient: NDArray[np.intp]) -> Flags:
    """Return which results belong to a sample measured once and printed in two units that cannot both be right.

    That is: of the same patient, day, analyte and method, with other units as printed, and either the same number in
    both or values more than threefold apart. Two values in one unit are a repeat, and nothing is wrong with them.
    """
    conflicting = np.zeros(len(labs), dtype=bool)
    rows = _repeated(patient, labs["date"].to_numpy("datetime64[D]"), labs["analyte"])
    if not len(rows):
        return conflicting
    part = labs.iloc[rows]
    sample = pd.DataFrame(
        {
            "patient": patient[rows], "date": part["date"].to_numpy(), "analyte": part["analyte"].to_numpy(object),
            "method": part["method"].to_numpy(object, na_value=""),
        }
    ).groupby(["patient", "date", "analyte", "method"], sort=False).ngroup()  # fmt: skip
    results = pd.DataFrame(
        {
            "row": rows, "sample": sample.to_numpy(), "unit": _meant(part),
            "printed": part["raw_value"].to_numpy(object, na_value=""), "value": part["value"].to_numpy(float),
            "exact": part["comparator"].eq("=").to_numpy(bool, na_value=False),
        }
    )  # fmt: skip
    results = results[results["unit"] != ""]
    results = results[results.groupby("sample")["unit"].transform("nunique").gt(1).to_numpy(bool)]
    exact = results[results["exact"]].groupby("sample")["value"].agg(["min", "max"])
    apart = exact.index[(exact["max"] > _FAR_APART * exact["min"]).to_numpy(bool)]
    numbers = results[results["printed"] != ""].groupby(["sample", "printed"])["unit"].nunique()
    same_number = numbers.index[numbers.gt(1).to_numpy(bool)].get_level_values("sample")
    conflicting[results["row"][results["sample"].isin(apart.union(same_number))]] = True
    return conflicting


def _repeated(patient: NDArray[np.intp], day: Dates, analyte: pd.Series) -> NDArray[np.intp]:
    """Return the rows that share patient, day and analyte with another row."""
    name, names = pd.factorize(analyte.to_numpy(object))
    since = day.astype(np.int64) - (np.nanmin(day) if len(day) else np.datetime64(0, "D")).astype(np.int64)
    key = ((patient.astype(np.int64) + 1) * (1 << 20) + since) * (len(names) + 1) + name
    known = ~np.isnat(day) & (patient >= 0) & (name >= 0)
    return np.flatnonzero(pd.Series(key).duplicated(keep=False).to_numpy(bool) & known)


def _meant(labs: pd.DataFrame) -> NDArray[np.object_]:
    """Return each printed unit by what it converts to, as ``U/L`` and ``IU/L`` are one; unknown words as written."""
    pairs = list(zip(labs["analyte"], labs["raw_unit"].to_numpy(object, na_value=""), strict=True))
    words = {pair: str(find_conversion(*pair) or pair[1]) for pair in dict.fromkeys(pairs) if pair[1]}
    return np.array([words.get(pair, "") for pair in pairs], dtype=object)
