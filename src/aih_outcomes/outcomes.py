"""Analysis-ready outcomes, validated at birth: the second waist, where every model begins.

Time is whole days since time zero wherever the source has days, so that ties and risk sets are decided on integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError

Vector = NDArray[np.float64]
TimeUnit = Literal["days", "months", "years"]

CENSORED = "censored"
UNDETERMINED = "undetermined"
DAYS_PER_UNIT: dict[str, float] = {"days": 1.0, "months": 365.25 / 12, "years": 365.25}
HALF_DAY = 0.5  # time at risk of someone who dies on the day follow-up begins
EXCLUSION_COLUMNS = ("reason", "n", "n_event")


def no_exclusions() -> pd.DataFrame:
    """Return an empty exclusions frame: ``reason, n, n_event``."""
    return pd.DataFrame(
        {"reason": pd.Series(dtype="string"), "n": pd.Series(dtype="Int64"), "n_event": pd.Series(dtype="Int64")}
    )


def _require(frame: pd.DataFrame, columns: Sequence[str], noun: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise OutcomeError(
            f"{len(missing)} column(s) are missing for {noun}: {', '.join(missing)}",
            f"{noun} needs {', '.join(columns)}",
            "Name the columns of your frame in from_frame(...)",
        )


def _refuse(bad: NDArray[np.bool_], noun: str, problem: str, rule: str, way_out: str) -> None:
    count = int(np.sum(bad))
    if count:
        raise OutcomeError(f"{count} of {len(bad)} rows of {noun} {problem}", rule, way_out)


def _days(values: pd.Series, noun: str) -> Vector:
    """Return times as floats (whole numbers where the source has days); refuse text and missing times."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    _refuse(
        ~np.isfinite(numbers),
        noun,
        f"have no usable number in {str(values.name)!r}",
        "A time is a finite number",
        "Exclude these rows by name, or complete them",
    )
    return numbers


