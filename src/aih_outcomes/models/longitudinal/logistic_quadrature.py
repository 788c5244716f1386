"""The likelihood of 0 and 1 with a random intercept, by adaptive Gauss-Hermite quadrature, on arrays.

n rows, p terms, K patients, Q points. η = x β + σ u with u ~ N(0, 1); a patient's integrand exp h(u), with
h = Σ {y η − log(1 + e^η)} − u²/2, is sampled at Q points around its mode û, τ = (−h″(û))^−½ apart (Pinheiro & Bates,
J Comput Graph Stat 1995;4:12); one point is Laplace's approximation. Derivatives are those of the approximation itself,
with the points moving as the parameters do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]

MOST_STEPS, MOST_HALVINGS = 100, 30
DECREMENT = 1e-11  # predicted gain in log-likelihood at which the search ends
LONGEST = 2.0  # step of a parameter, in the unit of the linear predictor
FLAT = 1e-8  # curvature relative to the largest that counts as none
WIDTH = 1e-5  # of the difference quotients that give the Hessian
LARGEST_SD = 30.0  # of intercepts, in log odds: two values of a patient are then alike with probability above 0.99
LEAST = 1e-300  # probabilities below it have no logarithm
FARTHEST = 30.0  # linear predictor beyond which a fitted probability is 0 or 1


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """n values of 0 or 1: ``response`` (n,), ``X`` (n, p), ``patient`` (n,) codes 0, 1, … that never fall."""

    response: Vector
    X: Matrix
    patient: Codes

    @property
    def n_patients(self) -> int:
        """K."""
        return int(self.patient[-1]) + 1

    def sums(self, values: Matrix) -> Matrix:
        """(K, …) sums over each patient's rows."""
        return np.add.reduceat(values, np.flatnonzero(np.diff(self.patient, prepend=-1)), axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where the search ended.

    Attributes
    ----------
    theta : (p + 1,) β, then σ ≥ 0; ``vcov`` (p + 1, p + 1) inverse of the observed information
    loglik, steps, scaled_gradient : the log-likelihood, Newton steps, gradientᵀ (−Hessian)⁻¹ gradient
    modes : (K,) of σ u
    trouble : why there is no answer, or None
    """

    theta: Vector
    vcov: Matrix
    loglik: float
    steps: int
    scaled_gradient: float
    modes: Vector
    trouble: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A point of the search: ``theta`` (p + 1,), log-likelihood, its gradient (p + 1,), and the modes (K,) of u."""

    theta: Vector
    value: float
    gradient: Vector
    modes: Vector


def maximise_logistic(rows: Binary, n_points: int) -> Optimum:
    """Climb to the maximum over β and σ by Newton's method.

    It begins at no effects and σ = 1 with Laplace's approximation, and goes on from its maximum with more points. The
    search runs in orthogonal columns of mean square 1, so that no unit of a covariate matters.
    """
    n, p = rows.X.shape
    Q, R = np.linalg.qr(rows.X)
    scaled, back = Binary(rows.response, Q * np.sqrt(n), rows.patient), np.eye(p + 1)
    back[:p, :p] = np.linalg.inv(R / np.sqrt(n))
    with np.errstate(all="ignore"):
        here, hessian, gain, steps = _climb(scaled, 1, np.append(np.zeros(p), 1.0), np.zeros(rows.n_patients))
        if n_points > 1 and abs(here.theta[p]) <= LARGEST_SD:
            here, hessian, gain, more = _climb(scaled, n_points, here.theta, here.modes)
            steps += more
        curvature, axes = np.linalg.eigh(-hessian)
    trouble = None if gain < DECREMENT else "the likelihood found no maximum"
    if abs(here.theta[p]) > LARGEST_SD:
        trouble = "hardly anybody's values change, so how far patients differ has no limit"
    elif float(np.abs(scaled.X @ here.theta[:p]).max()) > FARTHEST:
        trouble = "fitted probabilities of 0 or 1: a term separates the values"
    kept = curvature > FLAT * float(np.abs(curvature).max())
    root = back @ axes[:, kept]
    theta = back @ np.append(here.theta[:p], abs(here.theta[p]))
    vcov = np.asarray((root / curvature[kept]) @ root.T)
    return Optimum(theta, vcov, here.value, steps, gain, here.theta[p] * here.modes, trouble)


def _climb(rows: Binary, n_points: int, theta: Vector, modes: Vector) -> tuple[Place, Matrix, float, int]:
    """Return where the search ends, the Hessian there, the gain predicted of a further step, and steps taken."""
    nodes, weights = np.polynomial.hermite.hermgauss(n_points)
    log_weights = np.log(weights) + nodes**2
    here = _evaluate(theta, rows, nodes, log_weights, modes)
    step = 0
    while True:
        hessian = _hessian(here, rows, nodes, log_weights, exact=False)
        curvature, axes = np.linalg.eigh(-hessian)
        move = axes @ ((axes.T @ here.gradient) / np.maximum(np.abs(curvature), FLAT * np.abs(curvature).max()))
        gain = float(here.gradient @ move)
        move *= min(1.0, LONGEST / float(np.abs(move).max(initial=1e-300)))
        ended = gain < DECREMENT or step == MOST_STEPS or abs(here.theta[-1]) > LARGEST_SD
        there = None if ended else _rise(here, move, rows, nodes, log_weights)
        if there is None:
            return here, _hessian(here, rows, nodes, log_weights, exact=True), gain, step
        here, step = there, step + 1


def _rise(here: Place, move: Vector, rows: Binary, nodes: Vector, log_weights: Vector) -> Place | None:
    """Go as much of a step as the likelihood rises; None where it does not."""
    for _ in range(MOST_HALVINGS):
        there = _evaluate(here.theta + move, rows, nodes, log_weights, here.modes)
        if there.value > here.value - 1e-13 * abs(here.value):
            return there
        move = move / 2
    return None


def _hessian(here: Place, rows: Binary, nodes: Vector, log_weights: Vector, *, exact: bool) -> Matrix:
    """(p + 1, p + 1) differences of the gradient; ``exact`` takes central ones."""
    columns = []
    for place in range(len(here.theta)):
        shift = np.zeros(len(here.theta))
        shift[place] = WIDTH * max(1.0, abs(here.theta[place]))
        above = _evaluate(here.theta + shift, rows, nodes, log_weights, here.modes).gradient
        below = _evaluate(here.theta - shift, rows, nodes, log_weights, here.modes).gradient if exact else here.gradient
        columns.append((above - below) / ((1 + exact) * shift[place]))
    hessian = np.array(columns)
    return np.asarray((hessian + hessian.T) / 2)


def _evaluate(theta: Vector, rows: Binary, nodes: Vector, log_weights: Vector, begin: Vector) -> Place:
    """Return the log-likelihood and its gradient."""
    sigma, fixed = float(theta[-1]), rows.X @ theta[:-1]
    u = _find_modes(fixed, sigma, rows, begin)
    mean = expit(fixed + sigma * u[rows.patient])
    variance = mean * (1 - mean)
    skew = variance * (1 - 2 * mean)
    each = rows.sums(np.column_stack([rows.response - mean, variance, skew]))
    residual, spread, third = each.T
    tau = (1 + sigma**2 * spread) ** -0.5
    points = u[:, None] + np.sqrt(2) * tau[:, None] * nodes
    sign = 2 * rows.response[:, None] - 1
    likely = expit(sign * (fixed[:, None] + sigma * points[rows.patient]))  # (n, Q) probability of what was seen
    fit = rows.sums(np.log(np.maximum(likely, LEAST))) - points**2 / 2
    total = logsumexp(fit + log_weights, axis=1)
    value = float((np.log(tau) + total).sum() - 0.5 * np.log(np.pi) * len(u))
    share = np.exp(fit + log_weights - total[:, None])  # (K, Q) posterior weights of the points
    gap = sign * (1 - likely)
    own = rows.sums(gap)
    pull = share * (sigma * own - points)  # h′ at the points
    # u and τ move with β and σ.
    shift, stretch = pull.sum(axis=1), np.sqrt(2) * (pull * nodes).sum(axis=1) + 1 / tau
    per_row = -sigma * variance
    u_sigma = (residual - sigma * u * spread) * tau**2
    tau_by_u = -0.5 * tau**3 * sigma**3 * third
    tau_sigma = 0.5 * tau**3 * (-2 * sigma * spread - sigma**2 * u * third) + tau_by_u * u_sigma
    direct = (gap * share[rows.patient]).sum(axis=1)
    along = (shift + stretch * tau_by_u) * tau**2
    row_weight = direct + along[rows.patient] * per_row - (0.5 * stretch * tau**3 * sigma**2)[rows.patient] * skew
    by_sigma = float((share * points * own).sum() + (shift * u_sigma + stretch * tau_sigma).sum())
    return Place(theta, value, np.append(rows.X.T @ row_weight, by_sigma), u)


def _find_modes(fixed: Vector, sigma: float, rows: Binary, begin: Vector) -> Vector:
    """(K,) u at which each patient's integrand is highest: Newton's steps, halved where they fall."""
    u = begin.copy()
    best = _height(u, fixed, sigma, rows)
    for _ in range(MOST_STEPS):
        mean = expit(fixed + sigma * u[rows.patient])
        each = rows.sums(np.column_stack([rows.response - mean, mean * (1 - mean)]))
        move = (sigma * each[:, 0] - u) / (1 + sigma**2 * each[:, 1])
        moves = np.abs(move) > 1e-12 * (1 + np.abs(u))
        if not moves.any():
            break
        there = _height(u + move, fixed, sigma, rows)
        for _ in range(MOST_HALVINGS):
            lower = moves & (there < best - 1e-12 * (1 + np.abs(best)))
            if not lower.any():
                break
            move = np.where(lower, move / 2, move)
            there = _height(u + move, fixed, sigma, rows)
        u, best = u + move, there
    return u


def _height(u: Vector, fixed: Vector, sigma: float, rows: Binary) -> Vector:
    eta = fixed + sigma * u[rows.patient]
    return np.asarray(rows.sums(rows.response * eta - np.logaddexp(0, eta)) - u**2 / 2)
