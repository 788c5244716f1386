"""Random-effects models: each patient has a course of their own around the mean course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.longitudinal.covariance_choice import Method, Search
from aih_outcomes.models.longitudinal.fixed_effects import (
    TIME,
    YEARS,
    Codes,
    FixedEffects,
    Matrix,
    Missing,
    Scale,
    build_fixed_effects,
    levels_of,
    with_intercept,
)
from aih_outcomes.models.longitudinal.gaussian.effects import Effects, fit_effects, predict_random_effects
from aih_outcomes.models.longitudinal.gaussian.inference import Covariance, DegreesOfFreedom
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted, Rows
from aih_outcomes.models.longitudinal.gaussian.singular import describe_singular
from aih_outcomes.models.longitudinal.gaussian.structure import Serial, Structure
from aih_outcomes.models.longitudinal.mixed_model import MixedModel, fit_model
from aih_outcomes.models.longitudinal.too_little import NOTHING_LEFT, leaves_nothing, why_hopeless
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Vector

RandomCovariance = Literal["unstructured", "diagonal"]

SERIAL_NAMES = {"correlation": "correlation_of_neighbours", "range": "range", "error share": "error_share"}


@dataclass(frozen=True, slots=True, eq=False)
class RandomEffects:
    """Random effects per patient, perhaps centres', and residuals that may follow each other.

    Attributes
    ----------
    random : formula of the columns whose effects differ between patients, or None
    random_covariance : effects may be correlated, or not
    serial : how residuals of one patient follow each other
    residual_by : column whose levels have residual variances of their own
    nested_in : column of what patients are nested in, such as centres
    weights : column; the residual variance is divided by it
    """

    random: str | None
    random_covariance: RandomCovariance
    serial: Serial
    residual_by: str | None
    nested_in: str | None
    weights: str | None

    def search(self, fixed: FixedEffects, method: Method, start: Fitted | None) -> Search:
        """Fit by Newton's method."""
        rows, strata = self._rows(fixed)
        reason = why_hopeless(fixed, rows, self.serial)
        if reason:
            return Search(None, self.describe(), reason=reason)
        structure = Structure(rows.Z.shape[1], self.random_covariance == "diagonal", self.nested_in is not None,
                              len(strata), self.serial)  # fmt: skip
        same = start is not None and len(start.evaluation.theta) == len(structure.parameters)
        begin = start.evaluation.theta if start is not None and same else None
        fitted = fit_effects(rows, structure, reml=method == "REML", start=begin)
        if fitted.trouble:
            known = np.isfinite(fitted.evaluation.loglik)
            reason = NOTHING_LEFT if known and leaves_nothing(rows) else fitted.trouble
            return Search(None, self.describe(), reason=reason)
        return Search(fitted, self.describe(), singular=describe_singular(fitted))

    def components(self, fitted: Fitted) -> pd.DataFrame:
        """List standard deviations and correlations, residual SDs by level; the range in the model's unit of time."""
        kernel: Effects = fitted.kernel  # type: ignore[assignment]  # a fit of fit_effects
        here, q = fitted.evaluation, fitted.rows.Z.shape[1]
        G, names = kernel.random_cov(here), self._names(q)
        sd = np.sqrt(np.diag(G))
        pairs = [(a, b) for a in range(q) for b in range(a) if self.random_covariance == "unstructured"]
        rows = [(f"sd_{name}", value) for name, value in zip(names, sd, strict=True)]
        with np.errstate(divide="ignore", invalid="ignore"):
            rows += [(f"correlation_{names[a]}_{names[b]}", G[a, b] / (sd[a] * sd[b])) for a, b in pairs]
        rows += [(f"covariance_{names[a]}_{names[b]}", G[a, b]) for a, b in pairs]
        if self.nested_in is not None:
            rows.append((f"sd_{self.nested_in}", float(np.sqrt(kernel.centre_variance(here)))))
        residual = kernel.residual_sd(here)
        rows.append(("sd_residual", residual[0]))
        rows += [(f"sd ratio {level}", value / residual[0]) for level, value in enumerate(residual[1:], start=2)]
        rows += [(SERIAL_NAMES[name], value) for name, value in kernel.serial(here).items()]
        return pd.DataFrame(rows, columns=["component", "estimate"])

    def random_effects(self, fitted: Fitted) -> pd.DataFrame:
        """Predicted deviations (BLUP), one column per effect."""
        predicted = predict_random_effects(fitted)
        return pd.DataFrame(predicted, columns=self._names(predicted.shape[1]))

    def count(self, fitted: Fitted, method: Method) -> tuple[int, int]:
        """Count fixed effects and variances, and values: lme4's convention."""
        return len(fitted.evaluation.beta) + len(fitted.evaluation.theta), len(fitted.rows.response)

    def describe(self) -> str:
        """Words for a caption."""
        effects: dict[int | None, str] = {0: "random intercept", 1: "random intercept and slope", -1: "random slope"}
        shown = effects.get(_of_course(self.random), f"random effects {self.random}")
        shown = "no random effects" if self.random is None else shown
        parts = [
            f"{shown} per patient" + (" (uncorrelated)" if self.random_covariance == "diagonal" else ""),
            "" if self.nested_in is None else f"random intercept per {self.nested_in}",
            {"independent": "", "ar1": "residuals AR(1) in the order of values",
             "exponential": "residuals with correlation falling exponentially in time",
             "exponential and error": "a serial process with correlation falling exponentially in time, and error"}[
                self.serial],
            "" if self.residual_by is None else f"residual variance by {self.residual_by}",
            "" if self.weights is None else f"weights {self.weights}",
        ]  # fmt: skip
        return ", ".join(part for part in parts if part)

    def _names(self, q: int) -> tuple[str, ...]:
        known: dict[int | None, tuple[str, ...]] = {0: ("intercept",), 1: ("intercept", "slope"), -1: ("slope",)}
        return known.get(_of_course(self.random), tuple(f"effect{place + 1}" for place in range(q)))

    def _rows(self, fixed: FixedEffects) -> tuple[Rows, tuple[str, ...]]:
        frame, n = fixed.frame, len(fixed.frame)
        Z = _columns(self.random, fixed)
        stratum, strata = (np.zeros(n, np.intp), ("all",)) if self.residual_by is None else levels_of(
            frame, self.residual_by
        )  # fmt: skip
        cluster = np.zeros(0, np.intp) if self.nested_in is None else level_of_patients(fixed, self.nested_in)
        weight = np.ones(n) if self.weights is None else read_row_weights(frame, self.weights)
        read = [*fixed.design.columns, *([] if fixed.random is None else fixed.random.columns)]
        time = frame[YEARS if YEARS in read else TIME].to_numpy(float)
        rows = Rows(fixed.response, np.ascontiguousarray(fixed.X[:, fixed.kept]), fixed.patient, time,
                    np.zeros(0, np.intp), Z, stratum, weight, cluster)  # fmt: skip
        return rows, strata


