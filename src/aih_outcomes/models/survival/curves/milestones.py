"""Survival at several days at once: each group's, differences and ratios between groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.curve import Curve, confidence_limits, read_steps
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK, KaplanMeier, estimate_survival, in_quarters
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.outcomes import Groups, TimeToEvent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["plain", "log-log"]

SURVIVAL, DIFFERENCE, RATIO = "survival", "survival_difference", "survival_ratio"


@dataclass(frozen=True, slots=True, eq=False)
class Milestones:
    """Survival at given times in each group, and contrasts with the first group.

    Attributes
    ----------
    curves : the survival curves behind it
    times : in the outcome's unit
    scale : of the intervals and tests: ``plain`` or ``log-log``
    table : ``strata, term, time, n_risk, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value,
        measure``; the standard error of a ratio is that of its logarithm
    not_estimable : which times lie beyond the last with 5 at risk in some group; None if none
    """

    curves: KaplanMeier
    times: tuple[float, ...]
    scale: Scale
    table: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per group × time and one per contrast × time; ``measure`` says which."""
        outcome = self.curves.outcome
        return order_columns(self.table.assign(label=outcome.label, design=name_design(outcome.design)))

    def glance(self) -> dict[str, Any]:
        """Return the times, the scale and the facts of the curves."""
        return self.curves.glance() | {"times": self.times, "scale": self.scale, "not_estimable": self.not_estimable}

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome = self.curves.outcome
        when = ", ".join(f"{time:g}" for time in self.times)
        parts = [
            f"{outcome.label}: Kaplan-Meier survival at {when} {outcome.time_unit} since {outcome.time_zero}; "
            f"intervals on the {self.scale} scale."
        ]
        if self.not_estimable:
            parts.append(f"Not estimable: {self.not_estimable}.")
        if self.curves.alive_at > 0:
            since = in_quarters(self.curves.alive_at, outcome.time_unit)
            parts.append(f"Conditional on being event-free at {since}.")
        return " ".join([*parts, caution(outcome.design)]).strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves behind the comparison for the analyst's screen."""
        return self.curves.plot(ax=ax)


def compare_milestones(
    outcome: TimeToEvent,
    *,
    by: Groups | str,
    times: Sequence[float],
    scale: Scale = "plain",
    conf_level: float = 0.95,
    cluster: str | None = None,
) -> Milestones:
    """Compare survival at several days at once: difference from and ratio to the first group.

    Parameters
    ----------
    outcome : spells (entry, exit]
    by : groups known at entry (guarded) or a covariate; the first level is the reference
    times : in the outcome's unit; a time beyond a group's last with 5 at risk is not estimable there
    scale : ``plain``: Wald intervals and tests of the difference, and of the logarithm of the ratio. ``log-log``: each
        group's interval on that scale, those of contrasts made from them, and the test of a difference of log(−log S)
    cluster : as in ``estimate_survival``

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no time asked for, or one that is no number; an unknown scale

    Notes
    -----
    The test on the log-log scale holds its level best in small groups (Klein et al., Stat Med 2007;26:4505). Intervals
    of contrasts from those of the groups: Zou & Donner, Stat Med 2008;27:1693. Groups count as independent.
    """
    refuse_unknown_choice("scale", scale, ("plain", "log-log"))
    broken = int(np.sum(~np.isfinite(np.asarray(times, float))))
    if broken or not len(times):
        raise OutcomeError(
            f"{broken} of {len(times)} times are no finite numbers" if broken else "No time is asked for",
            "A milestone is a time", "Write times=[365, 1826]",
        )  # fmt: skip
    curves = estimate_survival(outcome, by=by, conf_level=conf_level, conf_type=scale, cluster=cluster)
    z = float(norm.ppf((1 + conf_level) / 2))
    groups = [_read(curve, times, curves) for curve in curves.curves]
    rows = [_own(curve, group, place) for curve, group in zip(curves.curves, groups, strict=True)
            for place in range(len(times))]  # fmt: skip
    first = curves.curves[0].strata
    rows += [
        row
        for curve, group in list(zip(curves.curves, groups, strict=True))[1:]
        for place in range(len(times))
        for row in _contrasts((curve.strata, first), group.iloc[place], groups[0].iloc[place], scale, z)
    ]
    beyond = sorted({float(time) for group in groups for time in group["time"][~group["usable"]]})
    reason = None
    if beyond:
        days = ", ".join(f"{time:g}" for time in beyond)
        reason = (
            f"{days} {outcome.time_unit}: not after the curves begin and up to the last time with {LEAST_AT_RISK} at "
            "risk in each group"
        )
    return Milestones(curves, tuple(float(time) for time in times), scale, pd.DataFrame(rows), reason)


