"""What a fitted mixed model says, whatever its covariance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, t

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.captions import (
    capital,
    count_left_out,
    name_tried,
    tell_groups,
    tell_left_out,
    tell_prognostic,
)
from aih_outcomes.models.longitudinal.covariance_choice import CovarianceChoice, Method, Search
from aih_outcomes.models.longitudinal.fixed_effects import (
    FixedEffects,
    Scale,
    add_clocks,
    rebuild_fixed_effects,
    with_intercept,
)
from aih_outcomes.models.longitudinal.gaussian.inference import (
    Covariance,
    DegreesOfFreedom,
    Inference,
    make_inference,
)
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.models.terms.design import Design, code_rows
from aih_outcomes.outcomes import RepeatedMeasures, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MixedModel:
    """A Gaussian model of repeated values; p_all terms.

    Attributes
    ----------
    fixed : rows and terms; ``measures``, ``frame``, ``design``, ``names``, ``kept``, ``by_name`` are its own
    chosen : the covariance asked for; ``search`` : what was found
    scale, method, df_method, vcov_method, conf_level : as asked
    inference : tests and limits of the terms kept, or None
    estimate : (p_all,), ``vcov`` (p_all, p_all); NaN where not estimable
    """

    fixed: FixedEffects
    chosen: CovarianceChoice
    search: Search
    scale: Scale
    method: Method
    df_method: DegreesOfFreedom
    vcov_method: Covariance
    conf_level: float
    inference: Inference | None
    estimate: Vector
    vcov: Matrix

    @property
    def measures(self) -> RepeatedMeasures:
        """The values used, on the clock of the fit."""
        return self.fixed.measures

    @property
    def frame(self) -> pd.DataFrame:
        """The rows used, with ``group``, ``years`` and ``visit``."""
        return self.fixed.frame

    @property
    def design(self) -> Design:
        """The terms besides the intercept."""
        return self.fixed.design

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms."""
        return self.fixed.names

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(p_all,) False for terms that others make up already."""
        return self.fixed.kept

    @property
    def by_name(self) -> str:
        """What the groups are called."""
        return self.fixed.by_name

    @property
    def fitted(self) -> Fitted | None:
        """The optimum of the terms kept."""
        return self.search.fitted

    @property
    def loglik(self) -> float:
        """Restricted (REML) or full (ML) log-likelihood."""
        return float("nan") if self.fitted is None else self.fitted.evaluation.loglik

    @property
    def covariance(self) -> str:
        """The structure fitted, in words."""
        return self.search.covariance

    @property
    def tried(self) -> tuple[str, ...]:
        """Structures left on the way, each with the reason."""
        return self.search.tried

    @property
    def singular(self) -> str | None:
        """Which component of the covariance is 0 and what that means."""
        return self.search.singular

    @property
    def not_estimable(self) -> str | None:
        """Why nothing could be estimated."""
        return self.search.reason

    def code(self, frame: pd.DataFrame) -> Matrix:
        """(n, p_all) columns of the model for other rows, levels and knots as they were learned."""
        return with_intercept(code_rows(self.design, add_clocks(frame, self.measures)))

    def contrast(self, L: Matrix) -> tuple[Vector, Vector, Vector]:
        """Estimate, standard error and degrees of freedom of m combinations of the terms.

        Parameters
        ----------
        L : (m, p_all); a combination that needs a term not estimable is NaN
        """
        nothing = np.full(len(L), np.nan)
        if self.inference is None:
            return nothing, nothing, nothing
        estimate, std_error, df = self.inference.contrast(np.ascontiguousarray(L[:, self.kept]))
        lost = (L[:, ~self.kept] != 0).any(axis=1)
        return tuple(np.where(lost, np.nan, value) for value in (estimate, std_error, df))  # type: ignore[return-value]  # three

    def tidy(self) -> pd.DataFrame:
        """One row per fixed effect.

        Returns
        -------
        frame : ``label, term, estimate, std_error, conf_low, conf_high, statistic, df, p_value, n`` (patients); on the
            log scale also ``ratio, ratio_low, ratio_high``
        """
        estimate, std_error, df = self.contrast(np.eye(len(self.names)))
        return tidy_contrasts(self, list(self.names), estimate, std_error, df)

    def components(self) -> pd.DataFrame:
        """One row per component of the covariance: ``component, estimate``."""
        if self.fitted is None:
            return pd.DataFrame({"component": pd.Series(dtype=object), "estimate": pd.Series(dtype=float)})
        return self.chosen.components(self.fitted)

    def random_effects(self) -> pd.DataFrame:
        """One row per patient: predicted deviations from the mean course; for the analyst's screen."""
        if self.fitted is None:
            return pd.DataFrame({"patient_id": pd.Series(dtype="string")})
        effects = self.chosen.random_effects(self.fitted)
        return effects.assign(patient_id=self.frame["patient_id"].drop_duplicates().to_numpy())

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit."""
        fitted, loglik = self.fitted, self.loglik
        k, n_information = (0, 1) if fitted is None else self.chosen.count(fitted, self.method)
        facts = {
            "n": len(self.frame), "n_patients": _n_patients(self), "n_missing": self.fixed.n_missing,
            "left_out": count_left_out(self.fixed),
            "by": self.by_name, "scale": self.scale, "design": self.measures.design, "method": self.method,
            "covariance": self.covariance, "tried": "; ".join(self.tried), "df_method": self.df_method,
            "vcov": self.vcov_method, "loglik": loglik, "n_parameters": k, "aic": -2 * loglik + 2 * k,
            "bic": -2 * loglik + k * float(np.log(n_information)),
            "iterations": None if fitted is None else fitted.iterations,
            "scaled_gradient": None if fitted is None else fitted.scaled_gradient,
            "aliased": ", ".join(np.array(self.names, dtype=object)[~self.kept]),
            "singular": self.singular, "not_estimable": self.not_estimable,
        }  # fmt: skip
        components = self.components()
        return facts | dict(zip(components["component"], components["estimate"].astype(float), strict=True))

    def describe(self) -> str:
        """Sentences for a caption, without counts: those stand in ``glance()``, and rounded where they are shown."""
        m, lost = self.measures, np.array(self.names, dtype=object)[~self.kept]
        parts = [
            f"Linear mixed model ({self.method}) of {'log of ' if self.scale == 'log' else ''}{m.label}, "
            f"{self.chosen.describe()}; time since {m.time_zero}.",
            f"Covariance fitted: {self.covariance}." if self.fitted is not None and self.tried else "",
            f"Left before it, as the data do not carry them: {name_tried(self.tried)}." if self.tried else "",
            "" if self.inference is None else f"{capital(self.inference.convention)}.",
            tell_left_out(self.fixed),
            tell_groups(self.fixed),
            f"{capital(m.design)}." if m.design else "",
            caution(m.design) or tell_prognostic(self.fixed),
            f"Boundary: {self.singular}." if self.singular else "",
            f"Not estimable for lack of data: {', '.join(lost)}." if len(lost) and not self.not_estimable else "",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ratios of a fit on the log scale as a forest for the analyst's screen.

        Raises
        ------
        OutcomeError : the fit is on the identity scale, whose effects have no common axis
        """
        from aih_outcomes.figures.forest import draw_forest

        if self.scale != "log":
            raise OutcomeError(
                "Effects on the identity scale have no common axis",
                "A forest shows ratios",
                "Fit with scale='log', or draw estimate_marginal_means(...)",
            )
        tidy = self.tidy().iloc[1:].assign(design=self.measures.design or "mixed model")
        ratios = {"estimate": tidy["ratio"], "conf_low": tidy["ratio_low"], "conf_high": tidy["ratio_high"]}
        return draw_forest(tidy.assign(n=None, n_event=None, **ratios), ax=ax, x_label="Ratio (95 % CI), log scale")


