"""Cox's partial likelihood of many resamples at once: every array has the resamples as its last axis.

A patient drawn m times becomes m rows, and their events are tied with one another: Efron's correction then runs over
the Σ m copies tied at a time, which differs from case weights of m.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.models.survival.cox.kernel import Index, Matrix, RiskSets
from aih_outcomes.outcomes import Vector

CELLS = 1 << 16  # rows × resamples held at once: their sums stay in the processor's cache
MAX_STEPS, MAX_HALVINGS = 50, 20
LAST_STEP = 1e-6  # of a standardised coefficient; Newton's next one would be its square, 1e-12
SUSPECT, COLLAPSED = 1e-6, 1e-8  # information left, relative to the number of events and to that at β = 0
SINGULAR = 1e-13
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What does not change from resample to resample; n rows sorted by ``last``, K event times, p covariates.

    Attributes
    ----------
    Z : (n, p) standardised covariates; ``products`` : (p (p + 1) / 2, n) of their pairs
    weight, scale : (n,) case weights, and the same × exp(offset)
    patient : (n,) whose row it is, from 0
    first, last : (n,) at risk at event times first <= k < last; ``late`` : rows with first > 0, sorted by it
    events, event_time : (n_events,) rows that end in an event, by time
    """

    Z: Matrix
    products: Matrix
    weight: Vector
    scale: Vector
    patient: Index
    n_patients: int
    first: Index
    last: Index
    late: Index
    events: Index
    event_time: Index
    n_times: int
    efron: bool

    def at_risk(self, values: Floats) -> Floats:
        """(K, B) sums of ``values`` (n, B) over those at risk."""
        leaving = _by_place(self.last, values, self.n_times + 1)
        if len(self.late):
            leaving -= _by_place(self.first[self.late], values[self.late], self.n_times + 1)
        return np.cumsum(leaving[:0:-1], axis=0)[::-1]

    def at_events(self, values: Floats) -> Floats:
        """(K, B) sums of ``values`` (n_events, B) over the events at each time."""
        return _by_place(self.event_time, values, self.n_times)


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """The tied copies of a chunk of B resamples: one entry per resample, event time and copy; C entries.

    Attributes
    ----------
    scale : (n, B) copies × case weight × exp(offset)
    observed : (p, B) Σ of covariates over the events
    ended : (n_events, B) copies × case weight of the events
    cell : (C,) event time × B + resample; ``fraction`` : (C,) j/D; ``weight`` : (C,) mean weight of the D copies
    """

    scale: Floats
    observed: Floats
    ended: Floats
    cell: Index
    fraction: Vector
    weight: Vector

    @property
    def n(self) -> int:
        """Number of resamples."""
        return int(self.scale.shape[1])


def prepare(X: Matrix, sets: RiskSets, patient: Index, *, efron: bool) -> Rows:
    """Arrange the rows that are ever at risk at an event time, sorted by their last.

    Parameters
    ----------
    X : (n_rows, p) covariates; ``patient`` : (n_rows,) whose row it is, from 0
    """
    order = np.flatnonzero(sets.last > sets.first)
    order = order[np.argsort(sets.last[order], kind="stable")]
    place = np.empty(len(sets.last), np.int64)
    place[order] = np.arange(len(order))
    Z = ((X - X.mean(axis=0)) / X.std(axis=0))[order]
    i, j = np.triu_indices(Z.shape[1])
    weight, first = sets.weight[order], sets.first[order]
    late = np.flatnonzero(first > 0)
    late = late[np.argsort(first[late], kind="stable")]
    return Rows(
        Z, np.ascontiguousarray((Z[:, i] * Z[:, j]).T), weight, weight * np.exp(offset_of(sets)[order]), patient[order],
        int(patient.max()) + 1, first, sets.last[order], late, place[sets.event_rows], sets.event_time, sets.n_times,
        efron,
    )  # fmt: skip


