"""Newton's method on a log-likelihood that may have saddles: steps by the absolute curvature, halved until it rises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Evaluation, Fitted, Kernel, Matrix, Rows
from aih_outcomes.outcomes import Vector

MOST_STEPS, LONGEST = 200, 1.5
DECREMENT = 1e-12  # predicted gain in log-likelihood at which the search ends
PATIENCE, TAIL = 25, 1e-9  # steps after which it ends at a larger one: along the flat tail of a range without end
FLAT = 1e-8  # curvature relative to the largest that counts as none
RISE = 1e-4  # Armijo
NO_STEP = 1e-10
SADDLE = -1e-6  # curvature relative to the largest that shows a way up


def maximise(
    kernel: Kernel, rows: Rows, *, reml: bool, start: Vector | None = None, roots: Sequence[str] = ()
) -> Fitted:
    """Climb to the maximum of a kernel's likelihood.

    Parameters
    ----------
    kernel, rows : what is fitted
    start : (k,), else the kernel's own
    roots : beginnings of the names of parameters that are roots of variances: large ones may take large steps

    Returns
    -------
    fitted : ``trouble`` says why there is no optimum; never an exception, never a warning

    Notes
    -----
    Absolute eigenvalues turn a saddle into a way out (Dauphin et al., NIPS 2014); a variance of 0 is a regular
    stationary point of its square root.
    """
    here = kernel.evaluate(kernel.start() if start is None else start)
    if here is None:
        raise ValueError("a kernel starts where its covariance is positive definite")
    return _maximise_from(here, kernel, rows, reml=reml, roots=roots)


def _maximise_from(here: Evaluation, kernel: Kernel, rows: Rows, *, reml: bool, roots: Sequence[str]) -> Fitted:
    grows = np.array([name.startswith(tuple(roots)) if roots else False for name in kernel.parameters], bool)
    steps, trouble = 0, None
    decrement = np.inf
    while True:
        step, decrement, escape = _direction(here)
        enough = DECREMENT if steps < PATIENCE else TAIL * max(1.0, abs(here.loglik) / 1000)
        if decrement < enough and not escape:
            break
        # Rounding hides gains below a billionth of the log-likelihood.
        hidden = decrement < 1e-9 * max(1.0, abs(here.loglik))
        if steps == MOST_STEPS:
            trouble = None if hidden else f"the likelihood found no maximum in {MOST_STEPS} steps"
            break
        found = _climb(kernel, here, step, decrement, escape=escape, grows=grows)
        if found is None:
            trouble = None if hidden else "the search stalled before the likelihood was at its maximum"
            break
        here, steps = found, steps + 1
    return Fitted(rows, kernel, here, reml, steps, decrement, trouble)


def maximise_profiled(kernel: WithScale, rows: Rows, *, reml: bool, start: Vector | None = None) -> Fitted | None:
    """Climb to the maximum of a kernel whose first parameter is log σ, σ at its best for the rest on every step.

    Parameters and result as of ``maximise``; the evaluation is in all parameters. A start at which there is no
    likelihood is left for the kernel's own; None where there is none either.
    """
    profiled = _Profiled(kernel)
    given = None if start is None or not np.isfinite(start).all() else profiled.evaluate(start[1:])
    here = profiled.evaluate(profiled.start()) if given is None else given
    if here is None:
        return None
    found = _maximise_from(here, profiled, rows, reml=reml, roots=("lambda", "zeta"))
    return replace(found, kernel=kernel, evaluation=found.evaluation.state)


class WithScale(Kernel, Protocol):
    """A kernel with V = σ² H, its first parameter log σ."""

    def profile(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood at the σ that is best for the rest of θ."""

    def expected_information(self, evaluation: Evaluation) -> tuple[Matrix, Array]:
        """Return expected information (k, k) and slopes (k, p, p) in directions where V is linear."""


class _Profiled:
    """A kernel in its parameters other than log σ; ``state`` is the evaluation in all of them."""

    def __init__(self, kernel: WithScale) -> None:
        self.kernel = kernel
        self.small_sample, self.blocks, self.covariance = kernel.small_sample, kernel.blocks, kernel.covariance

    @property
    def parameters(self) -> tuple[str, ...]:
        return self.kernel.parameters[1:]

    def start(self) -> Vector:
        return self.kernel.start()[1:]

    def evaluate(self, theta: Vector) -> Evaluation | None:
        full = self.kernel.profile(np.concatenate([[0.0], theta]))
        if full is None:
            return None
        own, across = full.hessian[0, 0], full.hessian[0, 1:]
        hessian = full.hessian[1:, 1:] - np.outer(across, across) / own
        return replace(full, theta=theta, gradient=full.gradient[1:], hessian=hessian, state=full)


def _direction(here: Evaluation) -> tuple[Vector, float, bool]:
    """Step, predicted gain, and whether it leaves a saddle."""
    curvature, vectors = np.linalg.eigh(-here.hessian)
    largest = max(float(np.abs(curvature).max(initial=0.0)), 1e-300)
    absolute = np.maximum(np.abs(curvature), FLAT * largest)
    step = vectors @ ((vectors.T @ here.gradient) / absolute)
    decrement = float(here.gradient @ step)
    if decrement < DECREMENT and len(curvature) and curvature[0] < SADDLE * largest:
        return 0.1 * vectors[:, 0], decrement, True
    return step, decrement, False


def _climb(kernel: Kernel, here: Evaluation, step: Vector, decrement: float, *, escape: bool, grows: NDArray[np.bool_]
           ) -> Evaluation | None:  # fmt: skip
    size = np.where(grows, np.maximum(np.abs(here.theta), 1.0), 1.0)
    longest = float((np.abs(step) / size).max(initial=0.0))
    share = min(1.0, LONGEST / longest) if longest else 1.0
    wanted = 0.0 if escape else RISE * decrement
    rounding = 1e-14 * abs(here.loglik)
    while share > NO_STEP:
        there = kernel.evaluate(here.theta + share * step)
        if (
            there is not None
            and there.loglik >= here.loglik + share * wanted - rounding
            and (there.loglik > here.loglik or not escape)
        ):
            return there
        share /= 2
    return None
