"""Cohort: who was followed, from when, in canonical units, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pandas as pd

from aih_outcomes.cohort.violations import find_cohort_violations
from aih_outcomes.errors import DataError
from aih_outcomes.schema import TABLES, conform, empty_table

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

    @classmethod
    def of_valid(
        cls, tables: Mapping[str, pd.DataFrame], *, set_aside: pd.DataFrame, load_report: pd.DataFrame, label: str
    ) -> Cohort:
        """Return the cohort of tables that keep every rule, such as quarantine leaves: rules are not checked again.

        Raises
        ------
        DataError : the accounting does not add up
        """
        cohort = object.__new__(cls)
        rest = {"set_aside": set_aside, "load_report": load_report, "exclusions": empty_exclusions(), "label": label}
        for name, value in {**tables, **rest}.items():
            object.__setattr__(cohort, name, value)
        _check_accounting(cohort)
        return cohort

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
