"""Intervals between visits, and states over time."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aih_outcomes.outcomes.checks import CENSORED, TimeUnit, refuse, refuse_overlap, require


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
        require(self.frame, ["patient_id", "left", "right"], self.label)
        left, right = self.frame["left"].to_numpy(float), self.frame["right"].to_numpy(float)
        refuse(
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
        require(self.frame, ["patient_id", "entry", "exit", "from_state", "to_state"], self.label)
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
