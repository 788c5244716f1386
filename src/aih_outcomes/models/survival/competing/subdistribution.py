"""The partial likelihood of the subdistribution hazard on spells (entry, exit]: linear in rows, none written out.

At each event time t those at risk are, with weight 1, who is followed at t, and with weight A(t−)/A(T−) who had the
competing event at T < t. The weight is a product of one factor of t and one of the row, so that every risk-set sum is
two cumulative sums over rows ordered by exit. Fine & Gray, JASA 1999;94:496; ties: Breslow, or Efron, JASA 1977;72:557.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.survival.competing.observation import Index, Observation, Spells
from aih_outcomes.models.survival.cox.kernel import weighted_cross
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

MAX_STEPS = 50
MAX_HALVINGS = 20
STEP_TOLERANCE = 1e-9  # largest change of a standardised coefficient
FLAT_TOLERANCE = 1e-9  # relative change of the log-likelihood that counts as none
COLLAPSED = 1e-8  # information left, relative to that at β = 0, where the likelihood has no maximum
GRADIENT_TOLERANCE = 1e-6  # scaled by the information: the optimum proves itself


@dataclass(frozen=True, slots=True, eq=False)
class RiskSets:
    """Who is at risk when; rows are ordered by exit, event times numbered 0 … K − 1.

    Attributes
    ----------
    time : (K,) event times
    first, last : (n_rows,) followed at event times first <= k < last
    left : (K,) rows whose exit lies before each event time
    late : rows by entry and, for each event time, how many of these enter before it; None where all have by the first
    stratum : (n_rows,) censoring stratum; ``gone`` by stratum, the rows that end in a competing event, and how many of
        them do so before each event time (K,)
    scale : (n_rows,) 1/A(T−) of a competing event, else 0
    factor : (n_strata, K) A(t−)
    event_rows, event_time : (n_events,) rows that end in the event, and its number; ``starts`` (K,) the first of each
    fraction, event_weight : (n_events,) Efron's j/d (0 for Breslow), mean weight of the tied events
    weight : (n_rows,) case weights
    """

    time: Vector
    first: Index
    last: Index
    left: Index
    late: tuple[Index, Index] | None
    stratum: Index
    gone: list[tuple[Index, Index]]
    scale: Vector
    factor: Matrix
    event_rows: Index
    event_time: Index
    starts: Index
    fraction: Vector
    event_weight: Vector
    weight: Vector

    def at_risk(self, values: Matrix) -> Matrix:
        """(K, m) sum of ``values`` (n_rows, m) over those at risk at each event time, weighted."""
        total = _from_here_on(np.add.reduceat(values, self.left, axis=0))[:-1]  # blocks from one event time to the next
        if self.late is not None:
            order, before = self.late
            total -= _from_here_on(values[order])[before]
        for (rows, before), factor in zip(self.gone, self.factor, strict=True):
            carried = _up_to_here(values[rows] * self.scale[rows, None])
            total += factor[:, None] * carried[before]
        return total

    def while_at_risk(self, values: Matrix) -> Matrix:
        """(n_rows, m) sum of ``values`` (K, m) over the event times at which each row is at risk, weighted."""
        so_far = _up_to_here(values)
        total = so_far[self.last]
        if self.late is not None:
            total -= so_far[self.first]
        for (rows, _), factor in zip(self.gone, self.factor, strict=True):
            total[rows] += self.scale[rows, None] * _from_here_on(factor[:, None] * values)[self.last[rows]]
        return total

    def at_events(self, values: Matrix) -> Matrix:
        """(K, m) sum of ``values`` (n_events, m) over the events at each event time."""
        return np.add.reduceat(values, self.starts, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """The likelihood at one β; K event times, p terms.

    Attributes
    ----------
    loglik, score, information : of the log partial likelihood, its derivative (p,), minus its second one (p, p)
    risk : (n_rows,) weight × exp(η − shift)
    jump, mean : (n_events,), (n_events, p) each event's step of the hazard, and the mean of x over those at risk
    hazard, hazard_events : (K,) step of the cumulative hazard for all, and the part that tied events are spared
    """

    loglik: float
    score: Vector
    information: Matrix
    shift: float
    risk: Vector
    jump: Vector
    mean: Matrix
    hazard: Vector
    hazard_events: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where Newton's method ended, on standardised terms, and whether it is an optimum."""

    beta: Vector
    at: Likelihood
    loglik_null: float
    scaled_gradient: float
    converged: bool
    flat: bool


