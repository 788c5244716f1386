"""How much the choice of method matters: the same hazard ratios by every way of treating the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.designs.design import BASELINE
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.models.survival.intervals.accelerated_result import AcceleratedFailure
from aih_outcomes.models.survival.intervals.hazards_result import IntervalHazards
from aih_outcomes.models.survival.intervals.interval_hazards import INNER_KNOTS, fit_interval_hazards
from aih_outcomes.models.survival.intervals.rows import Missing, require_interval_time
from aih_outcomes.outcomes import Groups, IntervalTime, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNSPECIFIED = "intervals, baseline unspecified"
SPLINE = "intervals, spline baseline"
WEIBULL = "intervals, Weibull"
MIDPOINT = "Cox, event at the midpoint (imputed)"
RIGHT_END = "Cox, event at the look that found it (late)"


@dataclass(frozen=True, slots=True, eq=False)
class IntervalMethods:
    """The same model by several methods; the first three use the intervals, the others pretend to know the day.

    Attributes
    ----------
    outcome : what was looked for
    fits : method → fitted model, in the order shown
    """

    outcome: IntervalTime
    fits: dict[str, IntervalHazards | AcceleratedFailure | CoxFit]
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per method and term.

        Returns
        -------
        frame : ``label, term, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` (log hazard
            ratio), ``hazard_ratio, hr_low, hr_high, n`` and counts as ``fit_cox`` gives them, ``method``,
            ``uses_intervals``, ``not_estimable``
        """
        frames = [self._of(method) for method in self.fits]
        frame = pd.concat(frames, ignore_index=True)
        return order_columns(frame.assign(design=BASELINE, biased=False))

    def glance(self) -> dict[str, Any]:
        """Facts about the comparison: sizes, how wide the intervals are, and how far the methods lie apart."""
        first = self.fits[UNSPECIFIED].glance()
        left, right = (self.outcome.frame[name].to_numpy(float) for name in ("left", "right"))
        width = (right - left)[np.isfinite(right)]
        spread = self.tidy().groupby("term", sort=False)["estimate"].agg(lambda values: values.max() - values.min())
        return {
            "n": first["n"], "n_event": first["n_event"], "n_uninformative": first["n_uninformative"],
            "n_missing_excluded": first["n_missing_excluded"], "by": first["by"], "conf_level": self.conf_level,
            "median_interval": float(np.median(width)) if len(width) else float("nan"),
            "largest_difference": float(spread.max()) if len(spread) else float("nan"),
            "not_estimable": {method: fit.not_estimable for method, fit in self.fits.items() if fit.not_estimable},
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        return (
            f"Hazard ratios of {self.outcome.label} by method: from the intervals with an unspecified, a spline and a "
            "Weibull baseline; and by Cox's model as if the event came at the middle, or at the end, of its interval. "
            "The last two treat a guess as an observation."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw all hazard ratios, method after method, for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(**ratios, design=tidy["method"]), ax=ax)

    def _of(self, method: str) -> pd.DataFrame:
        fit = self.fits[method]
        frame = fit.tidy()
        if isinstance(fit, AcceleratedFailure):
            own = frame["hazard_ratio"].notna() | frame["term"].isin(fit.rows.design.names)
            frame = _as_log_ratios(frame[own], *fit.log_hazard_ratios(), self.conf_level)
        return frame.drop(columns=["design", "biased"]).assign(
            method=method, uses_intervals=not isinstance(fit, CoxFit), not_estimable=fit.not_estimable
        )


def compare_interval_methods(
    outcome: IntervalTime,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    n_knots: int = INNER_KNOTS,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> IntervalMethods:
    """Fit proportional hazards five times: three ways with the intervals, two ways with an imputed day.

    Parameters
    ----------
    outcome : intervals (left, right]
    by, covariates, missing : as in ``fit_interval_hazards``
    n_knots : inner knots of the spline

    Returns
    -------
    methods : one table for a referee; a method whose data do not determine the ratios says so in its rows

    Raises
    ------
    ImmortalTimeError : groups became known after time zero
    OutcomeError : see ``fit_interval_hazards`` and ``fit_cox``

    Notes
    -----
    Midpoints bias the ratio where intervals are wide, and always its standard error: Law & Brookmeyer, Stat Med
    1992;11:1569; Lindsey & Ryan, Stat Med 1998;17:219.

    Examples
    --------
    >>> frame = pd.DataFrame({"left": [0, 3, 2, 6, 1, 4], "right": [2, 5, 6, None, 3, None], "x": [1, 0, 1, 0, 0, 1.0]})
    >>> seen = IntervalTime.from_frame(frame, left="left", right="right", covariates=["x"])
    >>> compare_interval_methods(seen, covariates=["x"], n_knots=0).tidy()["uses_intervals"].tolist()
    [True, True, True, False, False]
    """
    require_interval_time(outcome)
    refuse_no_level(conf_level)
    asked: dict[str, Any] = {"by": by, "covariates": covariates, "missing": missing, "conf_level": conf_level}
    fits: dict[str, IntervalHazards | AcceleratedFailure | CoxFit] = {
        UNSPECIFIED: fit_interval_hazards(outcome, **asked),
        SPLINE: fit_interval_hazards(outcome, baseline="spline", n_knots=n_knots, **asked),
        WEIBULL: fit_accelerated_failure(outcome, **asked),
    }
    for method, share in ((MIDPOINT, 0.5), (RIGHT_END, 1.0)):
        fits[method] = fit_cox(_impute(outcome, share), **asked)
    return IntervalMethods(outcome, fits, conf_level)


def _impute(outcome: IntervalTime, share: float) -> TimeToEvent:
    """Return the outcome as if the event came at a share of its interval, censoring at the last look without it."""
    frame = outcome.frame
    left, right = frame["left"].to_numpy(float), frame["right"].to_numpy(float)
    seen = np.isfinite(right)
    exit = np.where(seen, left + share * (np.where(seen, right, 0.0) - left), left)
    rows = frame.assign(exit=exit, event=seen.astype(int))[exit > 0]
    return TimeToEvent.from_frame(
        rows, exit="exit", event="event", patient_id="patient_id", weight="weight" if "weight" in frame else None,
        covariates=outcome.covariates, label=outcome.label, time_zero=outcome.time_zero, time_unit=outcome.time_unit,
    )  # fmt: skip


def _as_log_ratios(frame: pd.DataFrame, estimate: Vector, std_error: Vector, conf_level: float) -> pd.DataFrame:
    """Put log hazard ratios where log time ratios stood."""
    z = norm.ppf((1 + conf_level) / 2)
    return frame.drop(columns=["time_ratio", "time_ratio_low", "time_ratio_high"]).assign(
        estimate=estimate, std_error=std_error, conf_low=estimate - z * std_error, conf_high=estimate + z * std_error,
        statistic=estimate / std_error, p_value=2 * norm.sf(np.abs(estimate / std_error)),
    )  # fmt: skip
