"""An endpoint applied to a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes.checks import (
    CENSORED,
    DAYS_PER_UNIT,
    HALF_DAY,
    TimeUnit,
    Vector,
    list_covariates,
    list_names,
    no_exclusions,
    read_ids,
    read_times,
    read_weights,
    refuse,
    refuse_no_unit,
    refuse_overlap,
    require,
)

OWN_COLUMNS = ("patient_id", "entry", "exit", "event", "weight")


def _event_categories(values: pd.Series, label: str) -> pd.Categorical:
    """Read 0/1, booleans or names as a category whose first level is ``censored``."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(level) for level in values.cat.categories]
        _refuse_almost(CENSORED, [name for name in names if name != CENSORED], label)
        levels = [CENSORED, *[name for name in names if name != CENSORED]]
        return pd.Categorical(values.astype("string").astype(object), categories=levels)
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        numbers = pd.to_numeric(values).to_numpy(float, na_value=np.nan)
        refuse(
            ~np.isin(numbers, [0.0, 1.0]),
            label,
            "have an event that is neither 0 nor 1",
            "0 is censored, 1 is the event",
            "For several kinds of event pass their names, with 'censored' for none",
        )
        return pd.Categorical.from_codes((numbers == 1).astype(np.int8), categories=pd.Index([CENSORED, label]))
    names = sorted(set(values.dropna().astype(str)) - {CENSORED})
    _refuse_almost(CENSORED, names, label)
    return pd.Categorical(values.astype("string").astype(object), categories=[CENSORED, *names])


def _refuse_almost(name: str, levels: Sequence[str], label: str) -> None:
    """Refuse a level that differs from a name in case or blanks only: it would count as an event.

    Raises
    ------
    OutcomeError
    """
    almost = [level for level in levels if level.strip().casefold() == name.strip().casefold()]
    if almost:
        raise OutcomeError(
            f"{label!r} has events called {almost[0]!r}, and {name!r} is what is known",
            "Names differ by each letter and blank", f"Call them {name!r} in the event column, or the other way round",
        )  # fmt: skip


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
    competing : events after which the event itself can no longer happen; the other levels are the event
    """

    frame: pd.DataFrame
    label: str
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    design: str = ""
    covariates: tuple[str, ...] = ()
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)
    n_half_day: int = 0
    competing: tuple[str, ...] = ()

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
        competing: Sequence[str] = (),
    ) -> TimeToEvent:
        """Read any published data set: name its columns.

        Parameters
        ----------
        frame : (n_rows, …) one row per patient, or per spell of a patient
        exit, entry : columns of times; entry is 0 where it is not given; the spell is (entry, exit]
        event : column of 0/1, booleans, or names with ``censored`` for none
        covariates : columns that a model may use; missing values are kept and answered for by the model
        competing : names of events that compete with the event

        Raises
        ------
        OutcomeError : a time is missing or infinite, exit < entry, spells of one patient overlap, a weight is negative
        """
        names = list_covariates(covariates, OWN_COLUMNS, label)
        require(frame, [exit, event, *[c for c in (entry, patient_id, weight) if c is not None], *names], label)
        refuse_no_unit(time_unit)
        until = read_times(frame[exit], label)
        since = np.zeros_like(until) if entry is None else read_times(frame[entry], label)
        refuse(
            until < since,
            label,
            "end before they begin",
            "A spell is (entry, exit] with entry < exit",
            "Check time zero and the dates of these rows",
        )
        same_day = until == since
        rows = pd.DataFrame(
            {
                "patient_id": read_ids(frame, patient_id, label),
                "entry": since,
                "exit": np.where(same_day, until + HALF_DAY / DAYS_PER_UNIT[time_unit], until),
                "event": _event_categories(frame[event], label),
            }
        )
        refuse(
            rows["event"].isna().to_numpy(bool),
            label,
            "have no event code",
            "Each spell ends in an event or 'censored'",
            "Complete the event column, or exclude these rows by name",
        )
        if weight is not None:
            rows["weight"] = read_weights(frame[weight], label)
        for column in names:
            rows[column] = (
                frame[column].to_numpy()
                if not isinstance(frame[column].dtype, pd.CategoricalDtype)
                else frame[column].array
            )
        refuse_overlap(rows, label)
        occur = set(rows["event"])
        rivals = list_names("competing", competing, "competing=['transplant']")
        for name in rivals:
            _refuse_almost(name, [level for level in occur if name not in occur], label)
        return cls(
            rows,
            label,
            time_zero,
            time_unit,
            design,
            names,
            no_exclusions() if exclusions is None else exclusions,
            int(same_day.sum()),
            tuple(name for name in rivals if name in occur),
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
        """(n_rows,) True where the spell ends in the event; a competing one is none."""
        return ~self.frame["event"].isin([CENSORED, *self.competing]).to_numpy(bool)

    def cause_specific(self) -> TimeToEvent:
        """Return the outcome with competing events censored: for hazards (Cox, log-rank), never for a curve of risk."""
        event = self.frame["event"].cat.remove_categories(list(self.competing)).fillna(CENSORED)
        return self.with_rows(self.frame.assign(event=event), competing=())

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
