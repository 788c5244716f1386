"""Means of a mixed model by group and time, other factors averaged over (least-squares means), as points or curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.fixed_effects import VISIT, YEARS
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.longitudinal.multiplicity import Family, make_family
from aih_outcomes.models.longitudinal.reference_grid import Grid, Weights, build_grid, find_estimable
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]
Confidence = Literal["pointwise", "simultaneous"]


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """How far limits lie from m estimates.

    Attributes
    ----------
    critical : (m,) multiples of the standard error
    together : estimates whose limits hold together; 1 where each holds by itself
    error : largest Monte-Carlo error of ``critical``; 0 where it is exact
    n_draws : draws behind it
    rule : why they hold together, in words
    """

    critical: Vector
    together: int = 1
    error: float = 0.0
    n_draws: int = 0
    rule: str = "multivariate t"

    def describe(self, conf_level: float) -> str:
        """Words for a caption."""
        level = f"{100 * conf_level:g} %"
        if self.together < 2:
            return f"{level} limits, each for itself"
        draws = f", {self.n_draws} simulated draws, Monte-Carlo error of the multiplier at most {self.error:.2g}"
        rule = self.rule + (draws if self.n_draws else "")
        return f"simultaneous {level} limits: all {self.together} hold together ({rule})"


@dataclass(frozen=True, slots=True, eq=False)
class MarginalMeans:
    """m means of a mixed model.

    Attributes
    ----------
    fit : the model read
    grid : cells (m, …) and the combinations of terms (m, p_all) behind them
    estimate, std_error, df : (m,); NaN where the data do not determine a cell
    """

    fit: MixedModel
    grid: Grid
    estimate: Vector
    std_error: Vector
    df: Vector
    limits: Limits
    weights: Weights
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per cell.

        Returns
        -------
        frame : ``label, strata`` (group), ``term`` (visit and other factors), ``time`` (of a visit the median, else in
            the unit of the course), ``estimate, std_error, conf_low, conf_high, df, n``; on the log scale also
            ``geometric_mean, geometric_low, geometric_high``. ``n``: patients with a value at the visit, or whose
            values reach from before the time to after it
        """
        low, high = (self.estimate + sign * self.limits.critical * self.std_error for sign in (-1, 1))
        frame = self.grid.cells.assign(
            label=self.fit.measures.label, estimate=self.estimate, std_error=self.std_error, conf_low=low,
            conf_high=high, df=self.df,
        )  # fmt: skip
        if self.fit.scale == "log":
            frame = frame.assign(geometric_mean=np.exp(self.estimate), geometric_low=np.exp(low),
                                 geometric_high=np.exp(high))  # fmt: skip
        frame = order_columns(frame)
        frame.attrs.update(attributes(self.fit, self.grid))
        return frame

    def glance(self) -> dict[str, Any]:
        """Facts about all means."""
        return {
            "n_patients": int(self.fit.frame["patient_id"].nunique()), "n_means": len(self.estimate),
            "n_not_estimable": int(np.isnan(self.estimate).sum()), "by": self.fit.by_name, "scale": self.fit.scale,
            "design": self.fit.measures.design, "weights": self.weights, "averaged": ", ".join(self.grid.averaged),
            "at_mean": ", ".join(self.grid.at_mean), "together": self.limits.together,
            "monte_carlo_error": self.limits.error, "not_estimable": self.fit.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        m = self.fit.measures
        how = "equally" if self.weights == "equal" else "as often as they occur"
        lost = int(np.isnan(self.estimate).sum())
        inference = self.fit.inference
        parts = [
            f"{'Geometric means' if self.fit.scale == 'log' else 'Means'} of {m.label} from the mixed model, "
            f"time since {m.time_zero}; {self.limits.describe(self.conf_level)}.",
            f"Averaged {how} over {', '.join(self.grid.averaged)}." if self.grid.averaged else "",
            f"At the mean of {', '.join(self.grid.at_mean)}." if self.grid.at_mean else "",
            f"Groups: {self.fit.by_name}." if self.fit.by_name else "",
            "" if inference is None else f"{inference.convention[:1].upper()}{inference.convention[1:]}.",
            f"{lost} of {len(self.estimate)} means are not estimable: no data at these combinations."
            if lost and not self.fit.not_estimable
            else "",
            caution(m.design),
            f"Not estimable: {self.fit.not_estimable}." if self.fit.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the means for the analyst's screen."""
        from aih_outcomes.figures.marginal_means import draw_marginal_means

        return draw_marginal_means(self.tidy(), ax=ax)


def estimate_marginal_means(
    fit: MixedModel,
    *,
    at: Sequence[object] | None = None,
    over: Sequence[str] | None = None,
    weights: Weights = "equal",
    confidence: Confidence = "pointwise",
    rng: np.random.Generator | None = None,
    conf_level: float | None = None,
) -> MarginalMeans:
    """Read the mean by group and time off a mixed model.

    Parameters
    ----------
    fit : from ``fit_repeated_measures`` or ``fit_random_effects``
    at : visits by name, or times in the unit of the course (years for ``course="years"``); default all visits, or the
        times that occur where they are few
    over : factors shown: ``group``, ``visit``, ``time``, ``years``, or a covariate with categories; default the groups
        and the course
    weights : levels of the other factors count equally, or as often as their combinations occur among the values used
    confidence : ``simultaneous``: the limits of all means hold together (a band where ``at`` is dense)
    rng : for simultaneous limits in more than two dimensions
    conf_level : default the fit's

    Returns
    -------
    means : NaN where a cell needs what the data do not hold

    Raises
    ------
    OutcomeError : factors, visits or times that the fit does not have; no generator where one is needed

    Notes
    -----
    Searle, Speed & Milliken, Am Stat 1980;34:216; as R's emmeans: numbers at their mean over the values used, those
    with two values as categories. On the log scale limits are computed on logarithms and then turned back.

    Examples
    --------
    >>> from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
    >>> from aih_outcomes.outcomes import RepeatedMeasures
    >>> values = [5, 7, 9, 6, 6, 8, 4, 8, 9, 5, 5, 7, 6, 7, 10]
    >>> frame = pd.DataFrame({"id": [i for i in range(5) for _ in range(3)], "v": [1, 2, 3] * 5, "y": values})
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    >>> means = estimate_marginal_means(fit_repeated_measures(measures, covariance="compound symmetry"))
    >>> means.estimate.round(3).tolist()
    [5.2, 6.6, 8.6]
    """
    level = fit.conf_level if conf_level is None else conf_level
    refuse_no_level(level)
    refuse_not_among("weights", weights, ("equal", "proportional"))
    refuse_not_among("confidence", confidence, ("pointwise", "simultaneous"))
    grid = build_grid(fit, at=at, over=over, weights=weights)
    estimate, std_error, df = read_contrasts(fit, grid.L)
    limits = Limits(pointwise(level, df))
    if confidence == "simultaneous" and np.isfinite(std_error).any():
        known = np.isfinite(std_error)
        limits = simultaneous(make_family(covariance_of(fit, grid.L[known]), rng), df, level)
    return MarginalMeans(fit, grid, estimate, std_error, df, limits, weights, level)


def refuse_not_among(name: str, value: object, known: Sequence[str]) -> None:
    """Refuse a choice that is none.

    Raises
    ------
    OutcomeError
    """
    if value not in known:
        raise OutcomeError(
            f"{name}={value!r} is unknown", f"Known are {', '.join(known)}", f"Write {name}={known[0]!r}, or another"
        )


def read_contrasts(fit: MixedModel, L: Matrix) -> tuple[Vector, Vector, Vector]:
    """Estimate, standard error and degrees of freedom of m combinations (m, p_all); NaN where not estimable."""
    nothing = np.full(len(L), np.nan)
    if fit.inference is None or not len(L):
        return nothing, nothing, nothing
    estimate, std_error, df = fit.inference.contrast(np.ascontiguousarray(L[:, fit.kept]))
    known = find_estimable(fit, L) & (std_error > 0)
    return np.where(known, estimate, np.nan), np.where(known, std_error, np.nan), np.where(known, df, np.nan)


def pointwise(conf_level: float, df: Vector, *, among: int = 1) -> Vector:
    """(m,) quantiles of t; ``among`` several by Bonferroni's inequality."""
    tail = 1 - (1 - conf_level) / (2 * among)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.where(np.isinf(df), ndtri(tail), np.where(np.isnan(df), np.nan, stdtrit(finite, tail)))


def simultaneous(family: Family, df: Vector, conf_level: float) -> Limits:
    """Multipliers with which the limits of a family hold together; NaN where the degrees of freedom are."""
    of = {float(own): family.critical(conf_level, float(own)) for own in np.unique(df[~np.isnan(df)])}
    critical = np.array([of[float(own)][0] if float(own) in of else np.nan for own in df])
    error = max((error for _, error in of.values()), default=0.0)
    return Limits(critical, int(np.sum(~np.isnan(df))), error, family.n_draws)


def covariance_of(fit: MixedModel, L: Matrix) -> Matrix:
    """(m, m) covariance of estimable combinations."""
    assert fit.inference is not None
    own = L[:, fit.kept]
    return np.asarray(own @ fit.inference.vcov @ own.T)


def attributes(fit: MixedModel, grid: Grid) -> dict[str, Any]:
    """Return what a figure needs beside the numbers."""
    unit = YEARS if grid.course == YEARS else fit.measures.time_unit
    return {"time_unit": unit, "time_zero": fit.measures.time_zero, "unit": fit.measures.unit,
            "at_visits": grid.course == VISIT, "scale": fit.scale}  # fmt: skip
