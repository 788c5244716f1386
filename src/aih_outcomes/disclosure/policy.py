"""Small-number rules, and the words for what they hide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from aih_outcomes.disclosure.rounding import is_count
from aih_outcomes.errors import DisclosureError

DAYS_PER = {"days": 1.0, "months": 365.25 / 12, "years": 365.25}
MONTHS_PER_YEAR = 12
EVENTS_TO_DATE = "n_event_to_date"


@dataclass(frozen=True, slots=True)
class Policy:
    """A small-number rule.

    Attributes
    ----------
    name : as the plan writes it
    smallest_shown : counts from 1 to below this are not shown
    round_to : shown counts are multiples of this
    curve_minimum : a curve is for at least so many patients, and ends where fewer are at risk
    grid_months : times at which a curve is read off, in months
    """

    name: str
    smallest_shown: int
    round_to: int
    curve_minimum: int
    grid_months: int

    def time_grid(self, unit: str) -> float:
        """Return the grid of a curve in ``unit``: 3 months are 0.25 years, or 91 days."""
        days = round(self.grid_months * DAYS_PER["months"])
        return {"days": float(days), "months": float(self.grid_months), "years": self.grid_months / MONTHS_PER_YEAR}[
            unit
        ]


# From the least to the most strict. lt5: CPRD, many ethics approvals; hes7: NHS England, HES; tre10: UK TREs (SACRO).
POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            Policy("none", 1, 1, 0, 0),
            Policy("lt5", 5, 5, 10, 3),
            Policy("hes7", 8, 5, 10, 3),
            Policy("lt10", 10, 5, 10, 3),
            Policy("tre10", 10, 5, 10, 6),
        )
    }
)


def disclosed_policy(frame: pd.DataFrame) -> str | None:
    """Return the policy that ``frame`` went through, or None where it went through none."""
    name = frame.attrs.get("disclosure")
    return None if name is None else str(name)


def hidden_mark(frame: pd.DataFrame) -> str:
    """Return how a missing count of ``frame`` is written: ``<5`` under ``lt5``; ``–`` where nothing is hidden."""
    threshold = POLICIES[disclosed_policy(frame) or "none"].smallest_shown
    return "–" if threshold == 1 else f"<{threshold}"


def explain_hidden(frame: pd.DataFrame) -> str:
    """Return the sentence that explains ``hidden_mark`` under a table or figure; empty where no count is hidden."""
    rule = POLICIES[disclosed_policy(frame) or "none"]
    if rule.smallest_shown == 1:
        return ""
    rounded = f"counts rounded to the nearest {rule.round_to}"
    if EVENTS_TO_DATE in frame:
        rounded += f", curves in steps of {rule.round_to} patients"
    if not any(frame[column].isna().any() for column in frame if is_count(column)):
        return f"{rounded.capitalize()}."
    return f"{hidden_mark(frame)}: fewer than {rule.smallest_shown} patients; other {rounded}."


def find_policy(name: str) -> Policy:
    """Return a rule by its name.

    Raises
    ------
    DisclosureError : there is none of this name
    """
    if name not in POLICIES:
        raise DisclosureError(
            f"The small-number rule {name!r} is not known", f"Rules are {', '.join(POLICIES)}", "Choose one in the plan"
        )
    return POLICIES[name]
