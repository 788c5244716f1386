"""Absolute differences at a fixed horizon: restricted mean survival, and survival itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.curve import Curve, read_steps
from aih_outcomes.models.survival.curves.jackknife import restricted_mean_variance
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK, KaplanMeier, estimate_survival, in_quarters
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.outcomes import Groups, TimeToEvent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["restricted_mean", "risk"]

TITLES: dict[str, str] = {"restricted_mean": "Restricted mean event-free time", "risk": "Risk of the event"}


@dataclass(frozen=True, slots=True, eq=False)
class HorizonComparison:
    """Each group's value at a horizon, and contrasts with the first group.

    Attributes
    ----------
    curves : the survival curves behind it
    kind : ``restricted_mean`` or ``risk``
    horizon : in the outcome's unit; NaN where no horizon has 5 at risk in every group
    groups : ``strata, n_event, estimate, std_error, conf_low, conf_high``
    contrasts : ``term, measure, estimate, std_error, conf_low, conf_high, statistic, p_value``; the standard error of
        a ratio is that of its logarithm
    """

    curves: KaplanMeier
    kind: Kind
    horizon: float
    groups: pd.DataFrame
    contrasts: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per group and one per contrast; ``measure`` says which.

        Returns
        -------
        frame : ``label, strata, term, time, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value,
            measure, design``; ``time`` is the horizon
        """
        own = self.groups.assign(measure=self.kind, term=None, statistic=np.nan, p_value=np.nan)
        between = self.contrasts.assign(strata=None, n_event=pd.array([pd.NA] * len(self.contrasts), dtype="Int64"))
        frame = pd.concat([own, between], ignore_index=True) if len(between) else own
        outcome = self.curves.outcome
        return order_columns(frame.assign(label=outcome.label, time=self.horizon, design=name_design(outcome.design)))

    def glance(self) -> dict[str, Any]:
        """Return the horizon and the facts of the curves."""
        return self.curves.glance() | {"kind": self.kind, "horizon": self.horizon, "not_estimable": self.not_estimable}

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome = self.curves.outcome
        if self.not_estimable:
            return f"{TITLES[self.kind]} ({outcome.label}) not estimable: {self.not_estimable}."
        text = (
            f"{TITLES[self.kind]} to {self.horizon:g} {outcome.time_unit} since {outcome.time_zero} ({outcome.label})."
        )
        if self.curves.alive_at > 0:
            text += f" Conditional on being event-free at {in_quarters(self.curves.alive_at, outcome.time_unit)}."
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves behind the comparison for the analyst's screen."""
        return self.curves.plot(ax=ax)


def compare_restricted_means(
    outcome: TimeToEvent, *, by: Groups | str, horizon: float | None = None, conf_level: float = 0.95
) -> HorizonComparison:
    """Compare the mean event-free time up to a horizon: difference, ratio, ratio of time lost.

    Parameters
    ----------
    outcome : spells (entry, exit]
    by : groups known at entry (guarded) or a covariate; the first level is the reference
    horizon : in the outcome's unit; None for the last time with 5 at risk in every group that ever has so many; a group
        with fewer at the horizon is not estimable

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : as ``estimate_survival``; a horizon that is no finite number

    Notes
    -----
    Royston & Parmar, BMC Med Res Methodol 2013;13:152; Uno et al., J Clin Oncol 2014;32:2380. The standard error is
    Greenwood's (R ``survfit``, ``survRM2``); with weights that are fractions, the infinitesimal jackknife's. Under late
    entry with few at risk early the mean runs from the time stated in ``glance()['alive_at']``.
    """
    reach = _reach(outcome, by, horizon, conf_level)
    curves, limit = reach.curves, reach.horizon
    values = [
        restricted_mean(curve, limit) if usable else (np.nan, np.nan)
        for curve, usable in zip(curves.curves, reach.usable, strict=True)
    ]
    z = norm.ppf((1 + conf_level) / 2)
    contrasts = []
    for (mean, se), curve in list(zip(values, curves.curves, strict=True))[1:]:
        pair = f"{curve.strata} − {curves.curves[0].strata}", f"{curve.strata} / {curves.curves[0].strata}"
        (mean0, se0), length = values[0], limit - curves.alive_at
        contrasts += [
            _difference(pair[0], "restricted_mean_difference", mean - mean0, se, se0, z),
            _ratio(pair[1], "restricted_mean_ratio", (mean, se), (mean0, se0), z),
            _ratio(pair[1], "time_lost_ratio", (length - mean, se), (length - mean0, se0), z),
        ]
    return _assemble(reach, "restricted_mean", values, contrasts, z)


def compare_survival_at(
    outcome: TimeToEvent, *, by: Groups | str, horizon: float | None = None, conf_level: float = 0.95
) -> HorizonComparison:
    """Compare the risk of the event by a horizon: one minus survival, and differences of it.

    Parameters, errors and the rule for the horizon as in ``compare_restricted_means``. The variance is that of the
    curves; the interval of a difference is on its own scale. Several days at once: ``compare_milestones``.
    """
    reach = _reach(outcome, by, horizon, conf_level)
    curves = reach.curves
    values = []
    for curve, usable in zip(curves.curves, reach.usable, strict=True):
        steps = read_steps(curve, np.array([reach.horizon]))
        values.append((1 - float(steps["estimate"][0]), float(steps["std_error"][0])) if usable else (np.nan, np.nan))
    z = norm.ppf((1 + conf_level) / 2)
    contrasts = [
        _difference(
            f"{curve.strata} − {curves.curves[0].strata}", "risk_difference", risk - values[0][0], se, values[0][1], z
        )
        for (risk, se), curve in list(zip(values, curves.curves, strict=True))[1:]
    ]
    return _assemble(reach, "risk", values, contrasts, z)


