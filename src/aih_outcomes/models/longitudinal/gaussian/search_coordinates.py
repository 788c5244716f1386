"""In which coordinates a covariance between visits is searched: those in which it may become singular at leisure.

In mmrm's parameters a row of L = diag(d) · unit lower(l) that stays while d falls to 0 needs l → ∞, and a correlation
that rises to 1 needs x → ∞ with hardly any slope. Here l = m · d₀ / d, m free and d₀ where the search begins, and
x = sinh z, hence ρ = tanh z. The optimum is the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Evaluation
from aih_outcomes.models.longitudinal.gaussian.visit_likelihood import Visits
from aih_outcomes.outcomes import Vector

FARTHEST = 300.0  # |log d| at which the search ends
ONE = 9.0  # |z| from which a correlation counts as 1: 1 − ρ² = 6e-8


class SearchCoordinates:
    """A kernel in (log d, m) or (log sd, z); ``state`` is the evaluation in mmrm's parameters.

    Parameters
    ----------
    kernel : what is searched
    start : (k,) in mmrm's parameters
    """

    def __init__(self, kernel: Visits, start: Vector) -> None:
        self.kernel, self.begin = kernel, start
        self.small_sample, self.blocks, self.covariance = kernel.small_sample, kernel.blocks, kernel.covariance
        names = kernel.parameters
        self.mapped = np.flatnonzero([name.startswith("mapped") for name in names])
        self.lower = np.flatnonzero([name.startswith("lower") for name in names])
        below = np.tril_indices(kernel.n_visits, -1)[0] if len(self.lower) else np.zeros(0, np.intp)
        self.row = (np.arange(kernel.n_strata)[:, None] * kernel.k + below).ravel()  # log d of the row of each l

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names, as mmrm's parameters."""
        return self.kernel.parameters

    def start(self) -> Vector:
        """Begin where told."""
        begin = self.begin.copy()
        begin[self.mapped] = np.arcsinh(begin[self.mapped])
        return begin

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood with its derivatives in these coordinates, by the chain rule."""
        if np.abs(theta[self.row]).max(initial=0.0) > FARTHEST:
            return None
        slope = np.exp(self.begin[self.row] - theta[self.row])  # ∂l/∂m
        given, z = theta.copy(), np.clip(theta[self.mapped], -ONE, ONE)
        inside = np.abs(theta[self.mapped]) < ONE  # beyond it nothing changes any more
        given[self.lower] *= slope
        given[self.mapped] = np.sinh(z)
        found = self.kernel.evaluate(given)
        if found is None:
            return None
        change, pull = np.eye(len(theta)), found.gradient[self.lower]
        change[self.lower, self.lower], change[self.lower, self.row] = slope, -given[self.lower]
        change[self.mapped, self.mapped] = np.cosh(z) * inside
        hessian = change.T @ found.hessian @ change
        np.add.at(hessian, (self.row, self.row), pull * given[self.lower])
        hessian[self.row, self.lower] -= pull * slope
        hessian[self.lower, self.row] -= pull * slope
        hessian[self.mapped, self.mapped] += found.gradient[self.mapped] * np.sinh(z) * inside
        return replace(found, theta=theta, gradient=change.T @ found.gradient, hessian=hessian, state=found)