def draw(rows: Rows, rng: Generator, n_resamples: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often each patient is drawn, (n_patients, B), in chunks."""
    n, step = rows.n_patients, max(1, CELLS // max(len(rows.weight), 1))
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.ascontiguousarray(np.bincount(drawn.ravel(), minlength=n * size).reshape(size, n).T)


def solve(rows: Rows, copies: NDArray[np.int64], start: Vector) -> Floats:
    """Maximise the partial likelihood of each resample by Newton's method; converged ones leave the batch.

    Parameters
    ----------
    copies : (n, B) how often each row is there
    start : (p,) where to begin

    Returns
    -------
    beta : (p, B) for standardised covariates; NaN where there is no maximum
    """
    p, total = rows.Z.shape[1], copies.shape[1]
    found = np.full((p, total), np.nan)
    left = np.flatnonzero(copies[rows.events].sum(axis=0) > 0)
    if not len(left):
        return found
    tied = tie(rows, copies[:, left])
    beta = np.repeat(start[:, None], len(left), axis=1)
    with np.errstate(all="ignore"):  # a step too far is not finite, and is halved
        loglik, score, information = _evaluate(rows, tied, beta)
        for _ in range(MAX_STEPS):
            step = _newton(information, score)
            done = np.max(np.abs(step), axis=0) < LAST_STEP
            ended = done | ~np.isfinite(step).all(axis=0)
            found[:, left[done]] = np.where(_has_maximum(rows, copies[:, left[done]], information[done]),
                                            beta[:, done] + step[:, done], np.nan)  # fmt: skip
            if ended.all():
                break
            if 2 * ended.sum() > len(left):
                keep = ~ended
                left, beta, step, loglik = left[keep], beta[:, keep], step[:, keep], loglik[keep]
                tied = tie(rows, copies[:, left])
            beta, loglik, score, information = _climb(rows, tied, beta, step, loglik)
    return found


def tie(rows: Rows, copies: NDArray[np.int64]) -> Copies:
    """Write out the tied copies of each resample."""
    ended = copies[rows.events] * rows.weight[rows.events, None]
    n_tied = rows.at_events(copies[rows.events].astype(float)).astype(np.int64).ravel()
    cell = np.repeat(np.arange(len(n_tied)), n_tied)
    place = np.arange(len(cell)) - np.repeat(np.cumsum(n_tied) - n_tied, n_tied)
    mean = np.divide(rows.at_events(ended).ravel(), n_tied, out=np.zeros(len(n_tied)), where=n_tied > 0)
    fraction = place / n_tied[cell] if rows.efron else np.zeros(len(cell))
    return Copies(copies * rows.scale[:, None], rows.Z[rows.events].T @ ended, ended, cell, fraction, mean[cell])


def cumulate_hazard(rows: Rows, tied: Copies, beta: Floats) -> Floats:
    """(K, B) steps of the baseline hazard at the centre of the covariates."""
    risk = tied.scale * np.exp(rows.Z @ beta)
    jump = tied.weight / _denominators(rows, tied, risk)
    return _by_cell(tied, jump, rows.n_times)


def _evaluate(rows: Rows, tied: Copies, beta: Floats) -> tuple[Vector, Floats, Floats]:
    """(B,) log-likelihood, (p, B) score and (B, p, p) information at ``beta`` (p, B)."""
    eta = rows.Z @ beta
    risk = tied.scale * np.exp(eta)
    own, k, K, f = risk[rows.events], rows.event_time, rows.n_times, tied.fraction
    phi = _denominators(rows, tied, risk)
    loglik = np.einsum("eb,eb->b", tied.ended, eta[rows.events])
    loglik -= np.bincount(tied.cell % tied.n, tied.weight * np.log(phi), tied.n)
    jump = tied.weight / phi
    square = jump / phi
    hazard = np.cumsum(np.concatenate([np.zeros((1, tied.n)), _by_cell(tied, jump, K)]), axis=0)
    expected = risk * (hazard[rows.last] - hazard[rows.first])
    expected[rows.events] -= own * _by_cell(tied, f * jump, K)[k]
    all_x = np.stack([rows.at_risk(risk * z[:, None]) for z in rows.Z.T])
    own_x = np.stack([rows.at_events(own * z[:, None]) for z in rows.Z[rows.events].T])
    cross = _by_cell(tied, f * square, K)
    mean_all = all_x * _by_cell(tied, square, K) - own_x * cross
    mean_own = own_x * _by_cell(tied, f * f * square, K) - all_x * cross
    p = len(beta)
    i, j = np.triu_indices(p)
    upper = rows.products @ expected
    information = np.empty((tied.n, p, p))
    for pair, (a, b) in enumerate(zip(i, j, strict=True)):
        outer = np.einsum("kb,kb->b", all_x[a], mean_all[b]) + np.einsum("kb,kb->b", own_x[a], mean_own[b])
        information[:, a, b] = information[:, b, a] = upper[pair] - outer
    return loglik, tied.observed - rows.Z.T @ expected, information


def _climb(
    rows: Rows, tied: Copies, beta: Floats, step: Floats, loglik: Vector
) -> tuple[Floats, Vector, Floats, Floats]:
    """Take each resample's step, halved until its likelihood does not fall; one that no step helps stays."""
    size = np.isfinite(step).all(axis=0).astype(float)
    move = np.where(size > 0, step, 0.0)
    better = size > 0
    for _ in range(MAX_HALVINGS):
        trial = _evaluate(rows, tied, beta + size * move)
        better = np.isfinite(trial[0]) & (trial[0] >= loglik - 1e-12 * np.abs(loglik))
        if better.all():
            return beta + size * move, *trial
        size = np.where(better, size, size / 2)
    size = np.where(better, size, 0.0)
    return beta + size * move, *_evaluate(rows, tied, beta + size * move)


def _newton(information: Floats, score: Floats) -> Floats:
    """(p, B) Newton's step of each resample; NaN where the information is singular."""
    try:
        return np.asarray(np.linalg.solve(information, score.T[:, :, None])[:, :, 0].T)
    except np.linalg.LinAlgError:
        sound = _smallest(information, np.einsum("bii->bi", information)) > SINGULAR
        step = np.full(score.shape, np.nan)
        step[:, sound] = np.linalg.solve(information[sound], score.T[sound][:, :, None])[:, :, 0].T
        return step


def _has_maximum(rows: Rows, copies: NDArray[np.int64], information: Floats) -> Flags:
    """(B,) whether the information has not collapsed, relative to that at β = 0: else the likelihood is monotone."""
    per_event = np.full(information.shape[:2], float(len(rows.events)))  # about the information at β = 0
    left = _smallest(information, per_event)
    sound, doubt = left > 0, np.flatnonzero((left > 0) & (left < SUSPECT))
    if len(doubt):
        null = _evaluate(rows, tie(rows, copies[:, doubt]), np.zeros((rows.Z.shape[1], len(doubt))))[2]
        sound[doubt] = _smallest(information[doubt], np.einsum("bii->bi", null)) > COLLAPSED
    return sound


def _smallest(information: Floats, scale: Floats) -> Vector:
    """(B,) smallest eigenvalue of each matrix, scaled by the square roots of ``scale`` (B, p); 0 where not finite."""
    root = np.sqrt(np.maximum(scale, np.finfo(float).tiny))
    scaled = information / (root[:, :, None] * root[:, None, :])
    usable = np.isfinite(scaled).all(axis=(1, 2))
    return np.where(usable, np.linalg.eigvalsh(np.where(usable[:, None, None], scaled, 0.0)).min(axis=1), 0.0)


def _denominators(rows: Rows, tied: Copies, risk: Floats) -> Vector:
    """(C,) Efron's denominators φ of the copies."""
    phi = np.take(rows.at_risk(risk), tied.cell)
    return phi - tied.fraction * np.take(rows.at_events(risk[rows.events]), tied.cell) if rows.efron else phi


def _by_cell(tied: Copies, values: Vector, n_times: int) -> Floats:
    """(K, B) sums of ``values`` (C,) over the copies tied at each time of each resample."""
    return np.bincount(tied.cell, values, n_times * tied.n).astype(float, copy=False).reshape(n_times, tied.n)


def _by_place(place: Index, values: Floats, n_places: int) -> Floats:
    """(n_places, B) sums of ``values`` (n, B) by ``place`` (n,), which rises."""
    sums = np.zeros((n_places, values.shape[1]), values.dtype)
    if len(place):
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        sums[place[starts]] = np.add.reduceat(values, starts, axis=0)
    return sums


def offset_of(sets: RiskSets) -> Vector:
    """(n_rows,) the part of the linear predictor without a coefficient."""
    return np.zeros(len(sets.weight)) if sets.offset is None else sets.offset