def map_risk_sets(
    spells: Spells, observed: list[Observation], stratum: Index, weight: Vector, *, efron: bool
) -> RiskSets:
    """Map every row to the event times at which it is at risk.

    Parameters
    ----------
    spells : (n_rows,) ordered by exit, with at least one event
    observed : by censoring stratum
    stratum, weight : (n_rows,)
    """
    exit, entry = spells.exit, spells.entry
    time, starts, tied = np.unique(exit[spells.event], return_index=True, return_counts=True)
    event_rows, event_time = np.flatnonzero(spells.event), np.repeat(np.arange(len(time)), tied)
    place = np.arange(len(event_rows)) - starts[event_time]
    late = None
    if entry.max() >= time[0]:
        order = np.argsort(entry, kind="stable")
        late = order, np.searchsorted(entry[order], time, "left")
    left = np.searchsorted(exit, time, "left")
    places = [np.flatnonzero(spells.competing & (stratum == number)) for number in range(len(observed))]
    scale = np.zeros(len(exit))
    for rows, chance in zip(places, observed, strict=True):
        scale[rows] = 1 / chance.before(exit[rows])
    factor = np.array([own.before(time) for own in observed])
    return RiskSets(
        time, np.searchsorted(time, entry, "right"), np.searchsorted(time, exit, "right"),
        left, late, stratum, [(rows, np.searchsorted(rows, left)) for rows in places], scale, factor,
        event_rows, event_time, starts, place / tied[event_time] if efron else np.zeros(len(event_rows)),
        (np.add.reduceat(weight[event_rows], starts) / tied)[event_time], weight,
    )  # fmt: skip


def evaluate(X: Matrix, beta: Vector, sets: RiskSets) -> Likelihood:
    """Evaluate the log partial likelihood and its derivatives at ``beta`` (p,) for terms ``X`` (n_rows, p)."""
    eta = X @ beta
    shift = float(eta.max(initial=0.0))
    risk = sets.weight * np.exp(eta - shift)
    weighted = np.column_stack([risk, risk[:, None] * X])
    k, f, w, events = sets.event_time, sets.fraction, sets.event_weight, sets.event_rows
    sums = sets.at_risk(weighted)[k] - f[:, None] * sets.at_events(weighted[events])[k]
    phi, mean = sums[:, 0], sums[:, 1:] / sums[:, :1]
    jump, own = w / phi, sets.weight[events]
    hazard, hazard_events = sets.at_events(np.column_stack([jump, f * jump])).T
    at_risk = risk * sets.while_at_risk(hazard[:, None])[:, 0]
    at_risk[events] -= risk[events] * hazard_events[k]
    information = weighted_cross(X, at_risk) - weighted_cross(mean, w)
    loglik = float(own @ (eta[events] - shift) - w @ np.log(phi))
    return Likelihood(loglik, own @ X[events] - w @ mean, information, shift, risk, jump, mean, hazard, hazard_events)


def score_residuals(X: Matrix, at: Likelihood, sets: RiskSets) -> Matrix:
    """(n_rows, p) each row's weighted share of the score (Lin & Wei, JASA 1989;84:1074; Efron's ties as in R)."""
    k, events, p = sets.event_time, sets.event_rows, X.shape[1]
    steps = at.jump[:, None] * at.mean
    summed = sets.at_events(np.column_stack([steps, sets.fraction[:, None] * steps, at.mean]))
    tied = np.bincount(k, minlength=len(sets.time))[:, None]
    expected = sets.while_at_risk(np.column_stack([at.hazard, summed[:, :p]]))
    residuals = -at.risk[:, None] * (X * expected[:, :1] - expected[:, 1:])
    spared = X[events] * at.hazard_events[k][:, None] - summed[k, p : 2 * p]
    residuals[events] += at.risk[events, None] * spared
    residuals[events] += sets.weight[events, None] * (X[events] - (summed[:, 2 * p :] / tied)[k])
    return np.asarray(residuals)


