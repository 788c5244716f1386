"""Log cumulative hazard as a natural cubic spline of log time, which may not fall."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from aih_outcomes.models.survival.intervals.distributions import EXTREME
from aih_outcomes.models.survival.intervals.likelihood import Ends, Linear, find_places
from aih_outcomes.models.survival.intervals.newton import Optimum, maximise
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

POINTS = 400  # at which a falling cumulative hazard is looked for
MAX_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Spline:
    """A basis in x = log time with ``knots`` (k + 2,), the first and last included; straight outside.

    Notes
    -----
    The natural cubic splines of Royston & Parmar, Stat Med 2002;21:2175, written as 1 and k + 1 integrated quadratic
    B-splines, the first two and the last two of them tied: a spline whose coefficients (the first apart) are not
    negative does not fall (Ramsay, Stat Sci 1988;3:425).
    """

    knots: Vector

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.knots)

    def basis(self, x: Vector) -> Matrix:
        """(n, size) columns at x."""
        u, inside = self._map(x)
        rates = self._rates()
        columns = rates.antiderivative()(inside) + rates(inside) * (u - inside)[:, None]
        return np.column_stack([np.ones_like(u), columns])

    def slope(self, x: Vector) -> Matrix:
        """(n, size) derivatives of the columns in x."""
        _, inside = self._map(x)
        return np.column_stack([np.zeros_like(x), self._rates()(inside) / (self.knots[-1] - self.knots[0])])

    def rises(self, coefficients: Vector) -> bool:
        """Whether the spline rises everywhere."""
        inside = np.linspace(self.knots[0], self.knots[-1], POINTS)
        return bool(np.all(self.slope(inside) @ coefficients > 0))

    def _map(self, x: Vector) -> tuple[Vector, Vector]:
        u = (x - self.knots[0]) / (self.knots[-1] - self.knots[0])
        return u, np.clip(u, 0.0, 1.0)

    def _rates(self) -> BSpline:
        """Quadratic B-splines on [0, 1], those at each end tied, so that the slope is level there."""
        k = len(self.knots) - 2
        inner = self._map(self.knots[1:-1])[0]
        tied = np.zeros((k + 3, k + 1))
        tied[np.arange(k + 3), np.clip(np.arange(k + 3) - 1, 0, k)] = 1.0
        return BSpline(np.concatenate([np.zeros(3), inner, np.ones(3)]), tied, 2)


@dataclass(frozen=True, slots=True, eq=False)
class SplineFit:
    """An optimum over the spline's coefficients and β; those held at 0 so that it does not fall are not ``free``."""

    model: Linear
    best: Optimum
    theta: Vector
    free: NDArray[np.bool_]

    @property
    def vcov(self) -> Matrix:
        """Variance of ``theta``, the set of free coefficients held as found."""
        full = np.zeros((len(self.theta), len(self.theta)))
        full[np.ix_(self.free, self.free)] = self.best.vcov
        return full


def place_knots(log_time: Vector, n_inner: int) -> Vector | None:
    """Return knots at the ends and at equal shares of log times (n,); None where too few differ."""
    knots = np.quantile(log_time, np.linspace(0, 1, n_inner + 2)) if len(log_time) else np.empty(0)
    return knots if len(np.unique(knots)) == n_inner + 2 else None


def fit_spline(ends: Ends, Z: Matrix, spline: Spline) -> SplineFit:
    """Fit z = spline of log t + Z β; where its best spline would fall, the best among those that do not.

    Parameters
    ----------
    Z : (n, p) standardised covariates
    """
    places = find_places(ends)
    D = np.column_stack([spline.basis(places.log_time), Z[places.owner]])
    E = np.column_stack([spline.slope(places.log_time), np.zeros((len(D), Z.shape[1]))])
    model = Linear(places, EXTREME, D, E, np.zeros(len(D)))
    start = _straight_line(model, spline)
    best = maximise(model.evaluate, start)
    free = np.ones(len(start), bool)
    if not best.converged or spline.rises(best.theta[: spline.size]):
        return SplineFit(model, best, best.theta, free)
    return _without_falls(model, spline, start)


def _straight_line(model: Linear, spline: Spline) -> Vector:
    """(p,) the Weibull fit: a straight line in log time, without the covariates."""
    x = model.places.log_time
    line = np.column_stack([np.ones_like(x), (x - x.mean()) / max(float(x.std()), 0.1)])
    slope = np.column_stack([np.zeros_like(x), np.full(len(x), 1 / max(float(x.std()), 0.1))])
    weibull = maximise(replace(model, D=line, E=slope).evaluate, np.array([0.0, 1.0])).theta
    start = np.zeros(model.D.shape[1])
    width = (spline.knots[-1] - spline.knots[0]) / max(float(x.std()), 0.1)
    start[1 : spline.size] = weibull[1] * width
    start[0] = weibull[0] + weibull[1] * (spline.knots[0] - x.mean()) / max(float(x.std()), 0.1)
    return start


def _without_falls(model: Linear, spline: Spline, start: Vector) -> SplineFit:
    """Maximise with coefficients not negative, by an active set: the function is concave (Lawson & Hanson 1974)."""
    bounded = np.arange(len(start)) < spline.size
    bounded[0] = False
    free, theta, part = np.ones(len(start), bool), start, model
    best = maximise(part.evaluate, theta)
    for _ in range(MAX_ROUNDS):
        part = replace(model, D=model.D[:, free], E=model.E[:, free])
        best = maximise(part.evaluate, theta[free])
        aim = np.zeros(len(start))
        aim[free] = best.theta
        below = bounded & free & (aim < 0)
        if below.any():  # go as far as is allowed, and hold what comes to 0 first
            share = theta[below] / (theta[below] - aim[below])
            theta = theta + share.min() * (aim - theta)
            held = np.flatnonzero(below)[share <= share.min()]
            theta[held] = 0.0
            free[held] = False
            continue
        theta = aim
        gradient = model.evaluate(theta)[1]
        wants = np.where(free, -np.inf, gradient)
        if not best.converged or wants.max() <= 1e-9 * (1 + abs(best.loglik)):
            break
        free[int(np.argmax(wants))] = True
    return SplineFit(part, best, theta, free)
