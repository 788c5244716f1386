"""Limits of variances, correlations and fixed effects from the likelihood itself: they need no symmetry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.gaussian.effects import Effects, fit_effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted
from aih_outcomes.models.longitudinal.gaussian.profiles import Component, find_limits, list_components
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.result import order_columns, refuse_no_level

CLOSE = 1e-7  # of the root of twice the fall
MOST_LOOKS = 60


def profile_covariance(fit: MixedModel, *, conf_level: float = 0.95) -> pd.DataFrame:
    """Profile-likelihood limits of a random-effects fit.

    Parameters
    ----------
    fit : by ``fit_random_effects``. Limits of SDs, correlations and serial parameters are of the restricted likelihood
        where the fit is by REML; those of fixed effects are always of the full likelihood
    conf_level : of each interval

    Returns
    -------
    frame : ``label, term, estimate, conf_low, conf_high``; SDs in the unit of the effect. A limit of 0 (SD), ±1
        (correlation), 0 or infinity (range) says that the likelihood does not fall far enough before it; NaN where
        there is no limit to be found (an SD of 0 has no correlation)

    Raises
    ------
    OutcomeError : a model for repeated measures, whose covariance has no such components

    Notes
    -----
    Values whose deviance is less than the χ² quantile above the least (Bates, Mächler, Bolker & Walker, J Stat Softw
    2015;67:1, section 5). For a REML fit R's lme4 profiles the full likelihood throughout: fit with ``method="ML"`` to
    compare.

    Examples
    --------
    >>> from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
    >>> from aih_outcomes.outcomes import RepeatedMeasures
    >>> frame = pd.DataFrame({"id": [1, 1, 2, 2, 3, 3, 4, 4], "t": [0, 1] * 4, "y": [1, 2, 2, 2, 3, 5, 5, 6.0]})
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    >>> limits = profile_covariance(fit_random_effects(measures, course="time", random="1", method="ML"))
    >>> limits.loc[limits["term"] == "sd_intercept", ["conf_low", "conf_high"]].round(2).to_numpy().tolist()
    [[0.82, 3.91]]
    """
    refuse_no_level(conf_level)
    fall = 0.5 * float(chi2.ppf(conf_level, 1))
    rows = []
    if fit.fitted is not None:
        if not isinstance(fit.fitted.kernel, Effects):
            raise OutcomeError(
                "Profile limits are asked of a model for repeated measures",
                "They are of standard deviations and correlations of random effects",
                "Fit with fit_random_effects(...), or read the covariance by visit from fit.components()",
            )
        names = [name for name in fit.components()["component"] if not name.startswith("covariance_")]
        components = list_components(fit.fitted)
        if fit.fitted.kernel.structure.diagonal:
            names = [name for name in names if not name.startswith("correlation_") or "neighbours" in name]
        rows = [_limits(fit.fitted, *pair, fall) for pair in zip(names, components, strict=True)]
        kept = [name for name, own in zip(fit.names, fit.kept, strict=True) if own]
        full = fit.fitted if not fit.fitted.reml else _refit(fit.fitted)
        rows += [_limits_of_term(full, name, place, fall) for place, name in enumerate(kept)]
    columns = ["term", "estimate", "conf_low", "conf_high"]
    return order_columns(pd.DataFrame(rows, columns=columns).assign(label=fit.measures.label))


def _limits(fitted: Fitted, name: str, component: Component, fall: float) -> tuple[str, float, float, float]:
    """Estimate and limits of one component; a correlation of effects that do not vary is NaN."""
    if np.isnan(component.estimate):
        return name, float("nan"), float("nan"), float("nan")
    low, high = find_limits(fitted, component, fall)
    return name, component.told(component.estimate), low, high


def _refit(fitted: Fitted) -> Fitted:
    """Return the same model by full likelihood."""
    assert isinstance(fitted.kernel, Effects)
    return fit_effects(fitted.rows, fitted.kernel.structure, reml=False, start=fitted.evaluation.theta)


def _limits_of_term(full: Fitted, name: str, place: int, fall: float) -> tuple[str, float, float, float]:
    """Estimate and limits of one fixed effect: fits with it held fast, its part taken off the response."""
    found = full.evaluation
    estimate = float(found.beta[place])
    width = float(np.linalg.norm(found.root[place])) * np.sqrt(2 * fall)
    ends = [_find_limit_of_term(full, place, estimate, direction * width, fall) for direction in (-1, 1)]
    return name, estimate, ends[0], ends[1]


def _find_limit_of_term(full: Fitted, place: int, estimate: float, width: float, fall: float) -> float:
    """Secants on the root of twice the fall, nearly straight in the effect."""
    target, inner, at_inner, value, start = np.sqrt(2 * fall), estimate, 0.0, estimate + width, full.evaluation.theta
    assert isinstance(full.kernel, Effects)
    rows, column = full.rows, full.rows.X[:, place]
    others = np.ascontiguousarray(np.delete(rows.X, place, axis=1))
    for _ in range(MOST_LOOKS):
        held = replace(rows, X=others, response=rows.response - column * value)
        fitted = fit_effects(held, full.kernel.structure, reml=False, start=start)
        if fitted.trouble:
            return float("nan")
        start = fitted.evaluation.theta
        root = np.sqrt(max(2 * (full.evaluation.loglik - fitted.evaluation.loglik), 0.0))
        if abs(root - target) < CLOSE:
            return float(value)
        slope = (root - at_inner) / (value - inner)
        inner, at_inner = value, root
        value = value + (target - root) / slope if slope else value + width
    return float("nan")
