"""Accelerated-failure-time models: the log of time is shifted by covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.intervals.accelerated_result import (
    AcceleratedFailure,
    AcceleratedName,
    Engine,
    Matrix,
)
from aih_outcomes.models.survival.intervals.distributions import EXTREME, LOGISTIC, NORMAL
from aih_outcomes.models.survival.intervals.likelihood import Ends, Linear, find_places
from aih_outcomes.models.survival.intervals.newton import Optimum, maximise
from aih_outcomes.models.survival.intervals.rows import (
    Cluster,
    Missing,
    Outcome,
    Rows,
    numbered,
    read_rows,
    refuse_unusable,
    robust_variance,
    why_hopeless,
)
from aih_outcomes.outcomes import Groups, Vector

DISTRIBUTIONS = {"weibull": EXTREME, "exponential": EXTREME, "log-normal": NORMAL, "log-logistic": LOGISTIC}


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """The model on centred log time and standardised covariates, and the way back.

    Attributes
    ----------
    model : z = τ (log t − ``centre``) − c − Z γ; parameters (τ unless exponential, c, γ)
    centre, mean, spread : of log time; (p,) of the covariates
    exponential : τ is 1
    """

    model: Linear
    centre: float
    mean: Vector
    spread: Vector
    exponential: bool


def fit_accelerated_failure(
    outcome: Outcome,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    distribution: AcceleratedName = "weibull",
    cluster: Cluster = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> AcceleratedFailure:
    """Fit log T = x β + scale × error to interval-censored, left-censored, right-censored and exact times.

    Parameters
    ----------
    outcome : intervals (left, right]; or spells (entry, exit], late entry by conditioning
    by : groups known at time zero (guarded) or a covariate read as categories; its first level is the reference
    covariates : terms as in ``fit_cox``
    distribution : of the time; the error is extreme-value, normal or logistic
    cluster : rows that belong together; standard errors are then robust
    missing : what to do with rows without a value: refuse, or exclude and count them in ``glance()``

    Returns
    -------
    fit : where the data do not determine the coefficients, they are NaN and ``not_estimable`` says why. Rows that were
        never looked at after time zero carry no information; they are left out and counted

    Raises
    ------
    ImmortalTimeError : groups became known after time zero
    OutcomeError : unknown terms, missing covariates, an event at time 0, no convergence to an optimum

    Notes
    -----
    Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data, 2002, ch. 3. Climbs in (1/scale, β/scale), in
    which the likelihood is concave (Burridge, J R Stat Soc B 1981;43:41). Conventions of R's ``survreg``.

    Examples
    --------
    >>> import pandas as pd
    >>> from aih_outcomes.outcomes import IntervalTime
    >>> frame = pd.DataFrame({"last_without": [0, 2], "first_with": [2, None]})
    >>> seen = IntervalTime.from_frame(frame, left="last_without", right="first_with")
    >>> fit_accelerated_failure(seen, distribution="exponential").quantiles([0.5])["estimate"].round(2).tolist()
    [2.0]
    """
    refuse_no_level(conf_level)
    refuse_unknown_choice("distribution", distribution, DISTRIBUTIONS)
    refuse_unusable(outcome, cluster)
    rows = read_rows(outcome, by, covariates, missing)
    reason = why_hopeless(rows, len(rows.design.terms) + (1 if distribution == "exponential" else 2))
    return _fit(outcome, rows, distribution, cluster, conf_level, reason)


def _fit(
    outcome: Outcome, rows: Rows, distribution: AcceleratedName, cluster: Cluster, conf_level: float, reason: str | None
) -> AcceleratedFailure:
    best = scaled = None
    if reason is None:
        scaled = _scale(rows.ends, rows.design.X, distribution)
        best = maximise(scaled.model.evaluate, _start(scaled))
        reason = None if best.converged else _why_not_converged(best)
    if best is None or scaled is None or reason is not None:
        engine = _no_engine(len(rows.design.terms) + 1 + (distribution != "exponential"))
        return AcceleratedFailure(outcome, rows, distribution, engine, cluster, conf_level, reason)
    theta, jacobian = _to_log_time(scaled, best.theta)
    vcov_model = jacobian @ best.vcov @ jacobian.T
    vcov = vcov_model
    if cluster is not None:
        scores = scaled.model.row_scores(best.theta, len(rows.frame))
        vcov = jacobian @ robust_variance(scores, numbered(rows.frame[cluster]), best.vcov) @ jacobian.T
    null = best.loglik
    if len(rows.design.terms):
        alone = _scale(rows.ends, np.empty((len(rows.frame), 0)), distribution)
        null = maximise(alone.model.evaluate, _start(alone)).loglik
    engine = Engine(theta, vcov, vcov_model, best.loglik, null, best.scaled_gradient)
    return AcceleratedFailure(outcome, rows, distribution, engine, cluster, conf_level, None)


def _scale(ends: Ends, X: Matrix, distribution: AcceleratedName) -> Scaled:
    places = find_places(ends)
    exponential = distribution == "exponential"
    centre = float(places.log_time.mean())
    mean, spread = X.mean(axis=0), X.std(axis=0)
    Z = ((X - mean) / spread)[places.owner]
    log_time = places.log_time - centre
    shifts = np.column_stack([-np.ones(len(Z)), -Z])
    D = shifts if exponential else np.column_stack([log_time, shifts])
    E = np.zeros_like(D)
    if not exponential:
        E[:, 0] = 1.0
    offset = log_time if exponential else np.zeros(len(Z))
    model = Linear(places, DISTRIBUTIONS[distribution], D, E, offset, 1.0 if exponential else 0.0)
    return Scaled(model, centre, mean, spread, exponential)


def _start(scaled: Scaled) -> Vector:
    """No covariate matters, times spread as the looks."""
    spread = max(float(scaled.model.places.log_time.std()), 0.1)
    return np.concatenate([[] if scaled.exponential else [1 / spread], np.zeros(len(scaled.mean) + 1)])


def _to_log_time(scaled: Scaled, theta: Vector) -> tuple[Vector, Matrix]:
    """Return intercept, coefficients, log(scale) (not for the exponential), and their derivatives in ``theta``."""
    tau, rest = (1.0, theta) if scaled.exponential else (float(theta[0]), theta[1:])
    p = len(scaled.mean)
    back = np.zeros((p + 1, p + 1))  # of (c, γ)/τ to the scale of X
    back[0, 0] = 1.0
    back[0, 1:] = -scaled.mean / scaled.spread
    back[1:, 1:] = np.diag(1 / scaled.spread)
    coefficients = back @ rest / tau
    jacobian = back / tau
    if not scaled.exponential:
        jacobian = np.column_stack([-coefficients / tau, jacobian])
        last = np.zeros(p + 2)
        last[0] = -1 / tau
        jacobian = np.vstack([jacobian, last])
    coefficients[0] += scaled.centre
    if scaled.exponential:
        return coefficients, jacobian
    return np.append(coefficients, -np.log(tau)), jacobian


def _why_not_converged(best: Optimum) -> str:
    """Name a likelihood without a maximum; anything else is an error."""
    if best.flat and np.isfinite(best.loglik):
        return (
            "the likelihood has no maximum: the covariates separate the events, or the intervals do not fix the scale"
        )
    raise OutcomeError(
        f"The model did not reach an optimum (scaled gradient {best.scaled_gradient:.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer terms, or rescale extreme covariates",
    )  # fmt: skip


def _no_engine(size: int) -> Engine:
    unknown = np.full((size, size), np.nan)
    return Engine(np.full(size, np.nan), unknown, unknown, np.nan, np.nan, np.nan)
