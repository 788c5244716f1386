"""Proportional hazards when the event is seen only between two looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.intervals.hazards_result import (
    BaselineName,
    IntervalHazards,
    Matrix,
    SplineBaseline,
    StepBaseline,
)
from aih_outcomes.models.survival.intervals.newton import GRADIENT_TOLERANCE
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
from aih_outcomes.models.survival.intervals.spline import Spline, SplineFit, fit_spline, place_knots
from aih_outcomes.models.survival.intervals.steps import SEPARATED, Problem, Steps, climb_steps
from aih_outcomes.models.survival.intervals.turnbull import find_intersections
from aih_outcomes.outcomes import Groups, IntervalTime, Vector

INNER_KNOTS = 2
PROVEN = 1e-6  # excess of a gradient over its bound


def fit_interval_hazards(
    outcome: Outcome,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    baseline: BaselineName = "unspecified",
    n_knots: int = INNER_KNOTS,
    cluster: Cluster = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> IntervalHazards:
    """Fit proportional hazards to intervals (left, right], exact, left- and right-censored times, all mixed.

    Parameters
    ----------
    outcome : intervals; with ``baseline="spline"`` also spells (entry, exit], late entry by conditioning
    by : groups known at time zero (guarded) or a covariate read as categories; its first level is the reference
    covariates : terms as in ``fit_cox``
    baseline : ``unspecified``, a step function wherever the data allow one; or ``spline``, log cumulative hazard as a
        natural cubic spline of log time
    n_knots : inner knots of the spline, at equal shares of the ends of the intervals in which events were seen
    cluster : rows that belong together, for the spline: standard errors are then robust
    missing : what to do with rows without a value: refuse, or exclude and count them in ``glance()``

    Returns
    -------
    fit : where the data do not determine the ratios, they are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : groups became known after time zero
    OutcomeError : unknown terms, missing covariates, an event at time 0, no convergence to an optimum

    Notes
    -----
    Finkelstein, Biometrics 1986;42:845; Huang, Ann Stat 1996;24:540. Without a baseline, standard errors come from the
    curvature of the profile likelihood one standard error away (Murphy & van der Vaart, JASA 2000;95:449). Spline:
    Royston & Parmar, Stat Med 2002;21:2175; where it would fall, the best of those that do not, with
    ``held_level`` in ``glance()``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"left": [0, 0, 2, 2], "right": [2, 2, None, None], "x": [1.0, 0, 1, 0]})
    >>> seen = IntervalTime.from_frame(frame, left="left", right="right", covariates=["x"])
    >>> abs(round(float(fit_interval_hazards(seen, covariates=["x"]).tidy()["estimate"][0]), 6))
    0.0
    """
    refuse_no_level(conf_level)
    refuse_unusable(outcome, cluster)
    _refuse_choices(outcome, baseline, n_knots, cluster)
    rows = read_rows(outcome, by, covariates, missing)
    p = len(rows.design.terms)
    if baseline == "spline":
        return _fit_spline(outcome, rows, n_knots, cluster, conf_level, why_hopeless(rows, p + n_knots + 2))
    return _fit_steps(outcome, rows, conf_level, why_hopeless(rows, p) or (None if p else "the model has no terms"))


def _refuse_choices(outcome: Outcome, baseline: str, n_knots: object, cluster: Cluster) -> None:
    refuse_unknown_choice("baseline", baseline, ("unspecified", "spline"))
    if isinstance(n_knots, bool) or not isinstance(n_knots, int) or n_knots not in range(9):
        raise OutcomeError(
            f"{n_knots!r} inner knots are asked for", "A spline of log time takes 0 (Weibull) to 8",
            "Use 1 to 3: few events carry no more",
        )  # fmt: skip
    if baseline == "unspecified" and not isinstance(outcome, IntervalTime):
        raise OutcomeError(
            f"{type(outcome).__name__} has exact times", "Their proportional hazards are Cox's model",
            "Use fit_cox(...), or baseline='spline'",
        )  # fmt: skip
    if baseline == "unspecified" and cluster is not None:
        raise OutcomeError(
            "Robust errors are asked for a model without a baseline", "Its errors come from the profile likelihood",
            "Use baseline='spline' with cluster='patient_id'",
        )  # fmt: skip


def _fit_steps(outcome: Outcome, rows: Rows, conf_level: float, reason: str | None) -> IntervalHazards:
    p = len(rows.design.terms)
    nothing = IntervalHazards(
        outcome, rows, "unspecified", None, np.full(p, np.nan), np.full((p, p), np.nan), np.full((p, p), np.nan),
        np.nan, np.nan, np.nan, None, conf_level, reason,
    )  # fmt: skip
    if reason is not None:
        return nothing
    X = rows.design.X
    mean, spread = X.mean(axis=0), X.std(axis=0)
    spans = find_intersections(rows.ends.left, rows.ends.right)
    if spans.m == 1:
        return replace(nothing, not_estimable="all intervals share a time: they do not tell patients apart")
    none = np.zeros(len(X))
    null = climb_steps(Problem(spans, rows.ends.weight, np.empty((len(X), 0)), none))
    problem = Problem(spans, rows.ends.weight, (X - mean) / spread, none)
    best = climb_steps(problem, replace(null, beta=np.zeros(p)))
    reason = _why_no_steps(best, rows)
    if reason is not None:
        return replace(nothing, not_estimable=reason)
    vcov = _profile_variance(problem, best) / np.outer(spread, spread)
    if not (np.all(np.isfinite(vcov)) and np.all(np.linalg.eigvalsh(vcov) > 0)):
        return replace(nothing, not_estimable="the profile likelihood is flat: too few intervals tell patients apart")
    baseline = StepBaseline(best, spans, mean, spread)
    return replace(
        nothing, baseline=baseline, coefficients=best.beta / spread, vcov=vcov, vcov_model=vcov, loglik=best.loglik,
        loglik_null=null.loglik, scaled_gradient=max(best.scaled_gradient, best.excess),
    )  # fmt: skip


def _why_no_steps(best: Steps, rows: Rows) -> str | None:
    """Name a likelihood without a maximum; anything else that is no optimum is an error."""
    if np.max(np.abs(best.beta), initial=0.0) > SEPARATED:
        name = rows.design.names[int(np.argmax(np.abs(best.beta)))]
        return f"the likelihood is monotone in {name!r} (the events separate)"
    if best.scaled_gradient < GRADIENT_TOLERANCE and best.excess < PROVEN:
        return None
    raise OutcomeError(
        f"The model did not reach an optimum (scaled gradient {max(best.scaled_gradient, best.excess):.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer terms, or baseline='spline'",
    )  # fmt: skip


def _profile_variance(problem: Problem, best: Steps) -> Matrix:
    """(p, p) inverse curvature of the profile likelihood, by second differences one standard error away."""
    p = len(best.beta)
    step = np.sqrt(np.diag(best.vcov))
    start = replace(best, beta=np.empty(0), vcov=np.empty((0, 0)))

    def profile(shift: Vector) -> float:
        eta = problem.X @ (best.beta + shift * step)
        fixed = Problem(problem.spans, problem.weight, np.empty((len(eta), 0)), eta)
        return climb_steps(fixed, start).loglik

    unit = np.eye(p)
    information = np.empty((p, p))
    for j in range(p):
        information[j, j] = 2 * best.loglik - profile(unit[j]) - profile(-unit[j])
        for k in range(j):
            apart = profile(unit[j] - unit[k]) + profile(unit[k] - unit[j])
            alike = profile(unit[j] + unit[k]) + profile(-unit[j] - unit[k])
            information[j, k] = information[k, j] = (apart - alike) / 4
    try:
        return np.asarray(np.linalg.inv(information) * np.outer(step, step), float)
    except np.linalg.LinAlgError:
        return np.full((p, p), np.nan)


def _fit_spline(
    outcome: Outcome, rows: Rows, n_knots: int, cluster: Cluster, conf_level: float, reason: str | None
) -> IntervalHazards:
    p, k = len(rows.design.terms), n_knots + 2
    nothing = IntervalHazards(
        outcome, rows, "spline", None, np.full(p, np.nan), np.full((p, p), np.nan), np.full((p, p), np.nan),
        np.nan, np.nan, np.nan, cluster, conf_level, reason,
    )  # fmt: skip
    if reason is not None:
        return nothing
    seen = np.concatenate([rows.ends.left[rows.ends.seen], rows.ends.right[rows.ends.seen]])
    knots = place_knots(np.log(seen[seen > 0]), n_knots)
    if knots is None:
        return replace(nothing, not_estimable="the events were seen at too few different times for these knots")
    X = rows.design.X
    mean, spread = X.mean(axis=0), X.std(axis=0)
    spline = Spline(knots)
    fit = fit_spline(rows.ends, (X - mean) / spread, spline)
    reason = _why_no_spline(fit)
    if reason is not None:
        return replace(nothing, not_estimable=reason)
    vcov_model = vcov = fit.vcov
    if cluster is not None:
        scores = np.zeros((len(X), len(fit.theta)))
        scores[:, fit.free] = fit.model.row_scores(fit.best.theta, len(X))
        vcov = robust_variance(scores, numbered(rows.frame[cluster]), vcov_model)
    null = fit_spline(rows.ends, np.empty((len(X), 0)), spline).best.loglik if p else fit.best.loglik
    scale = np.outer(spread, spread)
    baseline = SplineBaseline(fit.theta, vcov, spline, mean, spread, not fit.free.all())
    return replace(
        nothing, baseline=baseline, coefficients=fit.theta[k:] / spread, vcov=vcov[k:, k:] / scale,
        vcov_model=vcov_model[k:, k:] / scale, loglik=fit.best.loglik, loglik_null=null,
        scaled_gradient=fit.best.scaled_gradient,
    )  # fmt: skip


def _why_no_spline(fit: SplineFit) -> str | None:
    if fit.best.converged:
        return None
    if fit.best.flat and np.isfinite(fit.best.loglik):
        return "the likelihood has no maximum: the covariates separate the events, or there are too many knots"
    raise OutcomeError(
        f"The model did not reach an optimum (scaled gradient {fit.best.scaled_gradient:.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer knots or terms",
    )  # fmt: skip
