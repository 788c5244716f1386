"""Fitted proportional hazards for interval-censored times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.models.survival.intervals.rows import Cluster, Outcome, Rows, build_design_at
from aih_outcomes.models.survival.intervals.spline import Spline
from aih_outcomes.models.survival.intervals.steps import Steps
from aih_outcomes.models.survival.intervals.turnbull import Intersections
from aih_outcomes.outcomes import TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BaselineName = Literal["unspecified", "spline"]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StepBaseline:
    """Cumulative hazard as steps within innermost intervals, at the mean covariates (``mean``, ``spread``: (p,))."""

    steps: Steps
    spans: Intersections
    mean: Vector
    spread: Vector

    def at(self, X: Matrix, time: float, z: float) -> dict[str, Vector]:
        """S(time) for covariates X (n, p), with the bounds between which it is not identified."""
        hazard = self.steps.hazard(self.spans.m)
        begun = (self.spans.low < time) | (self.spans.high <= time)
        least, most = hazard[int(begun.sum())], hazard[int((self.spans.high <= time).sum())]
        risk = np.exp((X - self.mean) / self.spread @ self.steps.beta)
        low, high = np.exp(-least * risk), np.exp(-most * risk)
        unknown = np.full(len(X), np.nan)
        known = least == most
        return {
            "estimate": high if known else unknown, "std_error": unknown, "conf_low": unknown, "conf_high": unknown,
            "estimate_low": low, "estimate_high": high,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class SplineBaseline:
    """Log cumulative hazard as a spline of log time; ``theta`` are its coefficients, then those of standardised X.

    ``held_level``: the best spline would have fallen somewhere, and is level there.
    """

    theta: Vector
    vcov: Matrix
    spline: Spline
    mean: Vector
    spread: Vector
    held_level: bool

    def at(self, X: Matrix, time: float, z: float) -> dict[str, Vector]:
        """S(time) for covariates X (n, p), with the delta method's limits on the scale of log cumulative hazard."""
        x = np.full(len(X), np.log(max(time, 1e-300)))
        D = np.column_stack([self.spline.basis(x), (X - self.mean) / self.spread])
        value, error = D @ self.theta, np.sqrt(np.einsum("ij,jk,ik->i", D, self.vcov, D))
        estimate, low, high = (np.exp(-np.exp(value + shift * error)) for shift in (0.0, z, -z))
        return {
            "estimate": estimate, "std_error": estimate * np.exp(value) * error, "conf_low": low, "conf_high": high,
            "estimate_low": estimate, "estimate_high": estimate,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class IntervalHazards:
    """Fitted proportional hazards; p terms.

    Attributes
    ----------
    outcome, rows : what was looked for; the rows and terms used
    baseline : the baseline as estimated; None where not estimable
    coefficients, vcov : (p,), (p, p) log hazard ratios; ``vcov_model`` the same before clusters were counted
    scaled_gradient : what is left of the gradient, relative to its own size
    not_estimable : the reason, or None
    """

    outcome: Outcome
    rows: Rows
    baseline_name: BaselineName
    baseline: StepBaseline | SplineBaseline | None
    coefficients: Vector
    vcov: Matrix
    vcov_model: Matrix
    loglik: float
    loglik_null: float
    scaled_gradient: float
    cluster: Cluster
    conf_level: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` on the log scale
            (Wald), then ``hazard_ratio, hr_low, hr_high`` and counts, as ``fit_cox`` gives them
        """
        z = norm.ppf((1 + self.conf_level) / 2)
        b, se = self.coefficients, np.sqrt(np.diag(self.vcov))
        frame = pd.DataFrame({
            "label": self.outcome.label, "term": self.rows.design.names, "estimate": b, "std_error": se,
            "conf_low": b - z * se, "conf_high": b + z * se, "statistic": b / se,
            "p_value": 2 * norm.sf(np.abs(b / se)), "hazard_ratio": np.exp(b),
            "hr_low": np.exp(b - z * se), "hr_high": np.exp(b + z * se),
        })  # fmt: skip
        if self.cluster:
            frame["std_error_model"] = np.sqrt(np.diag(self.vcov_model))
        frame = pd.concat([frame, self.rows.counts()], axis=1)
        return order_columns(frame.assign(design=name_design(self._design), biased=self._design.startswith(BIASED)))

    def at(self, times: Sequence[float], *, rows: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return predicted survival at given times, in the outcome's unit.

        Parameters
        ----------
        rows : (n_rows, …) one patient to predict per row, with the model's columns; None for a model without terms

        Returns
        -------
        frame : ``label, strata`` (the row's index), ``time, estimate, std_error, conf_low, conf_high, estimate_low,
            estimate_high``; without a specified baseline there are no errors, and inside an interval of mass only the
            two bounds are known
        """
        at = pd.DataFrame(index=["all"]) if rows is None else rows
        X = build_design_at(self.rows, at)
        z = float(norm.ppf((1 + self.conf_level) / 2))
        unknown = dict.fromkeys(
            ("estimate", "std_error", "conf_low", "conf_high", "estimate_low", "estimate_high"), np.nan
        )
        frames = [
            pd.DataFrame({
                "label": self.outcome.label, "strata": [str(name) for name in at.index], "time": float(time),
                **(unknown if self.baseline is None else self.baseline.at(X, float(time), z)),
            })
            for time in times
        ]  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit: sizes, likelihoods, tests, and why it is not estimable, if so."""
        p = len(self.coefficients)
        lr = 2 * (self.loglik - self.loglik_null)
        steps = isinstance(self.baseline, StepBaseline)
        return self.rows.facts() | {
            "n_parameters": p, "events_per_parameter": self.rows.n_event / max(p, 1), "baseline": self.baseline_name,
            "n_baseline": self._n_baseline,
            "held_level": self._held_level, "design": name_design(self._design), "cluster": self.cluster,
            "conf_level": self.conf_level, "loglik": self.loglik, "loglik_null": self.loglik_null,
            "aic": float("nan") if steps else 2 * (p + self._n_baseline) - 2 * self.loglik,
            "lr_test": lr, "lr_p_value": float(chi2.sf(lr, p)) if p else float("nan"),
            "scaled_gradient": self.scaled_gradient, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        how = (
            "baseline unspecified, errors from the profile likelihood"
            if self.baseline_name == "unspecified"
            else "log cumulative baseline hazard a natural cubic spline of log time"
        )
        variance = f", robust standard errors by {self.cluster}" if self.cluster else ""
        parts = [
            f"Proportional hazards of {self.outcome.label} from interval-censored times ({how}{variance}); "
            f"{len(self.coefficients)} parameter(s); time since {self.outcome.time_zero}.",
            f"Groups: {self.rows.by_name} ({name_design(self._design)})." if self.rows.by_name else "",
            self.rows.caveats(len(self.coefficients)),
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
            caution(self._design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(**ratios), ax=ax)

    @property
    def _design(self) -> str:
        return self.outcome.design if isinstance(self.outcome, TimeToEvent) else ""

    @property
    def _n_baseline(self) -> int:
        if isinstance(self.baseline, StepBaseline):
            return len(self.baseline.steps.jumps)
        return self.baseline.spline.size if self.baseline is not None else 0

    @property
    def _held_level(self) -> bool:
        return isinstance(self.baseline, SplineBaseline) and self.baseline.held_level