def fit_model(
    fixed: FixedEffects,
    chosen: CovarianceChoice,
    *,
    scale: Scale,
    method: Method,
    df: DegreesOfFreedom,
    vcov: Covariance,
    conf_level: float,
    start: Fitted | None = None,
    why_hopeless: Callable[[FixedEffects], str | None] = lambda fixed: None,
) -> MixedModel:
    """Fit the covariance chosen, and what follows from it."""
    p = len(fixed.names)
    reason = why_hopeless(fixed)
    search = Search(None, chosen.describe(), reason=reason) if reason else chosen.search(fixed, method, start)
    estimate, own = np.full(p, np.nan), np.full((p, p), np.nan)
    inference = None
    if search.fitted is not None:
        inference = make_inference(search.fitted, df=df, vcov=vcov)
        places = np.flatnonzero(fixed.kept)
        estimate[places] = search.fitted.evaluation.beta
        own[np.ix_(places, places)] = inference.vcov
    return MixedModel(fixed, chosen, search, scale, method, df, vcov, conf_level, inference, estimate, own)


def refit(fit: MixedModel, measures: RepeatedMeasures) -> MixedModel:
    """Fit the same model on other values of the same kind: terms, knots and choices as they were.

    Parameters
    ----------
    measures : on the clock of the fit, with the columns that ``fit.measures`` has
    """
    fixed = rebuild_fixed_effects(fit.fixed, measures, fit.scale)
    return fit_model(fixed, fit.chosen, scale=fit.scale, method=fit.method, df=fit.df_method, vcov=fit.vcov_method,
                     conf_level=fit.conf_level, start=fit.fitted)  # fmt: skip


def with_inference(fit: MixedModel, df: DegreesOfFreedom, vcov: Covariance) -> MixedModel:
    """Return the same fit with other degrees of freedom, or another covariance of its estimates."""
    if fit.fitted is None:
        return replace(fit, df_method=df, vcov_method=vcov)
    inference = make_inference(fit.fitted, df=df, vcov=vcov)
    own = fit.vcov.copy()
    own[np.ix_(fit.kept, fit.kept)] = inference.vcov
    return replace(fit, df_method=df, vcov_method=vcov, inference=inference, vcov=own)


def tidy_contrasts(fit: MixedModel, terms: list[str], estimate: Vector, std_error: Vector, df: Vector) -> pd.DataFrame:
    """One row per combination of terms, with its limits and test."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / std_error
    finite = np.where(np.isfinite(df), df, 1.0)
    level = (1 + fit.conf_level) / 2
    width = np.where(np.isfinite(df), t.ppf(level, finite), norm.ppf(level)) * std_error
    p_value = np.where(np.isfinite(df), 2 * t.sf(np.abs(statistic), finite), 2 * norm.sf(np.abs(statistic)))
    columns: dict[str, object] = {
        "label": fit.measures.label, "term": terms, "estimate": estimate, "std_error": std_error,
        "conf_low": estimate - width, "conf_high": estimate + width, "statistic": statistic, "df": df,
        "p_value": np.where(np.isnan(df), np.nan, p_value), "n": _n_patients(fit),
    }  # fmt: skip
    if fit.scale == "log":
        columns |= {"ratio": np.exp(estimate), "ratio_low": np.exp(estimate - width),
                    "ratio_high": np.exp(estimate + width)}  # fmt: skip
    return order_columns(pd.DataFrame(columns))


def _n_patients(fit: MixedModel) -> int:
    return int(fit.fixed.patient.max()) + 1 if len(fit.fixed.patient) else 0
