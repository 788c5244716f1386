"""What the mechanisms share: piecewise constant hazards, whole days, censoring, gamma frailty, quadrature."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.parameters import DAYS_PER_YEAR

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

Effect = Literal["default", "none"]  # of treatment or of a status; none: the null

YEARS = (1, 2, 5, 10)  # at which truths are told
FAR = 1e7  # days; end of the last piece of a hazard


def days_of(years: float) -> int:
    """Return the whole days in so many years, rounded down."""
    return int(years * DAYS_PER_YEAR)


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard that is constant between days.

    Attributes
    ----------
    per_year : (k,) hazard per year in each piece
    since : (k,) day on which each piece begins; the first is 0, the last piece goes on
    """

    per_year: tuple[float, ...]
    since: tuple[float, ...] = (0.0,)

    @property
    def per_day(self) -> Floats:
        """(k,) hazard per day in each piece."""
        return np.array(self.per_year) / DAYS_PER_YEAR

    def at(self, day: Floats) -> Floats:
        """Return the hazard per day on (just after) these days."""
        return self.per_day[np.searchsorted(self.since, day, side="right") - 1]

    def until(self, day: Floats) -> Floats:
        """Return the cumulative hazard until these days."""
        knots, total = self._line()
        return np.interp(day, knots, total)

    def when(self, total: Floats) -> Floats:
        """Return the day on which the cumulative hazard reaches ``total``."""
        knots, line = self._line()
        return np.interp(total, line, knots)

    def _line(self) -> tuple[Floats, Floats]:
        knots = np.array([*self.since, FAR])
        return knots, np.concatenate([[0.0], np.cumsum(self.per_day * np.diff(knots))])


def whole_days(day: Floats) -> Floats:
    """Return the whole day by which something has happened; so F(d) at whole days d is that of continuous time."""
    return np.maximum(np.ceil(day), 1.0)


def draw_censoring(rng: Generator, n: int, first: float, last: float) -> Floats:
    """Return last days of follow-up, uniform on the whole days from ``first`` to ``last`` years."""
    return rng.integers(days_of(first), days_of(last) + 1, n).astype(float)


def draw_frailty(rng: Generator, n: int, variance: float) -> Floats:
    """Return gamma frailties with mean 1; all 1 where the variance is 0."""
    return rng.gamma(1 / variance, variance, n) if variance else np.ones(n)


def survive_frailty(total: Floats, variance: float) -> Floats:
    """Return survival at cumulative hazards under gamma frailty: its Laplace transform (1 + θΛ)^(−1/θ).

    Vaupel, Manton & Stallard, Demography 1979;16:439.
    """
    return np.asarray((1 + variance * total) ** (-1 / variance) if variance else np.exp(-total))


def normal_nodes(k: int = 40) -> tuple[Floats, Floats]:
    """Return nodes and weights (k,) with which means over a standard normal variable are taken (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(k)
    return nodes, weights / weights.sum()
