"""What one patient adds to the likelihood when log time, suitably transformed, is z: exact, censored, or in between.

Each distribution of z is log-concave, so every contribution is concave in its z's (Pratt, JASA 1981;76:103; Burridge,
J R Stat Soc B 1981;43:41): where z is linear in the parameters the likelihood has one optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtri

from aih_outcomes.outcomes import Vector

Function = Callable[[Vector], Vector]

LOG_ROOT_2PI = float(np.log(2 * np.pi) / 2)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of z on the whole line.

    Attributes
    ----------
    log_density, slope, curvature : log f(z) and its first and second derivative
    log_survival, log_cdf : log S(z), log F(z)
    log_between : (z_low, z_high) → log(S(z_low) − S(z_high)), without cancellation
    quantile : p → z with F(z) = p
    """

    log_density: Function
    slope: Function
    curvature: Function
    log_survival: Function
    log_cdf: Function
    log_between: Callable[[Vector, Vector], Vector]
    quantile: Function


@dataclass(frozen=True, slots=True, eq=False)
class Partials:
    """Log-likelihood of each row and its derivatives in the row's two z's; (n,) each."""

    value: Vector
    low: Vector
    high: Vector
    low_low: Vector
    low_high: Vector
    high_high: Vector


def exact(d: Distribution, z: Vector) -> Partials:
    """Log f(z); z stands in the place of the lower end."""
    none = np.zeros(len(z))
    return Partials(d.log_density(z), d.slope(z), none, d.curvature(z), none, none)


def beyond(d: Distribution, z: Vector) -> Partials:
    """Log S(z): the event comes later."""
    none, value = np.zeros(len(z)), d.log_survival(z)
    hazard = np.exp(d.log_density(z) - value)
    return Partials(value, -hazard, none, -hazard * (d.slope(z) + hazard), none, none)


def before(d: Distribution, z: Vector) -> Partials:
    """Log F(z): the event came before the first look."""
    none, value = np.zeros(len(z)), d.log_cdf(z)
    ratio = np.exp(d.log_density(z) - value)
    return Partials(value, none, ratio, none, none, ratio * (d.slope(z) - ratio))


def between(d: Distribution, low: Vector, high: Vector) -> Partials:
    """Log(S(low) − S(high)): the event lies between two looks."""
    value = d.log_between(low, high)
    at_low, at_high = -np.exp(d.log_density(low) - value), np.exp(d.log_density(high) - value)
    return Partials(
        value, at_low, at_high, at_low * (d.slope(low) - at_low), -at_low * at_high, at_high * (d.slope(high) - at_high)
    )


def _log_one_minus_exp(x: Vector) -> Vector:
    """Log(1 − exp(−x)) for x > 0 (Mächler 2012, vignette of Rmpfr)."""
    return np.asarray(np.where(x < np.log(2), np.log(-np.expm1(-x)), np.log1p(-np.exp(-x))), float)


def _extreme_between(low: Vector, high: Vector) -> Vector:
    return np.asarray(-np.exp(low) + _log_one_minus_exp(np.exp(low) * np.expm1(high - low)), float)


def _normal_between(low: Vector, high: Vector) -> Vector:
    """In the tail where both are small."""
    upper = low + high > 0
    near, far = np.where(upper, -low, high), np.where(upper, -high, low)
    larger = log_ndtr(near)
    return np.asarray(larger + _log_one_minus_exp(larger - log_ndtr(far)), float)


def _logistic_between(low: Vector, high: Vector) -> Vector:
    gap = high - low
    return np.asarray(high + _log_one_minus_exp(gap) - np.logaddexp(0, low) - np.logaddexp(0, high), float)


EXTREME = Distribution(
    lambda z: z - np.exp(z), lambda z: 1 - np.exp(z), lambda z: -np.exp(z),
    lambda z: -np.exp(z), lambda z: _log_one_minus_exp(np.exp(z)), _extreme_between,
    lambda p: np.log(-np.log1p(-p)),
)  # fmt: skip
NORMAL = Distribution(
    lambda z: -(z**2) / 2 - LOG_ROOT_2PI, lambda z: -z, lambda z: -np.ones_like(z),
    lambda z: np.asarray(log_ndtr(-z)), lambda z: np.asarray(log_ndtr(z)), _normal_between,
    lambda p: np.asarray(ndtri(p)),
)  # fmt: skip
LOGISTIC = Distribution(
    lambda z: z - 2 * np.logaddexp(0, z), lambda z: -np.tanh(z / 2), lambda z: -0.5 / np.cosh(z / 2) ** 2,
    lambda z: -np.logaddexp(0, z), lambda z: -np.logaddexp(0, -z), _logistic_between,
    lambda p: np.log(p) - np.log1p(-p),
)  # fmt: skip
