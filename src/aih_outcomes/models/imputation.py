"""Multiple imputation of repeated measurements: several values at each look, some of them missing.

The model is the multivariate linear mixed model of Schafer & Yucel, J Comput Graph Stat 2002;11:437: at each look the
values are jointly normal about a mean curve plus the patient's own departure from it, both piecewise linear in time;
departures are normal and unstructured across curves and values, and so are the errors of one look. Imputations are
draws of a Gibbs sampler, parameters included. Assumed is that values are missing at random given what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BURN_IN, THINNING = 60, 5  # [P] sweeps before the first draw, and from one draw to the next
# [P] of standardised values: weak, so that a handful of patients and knots without a look near them do no harm
RIDGE = 0.01  # prior precision of a mean curve, in units of the errors'
PRIOR_DEPARTURE, PRIOR_ERROR = 0.5, 0.1  # scales of the inverse Wishart priors; degrees of freedom: dimension + 1


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What does not change from sweep to sweep; n looks of g patients, p and q curves."""

    patient: Ints  # (n,) from 0, in order
    start: Ints  # (g,) first look of each patient
    mean: Floats  # (n, p) design of the mean curve
    own: Floats  # (n, q) design of the departures
    own_cross: Floats  # (g, q, q) their cross-products within patients
    precision: Floats  # (p, p) of the mean curve, in units of the errors'
    patterns: tuple[tuple[NDArray[np.bool_], Ints], ...]  # which values are missing, at which looks


def compute_imputations(
    values: Floats,
    *,
    patient: NDArray[np.integer],
    time: Floats,
    knots: Floats,
    patient_knots: Floats,
    draws: int,
    rng: Generator,
) -> Floats:
    """Return ``draws`` completed copies of repeated measurements.

    Parameters
    ----------
    values : (n, k) measurements, NaN where missing; roughly normal (logs of concentrations)
    patient : (n,) whose look it is
    time : (n,) when; one look per patient and time, and the result does not depend on the order of looks
    knots, patient_knots : times at which the mean, and a patient's departure from it, change direction; outside of them
        both stay level

    Returns
    -------
    array (draws, n, k); a column without any measurement stays missing

    Raises
    ------
    OutcomeError : the arrays differ in length, or a time is missing
    """
    if not len(values) == len(patient) == len(time) or np.isnan(time).any():
        raise OutcomeError(
            f"{len(values)} rows of values came with {len(patient)} patients and {len(time)} times",
            "Each look has one patient and one time, none missing",
            "Leave out looks without a date",
        )
    completed = np.repeat(values[None], draws, axis=0)
    missing = np.isnan(values)
    known = ~missing.all(axis=0)
    if not missing[:, known].any():
        return completed
    order = np.lexsort((time, patient))
    part = values[np.ix_(order, known)]
    centre, scale = np.nanmean(part, axis=0), np.nanstd(part, axis=0)
    scale[scale == 0] = 1.0
    looks = _arrange(patient[order], time[order], np.isnan(part), knots, patient_knots)
    drawn = _sample((part - centre) / scale, looks, draws, rng) * scale + centre
    drawn = np.where(np.isnan(part), drawn, part)
    completed[np.ix_(np.arange(draws), order, known)] = drawn
    return completed


def _arrange(
    patient: NDArray[np.integer],
    time: Floats,
    missing: NDArray[np.bool_],
    knots: Floats,
    patient_knots: Floats,
) -> Looks:
    _, start, code = np.unique(patient, return_index=True, return_inverse=True)
    mean, own = _piecewise(time, knots), _piecewise(time, patient_knots)
    cross = np.add.reduceat(own[:, :, None] * own[:, None, :], start, axis=0)
    kinds, kind = np.unique(missing, axis=0, return_inverse=True)
    patterns = tuple((lacks, np.flatnonzero(kind == code)) for code, lacks in enumerate(kinds) if lacks.any())
    return Looks(code, start, mean, own, cross, mean.T @ mean + RIDGE * np.eye(len(knots)), patterns)


def _piecewise(time: Floats, knots: Floats) -> Floats:
    """Return the design of a curve that is straight between its knots: one column per knot, its value there."""
    return np.stack([np.interp(time, knots, unit) for unit in np.eye(len(knots))], axis=1)


