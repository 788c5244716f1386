"""Intervals between visits, and states over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes.checks import (
    CENSORED,
    TimeUnit,
    list_covariates,
    no_exclusions,
    read_flags,
    read_ids,
    read_times,
    read_weights,
    refuse,
    refuse_no_unit,
    refuse_overlap,
    require,
)

OWN_OF_INTERVALS = ("patient_id", "left", "right", "end", "terminal", "event", "weight")
OWN_OF_STATES = ("patient_id", "entry", "exit", "from_state", "to_state", "weight")


@dataclass(frozen=True, slots=True, eq=False)
class IntervalTime:
    """An event seen only between two visits: ``patient_id, left, right`` with ``left < event <= right``.

    ``right`` is infinite where the event was never seen: status is unknown, not absent, after ``left``. ``left`` equal
    to ``right`` is an event whose time is exact.

    Attributes
    ----------
    frame : one row per patient, optional ``weight``, covariates; where a terminal event may come first also ``end``
        (last time known alive, or the terminal event's time) and ``terminal`` (whether it was that event)
    label : the endpoint's name, used on axes and in tables
    covariates : columns of ``frame`` that models may use
    exclusions : ``reason, n, n_event``: who was left out on the way here
    terminal : name of the terminal event; empty where there is none
    """

    frame: pd.DataFrame
    label: str
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    covariates: tuple[str, ...] = ()
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)
    terminal: str = ""

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        left: str,
        right: str,
        patient_id: str | None = None,
        weight: str | None = None,
        covariates: Sequence[str] = (),
        end: str | None = None,
        terminal: str | None = None,
        label: str = "event",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
    ) -> IntervalTime:
        """Read any published interval-censored data set: name its columns.

        Parameters
        ----------
        frame : (n_patients, …)
        left, right : columns of the last time without the event (0 or missing: the first look found it) and of the
            first time with it (missing or infinite: never seen)
        end, terminal : columns of the last time known alive, and of 0/1 or booleans: the terminal event came then
        covariates : columns that a model may use; missing values are kept and answered for by the model

        Raises
        ------
        OutcomeError : left > right, negative times, a patient in two rows, an end before ``left``
        """
        given = [name for name in (patient_id, weight, end, terminal) if name is not None]
        names = list_covariates(covariates, OWN_OF_INTERVALS, label)
        require(frame, [left, right, *given, *names], label)
        refuse_no_unit(time_unit)
        rows = pd.DataFrame(
            {
                "patient_id": read_ids(frame, patient_id, label),
                "left": _read_open(frame[left], label, 0.0),
                "right": _read_open(frame[right], label, np.inf),
            }
        )
        refuse(
            rows["patient_id"].duplicated().to_numpy(bool), label, "repeat a patient", "A patient has one interval",
            "Keep the interval of the first event",
        )  # fmt: skip
        if weight is not None:
            rows["weight"] = read_weights(frame[weight], label)
        if end is not None:
            rows["end"] = read_times(frame[end], label)
            rows["terminal"] = False if terminal is None else read_flags(frame[terminal], label)
        for column in names:
            rows[column] = frame[column].array
        return cls(rows, label, time_zero, time_unit, names, no_exclusions(), terminal or "")

    def __post_init__(self) -> None:
        """Refuse an interval in which nothing can happen."""
        require(self.frame, ["patient_id", "left", "right"], self.label)
        left, right = self.frame["left"].to_numpy(float), self.frame["right"].to_numpy(float)
        refuse(
            ~((left >= 0) & np.isfinite(left)), self.label, "have no usable left", "left is a finite number, 0 or more",
            "Count from time zero; 0 where the first look found the event",
        )  # fmt: skip
        refuse(
            ~(left <= right),
            self.label,
            "have left > right",
            "An interval is (left, right] with left < right; left = right is an exact time",
            "Check the visit dates of these rows",
        )
        if "end" in self.frame:
            end = self.frame["end"].to_numpy(float)
            refuse(
                end < np.where(np.isfinite(right), right, left), self.label, "end before the event was looked for",
                "The end is the last time known alive: no earlier than the last look", "Check the dates of these rows",
            )  # fmt: skip

    @property
    def weight(self) -> NDArray[np.float64]:
        """(n_patients,) case weights; 1 where none were given."""
        return self.frame["weight"].to_numpy(float) if "weight" in self.frame else np.ones(len(self.frame))


@dataclass(frozen=True, slots=True, eq=False)
class StateHistory:
    """What state a patient is in, and since when: ``patient_id, entry, exit, from_state, to_state``.

    ``to_state`` is ``censored`` where follow-up ends without a change. A patient may have several spells, one after
    another; after a change the next begins that day, in that state.

    Attributes
    ----------
    frame : one row per spell ``(entry, exit]``, optional ``weight``, covariates
    states : in the order shown, from good to bad
    covariates : columns of ``frame`` that models may use
    exclusions : ``reason, n, n_event``: who was left out on the way here
    design : how membership of groups was made a fact known at entry; empty where there are no such groups
    """

    frame: pd.DataFrame
    label: str
    states: tuple[str, ...]
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)
    covariates: tuple[str, ...] = ()
    design: str = ""

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        patient_id: str,
        entry: str,
        exit: str,
        from_state: str,
        to_state: str,
        states: Sequence[str] | None = None,
        weight: str | None = None,
        covariates: Sequence[str] = (),
        label: str = "state",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
    ) -> StateHistory:
        """Read any published multi-state data set: name its columns.

        Parameters
        ----------
        frame : (n_spells, …)
        from_state, to_state : columns of names; ``to_state`` is ``censored`` (or missing) where follow-up ends
        states : all states in the order shown; None for those that occur, by name

        Raises
        ------
        OutcomeError : a time is missing, entry >= exit, spells of one patient overlap or do not follow each other,
            a state is not declared
        """
        given = [patient_id, entry, exit, from_state, to_state, *([] if weight is None else [weight])]
        kept = list_covariates(covariates, OWN_OF_STATES, label)
        require(frame, [*given, *kept], label)
        refuse_no_unit(time_unit)
        rows = pd.DataFrame(
            {
                "patient_id": read_ids(frame, patient_id, label),
                "entry": read_times(frame[entry], label),
                "exit": read_times(frame[exit], label),
                "from_state": frame[from_state].astype("string").astype(object).to_numpy(),
                "to_state": frame[to_state].astype("string").fillna(CENSORED).astype(object).to_numpy(),
            }
        )
        if weight is not None:
            rows["weight"] = read_weights(frame[weight], label)
        for column in kept:
            rows[column] = frame[column].array
        found = sorted({*rows["from_state"].dropna(), *rows["to_state"]} - {CENSORED})
        given_states: object = states
        names = tuple(found if states is None else states) if isinstance(given_states, Sequence | None) else ()
        return cls(rows, label, names, time_zero, time_unit, no_exclusions(), kept)

    def __post_init__(self) -> None:
        """Refuse unknown states, empty spells, overlaps, and spells that do not follow from the one before."""
        require(self.frame, ["patient_id", "entry", "exit", "from_state", "to_state"], self.label)
        names: object = self.states
        if not isinstance(names, tuple) or not names or len(set(names)) < len(names):
            raise OutcomeError(
                f"{self.label!r} declares no states, or one of them twice", "Each state has a name of its own",
                "Write states=('well', 'ill', 'dead')",
            )  # fmt: skip
        known = self.frame["from_state"].isin(self.states) & self.frame["to_state"].isin([CENSORED, *self.states])
        refuse(
            ~known.to_numpy(bool),
            self.label,
            "name a state that is not declared",
            f"States are {', '.join(self.states)}",
            "Declare the state, or correct these rows",
        )
        refuse(
            ~(self.frame["entry"] < self.frame["exit"]).to_numpy(bool),
            self.label,
            "have entry >= exit",
            "A spell is (entry, exit] with entry < exit",
            "Check the dates of these rows",
        )
        refuse_overlap(self.frame, self.label)
        refuse(
            ~self._follows(),
            self.label,
            "do not begin when and where the spell before ended",
            "After a change of state the next spell begins on that day, in that state",
            "Correct entry and from_state of these rows, or end the spell before as 'censored'",
        )

    @property
    def weight(self) -> NDArray[np.float64]:
        """(n_spells,) case weights; 1 where none were given."""
        return self.frame["weight"].to_numpy(float) if "weight" in self.frame else np.ones(len(self.frame))

    def _follows(self) -> NDArray[np.bool_]:
        """Return which spells are a patient's first, or follow from the one before; by patient and entry."""
        rows = self.frame.sort_values(["patient_id", "entry"], kind="stable")
        patient, begun, left = (rows[name].to_numpy(object) for name in ("patient_id", "from_state", "to_state"))
        entry, exit = rows["entry"].to_numpy(float), rows["exit"].to_numpy(float)
        follows = np.ones(len(rows), dtype=bool)
        moved = (patient[1:] == patient[:-1]) & (left[:-1] != CENSORED)
        follows[1:] = ~moved | ((entry[1:] == exit[:-1]) & (begun[1:] == left[:-1]))
        return follows


def _read_open(values: pd.Series, label: str, missing: float) -> NDArray[np.float64]:
    """Return times, ``missing`` where there is none; infinite ones may stand."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    refuse(
        np.isnan(numbers) & values.notna().to_numpy(bool), label, f"have no usable number in {str(values.name)!r}",
        "A time is a number, or missing where the interval is open", "Correct these rows",
    )  # fmt: skip
    return np.where(np.isnan(numbers), missing, numbers)
