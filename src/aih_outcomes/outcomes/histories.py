"""Intervals between visits, and states over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.outcomes.checks import CENSORED, TimeUnit, no_exclusions, refuse, refuse_overlap, require


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

    ``to_state`` is ``censored`` where follow-up ends without a change. A patient may have several spells, one after
    another; after a change the next begins that day, in that state. ``exclusions`` (``reason, n, n_event``) counts who
    was left out on the way here.
    """

    frame: pd.DataFrame
    label: str
    states: tuple[str, ...]
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)

    def __post_init__(self) -> None:
        """Refuse unknown states, empty spells, overlaps, and spells that do not follow from the one before."""
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
        refuse(
            ~self._follows(),
            self.label,
            "do not begin when and where the spell before ended",
            "After a change of state the next spell begins on that day, in that state",
            "Correct entry and from_state of these rows, or end the spell before as 'censored'",
        )

    def _follows(self) -> NDArray[np.bool_]:
        """Return which spells are a patient's first, or follow from the one before; by patient and entry."""
        rows = self.frame.sort_values(["patient_id", "entry"], kind="stable")
        patient, begun, left = (rows[name].to_numpy(object) for name in ("patient_id", "from_state", "to_state"))
        entry, exit = rows["entry"].to_numpy(float), rows["exit"].to_numpy(float)
        follows = np.ones(len(rows), dtype=bool)
        moved = (patient[1:] == patient[:-1]) & (left[:-1] != CENSORED)
        follows[1:] = ~moved | ((entry[1:] == exit[:-1]) & (begun[1:] == left[:-1]))
        return follows
