"""Groups compared by how often an event happens: a test of their mean cumulative functions, absolute differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK
from aih_outcomes.models.survival.curves.log_rank import p_in_words
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.models.survival.recurrent.kernel import estimate_steps, influence
from aih_outcomes.models.survival.recurrent.mean_cumulative import (
    IN_WORDS,
    MeanCumulative,
    estimate_mean_cumulative,
    limits_of,
)
from aih_outcomes.models.survival.recurrent.mean_curve import Estimand
from aih_outcomes.outcomes import Groups, RecurrentEvents, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MeanComparison:
    """A test of equal mean cumulative functions in k groups, and what they differ by at a horizon.

    Attributes
    ----------
    curves : the mean cumulative functions behind it
    score : (k,) weighted events above what is expected if the groups were alike; they sum to 0
    variance : (k, k) of the score, robust by patient
    horizon : in the outcome's unit; NaN where fewer than two groups ever have 5 at risk
    groups : ``strata, estimate, std_error, conf_low, conf_high``: mean number of events by the horizon
    contrasts : ``strata, term, measure, estimate, std_error, conf_low, conf_high, statistic, p_value`` against the
        first group; the standard error of a ratio is that of its logarithm
    """

    curves: MeanCumulative
    score: Vector
    variance: Matrix
    statistic: float
    df: int
    p_value: float
    horizon: float
    groups: pd.DataFrame
    contrasts: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per group, then one per contrast; ``measure`` says which.

        Returns
        -------
        frame : ``label, strata, term, time, n_event, estimate, std_error, conf_low, conf_high, statistic, df, p_value,
            measure, n, score, score_se, design``; ``time`` is the horizon. Each group's row carries the test of all
        """
        curves = self.curves.curves
        own = self.groups.assign(
            term=None, measure=self.curves.estimand, statistic=self.statistic, df=self.df, p_value=self.p_value,
            n=[curve.n_patients for curve in curves], n_event=[int(curve.n_event.sum()) for curve in curves],
            score=self.score, score_se=np.sqrt(np.diag(self.variance)),
        )  # fmt: skip
        counts = own.set_index("strata")[["n", "n_event"]]
        between = self.contrasts.join(counts, on="strata") if len(self.contrasts) else self.contrasts
        frame = pd.concat([own, between], ignore_index=True) if len(between) else own
        outcome = self.curves.outcome
        return order_columns(frame.assign(label=outcome.label, time=self.horizon, design=name_design(outcome.design)))

    def glance(self) -> dict[str, Any]:
        """Return the test, the horizon and the facts of the curves."""
        test = {"statistic": self.statistic, "df": self.df, "p_value": self.p_value, "horizon": self.horizon}
        return self.curves.glance() | test | {"not_estimable": self.not_estimable}

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome, name = self.curves.outcome, self.curves.by_name
        if self.not_estimable:
            return f"Comparison of {outcome.label} by {name} not estimable: {self.not_estimable}."
        kind = "Ghosh-Lin" if outcome.terminal and self.curves.estimand == "mean" else "Log-rank type"
        parts = [
            f"{outcome.label} by {name} ({name_design(outcome.design)}): {IN_WORDS[self.curves.estimand]}.",
            f"{kind} test, robust variance by patient: χ² = {self.statistic:.2f}, df = {self.df}, "
            f"{p_in_words(self.p_value)}.",
            "No horizon has enough at risk for a difference."
            if np.isnan(self.horizon)
            else f"Differences by {self.horizon:g} {outcome.time_unit} since {outcome.time_zero}, unadjusted.",
            caution(outcome.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely, as the curves behind it do.

        Raises
        ------
        OutcomeError
        """
        return self.curves.plot(ax=ax)


def compare_mean_cumulative(
    outcome: RecurrentEvents,
    *,
    by: Groups | str,
    estimand: Estimand = "mean",
    horizon: float | None = None,
    conf_level: float = 0.95,
) -> MeanComparison:
    """Test whether the mean number of events is the same in all groups, and estimate by how much it differs.

    The test weighs each increment of a difference by Y_1 Y_2 / (Y_1 + Y_2), as the log-rank test does; for several
    groups by what each contributes to the risk set. Variance from each patient's influence, within the groups.

    Parameters
    ----------
    outcome : spells under observation
    by : groups known at entry (guarded) or a covariate; the first level is the reference
    estimand : as in ``estimate_mean_cumulative``
    horizon : in the outcome's unit; None for the last time with 5 at risk in every group that ever has so many; a group
        with fewer at the horizon has no difference

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : see ``estimate_mean_cumulative``

    Notes
    -----
    Ghosh & Lin, Biometrics 2000;56:554, section 3; without terminal events the pseudo-score test of Lawless & Nadeau,
    Technometrics 1995;37:158.
    """
    end = None if horizon is None else read_number("horizon", horizon, "horizon=1826")
    curves = estimate_mean_cumulative(outcome, by=by, estimand=estimand, conf_level=conf_level)
    score, variance = _score(curves)
    reason, compared = _why_no_test(curves, variance), np.flatnonzero(np.diag(variance) > 0)[1:]
    statistic = float("nan")
    if reason is None:
        part = score[compared]
        statistic = float(part @ np.linalg.solve(variance[np.ix_(compared, compared)], part))
    limit, usable = _reach(curves, end)
    groups, contrasts = _at_horizon(curves, limit, usable)
    df = max(len(compared), 1)
    p_value = float(chi2.sf(statistic, df))
    return MeanComparison(curves, score, variance, statistic, df, p_value, limit, groups, contrasts, reason)


def _score(curves: MeanCumulative) -> tuple[Vector, Matrix]:
    """Return (k,) ∫ Y_j {dμ_j − Σ_l (Y_l / Y) dμ_l} and its variance (k, k)."""
    own = curves.curves
    time = np.unique(np.concatenate([curve.steps.time for curve in own]))
    steps = [estimate_steps(curve.rows, time) for curve in own]
    at_risk = np.column_stack([part.n_risk for part in steps])
    everyone = at_risk.sum(axis=1)
    share = np.divide(at_risk, everyone[:, None], out=np.zeros_like(at_risk), where=everyone[:, None] > 0)
    k, n = len(own), 1 + max(int(curve.rows.patient.max()) for curve in own)
    score, shares = np.zeros(k), np.zeros((n, k))
    for j in range(k):
        for i in range(k):
            factor = at_risk[:, j] * (float(i == j) - share[:, i])
            score[j] += float(factor @ steps[i].jump)
            shares[:, j] += influence(own[i].rows, steps[i], factor, n)
    return score, shares.T @ shares


def _why_no_test(curves: MeanCumulative, variance: Matrix) -> str | None:
    if len(curves.curves) < 2:
        return "only one group"
    if not sum(curve.n_event.sum() for curve in curves.curves):
        return "no events"
    return None if np.sum(np.diag(variance) > 0) > 1 else "no time at which two groups are at risk and an event falls"


def _reach(curves: MeanCumulative, horizon: float | None) -> tuple[float, list[bool]]:
    """Return how far the differences go, and which groups have enough at risk there."""
    last = [float(curve.steps.time[curve.n_risk >= LEAST_AT_RISK].max(initial=-np.inf)) for curve in curves.curves]
    ever = [time for time in last if np.isfinite(time)]
    if len(ever) < 2 or not np.isfinite(last[0]):
        return float("nan"), [False] * len(last)
    limit = min(ever) if horizon is None else horizon
    return limit, [time >= limit > curves.alive_at for time in last]


def _at_horizon(curves: MeanCumulative, limit: float, usable: list[bool]) -> tuple[pd.DataFrame, pd.DataFrame]:
    own, n = curves.curves, 1 + max(int(curve.rows.patient.max()) for curve in curves.curves)
    mean = np.full(len(own), np.nan)
    shares = np.full((n, len(own)), np.nan)
    for place, curve in enumerate(own):
        if usable[place]:
            reached = (curve.steps.time <= limit).astype(float)
            mean[place] = float(reached @ curve.steps.jump)
            shares[:, place] = influence(curve.rows, curve.steps, reached, n)
    spread = np.sqrt((shares**2).sum(axis=0))
    low, high = limits_of(mean, spread, curves.conf_level, curves.conf_type)
    groups = pd.DataFrame({
        "strata": [curve.strata for curve in own], "estimate": mean, "std_error": spread, "conf_low": low,
        "conf_high": high,
    })  # fmt: skip
    z = float(norm.ppf((1 + curves.conf_level) / 2))
    pairs = [(place, [0, place]) for place in range(1, len(own))]
    contrasts = [row for place, pair in pairs for row in _contrasts(curves, place, mean[pair], shares[:, pair], z)]
    return groups, pd.DataFrame(contrasts)


def _contrasts(curves: MeanCumulative, place: int, mean: Vector, shares: Matrix, z: float) -> list[dict[str, object]]:
    """Return difference and ratio of one group against the first; a patient in both enters both."""
    name, reference = curves.curves[place].strata, curves.curves[0].strata
    total = float(np.sqrt(np.sum((shares[:, 1] - shares[:, 0]) ** 2))) or float("nan")
    gap = float(mean[1] - mean[0])
    difference = {
        "strata": name, "term": f"{name} − {reference}", "measure": "mean_difference", "estimate": gap,
        "std_error": total, "conf_low": gap - z * total, "conf_high": gap + z * total, "statistic": gap / total,
        "p_value": float(2 * norm.sf(abs(gap / total))),
    }  # fmt: skip
    positive = np.where(mean > 0, mean, np.nan)
    log = float(np.log(positive[1] / positive[0]))
    spread = float(np.sqrt(np.sum((shares[:, 1] / positive[1] - shares[:, 0] / positive[0]) ** 2))) or float("nan")
    ratio = {
        "strata": name, "term": f"{name} / {reference}", "measure": "mean_ratio", "estimate": float(np.exp(log)),
        "std_error": spread, "conf_low": float(np.exp(log - z * spread)), "conf_high": float(np.exp(log + z * spread)),
        "statistic": log / spread, "p_value": float(2 * norm.sf(abs(log / spread))),
    }  # fmt: skip
    return [difference, ratio]
