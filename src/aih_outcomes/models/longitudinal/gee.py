"""Estimating equations: the mean course of everyone together, as a row of robustness beside the mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, t

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.longitudinal.estimating_equations import Correlation, Family, Solution, solve_equations
from aih_outcomes.models.longitudinal.fixed_effects import (
    YEARS,
    FixedEffects,
    Missing,
    Scale,
    build_fixed_effects,
)
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.longitudinal.random_effects import read_row_weights
from aih_outcomes.models.longitudinal.too_little import too_few
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]
Variance = Literal["model", "CR0", "CR3"]

FEW_PATIENTS = 40  # below it the plain sandwich is too small (Mancl & DeRouen, Biometrics 2001;57:126)
MCAR = "needs values missing completely at random (MCAR), or weights that make them so"
VARIANCES = {
    "model": "variance as if the working correlation were right",
    "CR0": "sandwich variance by patient, normal limits",
    "CR3": "bias-reduced sandwich variance by patient (Mancl-DeRouen), t limits",
}


@dataclass(frozen=True, slots=True, eq=False)
class GeeFit:
    """A marginal model of repeated values; p_all terms.

    Attributes
    ----------
    fixed : rows and terms
    family, correlation : ``gaussian`` or ``binomial`` (logit); the working correlation of one patient's values
    scale, weights, conf_level : as asked; ``vcov_method`` : the variance taken
    estimate : (p_all,), ``vcov`` (p_all, p_all); NaN where not estimable
    solution : where the equations ended, or None
    """

    fixed: FixedEffects
    family: Family
    correlation: Correlation
    scale: Scale
    weights: str | None
    vcov_method: Variance
    conf_level: float
    estimate: Vector
    vcov: Matrix
    solution: Solution | None
    not_estimable: str | None

    @property
    def measures(self) -> RepeatedMeasures:
        """The values used, on the clock of the fit."""
        return self.fixed.measures

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms."""
        return self.fixed.names

    @property
    def n_patients(self) -> int:
        """Patients with a value."""
        return int(self.fixed.patient.max()) + 1 if len(self.fixed.patient) else 0

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, estimate, std_error, conf_low, conf_high, statistic, df, p_value, n`` (patients); on the
            log scale and of odds also ``ratio, ratio_low, ratio_high``
        """
        with np.errstate(invalid="ignore"):  # a model-based variance may be none where the correlation is wrong
            std_error = np.sqrt(np.diag(self.vcov))
        df = self.n_patients - int(self.fixed.kept.sum()) if self.vcov_method == "CR3" else np.inf
        statistic = self.estimate / std_error
        level = (1 + self.conf_level) / 2
        width = (t.ppf(level, df) if np.isfinite(df) and df > 0 else norm.ppf(level)) * std_error
        tail = t.sf(np.abs(statistic), df) if np.isfinite(df) and df > 0 else norm.sf(np.abs(statistic))
        columns: dict[str, object] = {
            "label": self.measures.label, "term": list(self.names), "estimate": self.estimate, "std_error": std_error,
            "conf_low": self.estimate - width, "conf_high": self.estimate + width, "statistic": statistic,
            "df": np.where(np.isnan(self.estimate), np.nan, df), "p_value": 2 * tail, "n": self.n_patients,
        }  # fmt: skip
        if self.scale == "log" or self.family == "binomial":
            columns |= {"ratio": np.exp(self.estimate), "ratio_low": np.exp(self.estimate - width),
                        "ratio_high": np.exp(self.estimate + width)}  # fmt: skip
        return order_columns(pd.DataFrame(columns))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit; ``working_correlation`` of two values (exchangeable) or of neighbours (ar1)."""
        found = self.solution
        return {
            "n": len(self.fixed.frame), "n_patients": self.n_patients, "n_missing": self.fixed.n_missing,
            "by": self.fixed.by_name, "family": self.family, "scale": self.scale, "design": self.measures.design,
            "correlation": self.correlation, "vcov": self.vcov_method,
            "working_correlation": float("nan") if found is None else found.alpha,
            "dispersion": float("nan") if found is None else found.scale,
            "iterations": None if found is None else found.steps,
            "aliased": ", ".join(np.array(self.names, dtype=object)[~self.fixed.kept]),
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        m, lost = self.measures, np.array(self.names, dtype=object)[~self.fixed.kept]
        what = "the log odds" if self.family == "binomial" else "the mean"
        alpha = float("nan") if self.solution is None else self.solution.alpha
        size = "" if np.isnan(alpha) else f" ({alpha:.2f}{' of neighbours' if self.correlation == 'ar1' else ''})"
        parts = [
            f"Generalised estimating equations for {what} of {'log of ' if self.scale == 'log' else ''}{m.label}, "
            f"working correlation {self.correlation}{size}; {VARIANCES[self.vcov_method]}; time since {m.time_zero}.",
            f"Weights: {self.weights}." if self.weights else "",
            f"It {MCAR}; a mixed model needs less.",
            f"Groups: {self.fixed.by_name}." if self.fixed.by_name else "",
            f"{m.design[:1].upper()}{m.design[1:]}." if m.design else "",
            caution(m.design),
            f"Not estimable for lack of data: {', '.join(lost)}." if len(lost) and not self.not_estimable else "",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ratios of a fit on a log scale, or of odds, as a forest for the analyst's screen.

        Raises
        ------
        OutcomeError : the fit is on the identity scale, whose effects have no common axis
        """
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy().iloc[1:]
        if "ratio" not in tidy:
            raise OutcomeError(
                "Effects on the identity scale have no common axis", "A forest shows ratios",
                "Fit with scale='log', or read tidy()",
            )  # fmt: skip
        ratios = {"estimate": tidy["ratio"], "conf_low": tidy["ratio_low"], "conf_high": tidy["ratio_high"]}
        shown = tidy.assign(design=self.measures.design or "estimating equations", n=None, n_event=None, **ratios)
        return draw_forest(shown, ax=ax, x_label="Ratio (95 % CI), log scale")


def fit_gee(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    course: str | None = YEARS,
    family: Family = "gaussian",
    correlation: Correlation = "exchangeable",
    weights: str | None = None,
    vcov: Variance | None = None,
    scale: Scale = "identity",
    from_day: int | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> GeeFit:
    """Fit the mean of group × course + covariates by estimating equations; nothing is assumed of who differs how.

    Parameters
    ----------
    measures : values over time; 0 or 1 for ``binomial``
    by, covariates, course, scale, from_day, missing : as in ``fit_random_effects``
    family : ``gaussian`` (identity link) or ``binomial`` (logit link: odds ratios of the population)
    correlation : working correlation of one patient's values: ``independence``, ``exchangeable``, or ``ar1`` in their
        order; a wrong one costs precision, not truth
    weights : column, such as inverse intensities of visits
    vcov : ``CR0`` sandwich by patient, ``CR3`` bias-reduced, ``model``; None: CR3 with fewer than 40 patients, else CR0

    Returns
    -------
    fit : where the data do not determine the estimates they are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : unknown terms or choices, missing covariates, values other than 0 and 1 for ``binomial``

    Notes
    -----
    Liang & Zeger, Biometrika 1986;73:13; the moments of the correlation are those of R's ``geepack``. It needs values
    missing completely at random: patients who leave early distort it where a mixed model still holds.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": [1, 1, 2, 2, 3, 3], "t": [0, 1] * 3, "y": [1, 2, 2, 4, 3, 3.0]})
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    >>> [round(float(value), 3) for value in fit_gee(measures, course="time").estimate]
    [2.0, 1.0]
    """
    refuse_no_level(conf_level)
    for name, given, choices in (
        ("family", family, get_args(Family)), ("correlation", correlation, get_args(Correlation)),
        ("vcov", vcov, (None, *get_args(Variance))), ("scale", scale, get_args(Scale)),
        ("missing", missing, get_args(Missing)),
    ):  # fmt: skip
        refuse_unknown_choice(name, given, choices)
    needed = [] if weights is None else [weights]
    fixed = build_fixed_effects(measures, by=by, covariates=covariates, course=course, scale=scale, from_day=from_day,
                                missing=missing, needed=needed)  # fmt: skip
    if family == "binomial":
        refuse_no_binary(fixed.response, measures.label, scale)
    weight = np.ones(len(fixed.response)) if weights is None else read_row_weights(fixed.frame, weights)
    p, places = len(fixed.names), np.flatnonzero(fixed.kept)
    reason = too_few(fixed) or ("no more patients than terms" if fixed.patient.max() + 1 <= len(places) else None)
    found = None if reason else solve_equations(fixed.response, fixed.X[:, fixed.kept], fixed.patient, weight,
                                                family=family, correlation=correlation)  # fmt: skip
    few = len(fixed.frame) > 0 and fixed.patient.max() + 1 < FEW_PATIENTS
    taken: Variance = vcov or ("CR3" if few else "CR0")
    estimate, variance = np.full(p, np.nan), np.full((p, p), np.nan)
    if found is not None:
        own = {"model": found.model_vcov, "CR0": found.robust_vcov, "CR3": found.reduced_vcov}[taken]
        estimate[places], variance[np.ix_(places, places)] = found.beta, own
        alone = found.trouble is None and bool(np.isnan(own).any())
        reason = "standard errors, as a term rests on one patient alone" if alone else found.trouble
    return GeeFit(fixed, family, correlation, scale, weights, taken, conf_level, estimate, variance, found, reason)


def compare_mean_models(mixed: MixedModel, *others: MixedModel | GeeFit) -> pd.DataFrame:
    """Put the same terms of several models of one mean beneath each other.

    Parameters
    ----------
    mixed : a mixed model; ``others`` : estimating equations, or mixed models of another covariance, of the same values

    Returns
    -------
    frame : one row per term and model, ``label`` the term and ``term`` the model, ``estimate`` to ``p_value``, ``n``;
        on the log scale also ``ratio, ratio_low, ratio_high``. Terms that only some models have are left out

    Raises
    ------
    OutcomeError : the models are of other values, another scale, or of odds
    """
    fits = (mixed, *others)
    _refuse_other_values(mixed, others)
    frames = [fit.tidy() for fit in fits]
    shared = [name for name in mixed.names if all(name in fit.names for fit in others)]
    rows = [frame.set_index("term", drop=False).loc[[name]].assign(label=name, term=name_model(fit))
            for name in shared for fit, frame in zip(fits, frames, strict=True)]  # fmt: skip
    return order_columns(pd.concat(rows, ignore_index=True))


def name_model(fit: MixedModel | GeeFit) -> str:
    """Return the model in a few words."""
    if isinstance(fit, GeeFit):
        return f"estimating equations, {fit.correlation}{', weighted' if fit.weights else ''} ({fit.vcov_method})"
    return f"mixed model, {fit.covariance} ({fit.df_method})"


def refuse_no_binary(values: Vector, label: str, scale: Scale) -> None:
    """Refuse values that are not 0 or 1, and their logarithm.

    Raises
    ------
    OutcomeError
    """
    strange = int(np.sum(~np.isin(values, (0.0, 1.0))))
    if strange or scale == "log":
        raise OutcomeError(
            f"{strange} of {len(values)} values of {label!r} are neither 0 nor 1"
            if strange else f"The log scale is asked for {label!r}, which is 0 or 1",
            "Odds are those of a state that is there (1) or not (0)",
            "Pass 0 and 1 on scale='identity', or fit the quantity itself",
        )  # fmt: skip


def _refuse_other_values(mixed: MixedModel, others: Sequence[MixedModel | GeeFit]) -> None:
    for fit in others:
        odds = isinstance(fit, GeeFit) and fit.family == "binomial"
        same = fit.scale == mixed.scale and np.array_equal(fit.fixed.response, mixed.fixed.response)
        if odds or not same:
            raise OutcomeError(
                "1 model is of odds" if odds else f"{len(fit.fixed.response)} and {len(mixed.fixed.response)} values, "
                "or other ones, were fitted",
                "Models are compared on the same values on the same scale",
                "Fit all with the same measures, scale, visits and from_day",
            )  # fmt: skip
