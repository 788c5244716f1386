"""Response rates with what is not evaluable beside them (statistics, rule 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MET, NOT_MET, NOT_EVALUABLE = "met", "not met", "not evaluable"


@dataclass(frozen=True, slots=True, eq=False)
class ResponseRates:
    """Rates of several endpoints; ``table`` has one row per endpoint."""

    table: pd.DataFrame
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per endpoint.

        Columns ``label, n, n_met, n_not_met, n_not_evaluable, estimate, conf_low, conf_high`` (met among evaluable,
        Wilson limits), ``bound_low, bound_high`` (every not evaluable patient not met, or met), ``transaminase_only``
        (judged without IgG), ``corrected`` (missing IgG weighted for). NaN where nobody is evaluable.
        """
        return self.table.copy()

    def glance(self) -> dict[str, Any]:
        """Return the number of patients and of endpoints."""
        return {"n": int(self.table["n"].max()) if len(self.table) else 0, "n_endpoints": len(self.table)}

    def describe(self) -> str:
        """Say for a caption what the columns are."""
        return (
            f"Share of evaluable patients with {100 * self.conf_level:g} % Wilson limits. Abnormal transaminases with "
            "a missing IgG are 'not met', normal ones 'not evaluable', so this share is too low even when IgG is "
            "missing at random: it stands with its bounds, the rate without IgG, and the rate corrected for "
            "missing IgG by inverse probability weights."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw estimate, bounds and limits for the analyst's screen."""
        from aih_outcomes.figures import draw_rates

        return draw_rates(self.tidy(), ax=ax)


def estimate_rates(statuses: pd.DataFrame, *, conf_level: float = 0.95) -> ResponseRates:
    """Count met, not met and not evaluable per endpoint.

    Parameters
    ----------
    statuses : ``endpoint, patient_id, status, status_transaminases`` with the three values; one row per patient and
        endpoint

    Notes
    -----
    ``corrected`` = P(transaminases normal) × P(IgG normal | transaminases normal, IgG known): the saturated
    inverse-probability-weighted estimate, right if IgG is missing at random given normal transaminases.
    Wilson, J Am Stat Assoc 1927;22:209.
    """
    rows = [_rate(str(endpoint), group, conf_level) for endpoint, group in statuses.groupby("endpoint", sort=False)]
    columns = [
        "label",
        "n",
        "n_met",
        "n_not_met",
        "n_not_evaluable",
        "estimate",
        "conf_low",
        "conf_high",
        "bound_low",
        "bound_high",
        "transaminase_only",
        "corrected",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return ResponseRates(table.astype({name: "Int64" for name in columns if name.startswith("n")}), conf_level)


def _rate(endpoint: str, group: pd.DataFrame, conf_level: float) -> dict[str, Any]:
    n = len(group)
    met, failed = int((group["status"] == MET).sum()), int((group["status"] == NOT_MET).sum())
    low, high = _wilson(met, met + failed, conf_level)
    without = group["status_transaminases"]
    normal, abnormal = int((without == MET).sum()), int((without == NOT_MET).sum())
    known = group.loc[without == MET, "status"]
    igg_known = int((known != NOT_EVALUABLE).sum())
    lenient = _share(normal, normal + abnormal)
    return {
        "label": endpoint,
        "n": n,
        "n_met": met,
        "n_not_met": failed,
        "n_not_evaluable": n - met - failed,
        "estimate": _share(met, met + failed),
        "conf_low": low,
        "conf_high": high,
        "bound_low": _share(met, n),
        "bound_high": _share(n - failed, n),
        "transaminase_only": lenient,
        "corrected": lenient * _share(int((known == MET).sum()), igg_known),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _wilson(part: int, whole: int, conf_level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    if not whole:
        return float("nan"), float("nan")
    z, share = float(ndtri((1 + conf_level) / 2)), part / whole
    centre = (share + z**2 / (2 * whole)) / (1 + z**2 / whole)
    half = z * np.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2)) / (1 + z**2 / whole)
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))
