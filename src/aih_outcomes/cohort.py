"""Cohort: who was followed, from when, in canonical units, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.schema import TABLES, conform, empty_table, find_violations, list_broken, positions

DAYS_PER_YEAR = 365.25
_FAR_FUTURE = pd.Timestamp("2200-01-01")
LONG_GAP_DAYS = 548  # 18 months without any result: worth a look, as visits are yearly at the least
SET_ASIDE_COLUMNS = ("table", "source_file", "source_row", "column", "rule", "way_out")
_SET_ASIDE_DTYPES = {name: "Int64" if name == "source_row" else "string" for name in SET_ASIDE_COLUMNS}
LOAD_COLUMNS = ("table", "source_file", "n_read", "n_kept", "n_set_aside", "columns_not_used", "how_read")


def empty_set_aside() -> pd.DataFrame:
    """Return an empty frame of rows set aside for checking."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in _SET_ASIDE_DTYPES.items()})


def empty_exclusions() -> pd.DataFrame:
    """Return an empty frame of patients left out on purpose."""
    return _exclusion([], [], [])


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Eleven tables in canonical form, what was set aside, who was excluded, and how many rows were read.

    Attributes
    ----------
    patients … follow_up : frames with the columns of ``schema.TABLES``
    set_aside : ``table, source_file, source_row, column, rule, way_out``: rows that were read and not kept
    load_report : ``table, source_file, n_read, n_kept, n_set_aside, columns_not_used, how_read``;
        n_read = n_kept + n_set_aside; ``how_read`` says how lines of the file became records
    exclusions : ``step, reason, n``: patients left out on purpose, in order
    label : what the data are, e.g. ``synthetic cohort``; printed with every figure

    Raises
    ------
    DataError : a table, a name of a column or a cell is not what the schema says, a row breaks one of its rules, or the
        accounting does not add up
    """

    patients: pd.DataFrame
    labs: pd.DataFrame = field(default_factory=partial(empty_table, "labs"))
    treatments: pd.DataFrame = field(default_factory=partial(empty_table, "treatments"))
    events: pd.DataFrame = field(default_factory=partial(empty_table, "events"))
    biopsies: pd.DataFrame = field(default_factory=partial(empty_table, "biopsies"))
    imaging: pd.DataFrame = field(default_factory=partial(empty_table, "imaging"))
    measurements: pd.DataFrame = field(default_factory=partial(empty_table, "measurements"))
    variants: pd.DataFrame = field(default_factory=partial(empty_table, "variants"))
    adverse_events: pd.DataFrame = field(default_factory=partial(empty_table, "adverse_events"))
    clinician_responses: pd.DataFrame = field(default_factory=partial(empty_table, "clinician_responses"))
    follow_up: pd.DataFrame = field(default_factory=partial(empty_table, "follow_up"))
    set_aside: pd.DataFrame = field(default_factory=empty_set_aside)
    load_report: pd.DataFrame | None = None
    exclusions: pd.DataFrame = field(default_factory=empty_exclusions)
    label: str = "cohort"

    def __post_init__(self) -> None:
        """Conform the tables, then refuse rows that break a rule and an accounting that does not add up."""
        for name in TABLES:
            object.__setattr__(self, name, conform(getattr(self, name), name))
        if self.load_report is None:
            object.__setattr__(self, "load_report", _report_of(self.tables(), self.set_aside))
        violations = find_cohort_violations(self.tables())
        if len(violations):
            raise DataError(*_describe_violations(violations))
        _check_accounting(self)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return name → table."""
        return {name: getattr(self, name) for name in TABLES}

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return len(self.patients)

    def exclude(self, patient_ids: pd.Series, *, step: str, reason: str) -> Cohort:
        """Leave patients out on purpose: their rows go to ``set_aside``, their number to ``exclusions``."""
        leaving = set(patient_ids) & set(self.patients["patient_id"])
        if not leaving:
            return replace(self, exclusions=_with_exclusion(self.exclusions, step, reason, 0))
        kept: dict[str, Any] = {}
        gone = []
        for name, table in self.tables().items():
            out = table["patient_id"].isin(leaving)
            kept[name] = table[~out].reset_index(drop=True)
            rows = table.loc[out, ["source_file", "source_row"]]
            gone.append(rows.assign(table=name, column="patient_id", rule=f"patient excluded: {reason}", way_out=step))
        moved = pd.concat([self.set_aside, *gone], ignore_index=True)[list(SET_ASIDE_COLUMNS)]
        return replace(
            self,
            **kept,
            set_aside=moved.astype(_SET_ASIDE_DTYPES),
            load_report=_recount(self.load_report, kept),
            exclusions=_with_exclusion(self.exclusions, step, reason, len(leaving)),
        )

    def select(self, patient_id: str) -> Cohort:
        """Return the cohort of one patient, for a timeline; nothing is counted as set aside."""
        if patient_id not in set(self.patients["patient_id"]):
            raise DataError(
                "The patient asked for is not in the cohort",
                "A timeline needs one patient of the cohort",
                "Check the pseudonym in the table 'patients'",
            )
        tables = {name: table[table["patient_id"] == patient_id] for name, table in self.tables().items()}
        return Cohort(**tables, label=self.label)


