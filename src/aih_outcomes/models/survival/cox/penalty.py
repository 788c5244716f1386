"""Penalties on the partial likelihood, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import Vector

FIRTH = "firth"


@dataclass(frozen=True, slots=True)
class Ridge:
    """The penalty ½ θ Σ β², as R's ``ridge(..., theta=, scale=)``.

    Attributes
    ----------
    theta : θ, more than 0
    scale : ``standardised`` penalises coefficients per standard deviation of their covariate, ``raw`` as they are

    Examples
    --------
    >>> Ridge(theta=5.0).scale
    'standardised'
    """

    theta: float
    scale: Literal["standardised", "raw"] = "standardised"

    def __post_init__(self) -> None:
        """Refuse a penalty that is none."""
        theta: object = self.theta
        number = isinstance(theta, int | float) and bool(np.isfinite(theta)) and theta > 0
        if not number or self.scale not in ("standardised", "raw"):
            raise OutcomeError(
                f"Ridge(theta={self.theta!r}, scale={self.scale!r}) is no penalty",
                "θ is a finite number above 0, the scale 'standardised' or 'raw'",
                "Write for example penalty=Ridge(theta=5.0)",
            )

    def per_term(self, X: NDArray[np.float64]) -> Vector:
        """(p,) θ of each column of X (n_rows, p), on the scale of X."""
        return self.theta * (X.var(axis=0, ddof=1) if self.scale == "standardised" else np.ones(X.shape[1]))


Penalty = Literal["firth"] | Ridge


def name_penalty(penalty: Penalty | None) -> str | None:
    """Return the penalty in words."""
    if isinstance(penalty, Ridge):
        return f"ridge (θ = {penalty.theta:g}, {penalty.scale})"
    return penalty


def refuse_no_penalty(penalty: object) -> None:
    """Refuse what is no penalty.

    Raises
    ------
    OutcomeError
    """
    if not (penalty is None or penalty == FIRTH or isinstance(penalty, Ridge)):
        raise OutcomeError(
            f"penalty={penalty!r} is unknown", "Known are 'firth' and Ridge(theta=...)",
            "Write penalty='firth', or penalty=None for plain likelihood",
        )  # fmt: skip
