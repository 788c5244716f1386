"""β, σ and the log-likelihood from [X y]ᵀH⁻¹[X y] and log|H|, where V = σ² H."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Matrix
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The best β for one H.

    Attributes
    ----------
    beta : (p,); ``root`` (p, p) C with (XᵀH⁻¹X)⁻¹ = C Cᵀ, σ left out
    rss : (y − Xβ)ᵀ H⁻¹ (y − Xβ) / σ²; ``sigma``
    loglik : restricted or full, without its constant
    """

    beta: Vector
    root: Matrix
    rss: float
    sigma: float
    loglik: float


def solve_normal_equations(cross: Matrix, log_det: float, nu: int, *, reml: bool, log_sigma: float | None
                           ) -> Solved | None:  # fmt: skip
    """Solve for β; None where there is no finite solution.

    Parameters
    ----------
    cross : (p + 1, p + 1) [X y]ᵀH⁻¹[X y]; ``log_det`` log|H|
    nu : rows, by REML less p
    log_sigma : log σ, or None for the best one, √(rss / nu)
    """
    p = len(cross) - 1
    if not (np.isfinite(log_det) and np.isfinite(cross).all()):
        return None
    try:
        lower = np.linalg.cholesky((cross[:p, :p] + cross[:p, :p].T) / 2)
    except np.linalg.LinAlgError:
        return None
    root = np.asarray(np.linalg.inv(lower).T, float)
    beta = root @ (root.T @ cross[:p, p])
    combine = np.concatenate([-beta, [1.0]])
    rss = float(combine @ cross @ combine)
    if not rss > 0:
        return None
    log_sigma = 0.5 * float(np.log(rss / nu)) if log_sigma is None else float(log_sigma)
    sigma = float(np.exp(log_sigma))
    loglik = -0.5 * (log_det + rss / sigma**2) - nu * log_sigma
    if reml:
        loglik -= float(np.log(np.diag(lower)).sum())
    return Solved(beta, root, rss / sigma**2, sigma, loglik)