def _sample(values: Floats, looks: Looks, draws: int, rng: Generator) -> Floats:
    """Return the values (draws, n, k) of every ``THINNING``-th sweep of the Gibbs sampler."""
    k, q = values.shape[1], looks.own.shape[1]
    values = np.nan_to_num(values)
    departures = np.zeros((len(looks.start), k, q))
    spread, error = PRIOR_DEPARTURE * np.eye(k * q), 0.25 * np.eye(k)
    own, found = np.zeros_like(values), np.empty((draws, *values.shape))
    for sweep in range(1, BURN_IN + THINNING * draws + 1):
        curve = _draw_curve(values - own, looks, error, rng)
        mean = looks.mean @ curve
        departures = _draw_departures(values - mean, looks, spread, error, rng)
        flat = departures.reshape(-1, k * q)
        spread = _draw_covariance(flat.T @ flat + PRIOR_DEPARTURE * np.eye(k * q), len(flat) + k * q + 1, rng)
        own = _follow(departures, looks)
        expected = mean + own
        rest = values - expected
        scatter = rest.T @ rest + RIDGE * curve.T @ curve + PRIOR_ERROR * np.eye(k)
        error = _draw_covariance(scatter, len(rest) + len(curve) + k + 1, rng)
        for lacks, rows in looks.patterns:
            values[np.ix_(rows, lacks)] = _draw_missing(values[rows], expected[rows], lacks, error, rng)
        if sweep > BURN_IN and (sweep - BURN_IN) % THINNING == 0:
            found[(sweep - BURN_IN) // THINNING - 1] = values
    return found


def _follow(departures: Floats, looks: Looks) -> Floats:
    """Return each patient's departure from the mean at each look (n, k)."""
    n_curves = looks.own.shape[1]
    return np.asarray(sum(looks.own[:, [j]] * departures[looks.patient, :, j] for j in range(n_curves)))


def _draw_curve(rest: Floats, looks: Looks, error: Floats, rng: Generator) -> Floats:
    """Draw the mean at its knots (p, k): matrix normal, as in a regression of all columns on one design."""
    root = np.linalg.cholesky(looks.precision)
    noise = np.linalg.solve(root.T, rng.standard_normal((len(root), len(error)))) @ np.linalg.cholesky(error).T
    return np.asarray(np.linalg.solve(looks.precision, looks.mean.T @ rest) + noise)


def _draw_departures(rest: Floats, looks: Looks, spread: Floats, error: Floats, rng: Generator) -> Floats:
    """Draw each patient's departures (g, k, q): normal with precision P, mean P⁻¹u, so P⁻¹(u + Lz), P = LLᵀ."""
    (g, q, _), k = looks.own_cross.shape, len(error)
    weight = np.linalg.inv(error)
    weighted = rest @ weight
    sums = np.add.reduceat(weighted[:, :, None] * looks.own[:, None, :], looks.start, axis=0)
    within = weight[None, :, None, :, None] * looks.own_cross[:, None, :, None, :]
    precision = np.linalg.inv(spread) + within.reshape(g, k * q, k * q)
    noise = np.linalg.cholesky(precision) @ rng.standard_normal((g, k * q, 1))
    return np.asarray(np.linalg.solve(precision, sums.reshape(g, k * q, 1) + noise).reshape(g, k, q))


def _draw_covariance(scatter: Floats, df: int, rng: Generator) -> Floats:
    """Draw from the inverse Wishart distribution by Bartlett's decomposition."""
    k = len(scatter)
    bartlett = np.tril(rng.standard_normal((k, k)), -1) + np.diag(np.sqrt(rng.chisquare(df - np.arange(k))))
    root = np.linalg.solve(bartlett, np.linalg.cholesky(scatter).T)  # scatter = LLᵀ: Σ = L A⁻ᵀ A⁻¹ Lᵀ
    return np.asarray(root.T @ root)


def _draw_missing(values: Floats, expected: Floats, lacks: NDArray[np.bool_], error: Floats, rng: Generator) -> Floats:
    """Draw the missing values of looks that lack the same ones, given the measured ones."""
    has = ~lacks
    on_measured = np.linalg.solve(error[np.ix_(has, has)], error[np.ix_(has, lacks)])
    left = error[np.ix_(lacks, lacks)] - error[np.ix_(lacks, has)] @ on_measured
    noise = rng.standard_normal((len(values), int(lacks.sum()))) @ np.linalg.cholesky(left).T
    return np.asarray(expected[:, lacks] + (values - expected)[:, has] @ on_measured + noise)
