"""Fit repeated measures at nominal visits (MMRM): before the fit what the data carry, after it what is singular."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.covariances import (
    HETEROGENEOUS,
    VisitCovariance,
    count_parameters,
    is_heterogeneous,
)
from aih_outcomes.models.longitudinal.gaussian.likelihood import Codes, Evaluation, Fitted, Kernel, Matrix, Rows
from aih_outcomes.models.longitudinal.gaussian.newton import maximise
from aih_outcomes.models.longitudinal.gaussian.own_times import OwnTimes
from aih_outcomes.models.longitudinal.gaussian.search_coordinates import SearchCoordinates
from aih_outcomes.models.longitudinal.gaussian.visit_likelihood import State, Visits
from aih_outcomes.models.threads import on_one_thread
from aih_outcomes.outcomes import Vector

SINGULAR = 1e6  # condition number of the correlations from which a direction of Σ counts as empty
STILL = 1e10  # largest variance of a visit relative to one that counts as 0
EXACT = 1e-27  # residual sum of squares relative to the response's that rounding leaves
AT_ONE_TIME = "the covariance cannot be inverted: two values of a patient have the same time"
INVOLVED = 0.1  # share of a visit in an empty direction from which it is named


@on_one_thread
def fit_visits(
    rows: Rows, covariance: VisitCovariance, *, n_visits: int, reml: bool, start: Vector | None = None
) -> Fitted:
    """Fit a covariance between visits.

    Parameters
    ----------
    rows : patients together; at most one row per patient and visit; ``stratum``, one for each patient, names whose
        covariance is whose
    covariance : structure; where ``exponential`` meets visits on days of their own, each patient has a Σ of their own
    start : (k,) θ of a fit of the same structure to nearly the same rows, else moments

    Returns
    -------
    fitted : ``trouble`` says why there is no optimum; never an exception, never a warning
    """
    kernel: Visits | OwnTimes
    if covariance == "exponential" and not _same_times(rows, n_visits):
        kernel = OwnTimes(rows, reml=reml)
    else:
        kernel = Visits(rows, covariance, n_visits, reml=reml)
    residual = kernel.columns.Z[..., -1]
    if np.sum(residual**2) <= EXACT * float(np.sum(rows.weight * rows.response**2)):
        return _without(kernel, rows, reml, "the fixed effects explain every value exactly")
    begin = None if covariance == "exponential" and _n_at_one_time(rows) else _where_to_start(kernel, start)
    if begin is None:
        return _without(kernel, rows, reml, AT_ONE_TIME)
    with np.errstate(all="ignore"):
        if isinstance(kernel, OwnTimes):
            found = maximise(kernel, rows, reml=reml, start=begin)
        else:
            found = maximise(SearchCoordinates(kernel, begin), rows, reml=reml, roots=("lower",))
            found = replace(found, kernel=kernel, evaluation=found.evaluation.state)
    if found.trouble and (empty := _say_what_is_empty(found, None)):
        return replace(found, trouble=f"the likelihood has no maximum: {empty}")
    return found


def visit_covariances(fitted: Fitted) -> list[Matrix]:
    """(T, T) Σ of each stratum; none where patients have a Σ of their own."""
    state = fitted.evaluation.state
    return [matrix.value for matrix in state.matrices] if isinstance(state, State) else []


def own_time_parameters(fitted: Fitted) -> list[tuple[float, float]]:
    """Return each stratum's SD and range (time after which the correlation is 1/e) where times are patients' own."""
    if not isinstance(fitted.kernel, OwnTimes):
        return []
    pairs = fitted.evaluation.theta.reshape(-1, 2)
    return [(float(np.exp(log_sd)), float(1 / np.log1p(np.exp(-x)))) for log_sd, x in pairs]


def describe_singular(fitted: Fitted, visits: Sequence[str] | None = None) -> str | None:
    """Say which visit's variance or which combination of visits has none left, and what that means; None if none.

    Parameters
    ----------
    visits : (T,) their names, else numbers from 1
    """
    empty = _say_what_is_empty(fitted, visits)
    return f"{empty}; standard errors take this as known" if empty else None


def why_not(rows: Rows, covariance: VisitCovariance, n_visits: int) -> str | None:
    """Say why the data cannot carry a structure, before it is tried; None if they may."""
    n, p = rows.X.shape
    n_strata = int(rows.stratum.max()) + 1
    k = count_parameters(covariance, n_visits) * n_strata
    if n - p < k:
        return f"{k} variances and correlations for {n - p} values beyond the {p} terms"
    if covariance == "exponential" and (ties := _n_at_one_time(rows)):
        return f"{ties} values have the same time as the patient's value before"
    for g in range(n_strata):
        own = rows.stratum == g
        seen = np.zeros((int(rows.patient.max()) + 1, n_visits))
        seen[rows.patient[own], rows.visit[own]] = 1.0
        reason = _unseen(seen, covariance) or (
            _too_few(rows, own, seen, covariance) if is_heterogeneous(covariance) else None
        )
        if reason:
            return reason if n_strata == 1 else f"in {g + 1} of {n_strata} groups: {reason}"
    return None


def _unseen(seen: Matrix, covariance: VisitCovariance) -> str | None:
    """Say which correlations nobody shows."""
    T = seen.shape[1]
    together, kind = seen.T @ seen, covariance.removeprefix(HETEROGENEOUS)
    pairs = np.array([together[a, b] for a in range(T) for b in range(a)])
    if kind == "unstructured" and (pairs == 0).any():
        return f"{int((pairs == 0).sum())} of {len(pairs)} pairs of visits have no patient with both"
    neighbours = np.diag(together, 1)
    if kind == "ante-dependence" and (neighbours == 0).any():
        return f"{int((neighbours == 0).sum())} of {T - 1} pairs of neighbouring visits have no patient with both"
    lags = np.array([np.diag(together, lag).sum() for lag in range(1, T)])
    if kind == "toeplitz" and (lags == 0).any():
        return f"{int((lags == 0).sum())} of {T - 1} distances between visits have no patient with both"
    if T > 1 and not pairs.any():
        return "no patient has two values"
    return None


def _too_few(rows: Rows, own: Codes, seen: Matrix, covariance: VisitCovariance) -> str | None:
    """Say where the means of a visit leave too little to tell its variance from 0."""
    T, patients = seen.shape[1], seen.sum(axis=0)
    wanted = T if covariance == "unstructured" else 1
    for visit in np.flatnonzero(patients < wanted + rows.X.shape[1]):
        columns = rows.X[own & (rows.visit == visit)]
        left = len(columns) - int(np.linalg.matrix_rank(columns)) if len(columns) else 0
        if left < wanted:
            many = f"for the covariance of {T} visits" if wanted > 1 else "for a variance of its own"
            return f"visit {visit + 1} has {len(columns)} values, {left} beyond its means, {many}"
    return None


def _say_what_is_empty(fitted: Fitted, visits: Sequence[str] | None) -> str | None:
    for Sigma in visit_covariances(fitted):
        names, variance = visits or [str(visit + 1) for visit in range(len(Sigma))], np.diag(Sigma)
        still = [name for name, own in zip(names, variance, strict=True) if own * STILL < variance.max()]
        if still:
            return f"the variance at visit {', '.join(still)} is 0 beside the others'"
        sd = np.sqrt(variance)
        values, vectors = np.linalg.eigh(Sigma / np.outer(sd, sd))
        if values[0] * SINGULAR < values[-1]:
            involved = [name for name, share in zip(names, vectors[:, 0], strict=True) if abs(share) > INVOLVED]
            return f"the values at visits {', '.join(involved)} determine each other: a combination has variance 0"
    if any(not reach < SINGULAR * np.ptp(fitted.rows.time) for _, reach in own_time_parameters(fitted)):
        return "the correlation does not fall within the time observed: it cannot be told from a patient's level"
    return None


def _where_to_start(kernel: Visits | OwnTimes, start: Vector | None) -> Vector | None:
    """Return the start given where the likelihood exists there, else the kernel's own; None where neither does."""
    fits = start is not None and len(start) == len(kernel.parameters) and bool(np.isfinite(start).all())
    if start is not None and fits and kernel.evaluate(start) is not None:
        return start
    own = kernel.start()
    # Moments of visits are made positive definite; days of one's own may be too close to each other.
    return own if isinstance(kernel, Visits) or kernel.evaluate(own) is not None else None


def _n_at_one_time(rows: Rows) -> int:
    return int(((np.diff(rows.patient) == 0) & (np.diff(rows.time) == 0)).sum())


def _same_times(rows: Rows, n_visits: int) -> bool:
    low, high = np.full(n_visits, np.inf), np.full(n_visits, -np.inf)
    np.minimum.at(low, rows.visit, rows.time)
    np.maximum.at(high, rows.visit, rows.time)
    return bool((low == high)[np.isfinite(low)].all())


def _without(kernel: Kernel, rows: Rows, reml: bool, trouble: str) -> Fitted:
    k, p = len(kernel.parameters), rows.X.shape[1]
    nothing = Evaluation(np.full(k, np.nan), np.nan, np.full(p, np.nan), np.full((p, p), np.nan), np.full(k, np.nan),
                         np.full((k, k), np.nan), np.full((k, p, p), np.nan), None)  # fmt: skip
    return Fitted(rows, kernel, nothing, reml, 0, np.nan, trouble)
