"""Bounds of a risk where death leaves the status of some patients unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import label_rows
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.competing.cumulative_incidence import (
    CumulativeIncidence,
    estimate_cumulative_incidence,
)
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import BASELINE
from aih_outcomes.models.survival.intervals.rows import require_interval_time
from aih_outcomes.outcomes import CENSORED, DAYS_PER_UNIT, Groups, IntervalTime, TimeToEvent, TimeUnit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMITS = ["estimate", "conf_low", "conf_high"]


@dataclass(frozen=True, slots=True, eq=False)
class IncidenceBounds:
    """Cumulative incidence if none, and if all, of unknown status had had the event.

    Attributes
    ----------
    none, all : the two estimates (Aalen-Johansen), with the same times
    n_unknown : patients who died some time after their last look without the event
    """

    outcome: IntervalTime
    none: CumulativeIncidence
    all: CumulativeIncidence
    n_unknown: int
    by_name: str
    conf_level: float

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return the bounds at given times, in the outcome's unit.

        Returns
        -------
        frame : ``label, strata, state, time, estimate_low, estimate_high, conf_low, conf_high``: the risk if none, and
            if all, had it; below the lower and above the upper limit of both
        """
        return self._beside(self.none.at(times), self.all.at(times))

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group and time at which someone leaves; columns as in ``at``."""
        refuse_unknown_choice("unit", unit, (None, *DAYS_PER_UNIT))
        scale = DAYS_PER_UNIT[self.outcome.time_unit] / DAYS_PER_UNIT[unit or self.outcome.time_unit]
        frame = self._beside(self.none.tidy(), self.all.tidy())
        frame["time"] = frame["time"] * scale
        frame.attrs = {"time_unit": unit or self.outcome.time_unit, "time_zero": self.outcome.time_zero}
        return frame

    def glance(self) -> dict[str, Any]:
        """Facts about the two estimates."""
        frame = self.outcome.frame
        return {
            "n": len(frame), "n_event": int(np.isfinite(frame["right"].to_numpy(float)).sum()),
            "n_dead": int(frame["terminal"].sum()), "n_unknown": self.n_unknown, "by": self.by_name,
            "design": BASELINE, "conf_level": self.conf_level, "not_estimable": None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        terminal = self.outcome.terminal or "death"
        return (
            f"Bounds of the cumulative incidence of {self.outcome.label} (first seen at a look), with {terminal} "
            "competing: nobody, and everybody, who died after a last look without it had had it. Pointwise "
            f"{self.conf_level:.0%} limits of both. Who is alive is followed to the last look. Time since "
            f"{self.outcome.time_zero}." + (f" Groups: {self.by_name} ({BASELINE})." if self.by_name else "")
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse: no figure shows two curves as the bounds of one.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError(
            "There is no figure of bounds", "Two curves drawn side by side look like two groups",
            "Draw .none.plot() and .all.plot(), or the band between estimate_low and estimate_high of tidy()",
        )  # fmt: skip

    def _beside(self, none: pd.DataFrame, everyone: pd.DataFrame) -> pd.DataFrame:
        keys = ["label", "strata", "state", "time"]
        both = none[[*keys, *LIMITS]].merge(everyone[[*keys, *LIMITS]], on=keys, suffixes=("_none", "_all"))
        both = both[both["state"] == self.outcome.label].reset_index(drop=True)
        found = both[keys].assign(
            estimate_low=both["estimate_none"], estimate_high=both["estimate_all"], conf_low=both["conf_low_none"],
            conf_high=both["conf_high_all"],
        )  # fmt: skip
        return order_columns(found)


def estimate_incidence_bounds(
    outcome: IntervalTime, *, by: Groups | str | None = None, conf_level: float = 0.95
) -> IncidenceBounds:
    """Estimate the risk of an event seen at looks, with death competing, if none and if all unknown had had it.

    Status is unknown in whoever died some time after the last look. The event counts from the look that found it (an
    unknown one from death); who is alive without it is followed to the last look.

    Parameters
    ----------
    outcome : intervals with ``end`` and ``terminal``; weights are case counts
    by : groups known at time zero (guarded), a covariate, or None

    Raises
    ------
    ImmortalTimeError : groups became known after time zero
    OutcomeError : no end of follow-up, no rows

    Notes
    -----
    Nothing is assumed of the unknown. Both curves count the event from when it was found, so both are late by the time
    between looks; ``fit_illness_death`` assumes a shape of the hazards and estimates when it came.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"left": [0, 2, 2, 4], "right": [2, None, None, None], "end": [5, 4, 3, 4], "dead": [0, 1, 0, 0]}
    ... )
    >>> seen = IntervalTime.from_frame(frame, left="left", right="right", end="end", terminal="dead", label="cirrhosis")
    >>> estimate_incidence_bounds(seen).at([4])[["estimate_low", "estimate_high"]].round(4).to_numpy().tolist()
    [[0.25, 0.625]]
    """
    require_interval_time(outcome)
    refuse_no_level(conf_level)
    if "end" not in outcome.frame:
        raise OutcomeError(
            f"{outcome.label!r} does not say until when patients were known alive",
            "Bounds need the last time known alive, or of death",
            "Name them: IntervalTime.from_frame(..., end=..., terminal=...)",
        )
    label_rows(outcome, by)  # the guard
    frame = outcome.frame
    left, right, end = (frame[name].to_numpy(float) for name in ("left", "right", "end"))
    dead = frame["terminal"].to_numpy(bool) & ~np.isfinite(right)
    unknown = dead & (left < end)
    exit = np.where(np.isfinite(right), right, np.where(dead, end, left))
    followed = (exit > 0) | np.isfinite(right) | dead
    terminal = f"{outcome.terminal or 'death'} without {outcome.label}"

    def estimate(status: str) -> CumulativeIncidence:
        event = np.select([np.isfinite(right), unknown, dead], [outcome.label, status, terminal], CENSORED)
        kinds = pd.Categorical(event, categories=[CENSORED, outcome.label, terminal])
        spells = TimeToEvent.from_frame(
            frame.assign(exit=exit, event=kinds)[followed], exit="exit", event="event", patient_id="patient_id",
            weight="weight" if "weight" in frame else None, covariates=outcome.covariates, label=outcome.label,
            time_zero=outcome.time_zero, time_unit=outcome.time_unit, competing=[terminal],
        )  # fmt: skip
        return estimate_cumulative_incidence(spells, by=by, conf_level=conf_level)

    return IncidenceBounds(
        outcome, estimate(terminal), estimate(outcome.label), int(unknown.sum()), name_groups(by), conf_level
    )
