"""Survival predicted by a Cox fit for patients described by their covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import EVERYONE
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.cox.baseline import Baseline, Hazard, baselines, choose_hazard, hazard_at
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.profiles import read_offset, read_profiles, read_strata, refuse_no_profiles
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.curves.curve import confidence_limits
from aih_outcomes.models.survival.curves.kaplan_meier import CONF_TYPES, ConfType
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalPrediction:
    """Predicted survival, one curve per row of the frame given.

    Attributes
    ----------
    table : ``strata`` (the row's name in the index), ``stratum`` (of the baseline hazard), ``time, n_risk, n_event,
        n_censor, estimate, std_error, conf_low, conf_high, cumulative_hazard``
    hazard : how tied events count: ``efron`` or ``breslow``
    """

    fit: CoxFit
    hazard: Hazard
    conf_level: float
    conf_type: ConfType
    table: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per profile and time.

        Returns
        -------
        frame : ``label, strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high``, and
            ``stratum, cumulative_hazard``; counts are those of the stratum whose baseline hazard is used; estimates are
            NaN after the end of its follow-up
        """
        outcome = self.fit.outcome
        frame = order_columns(self.table.assign(label=outcome.label))
        frame.attrs = {"time_unit": outcome.time_unit, "time_zero": outcome.time_zero}
        return frame

    def glance(self) -> dict[str, Any]:
        """Return how it was predicted, and why not, if so."""
        return {
            "n": len(self.fit.frame), "n_event": self.fit.n_event,
            "events_per_parameter": self.fit.events_per_parameter, "n_profiles": self.table["strata"].nunique(),
            "hazard": self.hazard, "conf_level": self.conf_level, "conf_type": self.conf_type,
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Predicted survival not estimable: {self.not_estimable}."
        outcome = self.fit.outcome
        text = (
            f"Survival without {outcome.label} predicted by a Cox model for stated covariates "
            f"({self.conf_level:.0%} intervals, {self.conf_type}, the coefficients' uncertainty included); "
            f"time since {outcome.time_zero}. Not validated on other patients."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves for the analyst's screen."""
        from aih_outcomes.figures.curves import draw_survival

        return draw_survival(self.tidy(), ax=ax, unit_label=self.fit.outcome.time_unit)


def predict_survival(
    fit: CoxFit,
    frame: pd.DataFrame,
    *,
    times: Vector | list[float] | None = None,
    hazard: Hazard | None = None,
    conf_type: ConfType = "log-log",
    conf_level: float = 0.95,
) -> SurvivalPrediction:
    """Predict survival for patients described by their covariates, which stay as they are.

    Parameters
    ----------
    fit : a Cox fit
    frame : one row per profile, with the covariates of the model, its stratum and offset; the index names them
    times : in the outcome's unit; None for the event times
    hazard : how tied events count; None for the fit's own ties
    conf_type : as in ``estimate_survival``

    Returns
    -------
    result : S(t | x) = exp(−H(t | x)); NaN after the end of follow-up; NaN throughout, with the reason, where the fit
        is not estimable

    Raises
    ------
    OutcomeError : no Cox fit; a covariate is not given, is missing for a row, or has a level that the fit does not
        know; two rows share a name

    Notes
    -----
    The variance includes that of the coefficients (Tsiatis, Ann Stat 1981;9:93; R ``survfit.coxph``).

    Examples
    --------
    >>> from aih_outcomes.models.survival.cox.fit import fit_cox
    >>> from aih_outcomes.outcomes import TimeToEvent
    >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "dead": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]})
    >>> fit = fit_cox(TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["x"]), covariates=["x"])
    >>> predict_survival(fit, pd.DataFrame({"x": [0.0]}), times=[2]).tidy()["estimate"].round(4).tolist()
    [0.6979]
    """
    refuse_no_level(conf_level)
    require_fit(fit)
    refuse_unknown_choice("conf_type", conf_type, CONF_TYPES)
    refuse_no_profiles(frame)
    kind = choose_hazard(fit, hazard)
    X, offset = read_profiles(fit, frame), read_offset(fit, frame)
    levels = [EVERYONE] * len(frame) if fit.strata is None else read_strata(fit, frame)
    names = frame.index.astype(str).tolist()
    if fit.not_estimable is not None:
        when = np.full(1, np.nan) if times is None else np.asarray(times, float)
        blank = pd.DataFrame({
            "strata": np.repeat(names, len(when)), "stratum": np.repeat(levels, len(when)),
            "time": np.tile(when, len(names)), "n_risk": np.nan, "n_event": np.nan, "n_censor": np.nan,
            "estimate": np.nan, "std_error": np.nan, "conf_low": np.nan, "conf_high": np.nan,
            "cumulative_hazard": np.nan,
        })  # fmt: skip
        return SurvivalPrediction(fit, kind, conf_level, conf_type, blank, fit.not_estimable)
    by_level = {baseline.strata: baseline for baseline in baselines(fit, kind)}
    frames = [
        _one_curve(fit, by_level[level], x, known, times, conf_level, conf_type).assign(strata=name, stratum=level)
        for name, level, x, known in zip(names, levels, X, offset, strict=True)
    ]
    return SurvivalPrediction(fit, kind, conf_level, conf_type, pd.concat(frames, ignore_index=True), None)


def _one_curve(
    fit: CoxFit, baseline: Baseline, x: Vector, offset: float, times: Vector | list[float] | None, conf_level: float,
    conf_type: ConfType,
) -> pd.DataFrame:  # fmt: skip
    when = baseline.time if times is None else np.asarray(times, float)
    value, variance = hazard_at(fit, baseline, x, when, offset)
    survival = np.exp(-value)
    low, high = confidence_limits(survival, variance, conf_level, conf_type)
    sure = when < baseline.exit.min()  # nothing has happened yet; later a log-log limit of 1 is unknown, as in R
    return pd.DataFrame({
        "time": when, **baseline.counts(when), "estimate": survival, "std_error": survival * np.sqrt(variance),
        "conf_low": np.where(sure, 1.0, low), "conf_high": np.where(sure, 1.0, high), "cumulative_hazard": value,
    })  # fmt: skip
