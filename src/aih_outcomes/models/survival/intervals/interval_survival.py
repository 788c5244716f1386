"""Turnbull's estimate of survival from looks: where the curve is known, and where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_numbers, refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, label_rows
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.curves.checks import refuse_no_draws
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import BASELINE
from aih_outcomes.models.survival.intervals.rows import require_interval_time
from aih_outcomes.models.survival.intervals.steps import Problem, climb_steps
from aih_outcomes.models.survival.intervals.turnbull import certificate, find_intersections
from aih_outcomes.outcomes import DAYS_PER_UNIT, Groups, IntervalTime, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPLICATES = 500
PROVEN = 1e-9  # excess of the largest gradient over its bound
MASS = 1e-12  # less is none


@dataclass(frozen=True, slots=True, eq=False)
class MassCurve:
    """One curve as masses within intervals (low, high]; ``low`` = ``high`` where the time is exact.

    Attributes
    ----------
    strata : name of the group; ``n``, ``n_event`` cases and events behind it
    low, high, mass : (k,) intervals that carry mass; the last ``high`` may be infinite
    loglik, excess : log-likelihood, and the largest gradient / n less 1 (at most 0 at the maximum, up to rounding)
    """

    strata: str
    n: float
    n_event: float
    low: Vector
    high: Vector
    mass: Vector
    loglik: float
    excess: float

    def bounds(self, times: Vector) -> tuple[Vector, Vector]:
        """(n_times,) least and largest S(t) that the estimate allows; equal except inside an interval of mass."""
        gone_at_most = (self.low < times[:, None]) | (self.high <= times[:, None])
        at_most = 1 - (self.high <= times[:, None]) @ self.mass
        at_least = 1 - gone_at_most @ self.mass
        return np.clip(at_least, 0.0, 1.0), np.clip(at_most, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class IntervalSurvival:
    """Turnbull's estimate, one curve per group.

    Attributes
    ----------
    outcome : what was looked for
    curves : (n_groups,) in the order of the levels
    replicates : (n_groups,) curves of the bootstrap; none where no ``rng`` was given
    """

    outcome: IntervalTime
    curves: tuple[MassCurve, ...]
    replicates: tuple[tuple[MassCurve, ...], ...]
    by_name: str
    conf_level: float

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group and interval that carries mass.

        Parameters
        ----------
        unit : unit of the times; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, time, estimate, conf_low, conf_high``: S at the end of the interval, from where it is
            known again until the next begins; ``time_low, time_high``: the event's share ``mass`` lies somewhere in
            (time_low, time_high]; ``n`` cases, ``n_total_event`` events of the group. What is never seen to happen has
            no row: after the last ``time_high`` the estimate stays to the last look, and is unknown after it
        """
        refuse_unknown_choice("unit", unit, (None, *DAYS_PER_UNIT))
        scale = DAYS_PER_UNIT[self.outcome.time_unit] / DAYS_PER_UNIT[unit or self.outcome.time_unit]
        frames = []
        for place, curve in enumerate(self.curves):
            own = np.isfinite(curve.high)
            _, estimate = curve.bounds(curve.high[own])
            low, high = self._band(place, curve.high[own])
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "strata": curve.strata, "time": curve.high[own] * scale,
                "estimate": estimate, "conf_low": low, "conf_high": high, "time_low": curve.low[own] * scale,
                "time_high": curve.high[own] * scale, "mass": curve.mass[own], "n": curve.n,
                "n_total_event": curve.n_event,
            }))  # fmt: skip
        frame = pd.concat(frames, ignore_index=True)
        frame.attrs = {"time_unit": unit or self.outcome.time_unit, "time_zero": self.outcome.time_zero}
        return order_columns(frame)

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return S(t) at given times, in the outcome's unit.

        Returns
        -------
        frame : ``label, strata, time, estimate, conf_low, conf_high, estimate_low, estimate_high``; inside an interval
            of mass, and after the last look, S(t) is not identified: ``estimate`` is NaN and any value between the
            two bounds is as likely
        """
        when = read_numbers("times", times, "at([365, 1826])")
        frames = []
        for place, curve in enumerate(self.curves):
            least, most = curve.bounds(when)
            low, high = self._band(place, when)
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "strata": curve.strata, "time": when,
                "estimate": np.where(most - least > MASS, np.nan, most), "conf_low": low, "conf_high": high,
                "estimate_low": least, "estimate_high": most,
            }))  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def quantiles(self, probs: Sequence[float] = (0.25, 0.5, 0.75)) -> pd.DataFrame:
        """Return between which times a share ``p`` has had the event, in the outcome's unit.

        Returns
        -------
        frame : ``label, strata, probability, time_low, time_high``: the interval of mass in which S(t) passes 1 − p;
            NaN where S stays above it to the last look
        """
        rows = []
        for curve in self.curves:
            reached = np.cumsum(curve.mass)
            for p in read_numbers("probs", probs, "quantiles([0.5])").tolist():
                place = int(np.searchsorted(reached, p - MASS))
                known = place < len(reached) and bool(np.isfinite(curve.high[place]))
                ends = (curve.low[place], curve.high[place]) if known else (np.nan, np.nan)
                rows.append([self.outcome.label, curve.strata, p, *ends])
        return order_columns(pd.DataFrame(rows, columns=["label", "strata", "probability", "time_low", "time_high"]))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate; ``max_gradient_over_n`` at most 1 proves it."""
        return {
            "n": int(sum(curve.n for curve in self.curves)), "n_patients": len(self.outcome.frame),
            "n_event": int(sum(curve.n_event for curve in self.curves)), "by": self.by_name, "design": BASELINE,
            "time_zero": self.outcome.time_zero, "time_unit": self.outcome.time_unit,
            "loglik": sum(curve.loglik for curve in self.curves),
            "max_gradient_over_n": 1 + max(curve.excess for curve in self.curves),
            "conf_level": self.conf_level if self.replicates else float("nan"),
            "n_bootstrap": len(self.replicates[0]) if self.replicates else 0, "not_estimable": None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        band = (
            f"limits: percentiles ({self.conf_level:.0%}) of {len(self.replicates[0])} bootstrap samples of patients, "
            "which have no proof where no time is exact"
            if self.replicates
            else "without limits: its errors have no simple form, and no bootstrap was asked for"
        )
        parts = [
            f"{self.outcome.label}: non-parametric estimate from interval-censored times (Turnbull); {band}. "
            "Between the ends of an interval the curve is not identified.",
            f"Time since {self.outcome.time_zero}.",
            f"Groups: {self.by_name} ({BASELINE})." if self.by_name else "",
            f"{self.outcome.terminal.capitalize()} ends looking like any last look: this is no risk in its presence "
            "(see fit_illness_death)." if self.outcome.terminal else "",
        ]  # fmt: skip
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse: no figure shows yet where the curve is unknown.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError(
            "There is no figure of an interval-censored curve",
            "A step drawn inside an interval would claim a time that nobody saw",
            "Draw tidy(): a horizontal line between time_high and the next time_low, a box between time_low and "
            "time_high; or show fit_accelerated_failure(...).at(...)",
        )

    def _band(self, place: int, times: Vector) -> tuple[Vector, Vector]:
        """Percentiles of the least and of the largest S(t) that each replicate allows."""
        if not self.replicates:
            unknown = np.full(len(times), np.nan)
            return unknown, unknown
        bounds = np.array([curve.bounds(times) for curve in self.replicates[place]])
        tail = (1 - self.conf_level) / 2
        return np.quantile(bounds[:, 0], tail, axis=0), np.quantile(bounds[:, 1], 1 - tail, axis=0)


def estimate_interval_survival(
    outcome: IntervalTime,
    *,
    by: Groups | str | None = None,
    conf_level: float = 0.95,
    rng: Generator | None = None,
    n_bootstrap: int = REPLICATES,
) -> IntervalSurvival:
    """Estimate S(t) from intervals (left, right], exact, left-censored and right-censored times, all mixed.

    Parameters
    ----------
    outcome : intervals; weights are case counts
    by : groups known at time zero (guarded), a covariate, or None
    rng : with it, pointwise limits are percentiles of the bootstrap over patients, the lower of the least and the
        upper of the largest S(t) allowed; without it there are none
    n_bootstrap : number of samples

    Returns
    -------
    curves : masses within the innermost intervals: S(t) is not identified inside them

    Raises
    ------
    ImmortalTimeError : groups became known after time zero
    OutcomeError : no IntervalTime, no rows, a group without rows, weights that are no counts

    Notes
    -----
    Turnbull, J R Stat Soc B 1976;38:290; Gentleman & Geyer, Biometrika 1994;81:618. Not self-consistency, which stops
    early, but Newton steps on an active set; the gradient proves the maximum. The estimate converges with the cube
    root of n where every time is interval-censored, and the bootstrap is then not proven (Sen & Xu, Comput Stat Data
    Anal 2015;81:121): its limits are a description.

    Examples
    --------
    >>> frame = pd.DataFrame({"last_without": [0, 2, 2, 5], "first_with": [2, 5, 5, None]})
    >>> seen = IntervalTime.from_frame(frame, left="last_without", right="first_with")
    >>> estimate_interval_survival(seen).tidy()[["time_low", "time_high", "estimate"]].round(4).to_numpy().tolist()
    [[0.0, 2.0, 0.75], [2.0, 5.0, 0.25]]
    """
    require_interval_time(outcome)
    refuse_no_level(conf_level)
    _refuse_unusable(outcome)
    if rng is not None:
        refuse_no_draws("n_bootstrap", n_bootstrap, rng)
    frame = label_rows(outcome, by).assign(weight=outcome.weight)
    parts = frame[frame["weight"] > 0].groupby(GROUP, observed=True, sort=True)
    curves, replicates = [], []
    for level, rows in parts:
        left, right, weight = (rows[name].to_numpy(float) for name in ("left", "right", "weight"))
        curves.append(_estimate(str(level), left, right, weight))
        if rng is not None:
            drawn = (rng.multinomial(len(left), np.full(len(left), 1 / len(left))) for _ in range(n_bootstrap))
            counts = (np.asarray(weight * times, float) for times in drawn)
            kept = ((left[w > 0], right[w > 0], w[w > 0]) for w in counts)
            replicates.append(tuple(_estimate(str(level), *sample) for sample in kept))
    return IntervalSurvival(outcome, tuple(curves), tuple(replicates), name_groups(by), conf_level)


def _estimate(strata: str, left: Vector, right: Vector, weight: Vector) -> MassCurve:
    spans = find_intersections(left, right)
    steps = climb_steps(Problem(spans, weight, np.empty((len(left), 0)), np.zeros(len(left))))
    mass = -np.diff(np.exp(-steps.hazard(spans.m)))
    loglik, excess = certificate(spans, weight, mass)
    if not excess < PROVEN:
        raise OutcomeError(
            f"The estimate from {len(left)} intervals is not proven to be the best (gradient {excess:.1e} too large)",
            "An estimate is shown only where it is the optimum", "Report this data set's shape; round the times",
        )  # fmt: skip
    kept = mass > MASS
    return MassCurve(
        strata, float(weight.sum()), float(weight[np.isfinite(right)].sum()), spans.low[kept], spans.high[kept],
        mass[kept], loglik, excess,
    )  # fmt: skip


def _refuse_unusable(outcome: IntervalTime) -> None:
    if not len(outcome.frame) or not outcome.weight.sum():
        raise OutcomeError(
            f"{outcome.label!r} has no rows", "A curve needs someone who was looked at", "Check the exclusions"
        )
    broken = int(np.sum(outcome.weight != np.round(outcome.weight)))
    if broken:
        raise OutcomeError(
            f"{broken} of {len(outcome.frame)} weights are not whole numbers", "Weights of a curve are case counts",
            "Inverse-probability weights need an estimator with a robust variance",
        )  # fmt: skip