def censoring_residuals(
    X: Matrix, at: Likelihood, sets: RiskSets, spells: Spells, observed: list[Observation]
) -> Matrix:
    """(n_rows, p) each patient's share of what estimating the censoring adds: ψ of Fine & Gray 1999, section 5.

    Stands in the row that ends follow-up, 0 in the others. As in ``crr``: where censoring is stratified, only events of
    a patient's own stratum count, although a weight serves at every event.
    """
    residuals = np.zeros_like(X)
    ends = spells.event | spells.competing | spells.censored
    steps = at.jump[:, None] * np.column_stack([np.ones(len(at.jump)), at.mean])
    for number, chance in enumerate(observed):
        counted = steps * (sets.stratum[sets.event_rows] == number)[:, None]
        to_come = _from_here_on(sets.factor[number][:, None] * sets.at_events(counted))
        to_come = to_come[np.searchsorted(sets.time, chance.time, "left")]
        own = np.where(sets.stratum == number, sets.scale, 0.0) * at.risk
        gone = _up_to_here(own[:, None] * np.column_stack([np.ones(len(X)), X]))
        gone = gone[np.searchsorted(spells.exit, chance.time, "left")]
        share = (gone[:, 1:] * to_come[:, :1] - gone[:, :1] * to_come[:, 1:]) / chance.n_risk[:, None]
        compensator = _up_to_here(share * chance.hazard[:, None])
        rows = np.flatnonzero(ends & (sets.stratum == number))
        residuals[rows] -= compensator[np.searchsorted(chance.time, spells.exit[rows], "right")]
        rows = rows[spells.censored[rows]]
        residuals[rows] += share[np.searchsorted(chance.time, spells.exit[rows], "left")]
    return residuals


def maximise(Z: Matrix, sets: RiskSets) -> Optimum:
    """Newton's method with step halving on standardised terms.

    Returns
    -------
    optimum : ``converged`` where the steps died out and the scaled gradient is below 1e-6, ``flat`` where the
        likelihood no longer rose although the steps went on (monotone likelihood)
    """
    beta = np.zeros(Z.shape[1])
    at = null = evaluate(Z, beta, sets)
    size, rise = np.inf, np.inf
    for _ in range(MAX_STEPS):
        step = _solve(at.information, at.score)
        if step is None:
            break
        before = at.loglik
        beta, at, size = _climb(Z, beta, step, at, sets)
        rise = at.loglik - before
        if size < STEP_TOLERANCE:
            break
    diagonal = np.diag(at.information)
    gradient = float(np.max(np.abs(at.score) / np.sqrt(diagonal))) if (diagonal > 0).all() else np.inf
    floor = np.sqrt(np.maximum(np.diag(null.information), np.finfo(float).tiny))
    relative = at.information / np.outer(floor, floor)
    informative = bool(np.isfinite(relative).all()) and float(np.linalg.eigvalsh(relative).min()) > COLLAPSED
    converged = size < STEP_TOLERANCE and gradient < GRADIENT_TOLERANCE and informative
    flat = abs(rise) <= FLAT_TOLERANCE * (1 + abs(at.loglik))
    return Optimum(beta, at, null.loglik, gradient, converged, flat)


def _climb(Z: Matrix, beta: Vector, step: Vector, at: Likelihood, sets: RiskSets) -> tuple[Vector, Likelihood, float]:
    """Halve the step until the likelihood does not fall; stay where no step helps."""
    for _ in range(MAX_HALVINGS):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a step too far is not finite
            trial = evaluate(Z, beta + step, sets)
        if np.isfinite(trial.loglik) and trial.loglik >= at.loglik - 1e-12 * abs(at.loglik):
            return beta + step, trial, float(np.max(np.abs(step)))
        step = step / 2
    return beta, at, 0.0


def _solve(information: Matrix, score: Vector) -> Vector | None:
    try:
        step = np.asarray(np.linalg.solve(information, score), float)
    except np.linalg.LinAlgError:
        return None
    return step if bool(np.isfinite(step).all()) else None


def _up_to_here(values: Matrix) -> Matrix:
    """(n + 1, m) sums of the first 0, 1, … n rows."""
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])


def _from_here_on(values: Matrix) -> Matrix:
    """(n + 1, m) sums of all rows but the first 0, 1, … n."""
    return np.concatenate([np.cumsum(values[::-1], axis=0)[::-1], np.zeros((1, values.shape[1]))])
