"""Newton's method with step halving, and the proof that where it ended is an optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

MAX_STEPS = 50
MAX_HALVINGS = 20
LAST_STEP = 1e-10  # a step of standardised coefficients that is taken without looking again
STALLED = 1e-6  # steps below it that no longer shrink are rounding
FLAT_TOLERANCE = 1e-9  # relative change of the log-likelihood that counts as none
RUNNING = 1e-3  # steps above it are no rounding: they show where a monotone likelihood runs to
COLLAPSED = 1e-8  # information left, relative to that at β = 0, where the likelihood has no maximum
GRADIENT_TOLERANCE = 1e-6  # scaled by the information: the optimum proves itself


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """What is known at one β: ``value`` is maximised, ``score`` (p,) its gradient, ``loglik`` the part without penalty.

    ``information`` (p, p) is minus the second derivative; with Firth's penalty that of the likelihood alone.
    """

    value: float
    loglik: float
    score: Vector
    information: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """Where the method started and ended; ``direction`` (p,) is that of the last large step."""

    beta: Vector
    null: Point
    end: Point
    direction: Vector
    scaled_gradient: float
    converged: bool
    flat: bool

    @property
    def score_test(self) -> float:
        """Score test of β = 0."""
        step = solve(self.null.information, self.null.score)
        return float("nan") if step is None else float(self.null.score @ step)


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where Newton's method ended, and whether it is an optimum.

    Attributes
    ----------
    beta : (p,); ``loglik`` there and ``loglik_null`` at β = 0, both without a penalty
    score_test : score test of β = 0
    information : (p, p) of what was maximised, a ridge's penalty included; under Firth's penalty of the likelihood
    scaled_gradient : largest derivative, in units of the root of its information
    converged, flat : the steps died out; the likelihood no longer rose although the steps went on
    direction : (p,) last large step of the standardised coefficients: where a monotone likelihood runs to
    unpenalised : (p, p) information of the likelihood alone; None where that is ``information``
    penalised, penalised_null : the penalised log-likelihoods; NaN without a penalty
    """

    beta: Vector
    loglik: float
    loglik_null: float
    score_test: float
    information: Matrix
    scaled_gradient: float
    converged: bool
    flat: bool
    direction: Vector
    unpenalised: Matrix | None = None
    penalised: float = float("nan")
    penalised_null: float = float("nan")


def ascend(evaluate: Callable[[Vector], Point], start: Vector, *, max_steps: int = MAX_STEPS) -> Ascent:
    """Climb from ``start`` (p,) to the maximum of what ``evaluate`` computes, on a scale where 1 is a large step.

    Returns
    -------
    ascent : ``converged`` where the steps died out, the scaled gradient is below 1e-6 and the information has not
        collapsed; ``flat`` where the value no longer rose although the steps went on (monotone likelihood)
    """
    null = here = evaluate(start)
    beta, last_size, rise, died_out, moved = start, np.inf, np.inf, False, None
    step = solve(here.information, here.score)
    for _ in range(max_steps):
        if step is None:
            break
        size = float(np.max(np.abs(step), initial=0))
        if size < LAST_STEP or (last_size < STALLED and size >= last_size):
            beta, died_out = beta + step, True
            break
        there, share = _climb(evaluate, beta, step, here)
        if there is None:
            died_out = size < STALLED
            break
        beta, rise, last_size, here = beta + share * step, there.value - here.value, share * size, there
        moved = step if last_size > RUNNING else moved
        step = solve(here.information, here.score)
    informative = is_informative(here.information, null.information)
    gradient = scaled_gradient(here.score, here.information)
    return Ascent(
        beta, null, here, flattest(here.information, null.information) if moved is None else moved, gradient,
        died_out and informative and gradient < GRADIENT_TOLERANCE,
        not informative or abs(rise) <= FLAT_TOLERANCE * (1 + abs(here.value)),
    )  # fmt: skip


def solve(information: Matrix, score: Vector) -> Vector | None:
    """Return Newton's step, or None where there is none."""
    try:
        step = np.asarray(np.linalg.solve(information, score), float)
    except np.linalg.LinAlgError:
        return None
    return step if bool(np.all(np.isfinite(step))) else None


def is_informative(information: Matrix, at_null: Matrix) -> bool:
    """Return whether the information has not collapsed, relative to that at β = 0."""
    scaled = _relative(information, at_null)
    return bool(np.all(np.isfinite(scaled))) and float(np.linalg.eigvalsh(scaled).min()) > COLLAPSED


def flattest(information: Matrix, at_null: Matrix) -> Vector:
    """(p,) direction in which the likelihood curves least, relative to β = 0: where a monotone one runs to."""
    scaled = _relative(information, at_null)
    return np.asarray(np.linalg.eigh(np.where(np.isfinite(scaled), scaled, 0.0))[1][:, 0])


def _relative(information: Matrix, at_null: Matrix) -> Matrix:
    scale = np.sqrt(np.maximum(np.diag(at_null), np.finfo(float).tiny))
    return np.asarray(information / np.outer(scale, scale))


def scaled_gradient(score: Vector, information: Matrix) -> float:
    """Return the largest derivative in units of the root of its information."""
    diagonal = np.diag(information)
    return float(np.max(np.abs(score) / np.sqrt(diagonal))) if bool(np.all(diagonal > 0)) else float("inf")


def _climb(evaluate: Callable[[Vector], Point], beta: Vector, step: Vector, here: Point) -> tuple[Point | None, float]:
    """Halve the step until the value does not fall; None where no step helps."""
    share, least = 1.0, here.value - 1e-12 * abs(here.value)
    for _ in range(MAX_HALVINGS):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a step too far is not finite
            there = evaluate(beta + share * step)
        if np.isfinite(there.value) and there.value >= least:
            return there, share
        share /= 2
    return None, 0.0