def restricted_mean(curve: Curve, horizon: float) -> tuple[float, float]:
    """Return the area under S(t) from the curve's start to ``horizon``, and its standard error.

    Greenwood's, or the infinitesimal jackknife's where the curve's own is.
    """
    inside = curve.time < horizon
    edges = np.concatenate([[curve.start], curve.time[inside], [horizon]])
    areas = np.diff(edges) * np.concatenate([[1.0], curve.estimate[inside]])
    left = areas.sum() - np.cumsum(areas)[:-1]  # area still to come after each time
    n, d = curve.weight_at_risk[inside], curve.weight_event[inside]
    if curve.spells is not None:
        to_come = np.concatenate([left, np.zeros(len(curve.time) - len(left))])
        variance = restricted_mean_variance(curve.spells, curve.weight_at_risk, curve.weight_event, to_come)
        return float(areas.sum()), float(np.sqrt(variance))
    jump = np.divide(d, n * (n - d), out=np.zeros_like(d), where=n > d)
    return float(areas.sum()), float(np.sqrt(np.sum(left**2 * jump)))


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a comparison can go: the horizon, which groups reach it, and why nothing can be said, if so."""

    curves: KaplanMeier
    horizon: float
    usable: tuple[bool, ...]
    reason: str | None


def _reach(outcome: TimeToEvent, by: Groups | str, horizon: float | None, conf_level: float) -> _Reach:
    """Find how far to go: a group counts where it has 5 at risk at the horizon, and the reference must."""
    curves = estimate_survival(outcome, by=by, conf_level=conf_level)
    last = [float(curve.time[curve.n_risk >= LEAST_AT_RISK].max(initial=-np.inf)) for curve in curves.curves]
    ever = [time for time in last if np.isfinite(time)]
    none = (False,) * len(last)
    if not np.isfinite(last[0]) or len(ever) < min(2, len(last)):
        return _Reach(curves, float("nan"), none, f"a group never has {LEAST_AT_RISK} at risk")
    limit = min(ever) if horizon is None else read_number("horizon", horizon, "horizon=1826")
    if limit <= curves.alive_at:
        return _Reach(curves, limit, none, "the horizon lies before the day from which the curves can be told")
    usable = tuple(time >= limit for time in last)
    if not usable[0] or sum(usable) < min(2, len(last)):
        why = f"the horizon lies beyond the last time with {LEAST_AT_RISK} at risk in two groups"
        return _Reach(curves, limit, none, why)
    return _Reach(curves, limit, usable, None)


def _difference(term: str, measure: str, estimate: float, se: float, se0: float, z: float) -> dict[str, object]:
    total = float(np.hypot(se, se0)) or float("nan")  # without an event in either group there is no interval
    statistic = _over(estimate, total)
    return {
        "term": term, "measure": measure, "estimate": estimate, "std_error": total, "conf_low": estimate - z * total,
        "conf_high": estimate + z * total, "statistic": statistic, "p_value": float(2 * norm.sf(abs(statistic))),
    }  # fmt: skip


def _ratio(
    term: str, measure: str, top: tuple[float, float], bottom: tuple[float, float], z: float
) -> dict[str, object]:
    """Ratio with its interval on the log scale (delta method); NaN where a side is 0."""
    (value, se), (value0, se0) = top, bottom
    usable = value > 0 and value0 > 0
    log = float(np.log(value / value0)) if usable else float("nan")
    total = float(np.hypot(se / value, se0 / value0)) if usable else float("nan")
    statistic = _over(log, total)
    return {
        "term": term, "measure": measure, "estimate": float(np.exp(log)), "std_error": total,
        "conf_low": float(np.exp(log - z * total)), "conf_high": float(np.exp(log + z * total)), "statistic": statistic,
        "p_value": float(2 * norm.sf(abs(statistic))),
    }  # fmt: skip


def _over(estimate: float, std_error: float) -> float:
    return estimate / std_error if std_error > 0 else float("nan")


def _assemble(
    reach: _Reach,
    kind: Kind,
    values: list[tuple[float, float]],
    contrasts: list[dict[str, object]],
    z: float,
) -> HorizonComparison:
    curves, horizon = reach.curves, reach.horizon
    groups = pd.DataFrame(
        {
            "strata": [curve.strata for curve in curves.curves],
            "n_event": [
                pd.NA if np.isnan(horizon) else int(curve.n_event[curve.time <= horizon].sum())
                for curve in curves.curves
            ],
            "estimate": [value for value, _ in values],
            "std_error": [se for _, se in values],
        }
    )
    groups["conf_low"] = groups["estimate"] - z * groups["std_error"]
    groups["conf_high"] = groups["estimate"] + z * groups["std_error"]
    if kind == "risk" and reach.reason is None:  # the limits that the curves themselves show
        limits = curves.at([horizon])
        usable = np.array(reach.usable)
        groups["conf_low"] = (1 - limits["conf_high"]).where(usable)
        groups["conf_high"] = (1 - limits["conf_low"]).where(usable)
    return HorizonComparison(curves, kind, horizon, groups, pd.DataFrame(contrasts), reach.reason)