def _read(curve: Curve, times: Sequence[float], curves: KaplanMeier) -> pd.DataFrame:
    """Read a group at the times; NaN before the curve begins and beyond the last time with 5 at risk."""
    when = np.asarray(times, float)
    steps = read_steps(curve, when)
    low, high = confidence_limits(steps["estimate"], steps["log_variance"], curves.conf_level, curves.conf_type)
    untouched = steps["n_event"] == 0
    last = curve.time[curve.n_risk >= LEAST_AT_RISK].max(initial=-np.inf)
    usable = (when <= last) & (when > curves.alive_at)
    table = pd.DataFrame({
        "time": when, "n_risk": curve.at_risk(when), "n_event": steps["n_event"], "estimate": steps["estimate"],
        "std_error": steps["std_error"], "log_variance": steps["log_variance"],
        "conf_low": np.where(untouched, 1.0, low), "conf_high": np.where(untouched, 1.0, high), "usable": usable,
    })  # fmt: skip
    numbers = ["estimate", "std_error", "log_variance", "conf_low", "conf_high"]
    table.loc[~usable, numbers] = np.nan
    return table


def _own(curve: Curve, group: pd.DataFrame, place: int) -> dict[str, object]:
    row = group.iloc[place]
    shown = ("time", "n_risk", "n_event", "estimate", "std_error", "conf_low", "conf_high")
    return {"strata": curve.strata, "term": None, "statistic": np.nan, "p_value": np.nan, "measure": SURVIVAL} | {
        name: row[name] for name in shown
    }


def _contrasts(
    names: tuple[str, str], one: pd.Series, other: pd.Series, scale: Scale, z: float
) -> Iterator[dict[str, object]]:
    """Yield the difference and the ratio of survival between a group and the first one."""
    s, s0 = float(one["estimate"]), float(other["estimate"])
    limits = [float(row[name]) for row in (one, other) for name in ("conf_low", "conf_high")]
    both = bool(one["usable"]) and bool(other["usable"]) and s > 0 and s0 > 0
    se = float(np.hypot(one["std_error"], other["std_error"])) or float("nan")
    log_se = float(np.sqrt(one["log_variance"] + other["log_variance"])) or float("nan")
    log_ratio = float(np.log(s / s0)) if both else float("nan")
    statistics = ((s - s0) / se, log_ratio / log_se)
    bounds = [(s - s0 - z * se, s - s0 + z * se), (log_ratio - z * log_se, log_ratio + z * log_se)]
    if scale == "log-log":
        statistics = (_log_log_statistic(one, other),) * 2
        logs = [float(np.log(value)) if value > 0 else float("nan") for value in (s, s0, *limits)]
        bounds = [_square_and_add((s, s0), limits), _square_and_add((logs[0], logs[1]), logs[2:])]
    pairs = ((DIFFERENCE, " − ", s - s0, se), (RATIO, " / ", float(np.exp(log_ratio)), log_se))
    for (measure, sign, estimate, error), statistic, (low, high) in zip(pairs, statistics, bounds, strict=True):
        ends = (low, high) if measure == DIFFERENCE else (float(np.exp(low)), float(np.exp(high)))
        yield {
            "strata": None, "term": f"{names[0]}{sign}{names[1]}", "time": one["time"], "n_risk": pd.NA,
            "n_event": pd.NA, "estimate": estimate, "std_error": error, "conf_low": ends[0], "conf_high": ends[1],
            "statistic": statistic, "p_value": float(2 * norm.sf(abs(statistic))), "measure": measure,
        }  # fmt: skip


def _log_log_statistic(one: pd.Series, other: pd.Series) -> float:
    """Difference of log(−log S) over its standard error, signed as the difference of survival."""
    s, s0 = float(one["estimate"]), float(other["estimate"])
    if not (0 < s < 1 and 0 < s0 < 1):
        return float("nan")
    spread = one["log_variance"] / np.log(s) ** 2 + other["log_variance"] / np.log(s0) ** 2
    return float((np.log(-np.log(s0)) - np.log(-np.log(s))) / np.sqrt(spread))


def _square_and_add(values: tuple[float, float], limits: list[float]) -> tuple[float, float]:
    """Return the interval of a difference from those of its sides: the distances to the limits, squared and added."""
    (value, value0), (low, high, low0, high0) = values, limits
    return (
        value - value0 - float(np.hypot(value - low, high0 - value0)),
        value - value0 + float(np.hypot(high - value, value0 - low0)),
    )
