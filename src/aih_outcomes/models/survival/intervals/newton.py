"""Newton's method for a log-likelihood with analytic derivatives, which proves its own optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
LogLikelihood = Callable[[Vector], tuple[float, Vector, Matrix]]

MAX_STEPS = 200
MAX_HALVINGS = 40
DECREMENT = 1e-20  # square of the last step, in standard errors
GRADIENT_TOLERANCE = 1e-6  # scaled by the information: the optimum proves itself
COLLAPSED = 1e-8  # smallest eigenvalue of the information, relative to the start, where there is no maximum
FLAT_TOLERANCE = 1e-9  # relative change of the log-likelihood that counts as none


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where Newton's method ended; p parameters.

    Attributes
    ----------
    theta : (p,); ``gradient`` (p,) and ``information`` (p, p) of the log-likelihood there
    scaled_gradient : largest |gradient| / √information
    converged : whether it is an optimum with information left in every direction
    flat : the likelihood no longer rose although the steps went on
    """

    theta: Vector
    loglik: float
    gradient: Vector
    information: Matrix
    scaled_gradient: float
    converged: bool
    flat: bool

    @property
    def vcov(self) -> Matrix:
        """(p, p) inverse of the information."""
        scale = np.sqrt(np.diag(self.information))
        return np.asarray(np.linalg.inv(self.information / np.outer(scale, scale)) / np.outer(scale, scale), float)


def maximise(value: LogLikelihood, start: Vector) -> Optimum:
    """Climb by Newton steps, damped where the information is not positive definite, halved where they do not rise.

    Parameters
    ----------
    value : parameters (p,) → log-likelihood (−∞ where not defined), gradient (p,), information (p, p)
    start : (p,) where the log-likelihood is finite
    """
    with np.errstate(all="ignore"):  # a step too far is not finite, and is halved
        theta, here = start, value(start)
        at_start = np.sqrt(np.maximum(np.abs(np.diag(here[2])), np.finfo(float).tiny))
        rise = np.inf
        for _ in range(MAX_STEPS):
            step = _step(here[1], here[2])
            if step is None:
                break
            before = here[0]
            decrement = float(here[1] @ step)
            theta, here = _climb(value, theta, here, step)
            rise = here[0] - before
            if decrement < DECREMENT or (decrement < GRADIENT_TOLERANCE**2 and rise <= 0):
                break
    loglik, gradient, information = here
    diagonal = np.diag(information)
    usable = bool(np.all(np.isfinite(information)) and np.all(diagonal > 0))
    scaled = float(np.max(np.abs(gradient) / np.sqrt(diagonal), initial=0.0)) if usable else float("inf")
    informative = usable and _smallest(information / np.outer(at_start, at_start)) > COLLAPSED
    return Optimum(
        theta, loglik, gradient, information, scaled, scaled < GRADIENT_TOLERANCE and informative,
        abs(rise) <= FLAT_TOLERANCE * (1 + abs(loglik)),
    )  # fmt: skip


def _step(gradient: Vector, information: Matrix) -> Vector | None:
    """Solve for the step; add to the diagonal until the matrix is positive definite."""
    if not (np.all(np.isfinite(information)) and np.all(np.isfinite(gradient))):
        return None
    scale = np.sqrt(np.maximum(np.abs(np.diag(information)), np.finfo(float).tiny))
    scaled = information / np.outer(scale, scale)
    for damping in (0.0, *10.0 ** np.arange(-6, 7)):
        try:
            factor = cho_factor(scaled + damping * np.eye(len(scale)))
        except np.linalg.LinAlgError:
            continue
        return np.asarray(cho_solve(factor, gradient / scale) / scale, float)
    return None


def _climb(
    value: LogLikelihood, theta: Vector, here: tuple[float, Vector, Matrix], step: Vector
) -> tuple[Vector, tuple[float, Vector, Matrix]]:
    size = 1.0
    for _ in range(MAX_HALVINGS):
        trial = value(theta + size * step)
        if np.isfinite(trial[0]) and trial[0] >= here[0] - 1e-13 * abs(here[0]):
            return theta + size * step, trial
        size /= 2
    return theta, here


def _smallest(matrix: Matrix) -> float:
    return float(np.linalg.eigvalsh(matrix).min(initial=np.inf))
