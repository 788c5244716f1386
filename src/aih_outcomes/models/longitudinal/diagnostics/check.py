"""Does a mixed model describe its data: residuals, random effects, similarity by lag, influence, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.longitudinal.diagnostics.calibration import calibration_slope, tabulate_calibration
from aih_outcomes.models.longitudinal.diagnostics.influence import (
    LeftOut,
    leave_patients_out,
    predict_left_out,
    standard_error_of_mean,
)
from aih_outcomes.models.longitudinal.diagnostics.residuals import Residuals, compute_model_residuals
from aih_outcomes.models.longitudinal.diagnostics.variogram import tabulate_variogram
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted
from aih_outcomes.models.longitudinal.mixed_model import MixedModel, refit, with_inference
from aih_outcomes.models.result import order_columns
from aih_outcomes.outcomes import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Influence = Literal["one-step", "refit"]

TERMS = {
    "variance_decorrelated": "variance of decorrelated residuals",
    "share_beyond": "share beyond ± 2, decorrelated",
    "correlation_of_neighbours": "correlation of neighbours, decorrelated",
    "slope_patients_out": "calibration slope, patients left out",
    "slope_values_out": "calibration slope, values left out",
    "largest_cook": "largest Cook's distance",
}
FAR = 2.0  # standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class MixedModelDiagnostics:
    """What a mixed model leaves unexplained, and on whom it rests; n values of K patients.

    Attributes
    ----------
    fit : the model; ``influence_method`` how patients were left out
    values : of each row, or None where the fit is not estimable
    left_out : of each patient; ``predicted_left_out`` (n,)
    lags : table of the variogram; ``calibration`` : table of predicted against observed
    """

    fit: MixedModel
    influence_method: Influence
    values: Residuals | None
    left_out: LeftOut | None
    predicted_left_out: Vector
    lags: pd.DataFrame
    calibration: pd.DataFrame

    @property
    def not_estimable(self) -> str | None:
        """Why there is nothing to check."""
        return self.fit.not_estimable

    def tidy(self) -> pd.DataFrame:
        """One row per check.

        Returns
        -------
        frame : ``label, term, estimate, std_error, conf_low, conf_high, n, expected``: what the check found, with
            patients independent of each other, and what it is where the model holds
        """
        found = {} if self.values is None or self.left_out is None else self._checks(self.values, self.left_out)
        columns = ["estimate", "std_error", "expected"]
        frame = pd.DataFrame(list(found.values()), columns=columns).astype(float)
        frame.insert(0, "term", [TERMS[name] for name in found])
        width = norm.ppf((1 + self.fit.conf_level) / 2) * frame["std_error"]
        label, n = self.fit.measures.label, self._n_patients()
        return order_columns(frame.assign(label=label, n=n, conf_low=frame["estimate"] - width,
                                          conf_high=frame["estimate"] + width))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Facts about the whole check."""
        found = dict(zip(TERMS, self.tidy()["estimate"].astype(float), strict=False))
        return {
            "n": len(self.fit.frame), "n_patients": self._n_patients(), "covariance": self.fit.covariance,
            "influence": self.influence_method, "design": self.fit.measures.design, **found,
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        m = self.fit.measures
        if self.not_estimable:
            return f"Nothing to check: the mixed model of {m.label} is not estimable, as {self.not_estimable}."
        facts = self.glance()
        how = "in one Newton step each" if self.influence_method == "one-step" else "by refitting"
        spread, slope, own, cook = (
            "not estimable" if np.isnan(facts[name]) else f"{facts[name]:.2f}".replace("-", "−")
            for name in ("variance_decorrelated", "slope_patients_out", "slope_values_out", "largest_cook")
        )
        return (
            f"Checks of the mixed model of {m.label} ({self.fit.covariance}): {self._n_patients()} patients, "
            f"{len(self.fit.frame)} values. Residuals decorrelated by the fitted covariance have variance {spread} "
            f"(1 where the model holds). Calibration slope {slope} for patients left out (also away from 1 where "
            f"patients leave early because of their values), {own} for a value given the patient's others. Patients "
            f"were left out {how}; largest Cook's distance {cook}. Predicted random effects are shrunken and look more "
            "normal than the true ones."
        )

    def residuals(self) -> pd.DataFrame:
        """One row per value: patients' own values, never for a report.

        Returns
        -------
        frame : ``patient_id, time, visit, observed, predicted, marginal, conditional, standardised`` (conditional by
            its SD), ``decorrelated, quantile`` (of a normal variable at its rank), ``from_others`` (what the patient's
            other values make of this one), ``left_out`` (predicted without the patient); on the scale of the model
        """
        base = self.fit.frame[["patient_id", "time", "visit"]].reset_index(drop=True)
        if self.values is None:
            return base.iloc[:0]
        v = self.values
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised = v.conditional / v.conditional_sd
        return base.assign(
            observed=self.fit.fixed.response, predicted=v.predicted, marginal=v.marginal, conditional=v.conditional,
            standardised=standardised, decorrelated=v.decorrelated, quantile=normal_quantiles(v.decorrelated),
            from_others=v.from_others, left_out=self.predicted_left_out,
        )  # fmt: skip

    def effects(self) -> pd.DataFrame:
        """One row per patient and random effect: ``patient_id, effect, estimate, quantile``; never for a report."""
        wide = self.fit.random_effects()
        long = wide.melt("patient_id", var_name="effect", value_name="estimate")
        quantile = long.groupby("effect", sort=False)["estimate"].transform(
            lambda own: normal_quantiles(own.to_numpy(float))
        )
        return long.assign(estimate=long["estimate"].astype(float), quantile=quantile.astype(float))

    def variogram(self) -> pd.DataFrame:
        """One row per bin of lags: half the mean squared difference of two residuals of a patient.

        Returns
        -------
        frame : ``label, term, time`` (mean lag), ``estimate`` to ``conf_high, n`` (patients), ``n_pairs``, ``expected``
            by the model
        """
        m = self.fit.measures
        frame = order_columns(self.lags.assign(label=m.label))
        frame.attrs = {"time_unit": m.time_unit, "time_zero": m.time_zero, "unit": m.unit}
        return frame

    def predicted(self) -> pd.DataFrame:
        """One row per tenth of the predictions.

        Returns
        -------
        frame : ``label, strata`` (predicted from whom), ``term, predicted`` and ``estimate`` (means; of the values
            observed), ``std_error, conf_low, conf_high, n`` (patients), ``n_values``
        """
        return order_columns(self.calibration.assign(label=self.fit.measures.label))

    def influence(self) -> pd.DataFrame:
        """One row per patient, the most influential first; never for a report.

        Returns
        -------
        frame : ``patient_id, n_values, cook, covariance_ratio`` (1: the patient changes no precision), ``theta_shift``
            (Cook's distance of the covariance parameters), and each term's estimate without the patient
        """
        ids = self.fit.frame["patient_id"].drop_duplicates().to_numpy()
        frame = pd.DataFrame({"patient_id": pd.array(ids, dtype="string")})
        if self.left_out is None:
            return frame.iloc[:0]
        out = self.left_out
        frame["n_values"] = np.bincount(self.fit.fixed.patient)
        frame["cook"], frame["covariance_ratio"] = out.cook, out.covariance_ratio
        frame["theta_shift"] = out.theta_shift
        for place, name in enumerate(np.array(self.fit.names, dtype=object)[self.fit.kept]):
            frame[str(name)] = out.beta[:, place]
        return frame.sort_values("cook", ascending=False, kind="stable", ignore_index=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw for the analyst's screen: four panels in a figure of their own, or the variogram on the axes given."""
        from aih_outcomes.figures.mixed_diagnostics import draw_mixed_diagnostics, draw_variogram

        if ax is not None:
            return draw_variogram(self.variogram(), ax=ax)
        panels = draw_mixed_diagnostics(self.residuals(), self.effects(), self.predicted(), self.influence())
        return panels[0]

    def _checks(self, values: Residuals, left_out: LeftOut) -> dict[str, tuple[float, float, float]]:
        patient, white = self.fit.fixed.patient, values.decorrelated
        square = white**2
        beyond = (np.abs(white) > FAR).astype(float)
        follows = np.flatnonzero(patient[1:] == patient[:-1])
        product = white[follows] * white[follows + 1] / square.mean()
        neighbours, own = (product, np.unique(patient[follows], return_inverse=True)[1]) if len(follows) else (
            np.array([np.nan]), np.zeros(1, np.intp))  # fmt: skip
        observed = self.fit.fixed.response
        cook = left_out.cook[np.isfinite(left_out.cook)]
        return {
            "variance_decorrelated": (float(square.mean()), standard_error_of_mean(square, patient), 1.0),
            "share_beyond": (float(beyond.mean()), standard_error_of_mean(beyond, patient), float(2 * norm.sf(FAR))),
            "correlation_of_neighbours": (float(neighbours.mean()), standard_error_of_mean(neighbours, own), 0.0),
            "slope_patients_out": (*calibration_slope(observed, self.predicted_left_out, patient), 1.0),
            "slope_values_out": (*calibration_slope(observed, values.from_others, patient), 1.0),
            "largest_cook": (float(cook.max()) if len(cook) else float("nan"), float("nan"), float("nan")),
        }

    def _n_patients(self) -> int:
        return int(self.fit.fixed.patient.max()) + 1 if len(self.fit.fixed.patient) else 0


def check_mixed_model(
    fit: MixedModel, *, influence: Influence = "one-step", lags: Sequence[float] | None = None
) -> MixedModelDiagnostics:
    """Check a mixed model against its own data.

    Parameters
    ----------
    fit : of ``fit_random_effects`` or ``fit_repeated_measures``
    influence : leave each patient out in one Newton step (exact for given variances), or by refitting: as many fits
        as patients
    lags : limits of the bins of the variogram, in the outcome's unit of time; None for bins of as many pairs

    Returns
    -------
    result : ``residuals()``, ``effects()`` and ``influence()`` are rows of patients, for the analyst's screen;
        ``tidy()``, ``variogram()`` and ``predicted()`` may be disclosed

    Raises
    ------
    OutcomeError : no mixed model; unknown choices

    Notes
    -----
    Fitzmaurice, Laird & Ware, Applied Longitudinal Analysis, 2011, chapter 10; predicted random effects: Verbeke &
    Lesaffre, J Am Stat Assoc 1996;91:217.

    Examples
    --------
    >>> import pandas as pd
    >>> from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
    >>> from aih_outcomes.outcomes import RepeatedMeasures
    >>> frame = pd.DataFrame(
    ...     {"id": [1, 1, 1, 2, 2, 2, 3, 3, 3], "t": [0, 1, 2] * 3, "y": [1, 2, 4, 2, 2, 3, 3, 5, 6.0]}
    ... )
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    >>> result = check_mixed_model(fit_random_effects(measures, course="time", random="1"))
    >>> result.residuals()["predicted"].round(3).tolist()[:3]
    [1.944, 3.111, 4.278]
    """
    if not isinstance(fit, MixedModel):
        raise OutcomeError(
            f"{type(fit).__name__} is no mixed model", "Residuals are decorrelated by the covariance that was fitted",
            "Pass what fit_random_effects(...) or fit_repeated_measures(...) returns",
        )  # fmt: skip
    refuse_unknown_choice("influence", influence, get_args(Influence))
    fitted = fit.fitted
    if fitted is None:
        nothing = pd.DataFrame({"n": pd.Series(dtype="Int64"), "estimate": pd.Series(dtype=float)})
        return MixedModelDiagnostics(fit, influence, None, None, np.zeros(0), nothing, nothing)
    values = compute_model_residuals(fitted)
    left_out = leave_patients_out(fitted)
    if influence == "refit":
        left_out = _refit_each(fit, fitted, left_out)
    predicted = predict_left_out(fitted, left_out)
    time = fit.frame["time"].to_numpy(float)
    table = tabulate_variogram(fitted, time, values.marginal, edges=lags, conf_level=fit.conf_level)
    compared = {"patient left out": predicted, "value left out": values.from_others}
    calibration = pd.concat(
        [tabulate_calibration(fit.fixed.response, column, fit.fixed.patient, conf_level=fit.conf_level)
         .assign(strata=name) for name, column in compared.items()],
        ignore_index=True,
    )  # fmt: skip
    return MixedModelDiagnostics(fit, influence, values, left_out, predicted, table, calibration)


def normal_quantiles(values: Vector) -> Vector:
    """(n,) quantile of a normal variable at each value's rank, (rank − ½) / n."""
    rank = np.empty(len(values))
    rank[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return np.asarray(norm.ppf((rank - 0.5) / max(len(values), 1)))


def _refit_each(fit: MixedModel, fitted: Fitted, one_step: LeftOut) -> LeftOut:
    """Fit without each patient in turn; NaN where that has no answer, or other terms."""
    beta = np.full(one_step.beta.shape, np.nan)
    ratio = np.full(len(beta), np.nan)
    shift = np.full(len(beta), np.nan)
    here = fitted.evaluation
    log_det = np.linalg.slogdet(here.root)[1]
    ids, plain = fit.measures.frame["patient_id"], with_inference(fit, "normal", "model")
    for code, patient in enumerate(fit.frame["patient_id"].drop_duplicates()):
        rows = fit.measures.frame[ids != patient].reset_index(drop=True)
        again = refit(plain, replace(fit.measures, frame=rows))
        if again.fitted is None or not np.array_equal(again.kept, fit.kept):
            continue
        there = again.fitted.evaluation
        beta[code] = there.beta
        ratio[code] = float(np.exp(2 * (np.linalg.slogdet(there.root)[1] - log_det)))
        if len(there.theta) == len(here.theta):
            move = there.theta - here.theta
            shift[code] = float(move @ -here.hessian @ move) / max(len(move), 1)
    move = np.linalg.solve(here.root, (here.beta - beta).T)
    return LeftOut(beta, np.sum(move**2, axis=0) / max(len(here.beta), 1), ratio, shift)
