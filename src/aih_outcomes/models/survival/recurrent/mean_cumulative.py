"""How many events a patient has had by each time, on average: the mean cumulative function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number, read_numbers, refuse_unknown_choice
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.curves.entries import list_times
from aih_outcomes.models.survival.curves.kaplan_meier import in_quarters, name_groups
from aih_outcomes.models.survival.designs.design import caution, in_a_list, name_design
from aih_outcomes.models.survival.recurrent.mean_curve import (
    Estimand,
    MeanCurve,
    common_start,
    estimate_mean_curve,
    rows_after,
    split_groups,
)
from aih_outcomes.outcomes import DAYS_PER_UNIT, Groups, RecurrentEvents, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Limits = Literal["log", "plain"]

IN_WORDS: dict[str, str] = {
    "mean": "mean number of events per patient, whether at risk or not; nobody has one after a terminal event",
    "rate_at_risk": "events expected of a patient who stays alive and at risk throughout (cumulative rate while at "
    "risk)",
}


@dataclass(frozen=True, slots=True, eq=False)
class MeanCumulative:
    """Mean cumulative functions, one per group.

    Attributes
    ----------
    outcome : what was followed
    curves : (n_groups,) in the order of the levels
    estimand : ``mean`` per patient, or ``rate_at_risk``, cumulative over time at risk
    alive_at : the curves count events after this time, among those alive then; 0 where they start at time zero
    """

    outcome: RecurrentEvents
    curves: tuple[MeanCurve, ...]
    by_name: str
    estimand: Estimand
    conf_level: float
    conf_type: Limits
    alive_at: float

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group and distinct time of an event, terminal event, end of follow-up, or late entry.

        Parameters
        ----------
        unit : unit of ``time``; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, state, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high, n,
            measure, design``. ``estimate`` is a number of events (``state`` names them), no share; limits are NaN where
            it is 0 on the log scale. Terminal events are counted in ``glance()``
        """
        refuse_unknown_choice("unit", unit, (None, *DAYS_PER_UNIT))
        scale = DAYS_PER_UNIT[self.outcome.time_unit] / DAYS_PER_UNIT[unit or self.outcome.time_unit]
        frames = []
        for curve in self.curves:
            shown = list_times(curve.steps.time, curve.turns, curve.start)
            estimate, std_error = (shown.hold(values, 0.0) for values in (curve.estimate, curve.std_error))
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "strata": curve.strata, "state": self.outcome.label,
                "time": shown.time * scale, "n_risk": curve.at_risk(shown.time),
                "n_event": shown.count(curve.n_event), "n_censor": shown.count(curve.n_censor),
                **self._limits(estimate, std_error), "n": curve.n_patients,
                "measure": self.estimand, "design": name_design(self.outcome.design),
            }))  # fmt: skip
        frame = order_columns(pd.concat(frames, ignore_index=True))
        frame.attrs = {"time_unit": unit or self.outcome.time_unit, "time_zero": self.outcome.time_zero}
        return frame

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return the mean number of events by given times, in the outcome's unit.

        Returns
        -------
        frame : one row per group × time: ``label, strata, state, time, n_risk, n_event`` (cumulative)``, estimate,
            std_error, conf_low, conf_high``. NaN after the last time observed, unless all have died
        """
        when = read_numbers("times", times, "at([365, 1826])")
        frames = []
        for curve in self.curves:
            step = np.searchsorted(curve.steps.time, when, side="right")
            unknown = (when > curve.steps.time[-1]) & (not curve.nobody_left)
            estimate, std_error = (
                np.where(unknown, np.nan, np.concatenate([[0.0], values])[step])
                for values in (curve.estimate, curve.std_error)
            )
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "strata": curve.strata, "state": self.outcome.label, "time": when,
                "n_risk": curve.at_risk(when), "n_event": np.concatenate([[0.0], np.cumsum(curve.n_event)])[step],
                **self._limits(estimate, std_error),
            }))  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def n_at_risk(self, times: Sequence[float]) -> pd.DataFrame:
        """Return how many are at risk at given times (for a risk table): ``label, strata, time, n_risk, n_event``."""
        return self.at(times)[["label", "strata", "time", "n_risk", "n_event"]]

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate."""
        rows = [curve.rows for curve in self.curves]
        days = sum(float(np.sum((own.exit - own.entry)[own.counted])) for own in rows)
        return {
            "n": sum(curve.n_patients for curve in self.curves),
            "n_patients": self.outcome.n_patients,
            "n_event": int(sum(curve.n_event.sum() for curve in self.curves)),
            "n_terminal": int(sum(curve.n_terminal.sum() for curve in self.curves)),
            "terminal": self.outcome.terminal,
            "time_at_risk": days,
            "estimand": self.estimand,
            "by": self.by_name,
            "design": name_design(self.outcome.design),
            "time_zero": self.outcome.time_zero,
            "time_unit": self.outcome.time_unit,
            "conf_level": self.conf_level,
            "conf_type": self.conf_type,
            "alive_at": self.alive_at,
            "n_half_day": self.outcome.n_half_day,
            "not_estimable": None,
        }

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome = self.outcome
        parts = [f"{outcome.label}: {IN_WORDS[self.estimand]}; time since {outcome.time_zero}."]
        if self.estimand == "rate_at_risk" and outcome.terminal:
            parts.append(f"A rate among those alive: {in_a_list(outcome.terminal)} censored, no number per patient.")
        elif outcome.terminal:
            parts.append(f"Ghosh-Lin estimate with {in_a_list(outcome.terminal)} terminal.")
        else:
            parts.append("Nelson-Aalen type estimate; nothing is terminal.")
        parts.append(f"Pointwise {self.conf_level:.0%} limits ({self.conf_type} scale), robust variance by patient.")
        if self.alive_at:
            parts.append(
                f"Entry is late: events after {in_quarters(self.alive_at, outcome.time_unit)}, among those alive then."
            )
        if self.by_name:
            parts += [f"Groups: {self.by_name} ({name_design(outcome.design)}).", caution(outcome.design)]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves for the analyst's screen."""
        from aih_outcomes.figures import draw_mean_cumulative

        unit: TimeUnit = "years" if self.outcome.time_unit == "days" else self.outcome.time_unit
        return draw_mean_cumulative(self.tidy(unit=unit), ax=ax, unit_label=unit)

    def _limits(self, estimate: Vector, std_error: Vector) -> dict[str, Vector]:
        low, high = limits_of(estimate, std_error, self.conf_level, self.conf_type)
        return {"estimate": estimate, "std_error": std_error, "conf_low": low, "conf_high": high}