def _exclusion(step: list[str], reason: list[str], n: list[int]) -> pd.DataFrame:
    columns = {"step": pd.array(step, dtype="string"), "reason": pd.array(reason, dtype="string")}
    return pd.DataFrame({**columns, "n": pd.array(n, dtype="Int64")})


def _with_exclusion(exclusions: pd.DataFrame, step: str, reason: str, n: int) -> pd.DataFrame:
    return pd.concat([exclusions, _exclusion([step], [reason], [n])], ignore_index=True)


def _report_of(tables: Mapping[str, pd.DataFrame], set_aside: pd.DataFrame) -> pd.DataFrame:
    aside = set_aside["table"].value_counts()
    rows = [
        {
            "table": name,
            "source_file": "",
            "n_read": len(table) + int(aside.get(name, 0)),
            "n_kept": len(table),
            "n_set_aside": int(aside.get(name, 0)),
            "columns_not_used": "",
            "how_read": "",
        }
        for name, table in tables.items()
    ]
    return pd.DataFrame(rows, columns=list(LOAD_COLUMNS))


def _recount(report: pd.DataFrame | None, kept: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    assert report is not None  # set in __post_init__
    changed = report.copy()
    for name, table in kept.items():
        by_file = table["source_file"].fillna("").value_counts()
        of_table = changed["table"] == name
        changed.loc[of_table, "n_kept"] = [int(by_file.get(file, 0)) for file in changed.loc[of_table, "source_file"]]
    changed["n_set_aside"] = changed["n_read"] - changed["n_kept"]
    return changed


def _check_accounting(cohort: Cohort) -> None:
    report = cohort.load_report
    assert report is not None  # set in __post_init__
    kept = report.groupby("table")["n_kept"].sum()
    aside = report.groupby("table")["n_set_aside"].sum()
    listed = cohort.set_aside["table"].value_counts()
    wrong = [
        name
        for name, table in cohort.tables().items()
        if kept.get(name, 0) != len(table) or aside.get(name, 0) != listed.get(name, 0)
    ]
    unequal = int((report["n_read"] != report["n_kept"] + report["n_set_aside"]).sum())
    if wrong or unequal:
        raise DataError(
            f"The rows of {len(wrong) or unequal} table(s) do not add up ({', '.join(wrong)})",
            "For each table, rows read = rows kept + rows set aside",
            "This is a fault of the loader that made the cohort; please report it",
        )


def find_cohort_violations(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Check every rule, within and across tables.

    Returns
    -------
    frame ``table, row, column, rule``; ``row`` is the position in the table; an empty frame means valid
    """
    found = []
    for name, table in tables.items():
        across = list_broken(_checks_across(tables, name))
        found += [find_violations(table, name).assign(table=name), across.assign(table=name)]
    return pd.concat(found, ignore_index=True)[["table", "row", "column", "rule"]]


def _checks_across(tables: Mapping[str, pd.DataFrame], name: str) -> list[tuple[pd.Series, str, str]]:
    """Return the checks of one table that need other rows or other tables: mask of bad rows, column, rule."""
    table, patients, events = tables[name], tables["patients"], tables["events"]
    patient_id = table["patient_id"]
    born = patient_id.map(patients.drop_duplicates("patient_id").set_index("patient_id")["birth_date"])
    dated = [column.name for column in TABLES[name].columns if column.kind == "date" and column.name != "birth_date"]
    checks = [(table[column] < born, column, "date is before the patient's birth") for column in dated]
    if name == "patients":
        repeated = patient_id.duplicated(keep=False)
        checks.append((repeated, "patient_id", "one row per patient; this identifier is repeated"))
    else:
        orphans = patient_id.notna() & ~patient_id.isin(patients["patient_id"])
        checks.append((orphans, "patient_id", "patient is not in the table 'patients'"))
    if name in ("labs", "measurements", "biopsies", "imaging"):
        died = events[events["kind"] == "death"].groupby("patient_id")["date"].min()
        checks.append((table["date"] > patient_id.map(died), "date", "date is after the patient's death"))
    if name == "events":
        deaths = events["kind"].eq("death") & events.duplicated(["patient_id", "kind"], keep=False)
        checks.append((deaths, "kind", "a patient dies once; this patient has several deaths"))
    if name == "follow_up":
        checks.append((table["end"] < table["start"], "end", "follow-up ends before it starts"))
    return checks


def _describe_violations(violations: pd.DataFrame) -> tuple[str, str, str]:
    first = violations.groupby(["table", "column", "rule"], sort=False)["row"].agg(["size", list]).reset_index()
    top = first.iloc[0]
    rows = ", ".join(str(row + 1) for row in top["list"][:5]) + (" …" if top["size"] > 5 else "")
    more = f" (and {len(first) - 1} further rule(s) broken)" if len(first) > 1 else ""
    return (
        f"{top['size']} row(s) of '{top['table']}' break a rule in column '{top['column']}': rows {rows}{more}",
        f"{top['rule'][0].upper()}{top['rule'][1:]}",
        "Correct these rows, or read the files with read_tables(...), which sets them aside and says so",
    )


def check_follow_up(cohort: Cohort) -> pd.DataFrame:
    """Look for follow-up that cannot be right or deserves a look, in the manner of R's ``survcheck``.

    Returns
    -------
    frame ``check, table, n_rows, n_patients, rows``: ``rows`` are positions (from 1) in the table; checks that found
    nothing have 0, so that the reader sees what was looked for
    """
    follow_up, events, treatments, labs = cohort.follow_up, cohort.events, cohort.treatments, cohort.labs
    patients = cohort.patients["patient_id"]
    ordered = follow_up.sort_values(["patient_id", "start", "end"], kind="stable")
    before = _latest_before(ordered, "end", ["patient_id"])
    last = follow_up.groupby("patient_id")["end"].max()
    died, transplanted = events["kind"].eq("death"), events["kind"].eq("transplant")
    several = transplanted & events.duplicated(["patient_id", "kind"], keep=False)
    said_dead = follow_up["end_reason"].eq("death")
    sampled = labs.sort_values(["patient_id", "date"], kind="stable")
    since = (sampled["date"] - sampled.groupby("patient_id")["date"].shift()).dt.days
    checks = [
        ("follow-up periods of a patient overlap", "follow_up", ordered["start"] < before),
        ("gap between follow-up periods of a patient", "follow_up", ordered["start"] > before + pd.Timedelta(days=1)),
        ("event after the end of follow-up", "events", events["date"] > events["patient_id"].map(last)),
        (
            "death while follow-up goes on to a later day",
            "events",
            died & (events["date"] < events["patient_id"].map(last)),
        ),
        (
            "follow-up ends with death, but no death in 'events'",
            "follow_up",
            said_dead & ~follow_up["patient_id"].isin(events["patient_id"][died]),
        ),
        ("several transplants (the first counts)", "events", several),
        ("treatment stops before it starts", "treatments", treatments["stop"] < treatments["start"]),
        ("same drug given twice at the same time", "treatments", _overlapping_drug(treatments)),
        ("result after the end of follow-up", "labs", labs["date"] > labs["patient_id"].map(last)),
        (f"more than {LONG_GAP_DAYS} days without any result", "labs", since > LONG_GAP_DAYS),
        ("patient without follow-up", "patients", ~patients.isin(follow_up["patient_id"])),
        ("patient without any result", "patients", ~patients.isin(labs["patient_id"])),
    ]
    return pd.DataFrame([_check_row(cohort, *check) for check in checks])


def _latest_before(ordered: pd.DataFrame, column: str, keys: list[str]) -> pd.Series:
    """Return the latest ``column`` of the earlier rows of the same ``keys``; an empty one still goes on."""
    by = [ordered[key] for key in keys]
    latest = ordered[column].fillna(_FAR_FUTURE).groupby(by, dropna=False).cummax()
    return latest.groupby(by, dropna=False).shift()


def _overlapping_drug(treatments: pd.DataFrame) -> pd.Series:
    ordered = treatments.sort_values(["patient_id", "drug", "route", "start"], kind="stable")
    return ordered["start"] < _latest_before(ordered, "stop", ["patient_id", "drug", "route", "indication"])


def _check_row(cohort: Cohort, check: str, table: str, bad: pd.Series) -> dict[str, object]:
    found = bad.index[positions(bad)]
    n_patients = int(cohort.tables()[table].loc[found, "patient_id"].nunique())
    rows = sorted(int(row) + 1 for row in found)
    return {"check": check, "table": table, "n_rows": len(found), "n_patients": n_patients, "rows": rows}


def age_at(cohort: Cohort, patient_id: pd.Series, date: pd.Series) -> pd.Series:
    """Return age in years of each patient at each date, from the birth date or else from the age at diagnosis."""
    patients = cohort.patients.set_index("patient_id")
    born = patient_id.map(patients["birth_date"])
    from_birth = (date - born).dt.days / DAYS_PER_YEAR
    since_diagnosis = (date - patient_id.map(patients["diagnosis_date"])).dt.days / DAYS_PER_YEAR
    from_diagnosis = patient_id.map(patients["age_at_diagnosis"]) + since_diagnosis
    return from_birth.where(from_birth.notna(), from_diagnosis)


def table_fields() -> tuple[str, ...]:
    """Return the names of the fields of a cohort that are tables."""
    return tuple(f.name for f in fields(Cohort) if f.name in TABLES)
