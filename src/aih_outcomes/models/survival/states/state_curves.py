"""What is read off curves of several states: the part that state occupation and cumulative incidence share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number, read_numbers, refuse_unknown_choice
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.curve import confidence_limits
from aih_outcomes.models.survival.curves.entries import list_times
from aih_outcomes.models.survival.curves.kaplan_meier import in_quarters
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.models.survival.states.products import Matrices
from aih_outcomes.models.survival.states.spells import LEAST_AT_RISK, STAYS
from aih_outcomes.models.survival.states.state_curve import StateCurve, find_quantile
from aih_outcomes.outcomes import CENSORED, DAYS_PER_UNIT, TimeUnit, Vector

ConfType = Literal["log", "log-log", "plain", "arcsine"]
CONF_TYPES = ("log", "log-log", "plain", "arcsine")


@dataclass(frozen=True, slots=True, eq=False)
class StateCurves:
    """Probabilities of several states over time, one set of curves per group.

    Attributes
    ----------
    label, time_zero, time_unit, design : of the outcome
    states : names, in the order shown
    curves : (n_groups,) in the order of the levels
    by_name : what the groups speak of; empty for everyone together
    conf_level, conf_type : pointwise interval
    from_day : where the curves begin, in the outcome's unit
    is_conditional : they begin later than asked because too few were at risk (rule 13)
    """

    label: str
    time_zero: str
    time_unit: TimeUnit
    design: str
    states: tuple[str, ...]
    curves: tuple[StateCurve, ...]
    by_name: str
    conf_level: float
    conf_type: ConfType
    from_day: float
    is_conditional: bool

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group, state and time: the beginning, then when someone comes, or leaves a state or altogether.

        Parameters
        ----------
        unit : unit of ``time``; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, state, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high``;
            ``n_followed``: at risk in any state; ``n``: patients behind the curves. Numbers are of patients, never of
            weights; ``n_event`` are those who come into the state at ``time``. Limits are NaN where none are defined:
            ``log`` at 0, ``log-log`` and ``arcsine`` at 0 and 1.
        """
        scale = self._scale(unit)
        frames = []
        for curve in self.curves:
            shown = list_times(np.append(curve.start, curve.time), curve.spells.entry, curve.start)
            slots = curve.slot(shown.time)
            frame = self._frame(curve, shown.time, curve.occupied[slots], curve.std_error[slots])
            nobody = np.zeros((1, curve.n_states))
            n_risk = curve.at_risk(shown.time)
            n_event, n_censor = (
                shown.count(np.vstack([nobody, part])).ravel("F") for part in (curve.n_event, curve.n_censor)
            )
            followed = n_risk[:, 0] if curve.shared_risk else n_risk.sum(axis=1)
            frames.append(frame.assign(
                n_risk=n_risk.ravel("F"), n_event=n_event, n_censor=n_censor,
                n_followed=np.tile(followed.astype(int), len(self.states)), n=curve.n,
            ))  # fmt: skip
        whole = pd.concat(frames, ignore_index=True)
        whole["time"] = whole["time"] * scale
        whole.attrs = {"time_unit": unit or self.time_unit, "time_zero": self.time_zero}
        return order_columns(whole)

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return the probabilities at given times, in the outcome's unit.

        Returns
        -------
        frame : one row per group × state × time; ``n_risk`` when someone next leaves, at the time or later (as R's
            ``summary.survfit``), cumulative ``n_event``, ``estimate`` to ``conf_high`` as in ``tidy``. Estimates are
            NaN before the curves begin, and after the last observed time unless nothing is left that could change.
        """
        when = read_numbers("times", times, "at([365, 1826])")
        frames = []
        for curve in self.curves:
            slots, known = curve.slot(when), curve.known(when)[:, None]
            values = (np.where(known, part[slots], np.nan) for part in (curve.occupied, curve.std_error))
            frame = self._frame(curve, when, *values)
            next_risk = np.vstack([curve.n_risk, np.zeros(len(self.states))])[np.searchsorted(curve.time, when)]
            frames.append(frame.assign(n_risk=next_risk.ravel("F"), n_event=_events_by(curve, when).ravel("F")))
        return order_columns(pd.concat(frames, ignore_index=True))

    def n_at_risk(self, times: Sequence[float]) -> pd.DataFrame:
        """Return how many are at risk at given times, for a risk table: ``label`` to ``time``, ``n_risk, n_event``.

        At risk at t are spells with entry < t <= exit; where the curves begin, those who are followed from then on.
        ``n_event`` is cumulative.
        """
        when = read_numbers("times", times, "at([365, 1826])")
        frames = [
            self._keys(curve, when).assign(
                n_risk=curve.at_risk(when).ravel("F"), n_event=_events_by(curve, when).ravel("F")
            )
            for curve in self.curves
        ]
        return order_columns(pd.concat(frames, ignore_index=True))

    def time_in_state(self, horizon: float, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """Return the mean time spent in each state from the beginning of the curves to a horizon.

        Parameters
        ----------
        horizon : in the outcome's unit; NaN results where a group is not followed so long
        unit : unit of the results; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, state, time`` (the horizon)``, estimate, std_error, conf_low, conf_high``, ``n``;
            standard error by the infinitesimal jackknife, limits on the scale of the mean, within 0 and the horizon

        Raises
        ------
        OutcomeError : the horizon does not lie after the beginning
        """
        if not read_number("horizon", horizon, "time_in_state(1826)") > self.from_day:
            raise OutcomeError(
                f"horizon={horizon:g} does not lie after the beginning of the curves",
                f"They begin at {self.from_day:g} {self.time_unit}", "Choose a later horizon",
            )  # fmt: skip
        z, scale, longest = norm.ppf((1 + self.conf_level) / 2), self._scale(unit), horizon - self.from_day
        frames = []
        for curve in self.curves:
            mean, error = curve.mean_times(float(horizon))
            limits = (np.clip(mean + sign * z * error, 0, longest) * scale for sign in (-1, 1))
            frame = self._keys(curve, np.array([horizon * scale]))
            frames.append(frame.assign(estimate=mean * scale, std_error=error * scale, n=curve.n).assign(
                **dict(zip(("conf_low", "conf_high"), limits, strict=True))
            ))  # fmt: skip
        whole = order_columns(pd.concat(frames, ignore_index=True))
        whole.attrs = {"time_unit": unit or self.time_unit}
        return whole

    def quantiles(
        self, probs: Sequence[float] = (0.25, 0.5, 0.75), *, state: str | None = None, unit: TimeUnit | None = None
    ) -> pd.DataFrame:
        """Return when a share ``p`` has come into a state that is never left, or has left one that is never entered.

        Parameters
        ----------
        state : None for every such state
        unit : unit of the times; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, state, estimate, conf_low, conf_high, probability``, ``n``; R's midpoint where the
            curve lies at ``p`` over a flat step; NaN where a curve, or a limit, never comes so far

        Raises
        ------
        OutcomeError : a state that is both entered and left has no quantiles
        """
        rising, falling = self._one_way()
        both = [name for name, up, down in zip(self.states, rising, falling, strict=True) if not (up or down)]
        if state is not None and (state not in self.states or state in both):
            raise OutcomeError(
                f"{state!r} has no quantiles", "Only a state that is never left, or never entered, has a time by which "
                "a share of the patients has come or gone", "Use time_in_state(horizon) for the others",
            )  # fmt: skip
        wanted = [name for name in self.states if (state is None and name not in both) or name == state]
        shares = read_numbers("probs", probs, "quantiles([0.5])").tolist()
        rows = [
            row for curve in self.curves for name in wanted
            for row in self._quantile_rows(curve, self.states.index(name), falling, shares, self._scale(unit))
        ]  # fmt: skip
        columns = ["label", "strata", "state", "estimate", "conf_low", "conf_high", "probability", "n"]
        frame = order_columns(pd.DataFrame(rows, columns=columns))
        frame.attrs = {"time_unit": unit or self.time_unit}
        return frame

    def transitions(self) -> pd.DataFrame:
        """Return how many spells in each state ended in each other one, or ``censored``.

        Returns
        -------
        frame : ``label, strata, term`` (from)``, state`` (to)``, n``; those that occur
        """
        frames = []
        for curve in self.curves:
            target = np.where(curve.spells.target == STAYS, len(self.states), curve.spells.target)
            counts = np.zeros((len(self.states), len(self.states) + 1), dtype=int)
            np.add.at(counts, (curve.spells.origin, target), 1)
            origin, target = np.nonzero(counts)
            names = np.array([*self.states, CENSORED], dtype=object)
            frames.append(pd.DataFrame({
                "label": self.label, "strata": curve.strata, "term": names[origin], "state": names[target],
                "n": counts[origin, target],
            }))  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate."""
        return {
            "n": sum(curve.n for curve in self.curves),
            "n_spells": sum(len(curve.spells.exit) for curve in self.curves),
            "n_event": sum(int(curve.spells.moves.sum()) for curve in self.curves),
            "states": self.states,
            "by": self.by_name,
            "design": name_design(self.design),
            "time_zero": self.time_zero,
            "time_unit": self.time_unit,
            "conf_level": self.conf_level,
            "conf_type": self.conf_type,
            "alive_at": self.from_day,
            "is_conditional": self.is_conditional,
            "not_estimable": None,
        }

    def _words_for_groups(self) -> list[str]:
        """Sentences about groups and what must be said with them."""
        if not self.by_name:
            return []
        return [f"Groups: {self.by_name} ({name_design(self.design)}).", caution(self.design)]

    def _words_for_start(self, what: str) -> list[str]:
        """Return the sentence that says that too few were at risk early."""
        if not self.is_conditional:
            return []
        return [
            f"Entry is late and fewer than {LEAST_AT_RISK} were at risk early: the curves are {what} at "
            f"{in_quarters(self.from_day, self.time_unit)}."
        ]

    def _scale(self, unit: TimeUnit | None) -> float:
        refuse_unknown_choice("unit", unit, (None, *DAYS_PER_UNIT))
        return DAYS_PER_UNIT[self.time_unit] / DAYS_PER_UNIT[unit or self.time_unit]

    def _keys(self, curve: StateCurve, times: Vector) -> pd.DataFrame:
        return pd.DataFrame({
            "label": self.label, "strata": curve.strata, "state": np.repeat(self.states, len(times)),
            "time": np.tile(times, len(self.states)),
        })  # fmt: skip

    def _frame(self, curve: StateCurve, times: Vector, estimate: Matrices, std_error: Matrices) -> pd.DataFrame:
        flat, error = estimate.ravel("F"), std_error.ravel("F")
        low, high = limits_of(flat, error, self.conf_level, self.conf_type)
        return self._keys(curve, times).assign(estimate=flat, std_error=error, conf_low=low, conf_high=high)

    def _one_way(self) -> tuple[list[bool], list[bool]]:
        """Return which states nobody leaves, and which nobody enters, in any group."""
        left = {int(code) for curve in self.curves for code in curve.spells.origin[curve.spells.moves]}
        entered = {int(code) for curve in self.curves for code in curve.spells.target[curve.spells.moves]}
        codes = range(len(self.states))
        return [code not in left for code in codes], [code not in entered and code in left for code in codes]

    def _quantile_rows(
        self, curve: StateCurve, state: int, falling: list[bool], probs: Sequence[float], scale: float
    ) -> list[list[object]]:
        slots = np.concatenate([[0], curve.slot(curve.time)])
        estimate, error = curve.occupied[slots, state], curve.std_error[slots, state]
        heights = [estimate, *limits_of(estimate, error, self.conf_level, self.conf_type)]
        heights = [1 - height for height in heights] if falling[state] else [heights[0], heights[2], heights[1]]
        times = [[find_quantile(curve.start, curve.time, height, p) * scale for height in heights] for p in probs]
        return [
            [self.label, curve.strata, self.states[state], *found, p, curve.n]
            for p, found in zip(probs, times, strict=True)
        ]


def limits_of(estimate: Vector, std_error: Vector, conf_level: float, conf_type: ConfType) -> tuple[Vector, Vector]:
    """Pointwise limits as in R's survfit, within [0, 1]; an estimate without error is its own limit on a plain scale.

    Parameters
    ----------
    estimate, std_error : (n,) probabilities and their standard errors
    """
    relative = np.divide(std_error, estimate, out=np.where(np.isnan(std_error), np.nan, 0.0), where=std_error > 0)
    return confidence_limits(estimate, relative**2, conf_level, conf_type)


def refuse_no_conf_type(conf_type: object) -> None:
    """Refuse a scale that is none.

    Raises
    ------
    OutcomeError
    """
    refuse_unknown_choice("conf_type", conf_type, CONF_TYPES)


def _events_by(curve: StateCurve, times: Vector) -> Matrices:
    """(m, K) cumulative number of patients who came into each state."""
    total = np.vstack([np.zeros(curve.n_states), np.cumsum(curve.n_event, axis=0)])
    return np.asarray(total[np.searchsorted(curve.time, times, side="right")], float)
