"""A fitted accelerated-failure-time model: time ratios, hazard ratios, predicted survival and quantiles."""

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
from aih_outcomes.models.survival.intervals.distributions import EXTREME, LOGISTIC, NORMAL
from aih_outcomes.models.survival.intervals.rows import Cluster, Outcome, Rows, build_design_at
from aih_outcomes.outcomes import DAYS_PER_UNIT, TimeToEvent, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AcceleratedName = Literal["weibull", "exponential", "log-normal", "log-logistic"]
Matrix = NDArray[np.float64]

INTERCEPT, LOG_SCALE = "(Intercept)", "log(scale)"
TIME_RATIO = "Time ratio (95 % CI; above 1: later), log scale"


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """The fit itself; NaN where not estimable.

    Attributes
    ----------
    theta : (p + 2,) intercept, p coefficients, log(scale); the exponential has no log(scale)
    vcov, vcov_model : of ``theta``; the first robust where there are clusters
    """

    theta: Vector
    vcov: Matrix
    vcov_model: Matrix
    loglik: float
    loglik_null: float
    scaled_gradient: float


@dataclass(frozen=True, slots=True, eq=False)
class AcceleratedFailure:
    """A fitted accelerated-failure-time model.

    Attributes
    ----------
    outcome, rows : what was followed; the rows and terms used
    distribution : of the time
    engine : coefficients on log time, in the order intercept, terms, log(scale)
    not_estimable : the reason, or None
    """

    outcome: Outcome
    rows: Rows
    distribution: AcceleratedName
    engine: Engine
    cluster: Cluster
    conf_level: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per parameter.

        Returns
        -------
        frame : ``label, term, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` on log time
            (Wald), then ``time_ratio, time_ratio_low, time_ratio_high`` (above 1: later), and for Weibull and
            exponential ``hazard_ratio, hr_low, hr_high`` (the delta method on the log scale); counts as in ``fit_cox``.
            Rows ``(Intercept)`` and ``log(scale)`` have no ratio
        """
        z = norm.ppf((1 + self.conf_level) / 2)
        names = self.rows.design.names
        b, se = self.engine.theta, np.sqrt(np.diag(self.engine.vcov))
        frame = pd.DataFrame({
            "label": self.outcome.label, "term": [INTERCEPT, *names, *([LOG_SCALE] if self._has_scale else [])],
            "estimate": b, "std_error": se, "conf_low": b - z * se, "conf_high": b + z * se, "statistic": b / se,
            "p_value": 2 * norm.sf(np.abs(b / se)),
        })  # fmt: skip
        own = slice(1, 1 + len(names))
        log_hr, hr_se = self.log_hazard_ratios()
        ratios = {"time_ratio": (b[own], se[own]), "hazard_ratio": (log_hr, hr_se)}
        for name, (value, error) in ratios.items():
            short = "hr" if name == "hazard_ratio" else name
            for column, shift in ((name, 0.0), (f"{short}_low", -z), (f"{short}_high", z)):
                filled = np.full(len(frame), np.nan)
                filled[own] = np.exp(value + shift * error)
                frame[column] = filled
        if self.distribution not in ("weibull", "exponential"):
            frame = frame.drop(columns=["hazard_ratio", "hr_low", "hr_high"])
        counts = self.rows.counts().set_axis(range(1, 1 + len(names))).reindex(range(len(frame)))
        if self.cluster:
            frame["std_error_model"] = np.sqrt(np.diag(self.engine.vcov_model))
        frame = pd.concat([frame, counts], axis=1)
        return order_columns(frame.assign(design=name_design(self._design), biased=self._design.startswith(BIASED)))

    def log_hazard_ratios(self) -> tuple[Vector, Vector]:
        """(n_terms,) log hazard ratios −β/scale and their standard errors; NaN unless Weibull or exponential."""
        p = len(self.rows.design.terms)
        if self.distribution not in ("weibull", "exponential"):
            return np.full(p, np.nan), np.full(p, np.nan)
        b = self.engine.theta[1 : p + 1]
        jacobian = np.zeros((p, len(self.engine.theta)))
        jacobian[:, 1 : p + 1] = -np.eye(p) / self.scale
        if self._has_scale:
            jacobian[:, -1] = b / self.scale
        return -b / self.scale, np.sqrt(np.diag(jacobian @ self.engine.vcov @ jacobian.T))

    @property
    def scale(self) -> float:
        """The scale: standard deviations of the error; 1 for the exponential."""
        return float(np.exp(self.engine.theta[-1])) if self._has_scale else 1.0

    def quantiles(
        self, probs: Sequence[float] = (0.25, 0.5, 0.75), *, rows: pd.DataFrame | None = None,
        unit: TimeUnit | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return the times by which a share ``p`` has had the event, with the delta method's error.

        Parameters
        ----------
        rows : (n_rows, …) one patient to predict per row, with the model's columns; None for a model without terms
        unit : unit of the times; None for the outcome's own

        Returns
        -------
        frame : ``label, strata`` (the row's index), ``estimate, std_error, conf_low, conf_high`` (from the log
            scale), ``probability``
        """
        factor = DAYS_PER_UNIT[self.outcome.time_unit] / DAYS_PER_UNIT[unit or self.outcome.time_unit]
        X, index = self._predicted(rows)
        z = norm.ppf((1 + self.conf_level) / 2)
        frames = []
        for p in probs:
            at = np.full(len(X), float(self._of_error.quantile(np.array([p]))[0]))
            log_time, error = self._log_time(X, at)
            time = np.exp(log_time) * factor
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "strata": index, "estimate": time, "std_error": time * error,
                "conf_low": time * np.exp(-z * error), "conf_high": time * np.exp(z * error), "probability": p,
            }))  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def at(self, times: Sequence[float], *, rows: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return predicted survival at given times, in the outcome's unit.

        Parameters
        ----------
        rows : as in ``quantiles``

        Returns
        -------
        frame : ``label, strata, time, estimate, std_error, conf_low, conf_high``; the interval is Wald's on the
            scale of z, so within [0, 1]
        """
        X, index = self._predicted(rows)
        z = norm.ppf((1 + self.conf_level) / 2)
        frames = []
        for time in times:
            log_time, _ = self._log_time(X, np.zeros(len(X)))
            at = (np.log(max(float(time), 1e-300)) - log_time) / self.scale
            error = self._log_time(X, at)[1] / self.scale
            estimate, low, high = (np.exp(self._of_error.log_survival(at + s * error)) for s in (0.0, z, -z))
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "strata": index, "time": float(time), "estimate": estimate,
                "std_error": np.exp(self._of_error.log_density(at)) * error, "conf_low": low, "conf_high": high,
            }))  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit: sizes, likelihoods, tests, and why it is not estimable, if so."""
        engine, p = self.engine, len(self.rows.design.terms)
        lr = 2 * (engine.loglik - engine.loglik_null)
        return self.rows.facts() | {
            "n_parameters": len(engine.theta), "events_per_parameter": self.rows.n_event / len(engine.theta),
            "distribution": self.distribution, "scale": self.scale, "design": name_design(self._design),
            "cluster": self.cluster, "conf_level": self.conf_level, "loglik": engine.loglik,
            "loglik_null": engine.loglik_null, "aic": 2 * len(engine.theta) - 2 * engine.loglik, "lr_test": lr,
            "lr_p_value": float(chi2.sf(lr, p)) if p else float("nan"), "scaled_gradient": engine.scaled_gradient,
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        variance = f", robust standard errors by {self.cluster}" if self.cluster else ""
        censored = "" if isinstance(self.outcome, TimeToEvent) else " of interval-censored times"
        parts = [
            f"{self.distribution.capitalize()} accelerated-failure-time model{censored} of {self.outcome.label}"
            f"{variance}; {len(self.engine.theta)} parameter(s); time since {self.outcome.time_zero}.",
            f"Groups: {self.rows.by_name} ({name_design(self._design)})." if self.rows.by_name else "",
            self.rows.caveats(len(self.engine.theta)),
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
            caution(self._design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the time ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        tidy = tidy[tidy["time_ratio"].notna()]
        names = {"estimate": "time_ratio", "conf_low": "time_ratio_low", "conf_high": "time_ratio_high"}
        return draw_forest(tidy.assign(**{to: tidy[name] for to, name in names.items()}), ax=ax, x_label=TIME_RATIO)

    @property
    def _design(self) -> str:
        return self.outcome.design if isinstance(self.outcome, TimeToEvent) else ""

    @property
    def _has_scale(self) -> bool:
        return self.distribution != "exponential"

    @property
    def _of_error(self) -> Any:
        return {"log-normal": NORMAL, "log-logistic": LOGISTIC}.get(self.distribution, EXTREME)

    def _predicted(self, rows: pd.DataFrame | None) -> tuple[Matrix, list[str]]:
        at = pd.DataFrame(index=["all"]) if rows is None else rows
        X = build_design_at(self.rows, at)
        return np.column_stack([np.ones(len(at)), X]), [str(name) for name in at.index]

    def _log_time(self, X: Matrix, at: Vector) -> tuple[Vector, Vector]:
        """Log time at which z is ``at``, and its standard error."""
        theta, columns = self.engine.theta, X
        if self._has_scale:
            columns = np.column_stack([X, self.scale * at])  # derivative in log(scale)
        log_time = X @ theta[: X.shape[1]] + self.scale * at
        return log_time, np.sqrt(np.einsum("ij,jk,ik->i", columns, self.engine.vcov, columns))