def _event_categories(values: pd.Series, label: str) -> pd.Categorical:
    """Read 0/1, booleans or names as a category whose first level is ``censored``."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(level) for level in values.cat.categories]
        levels = [CENSORED, *[name for name in names if name != CENSORED]]
        return pd.Categorical(values.astype("string").astype(object), categories=levels)
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        numbers = pd.to_numeric(values).to_numpy(float, na_value=np.nan)
        _refuse(
            ~np.isin(numbers, [0.0, 1.0]),
            label,
            "have an event that is neither 0 nor 1",
            "0 is censored, 1 is the event",
            "For several kinds of event pass their names, with 'censored' for none",
        )
        return pd.Categorical(np.where(numbers == 1, label, CENSORED), categories=[CENSORED, label])
    names = sorted(set(values.dropna().astype(str)) - {CENSORED})
    return pd.Categorical(values.astype("string").astype(object), categories=[CENSORED, *names])


@dataclass(frozen=True, slots=True, eq=False)
class TimeToEvent:
    """An endpoint applied to a cohort: one row per spell ``(entry, exit]``.

    Attributes
    ----------
    frame : ``patient_id, entry, exit, event`` (category, first level ``censored``), optional ``weight``, covariates
    label : the endpoint's name, used on axes and in tables
    time_zero : where the clock starts, in words
    time_unit : unit of ``entry`` and ``exit``
    design : how membership of groups was made a fact known at entry; empty where there are no such groups
    covariates : columns of ``frame`` that models may use
    exclusions : ``reason, n, n_event``: who was left out on the way here
    n_half_day : rows with exit = entry, counted as half a day at risk
    """

    frame: pd.DataFrame
    label: str
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    design: str = ""
    covariates: tuple[str, ...] = ()
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)
    n_half_day: int = 0

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        exit: str,
        event: str,
        entry: str | None = None,
        patient_id: str | None = None,
        weight: str | None = None,
        covariates: Sequence[str] = (),
        label: str = "event",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
        design: str = "",
        exclusions: pd.DataFrame | None = None,
    ) -> TimeToEvent:
        """Read any published data set: name its columns.

        Parameters
        ----------
        frame : (n_rows, …) one row per patient, or per spell of a patient
        exit, entry : columns of times; entry is 0 where it is not given; the spell is (entry, exit]
        event : column of 0/1, booleans, or names with ``censored`` for none
        covariates : columns that a model may use; missing values are kept and answered for by the model

        Raises
        ------
        OutcomeError : a time is missing or infinite, exit < entry, spells of one patient overlap, a weight is negative
        """
        _require(frame, [exit, event, *[c for c in (entry, patient_id, weight) if c], *covariates], label)
        until = _days(frame[exit], label)
        since = np.zeros_like(until) if entry is None else _days(frame[entry], label)
        _refuse(
            until < since,
            label,
            "end before they begin",
            "A spell is (entry, exit] with entry < exit",
            "Check time zero and the dates of these rows",
        )
        same_day = until == since
        ids = pd.Series(np.arange(len(frame))) if patient_id is None else frame[patient_id]
        rows = pd.DataFrame(
            {
                "patient_id": ids.astype("string").to_numpy(),
                "entry": since,
                "exit": np.where(same_day, until + HALF_DAY / DAYS_PER_UNIT[time_unit], until),
                "event": _event_categories(frame[event], label),
            }
        )
        _refuse(
            rows["event"].isna().to_numpy(bool),
            label,
            "have no event code",
            "Each spell ends in an event or 'censored'",
            "Complete the event column, or exclude these rows by name",
        )
        if weight is not None:
            rows["weight"] = _days(frame[weight], label)
            _refuse(
                rows["weight"].to_numpy() < 0,
                label,
                "have a negative weight",
                "Weights are 0 or more",
                "Check the weights",
            )
        for column in covariates:
            rows[column] = (
                frame[column].to_numpy()
                if not isinstance(frame[column].dtype, pd.CategoricalDtype)
                else frame[column].array
            )
        _refuse_overlap(rows, label)
        return cls(
            rows,
            label,
            time_zero,
            time_unit,
            design,
            tuple(covariates),
            no_exclusions() if exclusions is None else exclusions,
            int(same_day.sum()),
        )

    @property
    def entry(self) -> Vector:
        """(n_rows,) start of each spell, since time zero."""
        return self.frame["entry"].to_numpy(float)

    @property
    def exit(self) -> Vector:
        """(n_rows,) end of each spell, since time zero."""
        return self.frame["exit"].to_numpy(float)

    @property
    def event(self) -> NDArray[np.bool_]:
        """(n_rows,) True where the spell ends in any event."""
        return (self.frame["event"] != CENSORED).to_numpy(bool)

    @property
    def weight(self) -> Vector:
        """(n_rows,) case weights; 1 where none were given."""
        return self.frame["weight"].to_numpy(float) if "weight" in self.frame else np.ones(len(self.frame))

    @property
    def n_patients(self) -> int:
        """Number of patients (not spells)."""
        return int(self.frame["patient_id"].nunique())

    def with_rows(self, frame: pd.DataFrame, **changes: object) -> TimeToEvent:
        """Return a copy with other rows of the same shape."""
        return replace(self, frame=frame.reset_index(drop=True), **changes)  # type: ignore[arg-type]  # fields by name


def _refuse_overlap(rows: pd.DataFrame, label: str) -> None:
    """Refuse overlapping spells of a patient: they would be counted twice."""
    if not rows["patient_id"].duplicated().any():
        return
    ordered = rows.sort_values(["patient_id", "entry", "exit"], kind="stable")
    again = ordered["patient_id"].eq(ordered["patient_id"].shift())
    overlap = again & ordered["entry"].lt(ordered["exit"].shift())
    _refuse(
        overlap.to_numpy(bool),
        label,
        "overlap an earlier spell of the same patient",
        "Spells (entry, exit] of one patient do not overlap",
        "Split or merge them, or give each patient one row",
    )


@dataclass(frozen=True, slots=True, eq=False)
class IntervalTime:
    """An event seen only between two visits: ``patient_id, left, right`` with ``left < event <= right``.

    ``right`` is infinite where the event was never seen. Status is unknown, not absent, after ``left``.
    """

    frame: pd.DataFrame
    label: str
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"

    def __post_init__(self) -> None:
        """Refuse an interval in which nothing can happen."""
        _require(self.frame, ["patient_id", "left", "right"], self.label)
        left, right = self.frame["left"].to_numpy(float), self.frame["right"].to_numpy(float)
        _refuse(
            ~(left < right),
            self.label,
            "have left >= right",
            "An interval is (left, right] with left < right",
            "Check the visit dates of these rows",
        )


@dataclass(frozen=True, slots=True, eq=False)
class StateHistory:
    """What state a patient is in, and since when: ``patient_id, entry, exit, from_state, to_state``.

    ``to_state`` is ``censored`` where follow-up ends without a change.
    """

    frame: pd.DataFrame
    label: str
    states: tuple[str, ...]
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"

    def __post_init__(self) -> None:
        """Refuse unknown states, empty spells and overlaps."""
        _require(self.frame, ["patient_id", "entry", "exit", "from_state", "to_state"], self.label)
        known = self.frame["from_state"].isin(self.states) & self.frame["to_state"].isin([CENSORED, *self.states])
        _refuse(
            ~known.to_numpy(bool),
            self.label,
            "name a state that is not declared",
            f"States are {', '.join(self.states)}",
            "Declare the state, or correct these rows",
        )
        _refuse(
            ~(self.frame["entry"] < self.frame["exit"]).to_numpy(bool),
            self.label,
            "have entry >= exit",
            "A spell is (entry, exit] with entry < exit",
            "Check the dates of these rows",
        )
        _refuse_overlap(self.frame, self.label)


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedMeasures:
    """One quantity followed over time: ``patient_id, time, visit, value``, then covariates.

    Attributes
    ----------
    frame : one row per value; ``visit`` is a nominal visit name or missing
    analyte : what was measured; the guard compares it with the analytes that define a group
    unit : unit of ``value`` in words, e.g. ``× ULN``
    """

    frame: pd.DataFrame
    label: str
    analyte: str = ""
    unit: str = ""
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    covariates: tuple[str, ...] = ()
    design: str = ""
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        patient_id: str,
        time: str,
        value: str,
        visit: str | None = None,
        covariates: Sequence[str] = (),
        label: str = "value",
        analyte: str = "",
        unit: str = "",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
    ) -> RepeatedMeasures:
        """Read any published longitudinal data set: name its columns.

        Raises
        ------
        OutcomeError : a column or a time is missing, or a value is not a number
        """
        _require(frame, [patient_id, time, value, *([visit] if visit else []), *covariates], label)
        rows = pd.DataFrame(
            {
                "patient_id": frame[patient_id].astype("string").to_numpy(),
                "time": _days(frame[time], label),
                "visit": frame[visit].astype("string").to_numpy()
                if visit
                else pd.array([pd.NA] * len(frame), dtype="string"),
                "value": _days(frame[value], label),
            }
        )
        for column in covariates:
            rows[column] = frame[column].array
        return cls(rows, label, analyte, unit, time_zero, time_unit, tuple(covariates))


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Who belongs where, and since when that is known: facts that become known after time zero.

    Attributes
    ----------
    frame : ``patient_id, label, onset, known_at``; days since time zero; one row per patient and change of label;
        ``known_at`` is NaN where membership never became known
    name : what the labels speak of, with the criteria, e.g. ``response to first-line treatment (IAIHG 2022)``
    levels : labels in the order shown; the first is the reference of a comparison
    time_zero : the clock of ``onset`` and ``known_at``
    analytes : analytes that decide membership; a trajectory of one of them may only be described
    irreversible : whether a label, once known, stays
    landmark : day at which the groups were fixed; None where they change over time
    """

    frame: pd.DataFrame
    name: str
    levels: tuple[str, ...]
    time_zero: str = "time zero"
    analytes: tuple[str, ...] = ()
    irreversible: bool = False
    landmark: int | None = None

    def __post_init__(self) -> None:
        """Refuse labels that are not declared and membership known before it began."""
        _require(self.frame, ["patient_id", "label", "onset", "known_at"], self.name)
        _refuse(
            ~self.frame["label"].isin(self.levels).to_numpy(bool),
            self.name,
            "have a label that is not declared",
            f"Labels are {', '.join(self.levels)}",
            "Declare the label in levels=(…)",
        )
        early = self.frame["known_at"].to_numpy(float) < self.frame["onset"].to_numpy(float)
        _refuse(
            early,
            self.name,
            "are known before their onset",
            "known_at is the last date that the decision used",
            "Check onset and known_at",
        )
        if self.irreversible:
            ordered = self.frame.sort_values(["patient_id", "known_at"], kind="stable")
            place = ordered["label"].map({level: place for place, level in enumerate(self.levels)})
            same = ordered["patient_id"].eq(ordered["patient_id"].shift())
            _refuse(
                (same & (place < place.shift())).to_numpy(bool),
                self.name,
                "go back to an earlier label",
                "Irreversible labels only move on, in the order of levels",
                "Declare irreversible=False, or keep the later label",
            )
        repeated = self.frame.duplicated(["patient_id", "known_at"]).to_numpy(bool)
        _refuse(
            repeated,
            self.name,
            "repeat a patient at the same known_at",
            "A patient has one label at a time",
            "Merge these rows",
        )

    def at(self, day: float) -> pd.Series:
        """Return each patient's latest label known at or before ``day`` (index ``patient_id``)."""
        known = self.frame[self.frame["known_at"] <= day].sort_values("known_at", kind="stable")
        return known.groupby("patient_id", sort=True)["label"].last()
