"""The E-value: how strong an unmeasured confounder must be to explain an association away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import order_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Measure = Literal["risk ratio", "hazard ratio", "odds ratio"]
Frequency = Literal["common", "rare"]

COMMON_FROM = 0.15  # risk at the end of follow-up; VanderWeele & Ding 2017


@dataclass(frozen=True, slots=True, eq=False)
class EValue:
    """An E-value of an estimate and of the confidence limit nearer to 1.

    Attributes
    ----------
    estimate, conf_low, conf_high : as given; NaN where no limit was
    risk_ratio : the estimate as a risk ratio
    e_value : of the estimate; ``e_value_limit`` of the limit nearer to 1: 1 if the interval holds 1, NaN without limits
    """

    measure: Measure
    outcome: Frequency
    estimate: float
    conf_low: float
    conf_high: float
    risk_ratio: float
    e_value: float
    e_value_limit: float

    def tidy(self) -> pd.DataFrame:
        """One row: ``estimate, conf_low, conf_high, measure, outcome, risk_ratio, e_value, e_value_limit``."""
        return order_columns(pd.DataFrame([self.glance()]))

    def glance(self) -> dict[str, Any]:
        """Return all figures by name."""
        return {
            "estimate": self.estimate, "conf_low": self.conf_low, "conf_high": self.conf_high, "measure": self.measure,
            "outcome": self.outcome, "risk_ratio": self.risk_ratio, "e_value": self.e_value,
            "e_value_limit": self.e_value_limit,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        text = (
            f"E-value {self.e_value:.2f}: an unmeasured confounder would have to be associated with both group and "
            f"outcome by a risk ratio of at least {self.e_value:.2f} each, beyond the measured ones, to explain the "
            f"{self.measure} of {self.estimate:.2f} away"
        )
        if np.isnan(self.e_value_limit):
            return f"{text}."
        if self.e_value_limit == 1:
            return f"{text}; the interval includes no association (E-value of the limit 1)."
        return f"{text}; of at least {self.e_value_limit:.2f} to move the interval to include no association."

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely: one number has no figure.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError("An E-value has no figure", "It is one number", "Use .tidy() or .describe()")


def compute_e_value(
    estimate: float,
    *,
    measure: Measure,
    conf_low: float | None = None,
    conf_high: float | None = None,
    outcome: Frequency = "common",
) -> EValue:
    """Compute the E-value of a ratio and of the confidence limit nearer to 1.

    Parameters
    ----------
    estimate : ratio, above 0
    conf_low, conf_high : its interval; both or none
    outcome : ``common`` where more than 15 % have it by the end of follow-up: a hazard or odds ratio is then brought
        nearer to 1 to stand for a risk ratio; ``rare`` takes it for one. A risk ratio is taken as it is

    Raises
    ------
    OutcomeError : a ratio that is not above 0, an interval without the estimate, an unknown measure

    Notes
    -----
    VanderWeele & Ding, Ann Intern Med 2017;167:268: E = RR + √(RR(RR − 1)), RR < 1 inverted first; common outcomes:
    RR ≈ (1 − 0.5^√HR) / (1 − 0.5^√(1/HR)), RR ≈ √OR.

    Examples
    --------
    >>> found = compute_e_value(1.8, conf_low=1.2, conf_high=2.7, measure="risk ratio")
    >>> round(found.e_value, 2), round(found.e_value_limit, 2)
    (3.0, 1.69)
    """
    _refuse_unusable(estimate, conf_low, conf_high, measure, outcome)
    low, high = (float("nan") if limit is None else float(limit) for limit in (conf_low, conf_high))
    ratio = _risk_ratio(float(estimate), measure, outcome)
    limit = float("nan")
    if np.isfinite(low):
        nearer = low if estimate >= 1 else high
        limit = 1.0 if low <= 1 <= high else _e_value(_risk_ratio(nearer, measure, outcome))
    return EValue(measure, outcome, float(estimate), low, high, ratio, _e_value(ratio), limit)


def _risk_ratio(ratio: float, measure: str, outcome: str) -> float:
    if measure == "risk ratio" or outcome == "rare":
        return ratio
    root = float(np.sqrt(ratio))
    if measure == "odds ratio":
        return root
    return float(np.expm1(-np.log(2) * root) / np.expm1(-np.log(2) / root))


def _e_value(ratio: float) -> float:
    above = max(ratio, 1 / ratio)
    return float(above + np.sqrt(above) * np.sqrt(above - 1))


def _refuse_unusable(
    estimate: float, conf_low: float | None, conf_high: float | None, measure: str, outcome: str
) -> None:
    if measure not in ("risk ratio", "hazard ratio", "odds ratio") or outcome not in ("common", "rare"):
        raise OutcomeError(
            f"measure={measure!r}, outcome={outcome!r} have no E-value here",
            "Measures are 'risk ratio', 'hazard ratio', 'odds ratio'; an outcome is 'common' (over "
            f"{COMMON_FROM:.0%}) or 'rare'",
            "Name one of each",
        )
    given = [value for value in (conf_low, conf_high) if value is not None]
    numbers = all(_is_ratio(value) for value in (estimate, *given))
    if len(given) == 1 or not numbers or (given and not given[0] <= estimate <= given[1]):
        raise OutcomeError(
            f"{estimate!r} with limits ({conf_low!r}, {conf_high!r}) is no ratio with its interval",
            "A ratio is finite and above 0, on its own or between both limits",
            "Pass hazard_ratio, hr_low and hr_high, not their logarithms",
        )


def _is_ratio(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < np.inf
