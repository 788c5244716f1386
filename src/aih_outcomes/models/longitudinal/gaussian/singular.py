"""Where the likelihood has its maximum on the boundary: which variance is 0, and whether the data tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Evaluation, Fitted, Matrix
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.outcomes import Vector

if TYPE_CHECKING:
    from aih_outcomes.models.longitudinal.gaussian.effects import Effects
    from aih_outcomes.models.longitudinal.gaussian.newton import WithScale

NEAR = 1e-4  # variance, relative to the residual's, below which 0 is tried
SAME = 1e-10  # part of the log-likelihood that rounding may take
ZERO = 1e-8  # variance relative to the residual's that is reported as 0: an SD ratio of 1e-4, as lme4's isSingular
SHARE = 1e-4  # of the residual variance, below which a part of it is reported as 0
FLAT = 1e-6  # curvature relative to the largest that raises suspicion
TOLD_APART = 1e-9  # eigenvalue of the information, as a correlation, that still is one
KNOWN = "standard errors treat this as known"


def settle_on_boundary(kernel: WithScale, structure: Structure, found: Evaluation) -> Evaluation:
    """Return the evaluation with variances of 0 where the likelihood is no lower there."""
    theta = found.theta.copy()
    values, vectors = np.linalg.eigh(structure.factor(theta) @ structure.factor(theta).T)
    if (values < NEAR).any():
        Lambda = semidefinite_cholesky((vectors * np.where(values < NEAR, 0.0, values)) @ vectors.T)
        theta[1 : 1 + structure.n_entries] = [Lambda[a, b] for a, b in structure.places]
    if structure.nested and theta[1 + structure.n_entries] ** 2 < NEAR:
        theta[1 + structure.n_entries] = 0.0
    if np.array_equal(theta, found.theta):
        return found
    settled = kernel.profile(theta)
    lost = np.inf if settled is None else found.loglik - settled.loglik
    return found if settled is None or lost > SAME * max(1.0, abs(found.loglik)) else settled


def semidefinite_cholesky(matrix: Matrix) -> Matrix:
    """Lower triangle L of L Lᵀ with columns of 0 where nothing is left to explain."""
    left, L = matrix.copy(), np.zeros_like(matrix)
    least = 1e-12 * max(float(np.trace(matrix)), 1e-300)
    for b in range(len(matrix)):
        if left[b, b] > least:
            L[b:, b] = left[b:, b] / np.sqrt(left[b, b])
            left -= np.outer(L[:, b], L[:, b])
    return L


def why_not_told_apart(kernel: WithScale, found: Evaluation) -> str | None:
    """Say why the data cannot determine all variances, whatever the response: too few values per patient.

    The response's own curvature only raises the suspicion; the expected information where the search began decides.
    """
    curvature = np.linalg.eigvalsh(-found.hessian)
    if not curvature[0] < FLAT * max(float(curvature[-1]), 1e-300):
        return None
    begin = kernel.evaluate(kernel.start())
    if begin is None:
        return None
    information = kernel.expected_information(begin)[0]
    size = np.sqrt(np.maximum(np.diag(information), 0.0))
    if size.min() > 0 and np.linalg.eigvalsh(information / np.outer(size, size))[0] > TOLD_APART:
        return None
    return "too few patients, or too few values of each, to tell the variances of the model apart"


def describe_singular(fitted: Fitted) -> str | None:
    """Say which component of a fit by ``fit_effects`` is 0 and what that means, or None."""
    kernel: Effects = fitted.kernel  # type: ignore[assignment]  # a fit of fit_effects
    theta = fitted.evaluation.theta
    if not np.isfinite(theta).all():
        return None
    found = [*_of_effects(kernel, fitted), *_of_the_rest(kernel.structure, theta)]
    return "; ".join(found) if found else None


def _of_effects(kernel: Effects, fitted: Fitted) -> list[str]:
    q, theta = kernel.structure.q, fitted.evaluation.theta
    if not q:
        return []
    names, plural = _names(fitted.rows.Z)
    relative = np.diag(kernel.random_cov(fitted.evaluation)) * np.mean(fitted.rows.Z**2, axis=0) / np.exp(2 * theta[0])
    zero = [place for place in range(q) if relative[place] < ZERO]
    said = [f"the {names[a]} has variance 0: patients' {plural[a]} do not differ beyond error; {KNOWN}" for a in zero]
    rank = int((np.linalg.eigvalsh(kernel.structure.random_cov(theta)) > ZERO * np.exp(2 * theta[0])).sum())
    if rank < q - len(zero):
        if q == 2:
            G = kernel.random_cov(fitted.evaluation)
            sign = "+1" if G[0, 1] > 0 else "−1"
            said.append(
                f"{names[0]} and {names[1]} are perfectly correlated ({sign}): one of them tells the other; {KNOWN}"
            )
        else:
            said.append(f"the {q} random effects vary in {rank} directions only; {KNOWN}")
    return said


def _names(Z: Matrix) -> tuple[list[str], list[str]]:
    """Call each column's effect, and those of several patients."""
    constant = [bool(np.ptp(column) == 0) for column in Z.T]
    if len(constant) - sum(constant) == 1:
        return (["random intercept" if one else "random slope" for one in constant],
                ["levels" if one else "slopes" for one in constant])  # fmt: skip
    return (["random intercept" if one else f"random effect {a + 1}" for a, one in enumerate(constant)],
            ["levels" if one else f"effects {a + 1}" for a, one in enumerate(constant)])  # fmt: skip


def _of_the_rest(structure: Structure, theta: Vector) -> list[str]:
    """Centres and serial correlation."""
    value = dict(zip(structure.parameters, theta, strict=True))
    said = []
    if value.get("zeta", 1.0) ** 2 < ZERO:
        said.append(f"the variance between centres is 0: centres do not differ beyond their patients; {KNOWN}")
    if abs(np.tanh(value.get("atanh correlation", 0.0))) > 1 - 1e-6:
        said.append("residuals that follow each other have a correlation of 1: they cannot be told from random effects")
    share = 1 / (1 + np.exp(-value.get("logit error share", 0.0)))
    if share > 1 - SHARE:
        said.append("the serial process has variance 0: residuals do not follow each other beyond error")
    elif share < SHARE:
        said.append("the error has variance 0: all residual variation follows the serial process")
    rate = value.get("log rate", 0.0)
    if rate > 2.6 and share <= 1 - SHARE:  # a correlation of 1e-6 over the usual time
        said.append(
            "serial correlation is 0 within the usual time between two values: residuals do not follow each other"
        )
    elif rate < -7:
        said.append(
            "serial correlation does not fall within the time observed: it cannot be told from a random intercept"
        )
    return said
