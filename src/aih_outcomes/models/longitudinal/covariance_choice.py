"""What a covariance offers to a mixed model, whatever its structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import pandas as pd

from aih_outcomes.models.longitudinal.fixed_effects import FixedEffects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted

Method = Literal["REML", "ML"]


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What became of the search for a covariance.

    Attributes
    ----------
    fitted : the optimum, or None
    covariance : its structure in words; ``tried`` : structures left before it, each with the reason
    singular : which component is 0 and what that means, or None
    reason : why nothing could be estimated, or None
    """

    fitted: Fitted | None
    covariance: str
    tried: tuple[str, ...] = ()
    singular: str | None = None
    reason: str | None = None


class CovarianceChoice(Protocol):
    """How values of one patient hang together: what is fitted, and what there is to say about it."""

    def search(self, fixed: FixedEffects, method: Method, start: Fitted | None) -> Search:
        """Fit it on these rows, from another fit's covariance if one is given."""

    def components(self, fitted: Fitted) -> pd.DataFrame:
        """One row per component: ``component, estimate`` and in which unit it stands."""

    def random_effects(self, fitted: Fitted) -> pd.DataFrame:
        """One row per patient: deviations from the mean course."""

    def count(self, fitted: Fitted, method: Method) -> tuple[int, int]:
        """Parameters that AIC counts, and the number whose logarithm BIC takes."""

    def describe(self) -> str:
        """Words for a caption."""
