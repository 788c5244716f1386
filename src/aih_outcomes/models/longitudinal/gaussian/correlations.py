"""Correlations of T visits as functions of unbounded parameters, with first and second derivatives.

The parameters x are those of R's ``mmrm``, on which its Kenward-Roger correction depends: ρ = x / √(1 + x²); with
compound symmetry the logit of ρ's place between −1/(T − 1) and 1, with the exponential the logit of ρ at distance 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Matrix
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """R of T visits at one x, c parameters.

    Attributes
    ----------
    value : (T, T); ``first`` (c, T, T); ``second`` (c, c, T, T)
    bend : (c,) f″/f′ of SAS's parameter as a function f of each x
    """

    value: Matrix
    first: Array
    second: Array
    bend: Vector


def correlate(kind: str, x: Vector, gap: Matrix) -> Correlation:
    """Return the correlations of visits.

    Parameters
    ----------
    kind : a structure without the word heterogeneous
    x : (c,); ``gap`` (T, T) time between visits, read by ``exponential`` only
    """
    T = len(gap)
    lag = np.abs(np.subtract.outer(np.arange(T), np.arange(T)))
    if kind == "exponential":
        R, dR, d2R, of_sas = decay(float(x[0]), gap)
        return Correlation(R, dR[None], d2R[None, None], np.array([of_sas]))
    if kind == "compound symmetry":
        return _equal(float(x[0]), lag)
    rho, slope, bend = map_to_correlation(x)
    if kind == "ar1":
        natural = _powers(float(rho[0]), lag)
    elif kind == "toeplitz":
        natural = _by_lag(rho, lag)
    else:
        natural = _products(rho, T)
    value, first, second = natural
    # Chain rule from ρ to x.
    first = slope[:, None, None] * first
    second = (slope[:, None] * slope)[:, :, None, None] * second
    each = np.arange(len(x))
    second[each, each] += bend[:, None, None] * first
    return Correlation(value, first, second, bend)


def map_to_correlation(x: Vector) -> tuple[Vector, Vector, Vector]:
    """(c,) ρ = x / √(1 + x²), its slope ρ′ and bend ρ″/ρ′."""
    root = 1 + x**2
    return x / np.sqrt(root), root**-1.5, -3 * x / root


def decay(x: float, gap: Array) -> tuple[Array, Array, Array, float]:
    """ρ^gap with ρ = 1/(1 + e⁻ˣ), its derivatives, and the bend of SAS's parameter, the range −1/log ρ."""
    rho, slope = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))  # 1 − ρ without cancellation
    log_rho, bend = -np.log1p(np.exp(-x)), -rho
    value = np.exp(gap * log_rho)
    first = gap * slope * value
    return value, first, (bend + gap * slope) * first, float(bend - 2 * slope / log_rho)


def lowest_equal(n_visits: int) -> float:
    """Return how far below 0 a correlation common to all visits may fall."""
    return 1 / max(n_visits - 1, 1)


def _equal(x: float, lag: Matrix) -> Correlation:
    off, low = (lag > 0).astype(float), lowest_equal(len(lag))
    place = 1 / (1 + np.exp(-x))
    first, bend = off * ((1 + low) * place * (1 - place)), 1 - 2 * place
    value = np.eye(len(lag)) + off * ((1 + low) * place - low)
    return Correlation(value, first[None], (first * bend)[None, None], np.array([bend]))


def _powers(rho: float, lag: Matrix) -> tuple[Matrix, Array, Array]:
    one = lag * rho ** np.maximum(lag - 1, 0)
    two = lag * (lag - 1) * rho ** np.maximum(lag - 2, 0)
    return rho**lag, one[None], two[None, None]


def _by_lag(rho: Vector, lag: Matrix) -> tuple[Matrix, Array, Array]:
    T, c = len(lag), len(rho)
    first = (lag[None] == np.arange(1, T)[:, None, None]).astype(float)
    return np.concatenate([[1.0], rho])[lag], first, np.zeros((c, c, T, T))


def _products(rho: Vector, T: int) -> tuple[Matrix, Array, Array]:
    """Correlations that are products of those between neighbours on the way; exact where some are 0."""
    c, each = len(rho), np.arange(T)
    low, high = np.minimum.outer(each, each), np.maximum.outer(each, each)
    steps = np.arange(c)[:, None, None]
    on_way = (steps >= low) & (steps < high)  # (c, T, T)
    factors = np.where(on_way, rho[:, None, None], 1.0)
    left_out = np.eye(c, dtype=bool)[:, :, None, None]
    first = np.where(left_out, 1.0, factors).prod(axis=1) * on_way
    either = left_out[:, None] | left_out[None]
    second = np.where(either, 1.0, factors).prod(axis=2) * (on_way[:, None] & on_way[None])
    second[np.arange(c), np.arange(c)] = 0.0
    return factors.prod(axis=0), first, second
