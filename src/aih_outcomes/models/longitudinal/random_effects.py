"""Random intercept and slope: how fast a quantity changes after a landmark, group by group."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import EVERYONE, GROUP, check_known_at_entry, join_groups, memberships
from aih_outcomes.models.result import DAYS_PER_YEAR, order_columns, refuse_no_level
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["identity", "log"]
Matrix = NDArray[np.float64]

LEAST_PATIENTS = 5
BOUNDARY = 1e-6  # smallest eigenvalue of the random effects' covariance, relative to its own scale, that is not 0
TIME = "years"


@dataclass(frozen=True, slots=True, eq=False)
class RandomEffects:
    """A linear mixed model with random intercept and slope, fitted by REML; p fixed effects.

    Attributes
    ----------
    measures : the values used, on the clock of the fit
    names : (p,) terms; ``estimate`` (p,), ``vcov`` (p, p); NaN where not estimable
    random_cov : (2, 2) covariance of intercept and slope (per year); ``residual_variance``
    boundary : why the variance of the random effects is doubtful, or None
    """

    measures: RepeatedMeasures
    by_name: str
    scale: Scale
    names: tuple[str, ...]
    estimate: Vector
    vcov: Matrix
    random_cov: Matrix
    residual_variance: float
    loglik: float
    conf_level: float
    boundary: str | None
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per fixed effect: ``label, term, estimate`` to ``p_value``, ``n`` patients.

        Slopes are per year; normal (Wald) limits. On the log scale ``estimate`` is a difference of logarithms.
        """
        z, se = norm.ppf((1 + self.conf_level) / 2), np.sqrt(np.diag(self.vcov))
        statistic = self.estimate / se
        return order_columns(pd.DataFrame({
            "label": self.measures.label, "term": self.names, "estimate": self.estimate, "std_error": se,
            "conf_low": self.estimate - z * se, "conf_high": self.estimate + z * se, "statistic": statistic,
            "n": self.measures.frame["patient_id"].nunique(),
            "p_value": 2 * norm.sf(np.abs(statistic)),
        }))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit."""
        frame = self.measures.frame
        return {
            "n": len(frame), "n_patients": int(frame["patient_id"].nunique()), "by": self.by_name, "scale": self.scale,
            "design": self.measures.design, "loglik_reml": self.loglik,
            "sd_intercept": float(np.sqrt(self.random_cov[0, 0])), "sd_slope": float(np.sqrt(self.random_cov[1, 1])),
            "covariance": float(self.random_cov[0, 1]),
            "sd_residual": float(np.sqrt(self.residual_variance)), "boundary": self.boundary,
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        m = self.measures
        on = "log of " if self.scale == "log" else ""
        parts = [
            f"Linear mixed model (REML) of {on}{m.label}, random intercept and slope; "
            f"slopes per year; time since {m.time_zero}; normal limits.",
            f"Groups: {self.by_name}." if self.by_name else "",
            f"{m.design}: prognostic association, not a treatment effect." if m.design else "",
            f"Boundary: {self.boundary}." if self.boundary else "",
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
                "Fit with scale='log', or draw describe_trajectories(...)",
            )
        tidy = self.tidy().iloc[1:].assign(design=self.measures.design or "random intercept and slope")
        ratios = {name: np.exp(tidy[name]) for name in ("estimate", "conf_low", "conf_high")}
        return draw_forest(tidy.assign(n=None, n_event=None, **ratios), ax=ax, x_label="Ratio (95 % CI), log scale")


def fit_random_effects(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] = (),
    from_day: int | None = None,
    scale: Scale = "identity",
    conf_level: float = 0.95,
) -> RandomEffects:
    """Fit value ~ time × group + covariates with random intercept and slope by REML.

    Parameters
    ----------
    measures : values in days since time zero
    by : groups (guarded), a covariate read as categories, or None; the first level is the reference
    covariates : numeric covariates
    from_day : landmark: only values from this day on, only patients whose group was known by it, time since it
    scale : ``log`` for quantities that change by factors

    Returns
    -------
    fit : where the likelihood found no optimum, estimates are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : a covariate is missing; a value has no logarithm; different clocks

    Notes
    -----
    Laird & Ware, Biometrics 1982;38:963; engine: statsmodels ``MixedLM``. Informative visits bias it: prefer scheduled
    values.
    """
    refuse_no_level(conf_level)
    at_hand = measures if from_day is None else _since_landmark(measures, by, from_day)
    fixed = GROUP if from_day is not None and isinstance(by, Groups) else by
    frame = join_groups(at_hand, fixed)
    response = _response(frame["value"].to_numpy(float), at_hand, scale)
    X, names = _fixed_effects(frame, at_hand, covariates)
    name = by.name if isinstance(by, Groups) else (by or "")
    years = frame["time"].to_numpy(float) / DAYS_PER_YEAR
    reason = _why_hopeless(frame, X)
    p = X.shape[1]
    nothing = (np.full(p, np.nan), np.full((p, p), np.nan), np.full((2, 2), np.nan), float("nan"), float("nan"))
    fitted, trouble = (nothing, reason) if reason else _maximise(response, X, years, frame["patient_id"])
    estimate, vcov, random_cov, residual, loglik = nothing if trouble else fitted
    boundary = None if trouble else _boundary(random_cov, residual, years)
    return RandomEffects(
        at_hand, name, scale, names, estimate, vcov, random_cov, residual, loglik, conf_level, boundary, trouble
    )


def _since_landmark(measures: RepeatedMeasures, by: Groups | str | None, day: int) -> RepeatedMeasures:
    """Keep values from the landmark on, of patients whose group was known by then; restart the clock."""
    frame, design = measures.frame[measures.frame["time"] >= day], f"landmark at day {day}"
    covariates = measures.covariates
    if isinstance(by, Groups):
        known = memberships(by)
        known = known[known["known_at"] <= day]
        later = frame.assign(time=np.maximum(frame["time"], day))
        check_known_at_entry(replace(measures, frame=later[later["patient_id"].isin(known["patient_id"])]),
                             replace(by, frame=known, landmark=None))  # fmt: skip
        if by.landmark is not None and by.landmark > day:
            raise OutcomeError(
                f"The groups {by.name!r} use a window to day {by.landmark}, the landmark is day {day}",
                "A landmark lies at or after the end of the window it uses", f"Give from_day={by.landmark} or later",
            )  # fmt: skip
        label = known.groupby("patient_id")["label"].last()
        frame = frame[frame["patient_id"].isin(label.index)]
        group = pd.Categorical(label.reindex(frame["patient_id"]).astype(object), categories=list(by.levels))
        frame, design, covariates = frame.assign(**{GROUP: group}), f"{design}: {by.name}", (*covariates, GROUP)
    frame = frame.assign(time=frame["time"] - day).reset_index(drop=True)
    return replace(
        measures, frame=frame, design=design, covariates=covariates, time_zero=f"day {day} after {measures.time_zero}"
    )


def _response(values: Vector, measures: RepeatedMeasures, scale: Scale) -> Vector:
    impossible = int(np.sum(values <= 0)) if scale == "log" else 0
    if impossible:
        raise OutcomeError(
            f"{impossible} of {len(values)} values of {measures.label!r} have no logarithm",
            "The log scale needs positive values",
            "Use scale='identity', or say what stands for a value below detection",
        )  # fmt: skip
    return np.log(values) if scale == "log" else values


def _fixed_effects(
    frame: pd.DataFrame, measures: RepeatedMeasures, covariates: Sequence[str]
) -> tuple[Matrix, tuple[str, ...]]:
    """Intercept, years, groups, years × groups, covariates."""
    years = frame["time"].to_numpy(float) / DAYS_PER_YEAR
    levels = [str(level) for level in frame[GROUP].cat.categories]
    columns, names = [np.ones(len(frame)), years], ["intercept", TIME]
    dummies = [np.asarray(frame[GROUP] == level, float) for level in levels[1:]]
    shown = [f"{GROUP}: {level} (ref. {levels[0]})" for level in levels[1:]]
    columns += dummies + [years * dummy for dummy in dummies]
    names += shown + [f"{TIME} × {name}" for name in shown]
    for covariate in covariates:
        if covariate not in measures.covariates:
            raise OutcomeError(
                f"{covariate!r} is not a covariate of {measures.label!r}",
                f"Declared are: {', '.join(measures.covariates) or 'none'}",
                "Declare it in from_frame(...)",
            )
        values = pd.to_numeric(frame[covariate], errors="coerce").to_numpy(float)
        missing = int(np.sum(~np.isfinite(values)))
        if missing:
            raise OutcomeError(
                f"{missing} of {len(values)} rows lack a number in {covariate!r}",
                "A missing value is never a normal one",
                "Exclude these rows by name, or impute them",
            )
        columns.append(values)
        names.append(covariate)
    return np.column_stack(columns), tuple(names)


def _why_hopeless(frame: pd.DataFrame, X: Matrix) -> str | None:
    per_group = frame.groupby(GROUP, observed=True)["patient_id"].nunique()
    small = [str(level) for level in per_group.index[per_group < LEAST_PATIENTS]]
    if small:
        return f"fewer than {LEAST_PATIENTS} patients in {', '.join('all' if s == EVERYONE else s for s in small)}"
    if frame.groupby("patient_id")["time"].nunique().max() < 3:
        return "nobody has three values in time, so slope and residual cannot be told apart"
    return "terms are constant or collinear" if np.linalg.matrix_rank(X) < X.shape[1] else None


def _maximise(
    response: Vector, X: Matrix, years: Vector, patient: pd.Series
) -> tuple[tuple[Vector, Matrix, Matrix, float, float], str | None]:
    """Run statsmodels on centred, scaled time; return fixed effects, their variance, covariances, log-likelihood."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise OutcomeError(
            "statsmodels is not installed", "Mixed models need it", "Install aih-outcomes with its core"
        ) from error
    spread = float(years.std()) or 1.0
    size = float(response.std()) or 1.0
    Z = np.column_stack([np.ones(len(years)), years / spread])
    with warnings.catch_warnings(record=True):  # statsmodels warns of what is read off the fit below
        warnings.simplefilter("always")
        try:
            model = MixedLM(response / size, X, groups=patient.to_numpy(str), exog_re=Z)
            fit = model.fit(reml=True, method=["lbfgs", "powell"], gtol=1e-8)
        except (np.linalg.LinAlgError, ValueError) as error:
            nothing = np.full((2, 2), np.nan)
            return (
                np.empty(0),
                nothing,
                nothing,
                float("nan"),
                float("nan"),
            ), f"the engine failed ({type(error).__name__})"
    back = np.diag([1.0, 1 / spread]) * size
    p = X.shape[1]
    loglik = float(fit.llf) - (len(response) - p) * float(np.log(size))
    values = (
        np.asarray(fit.fe_params) * size, np.asarray(fit.cov_params())[:p, :p] * size**2,
        back @ np.asarray(fit.cov_re) @ back, float(fit.scale) * size**2, loglik,
    )  # fmt: skip
    usable = bool(fit.converged) and all(np.all(np.isfinite(value)) for value in values)
    return values, None if usable else "the likelihood found no optimum"


def _boundary(random_cov: Matrix, residual: float, years: Vector) -> str | None:
    """Name a variance that the data put at 0."""
    scale = np.array([1.0, float(years.std()) or 1.0])
    smallest = float(np.linalg.eigvalsh(random_cov * np.outer(scale, scale)).min())
    if smallest > BOUNDARY * residual:
        return None
    return "a random effect has no variance; standard errors treat it as known"
