"""The Gaussian likelihood y ~ N(X β, V(θ)): what every engine takes and gives, whatever the structure of V.

n rows, p fixed effects, k covariance parameters. W = V⁻¹, Φ = (Σ XᵀWX)⁻¹ = C Cᵀ. *Whitened* means in the coordinates of
C: x̃ = W X C, so that Σ x̃ᵀ V x̃ is the identity; what is whitened does not depend on how X is scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Convention = Literal["mmrm", "sas", "pbkrtest", "linear"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n values, each patient's together and in the order of time.

    Attributes
    ----------
    response : (n,); ``X`` (n, p) of full column rank
    patient : (n,) codes 0, 1, … that never fall
    time : (n,) in the unit of the model's slopes
    visit : (n,) codes of nominal visits, no two of one patient alike; empty where the model has none
    Z : (n, q) columns of the random effects; q may be 0
    stratum : (n,) codes of what the covariance may differ by (group or visit)
    weight : (n,) the residual variance is divided by it
    cluster : (n,) codes of what patients are nested in (centres); empty where they are not
    """

    response: Vector
    X: Matrix
    patient: Codes
    time: Vector
    visit: Codes
    Z: Matrix
    stratum: Codes
    weight: Vector
    cluster: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The likelihood at one θ.

    Attributes
    ----------
    theta : (k,) in the kernel's own parameters
    loglik : restricted or full, constants included, for X as given
    beta : (p,); ``root`` (p, p) C with Φ = C Cᵀ
    gradient : (k,); ``hessian`` (k, k) of the log-likelihood, β profiled out
    slopes : (k, p, p) U_h = Σ x̃ᵀ (∂V/∂θ_h) x̃, whitened: ∂Φ/∂θ_h = C U_h Cᵀ
    state : what the kernel keeps for what may be asked afterwards
    """

    theta: Vector
    loglik: float
    beta: Vector
    root: Matrix
    gradient: Vector
    hessian: Matrix
    slopes: Array
    state: Any


@dataclass(frozen=True, slots=True, eq=False)
class SmallSample:
    """Kenward and Roger's correction at an optimum.

    Attributes
    ----------
    adjustment : (p, p) Λ̃, whitened: the adjusted covariance of β is C (I + 2 Λ̃) Cᵀ
    slopes : (k, p, p) U_h in the parameters of ``vcov_theta``
    vcov_theta : (k, k) covariance of the variance parameters
    """

    adjustment: Matrix
    slopes: Array
    vcov_theta: Matrix


class Kernel(Protocol):
    """A structure of V with its likelihood; holds the rows in whatever form is fast."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the k covariance parameters, in the kernel's own scale."""

    def start(self) -> Vector:
        """(k,) where the search begins."""

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives; None where V is not positive definite."""

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        """Return Kenward and Roger's correction by the convention named.

        ``mmrm``: observed information, second derivatives of V in the kernel's own parameters. ``sas``: observed
        information, second derivatives in SAS's parameters. ``linear``: observed information, none. ``pbkrtest``:
        expected information of the entries of V that are linear, no second derivatives.
        """

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        """Return V of every independent unit: rows (m, t) and covariances (m, t, t), units of one size together."""

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        """(n, n) covariance of any rows of *one* patient, new times included; only their columns besides X are read."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """An optimum, or why there is none.

    Attributes
    ----------
    rows, kernel, evaluation : the data, the structure, and the likelihood where the search ended
    reml : restricted or full likelihood
    iterations, scaled_gradient : Newton steps; gradientᵀ (−Hessian)⁻¹ gradient, 0 at an optimum
    trouble : why the search has no answer, or None
    """

    rows: Rows
    kernel: Kernel
    evaluation: Evaluation
    reml: bool
    iterations: int
    scaled_gradient: float
    trouble: str | None


def vcov_theta(evaluation: Evaluation) -> Matrix:
    """(k, k) inverse of the observed information; directions without curvature are left out."""
    values, vectors = np.linalg.eigh(-evaluation.hessian)
    kept = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T)
