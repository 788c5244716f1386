"""Newton's method on a log-likelihood that may have saddles: steps by the absolute curvature, halved until it rises."""

from __future__ import annotations

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Evaluation, Fitted, Kernel, Rows
from aih_outcomes.outcomes import Vector

MOST_STEPS, LONGEST = 200, 1.5
DECREMENT = 1e-12  # predicted gain in log-likelihood at which the search ends
FLAT = 1e-8  # curvature relative to the largest that counts as none
RISE = 1e-4  # Armijo
NO_STEP = 1e-10
SADDLE = -1e-6  # curvature relative to the largest that shows a way up


def maximise(kernel: Kernel, rows: Rows, *, reml: bool, start: Vector | None = None) -> Fitted:
    """Climb to the maximum of a kernel's likelihood.

    Parameters
    ----------
    kernel, rows : what is fitted
    start : (k,), else the kernel's own

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
    steps, trouble = 0, None
    decrement = np.inf
    while True:
        step, decrement, escape = _direction(here)
        if decrement < DECREMENT and not escape:
            break
        if steps == MOST_STEPS:
            trouble = f"the likelihood found no maximum in {MOST_STEPS} steps"
            break
        found = _climb(kernel, here, step, decrement, escape=escape)
        if found is None:
            # Rounding hides gains below a billionth of the log-likelihood.
            if not decrement < 1e-9 * max(1.0, abs(here.loglik)):
                trouble = "the search stalled before the likelihood was at its maximum"
            break
        here, steps = found, steps + 1
    return Fitted(rows, kernel, here, reml, steps, decrement, trouble)


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


def _climb(kernel: Kernel, here: Evaluation, step: Vector, decrement: float, *, escape: bool) -> Evaluation | None:
    longest = float(np.abs(step).max(initial=0.0))
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
