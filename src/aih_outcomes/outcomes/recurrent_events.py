"""An event that may happen again and again, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.outcomes.checks import (
    CENSORED,
    TimeUnit,
    Vector,
    list_covariates,
    no_exclusions,
    read_flags,
    refuse,
    require,
)
from aih_outcomes.outcomes.time_to_event import TimeToEvent

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentEvents:
    """Spells under observation ``(entry, exit]``; a patient goes on after an event, nothing follows a terminal one.

    Three things are kept apart. *Observed*: alive and followed, so that a terminal event would be known; every row.
    *Watched*: the event would have been seen, had it happened. *At risk*: it could happen, such as a flare only while
    in response on treatment. Who is at risk is watched.

    Attributes
    ----------
    frame : ``patient_id, entry, exit, event`` (category, first level ``censored``)``, at_risk, watched``, optional
        ``weight``, covariates; one row per spell
    label : the event's name, used on axes and in tables
    terminal : events after which nothing can happen; the other levels are the event
    time_zero, time_unit, design, covariates, exclusions, n_half_day : as in ``TimeToEvent``
    """

    frame: pd.DataFrame
    label: str
    terminal: tuple[str, ...] = ()
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
        patient_id: str,
        exit: str,
        event: str,
        entry: str | None = None,
        terminal: Sequence[str] = (),
        at_risk: str | None = None,
        watched: str | None = None,
        weight: str | None = None,
        covariates: Sequence[str] = (),
        label: str = "event",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
        design: str = "",
    ) -> RecurrentEvents:
        """Read any published data set of recurrent events: name its columns.

        Parameters
        ----------
        frame : (n_spells, …) several rows per patient, one after another
        exit, entry : columns of times; entry is 0 where it is not given; the spell is (entry, exit]
        event : column of 0/1, booleans, or names with ``censored`` for none; it happens at ``exit``
        terminal : names of events after which nothing can happen, such as death
        at_risk, watched : columns of 0/1 or booleans; all rows where not given
        covariates : columns that a model may use; missing values are kept and answered for by the model

        Raises
        ------
        OutcomeError : a time is missing, exit < entry, spells of one patient overlap, a spell follows a terminal
            event, an event ends a spell not at risk, a weight is negative

        Examples
        --------
        >>> frame = pd.DataFrame({"id": ["a", "a", "b"], "start": [0, 90, 0], "stop": [90, 400, 200]})
        >>> frame["what"] = ["flare", "censored", "death"]
        >>> RecurrentEvents.from_frame(
        ...     frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["death"], label="flare"
        ... ).n_patients
        2
        """
        flags = {"at_risk": at_risk, "watched": watched}
        list_covariates(covariates, tuple(flags), label)
        require(frame, [name for name in flags.values() if name is not None], label)
        spells = TimeToEvent.from_frame(
            frame, exit=exit, event=event, entry=entry, patient_id=patient_id, weight=weight, covariates=covariates,
            label=label, time_zero=time_zero, time_unit=time_unit, design=design, competing=terminal,
        )  # fmt: skip
        read = {
            name: np.ones(len(frame), dtype=bool) if column is None else read_flags(frame[column], label)
            for name, column in flags.items()
        }
        rows = spells.frame.assign(**read)
        ends = tuple(name for name in terminal if name in rows["event"].cat.categories)
        return cls(
            rows, label, ends, time_zero, time_unit, design, tuple(covariates), no_exclusions(), spells.n_half_day
        )

    def __post_init__(self) -> None:
        """Refuse what follows a terminal event, and events where none can be."""
        require(self.frame, ["patient_id", "entry", "exit", "event", "at_risk", "watched"], self.label)
        risk, watched = self.at_risk, self.watched
        refuse(
            risk & ~watched, self.label, "are at risk and not watched", "An event that can happen is watched for",
            "Mark these rows as watched, or as not at risk",
        )  # fmt: skip
        refuse(
            self.event & ~risk, self.label, "end with the event though not at risk",
            "The event happens only while at risk", "Correct at_risk, or drop what is no event by this definition",
        )  # fmt: skip
        refuse(
            self._follows_an_end(), self.label, "follow a terminal event of the same patient",
            f"Nothing is observed after {' or '.join(self.terminal)}", "Correct the times of these rows, or drop them",
        )  # fmt: skip

    @property
    def entry(self) -> Vector:
        """(n_rows,) start of each spell, since time zero."""
        return self.frame["entry"].to_numpy(float)

    @property
    def exit(self) -> Vector:
        """(n_rows,) end of each spell, since time zero."""
        return self.frame["exit"].to_numpy(float)

    @property
    def event(self) -> Flags:
        """(n_rows,) True where the spell ends in the event; a terminal one is none."""
        return ~self.frame["event"].isin([CENSORED, *self.terminal]).to_numpy(bool)

    @property
    def ends(self) -> Flags:
        """(n_rows,) True where the spell ends in a terminal event."""
        return self.frame["event"].isin(self.terminal).to_numpy(bool)

    @property
    def at_risk(self) -> Flags:
        """(n_rows,) True where the event could happen."""
        return self.frame["at_risk"].to_numpy(bool)

    @property
    def watched(self) -> Flags:
        """(n_rows,) True where the event would have been seen."""
        return self.frame["watched"].to_numpy(bool)

    @property
    def weight(self) -> Vector:
        """(n_rows,) case weights; 1 where none were given."""
        return self.frame["weight"].to_numpy(float) if "weight" in self.frame else np.ones(len(self.frame))

    @property
    def n_patients(self) -> int:
        """Number of patients (not spells)."""
        return int(self.frame["patient_id"].nunique())

    def number_of_event(self) -> NDArray[np.int64]:
        """(n_rows,) which event of the patient each spell waits for: 1 until the first, then 2, and so on."""
        order = np.lexsort((self.exit, pd.factorize(self.frame["patient_id"])[0]))
        patient, event = self.frame["patient_id"].to_numpy(object)[order], self.event[order].astype(np.int64)
        before = pd.Series(event).groupby(patient, sort=False).cumsum().to_numpy(np.int64) - event
        number = np.empty(len(order), np.int64)
        number[order] = before + 1
        return number

    def to_spells(self) -> TimeToEvent:
        """Return every row as a spell, terminal events competing: for risk sets, never for a curve of first events."""
        return TimeToEvent(
            self.frame, self.label, self.time_zero, self.time_unit, self.design, self.covariates, self.exclusions,
            self.n_half_day, self.terminal,
        )  # fmt: skip

    def with_rows(self, frame: pd.DataFrame, **changes: object) -> RecurrentEvents:
        """Return a copy with other rows of the same shape."""
        return replace(self, frame=frame.reset_index(drop=True), **changes)  # type: ignore[arg-type]  # fields by name

    def _follows_an_end(self) -> Flags:
        ended = pd.Series(np.where(self.ends, self.exit, np.inf)).groupby(self.frame["patient_id"].to_numpy(object))
        return self.exit > ended.transform("min").to_numpy(float)