def estimate_mean_cumulative(
    outcome: RecurrentEvents,
    *,
    by: Groups | str | None = None,
    estimand: Estimand = "mean",
    conf_level: float = 0.95,
    conf_type: Limits = "log",
    from_day: float | None = None,
) -> MeanCumulative:
    """Estimate the expected number of events by each time, with death and other terminal events taken into account.

    At risk at t are spells with entry < t <= exit. ``mean`` answers "how many flares will a patient have had by t": who
    is alive and watched counts in the denominator whether the event could happen or not, and who has died has no more.
    ``rate_at_risk`` answers "how often does it happen to those to whom it can": only spells at risk count, terminal
    events censor, and the result is no number per patient.

    Parameters
    ----------
    outcome : spells under observation
    by : groups known at entry (guarded), a covariate, or None
    estimand : ``mean`` or ``rate_at_risk``; the same where all are at risk always and nothing is terminal
    from_day : count events after this time among those alive then, in the outcome's unit. None: 0, except where entry
        is late and something falls where fewer than 5 were at risk early (as in ``estimate_survival``)

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no recurrent events, no rows, nobody followed after ``from_day``

    Notes
    -----
    Ghosh & Lin, Biometrics 2000;56:554; without terminal events Lawless & Nadeau, Technometrics 1995;37:158, as R's
    ``survfit(Surv(start, stop, event) ~ 1, id = id)``. Variance by the infinitesimal jackknife over patients, so that
    weights may be any.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": ["a", "a", "b"], "start": [0, 2, 0], "stop": [2, 5, 4], "what": ["x", "x", "dead"]})
    >>> outcome = RecurrentEvents.from_frame(
    ...     frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["dead"]
    ... )
    >>> estimate_mean_cumulative(outcome).tidy()["estimate"].tolist()
    [0.5, 0.5, 1.0]
    """
    refuse_no_level(conf_level)
    refuse_unknown_choice("estimand", estimand, ("mean", "rate_at_risk"))
    refuse_unknown_choice("conf_type", conf_type, ("log", "plain"))
    parts = split_groups(outcome, by, estimand)
    found = common_start(list(parts.values()))
    start = found if from_day is None else read_number("from_day", from_day, "from_day=365")
    curves = []
    for strata, rows in parts.items():
        own = rows_after(rows, start)
        if not own.counted.any():
            raise OutcomeError(
                f"Nobody in group {strata!r} is followed after {start:g}", "A mean needs someone at risk",
                "Choose an earlier from_day, or leave the group out by name",
            )  # fmt: skip
        curves.append(estimate_mean_curve(strata, own, start))
    return MeanCumulative(outcome, tuple(curves), name_groups(by), estimand, conf_level, conf_type, start)


def limits_of(estimate: Vector, std_error: Vector, conf_level: float, conf_type: Limits) -> tuple[Vector, Vector]:
    """Pointwise limits of a mean number; on the log scale NaN where it is 0."""
    z = norm.ppf((1 + conf_level) / 2)
    if conf_type == "plain":
        return np.maximum(estimate - z * std_error, 0.0), estimate + z * std_error
    known = np.where(estimate > 0, estimate, np.nan)
    width = z * std_error / known
    return known * np.exp(-width), known * np.exp(width)