def fit_random_effects(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    course: str | None = YEARS,
    random: str | None = "1 + years",
    random_covariance: RandomCovariance = "unstructured",
    serial: Serial = "independent",
    residual_by: str | None = None,
    nested_in: str | None = None,
    weights: str | None = None,
    df: DegreesOfFreedom | None = None,
    vcov: Covariance = "model",
    method: Method = "REML",
    scale: Scale = "identity",
    from_day: int | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> MixedModel:
    """Fit value ~ group × course + covariates with random effects per patient.

    Parameters
    ----------
    measures : values over time
    by : groups (guarded), a covariate read as categories, or None; the first level is the reference
    covariates : terms or a formula beside the course, as in ``fit_cox``; may name ``time`` (the outcome's unit) and
        ``years``
    course : how the mean runs in time: ``years``, ``time``, ``ns(years, df=3)``, …; None for no change
    random : columns whose effects differ between patients: ``1``, ``1 + years``, ``1 + ns(years, df=2)``; None for none
    random_covariance : ``unstructured`` or ``diagonal`` (lme4's ``||``)
    serial : residuals ``independent``, ``ar1`` (in the order of a patient's values), ``exponential`` (in time), or an
        exponential process with measurement error
    residual_by : column whose levels have residual variances of their own
    nested_in : column of what patients are nested in (centres), which gets a random intercept
    weights : column; the residual variance is divided by it
    df : degrees of freedom; None for Kenward-Roger (as R's ``pbkrtest``, expected information, where residuals are
        independent), and Satterthwaite where it is not defined: after ``ML``, or with a robust ``vcov``
    vcov : of the estimates: model-based, or robust to a wrong covariance (``CR0``, ``CR2``, ``CR3``)
    method : restricted or full maximum likelihood
    scale : ``log`` for quantities that change by factors
    from_day : landmark: values from this day on, of patients whose group was known by it, time since it
    missing : rows whose covariates have no value: refuse, or exclude and count

    Returns
    -------
    fit : where the data do not determine the estimates they are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : unknown terms or choices, missing covariates, a value without a logarithm, different clocks

    Notes
    -----
    Laird & Ware, Biometrics 1982;38:963; Diggle, Biometrics 1988;44:959 (serial correlation with error). Informative
    visits bias it: compare ``compare_visit_handling``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {"id": [1, 1, 1, 2, 2, 2, 3, 3, 3], "t": [0, 1, 2] * 3, "y": [1, 2, 4, 2, 2, 3, 3, 5, 6.0]}
    ... )
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    >>> fit = fit_random_effects(measures, course="time", random="1")
    >>> [round(float(value), 3) for value in fit.estimate]
    [1.944, 1.167]
    """
    refuse_no_level(conf_level)
    chosen = RandomEffects(random, random_covariance, serial, residual_by, nested_in, weights)
    if df is None:
        df = "kenward-roger" if (method, vcov) == ("REML", "model") else "satterthwaite"
    _check_choices(chosen, df, vcov, method, scale, missing)
    needed = [name for name in (residual_by, nested_in, weights) if name is not None]
    fixed = build_fixed_effects(measures, by=by, covariates=covariates, course=course, scale=scale, from_day=from_day,
                                missing=missing, needed=needed, random=random)  # fmt: skip
    return fit_model(fixed, chosen, scale=scale, method=method, df=df, vcov=vcov, conf_level=conf_level)


def read_row_weights(frame: pd.DataFrame, column: str) -> Vector:
    """(n,) positive weights of the rows.

    Raises
    ------
    OutcomeError : a weight that is missing, 0 or negative
    """
    weight = pd.to_numeric(frame[column], errors="coerce").to_numpy(float)
    wrong = int(np.sum(~(np.isfinite(weight) & (weight > 0))))
    if wrong:
        raise OutcomeError(
            f"{wrong} of {len(weight)} rows have no positive weight in {column!r}",
            "The residual variance is divided by the weight", "Leave out rows of weight 0, and complete the others",
        )  # fmt: skip
    return np.asarray(weight)


def _columns(random: str | None, fixed: FixedEffects) -> Matrix:
    """(n, q) columns of the random effects."""
    if random is None or fixed.random is None:
        return np.empty((len(fixed.frame), 0))
    if _has_intercept(random):
        return with_intercept(fixed.random.X)
    if fixed.random.categories:
        raise OutcomeError(
            f"random={random!r} has a category and no intercept", "A category's columns are differences from its first "
            "level", f"Write random='1 + {', '.join(fixed.random.categories)}'",
        )  # fmt: skip
    return np.ascontiguousarray(fixed.random.X)


def _of_course(random: str | None) -> int | None:
    """0: an intercept, 1: with a slope in time, −1: a slope alone; None for any other formula."""
    text = "" if random is None else random.replace(" ", "")
    lines = {"1": 0} | {name: -1 if "0" in name else 1 for time in (TIME, YEARS) for name in
                        (time, f"1+{time}", f"{time}+1", f"0+{time}", f"{time}+0")}  # fmt: skip
    return lines.get(text)


def _has_intercept(random: str) -> bool:
    text = random.replace(" ", "").removeprefix("~")
    return not (text.startswith(("0+", "-1+")) or text.endswith(("-1", "+0")) or text in ("0", "-1"))


def level_of_patients(fixed: FixedEffects, column: str) -> Codes:
    """(n,) codes of a column that is one fact of each patient, such as their centre.

    Raises
    ------
    OutcomeError : a patient of several levels
    """
    codes, _ = levels_of(fixed.frame, column)
    changed = codes != codes[np.searchsorted(fixed.patient, fixed.patient)]  # against each patient's first row
    if changed.any():
        raise OutcomeError(
            f"{len(np.unique(fixed.patient[changed]))} patient(s) have more than one level of {column!r}",
            "A patient belongs to one level of it",
            "Give each patient the first, or leave the column out",
        )
    return codes


def _check_choices(chosen: RandomEffects, df: str, vcov: str, method: str, scale: str, missing: str) -> None:
    random: object = chosen.random
    if not (random is None or isinstance(random, str)):
        raise OutcomeError(
            f"random= is a {type(random).__name__}", "Effects that differ between patients are one formula",
            "Write random='1 + years', or random=None for none",
        )  # fmt: skip
    refuse_unknown_choice("random_covariance", chosen.random_covariance, get_args(RandomCovariance))
    refuse_unknown_choice("serial", chosen.serial, get_args(Serial))
    refuse_unknown_choices(df, vcov, method, scale, missing)


def refuse_unknown_choices(df: str, vcov: str, method: str, scale: str, missing: str) -> None:
    """Refuse what every mixed model refuses."""
    refuse_unknown_choice("df", df, get_args(DegreesOfFreedom))
    refuse_unknown_choice("vcov", vcov, get_args(Covariance))
    refuse_unknown_choice("method", method, get_args(Method))
    refuse_unknown_choice("scale", scale, get_args(Scale))
    refuse_unknown_choice("missing", missing, get_args(Missing))
