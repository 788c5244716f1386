"""Differences of marginal means: between groups, from baseline, and between groups' changes, with multiplicity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtr

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.longitudinal.fixed_effects import VISIT
from aih_outcomes.models.longitudinal.marginal_means import (
    Limits,
    MarginalMeans,
    Matrix,
    attributes,
    covariance_of,
    pointwise,
    read_contrasts,
    refuse_not_among,
    simultaneous,
)
from aih_outcomes.models.longitudinal.multiplicity import adjust_holm, make_family
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["difference", "change from baseline", "difference of changes"]
Adjustment = Literal["none", "holm", "simulation"]
KINDS = ("difference", "change from baseline", "difference of changes")
ADJUSTMENTS = ("none", "holm", "simulation")


@dataclass(frozen=True, slots=True, eq=False)
class MarginalContrasts:
    """m differences of marginal means, on the scale of the model.

    Attributes
    ----------
    means : what was compared
    kind, reference, baseline, adjust : as asked; None where they do not matter
    cells : (m, …) ``strata`` (the comparison or group), ``term, time, n``, ``contrast`` in words
    L : (m, p_all)
    estimate, std_error, df, p_value : (m,); NaN where not estimable; ``p_error`` Monte-Carlo error of ``p_value``
    joint : F, its two degrees of freedom and p for all contrasts being 0
    """

    means: MarginalMeans
    kind: Kind
    reference: str | None
    baseline: str | None
    adjust: Adjustment
    cells: pd.DataFrame
    L: Matrix
    estimate: Vector
    std_error: Vector
    df: Vector
    p_value: Vector
    p_error: Vector
    limits: Limits
    joint: tuple[float, float, float, float]
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per contrast.

        Returns
        -------
        frame : ``label, strata`` (groups compared, or group), ``term`` (visit), ``time, estimate, std_error, conf_low,
            conf_high, statistic, df, p_value`` (adjusted where asked), ``contrast, n`` (patients of the groups
            compared); on the log scale also ``ratio, ratio_low, ratio_high``; with simulation ``p_error``
        """
        low, high = (self.estimate + sign * self.limits.critical * self.std_error for sign in (-1, 1))
        frame = self.cells.assign(
            label=self.means.fit.measures.label, estimate=self.estimate, std_error=self.std_error, conf_low=low,
            conf_high=high, statistic=self.estimate / self.std_error, df=self.df, p_value=self.p_value,
        )  # fmt: skip
        if self.means.fit.scale == "log":
            frame = frame.assign(ratio=np.exp(self.estimate), ratio_low=np.exp(low), ratio_high=np.exp(high))
        if self.adjust == "simulation":
            frame = frame.assign(p_error=self.p_error)
        frame = order_columns(frame)
        frame.attrs.update(attributes(self.means.fit, self.means.grid))
        return frame

    def glance(self) -> dict[str, Any]:
        """Facts about all contrasts, and their joint test."""
        F, num_df, den_df, p_value = self.joint
        fit = self.means.fit
        return {
            "n_patients": int(fit.frame["patient_id"].nunique()), "n_contrasts": len(self.estimate),
            "n_not_estimable": int(np.isnan(self.estimate).sum()), "by": fit.by_name, "kind": self.kind,
            "reference": self.reference, "baseline": self.baseline, "adjust": self.adjust, "scale": fit.scale,
            "design": fit.measures.design, "statistic": F, "num_df": num_df, "den_df": den_df, "p_value": p_value,
            "monte_carlo_error": self.limits.error, "not_estimable": fit.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        fit, m = self.means.fit, self.means.fit.measures
        what = {"difference": "Differences between groups", "change from baseline": "Changes from baseline",
                "difference of changes": "Differences between groups in their changes from baseline"}  # fmt: skip
        ratios = " (as ratios of geometric means)" if fit.scale == "log" else ""
        lost = int(np.isnan(self.estimate).sum())
        inference = fit.inference
        error = float(np.nanmax(self.p_error)) if self.adjust == "simulation" and lost < len(self.p_error) else 0.0
        adjusted = {
            "none": "P-values are not adjusted for their number.", "holm": "P-values by Holm.",
            "simulation": "P-values for the largest of them (multivariate t"
            + (f", Monte-Carlo error at most {error:.2g})." if error else ", exact)."),
        }  # fmt: skip
        parts = [
            f"{what[self.kind]}{ratios} in {m.label} from the mixed model, time since {m.time_zero}; "
            f"{self.limits.describe(self.conf_level)}.",
            f"Reference: {self.reference}." if self.reference else "",
            f"Baseline: {self.baseline}." if self.baseline else "",
            "" if inference is None else f"{inference.convention[:1].upper()}{inference.convention[1:]}.",
            adjusted[self.adjust],
            f"{lost} of {len(self.estimate)} contrasts are not estimable: no data at these combinations."
            if lost and not fit.not_estimable
            else "",
            caution(m.design),
            f"Not estimable: {fit.not_estimable}." if fit.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the contrasts over time for the analyst's screen."""
        from aih_outcomes.figures.marginal_means import draw_marginal_means

        return draw_marginal_means(self.tidy(), ax=ax)


def compare_marginal_means(
    means: MarginalMeans,
    *,
    reference: str | None = None,
    kind: Kind = "difference",
    baseline: str | float | None = None,
    adjust: Adjustment = "none",
    rng: np.random.Generator | None = None,
    conf_level: float | None = None,
) -> MarginalContrasts:
    """Compare marginal means.

    Parameters
    ----------
    means : from ``estimate_marginal_means``, by group and (for changes) by time
    reference : group that the others are compared with; default the first
    kind : groups at each time; each group's change since the baseline; or the groups' differences in that change
    baseline : visit or time that changes count from; default the first of the means
    adjust : p-values and limits for the number of contrasts: Holm's (limits Bonferroni's), or by the simulated
        distribution of the largest |t|, whose limits hold together
    rng : for the simulation in more than two dimensions
    conf_level : default the means'

    Raises
    ------
    OutcomeError : fewer than two groups or times; a reference or baseline that the means do not have; no generator

    Notes
    -----
    On the log scale contrasts are of logarithms; their limits turn back into limits of ratios. Holm, Scand J Stat
    1979;6:65; Hothorn, Bretz & Westfall, Biom J 2008;50:346.

    Examples
    --------
    >>> from aih_outcomes.models.longitudinal.marginal_means import estimate_marginal_means
    >>> from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
    >>> from aih_outcomes.outcomes import RepeatedMeasures
    >>> values = [5, 7, 9, 6, 6, 8, 4, 8, 9, 5, 5, 7, 6, 7, 10]
    >>> frame = pd.DataFrame({"id": [i for i in range(5) for _ in range(3)], "v": [1, 2, 3] * 5, "y": values})
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    >>> means = estimate_marginal_means(fit_repeated_measures(measures, covariance="compound symmetry"))
    >>> compare_marginal_means(means, kind="change from baseline").estimate.round(3).tolist()
    [1.4, 3.4]
    """
    level = means.conf_level if conf_level is None else conf_level
    refuse_no_level(level)
    refuse_not_among("kind", kind, KINDS)
    refuse_not_among("adjust", adjust, ADJUSTMENTS)
    cells, L = means.grid.cells, means.grid.L
    first = _baseline(means, baseline) if kind != "difference" else None
    if first is not None:
        cells, L = _changes(means, cells, L, first)
    against = _reference(means, reference) if kind != "change from baseline" else None
    if against is not None:
        cells, L = _against(means, cells, L, against)
    estimate, std_error, df = read_contrasts(means.fit, L)
    raw = _two_sided(estimate / std_error, df)
    p_value, p_error, limits = _adjusted(means, L, estimate / std_error, df, raw, adjust, level, rng)
    return MarginalContrasts(means, kind, against, first, adjust, cells, L, estimate, std_error, df, p_value, p_error,
                             limits, _joint(means, L, estimate), level)  # fmt: skip


def _moment(means: MarginalMeans) -> pd.Series:
    """Name each cell's visit, or its time as written."""
    if means.grid.course == VISIT:
        return means.grid.cells["term"].astype(str)
    return means.grid.cells["time"].map(lambda time: f"{time:.10g}")


def _baseline(means: MarginalMeans, baseline: str | float | None) -> str:
    if means.grid.course is None:
        raise OutcomeError("These means stand at no time", "A change is between two times",
                           "Show the course: over=['group', 'visit'], or fit with one")  # fmt: skip
    moments = list(dict.fromkeys(_moment(means)))
    found = moments[0] if baseline is None else baseline if isinstance(baseline, str) else f"{baseline:.10g}"
    if found not in moments or len(moments) < 2:
        raise OutcomeError(
            f"baseline={baseline!r}, and the means stand at {', '.join(moments)}",
            "A change is between two times at which means were read", "Name the baseline among them in at=",
        )  # fmt: skip
    return found


def _changes(means: MarginalMeans, cells: pd.DataFrame, L: Matrix, baseline: str) -> tuple[pd.DataFrame, Matrix]:
    """Take each cell's baseline off; the baseline's own rows go."""
    moment = _moment(means)
    beside = [name for name in cells if name not in ("term", "time", "n", "strata")]
    key = pd.MultiIndex.from_frame(cells[["strata", *beside]])
    start = np.flatnonzero(moment == baseline)
    rest = np.flatnonzero(moment != baseline)
    own = start[key[start].get_indexer(key[rest])]
    kept = cells.iloc[rest].assign(contrast=[f"change from {baseline}"] * len(rest))
    return kept.reset_index(drop=True), L[rest] - L[own]


def _reference(means: MarginalMeans, reference: str | None) -> str:
    groups = list(dict.fromkeys(means.grid.cells["strata"]))
    found = groups[0] if reference is None else str(reference)
    if len(groups) < 2:
        raise OutcomeError(
            f"All patients of this model stand in one group ({groups[0]})", "A difference is between two groups",
            "Leave this comparison out, or make other groups: another landmark, other response criteria",
        )  # fmt: skip
    if found not in groups or GROUP not in means.fit.design.columns:
        raise OutcomeError(
            f"reference={reference!r}, and the means have the group(s) {', '.join(map(str, groups))}",
            "A difference is between two groups", "Fit with by=..., show 'group' in over=, and name one of its levels",
        )  # fmt: skip
    return found


def _against(means: MarginalMeans, cells: pd.DataFrame, L: Matrix, reference: str) -> tuple[pd.DataFrame, Matrix]:
    """Take the reference group off the others, cell by cell."""
    sign = "/" if means.fit.scale == "log" else "−"
    match = cells.drop(columns=["strata", "n", "contrast"], errors="ignore").fillna({"time": 0.0})
    key = pd.MultiIndex.from_frame(match)
    own = np.flatnonzero(cells["strata"] == reference)
    rest = np.flatnonzero(cells["strata"] != reference)
    base = own[key[own].get_indexer(key[rest])]
    names = [f"{group} {sign} {reference}" for group in cells["strata"].iloc[rest]]
    words = cells["contrast"].iloc[rest] if "contrast" in cells else pd.Series([""] * len(rest))
    total = cells["n"].to_numpy()[rest] + cells["n"].to_numpy()[base]
    contrast = [f"{name}, {word}" if word else name for name, word in zip(names, words, strict=True)]
    kept = cells.iloc[rest].assign(strata=names, n=total, contrast=contrast).reset_index(drop=True)
    return kept, L[rest] - L[base]


def _two_sided(statistic: Vector, df: Vector) -> Vector:
    finite = np.where(np.isfinite(df), df, 1.0)
    tail = np.where(np.isinf(df), ndtr(-np.abs(statistic)), stdtr(finite, -np.abs(statistic)))
    return np.where(np.isnan(df), np.nan, 2 * tail)


def _adjusted(means: MarginalMeans, L: Matrix, statistic: Vector, df: Vector, raw: Vector,
              adjust: Adjustment, level: float, rng: np.random.Generator | None,
              ) -> tuple[Vector, Vector, Limits]:  # fmt: skip
    known = np.flatnonzero(~np.isnan(raw))
    error = np.where(np.isnan(raw), np.nan, 0.0)
    if adjust == "none" or not len(known):
        return raw, error, Limits(pointwise(level, df))
    if adjust == "holm":
        return adjust_holm(raw), error, Limits(pointwise(level, df, among=len(known)), len(known), rule="Bonferroni")
    family = make_family(covariance_of(means.fit, L[known]), rng)
    p_value = raw.copy()
    for place in known:
        p_value[place], error[place] = family.p_value(float(statistic[place]), float(df[place]))
    # A single-step p-value is never below the one of its own contrast.
    return np.fmax(p_value, raw), error, simultaneous(family, df, level)


def _joint(means: MarginalMeans, L: Matrix, estimate: Vector) -> tuple[float, float, float, float]:
    known = np.isfinite(estimate)
    inference = means.fit.inference
    if inference is None or not known.any():
        return float("nan"), 0.0, float("nan"), float("nan")
    return inference.joint(np.ascontiguousarray(L[known][:, means.fit.kept]))
