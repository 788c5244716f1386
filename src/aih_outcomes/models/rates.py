"""Response rates with what is not evaluable beside them (statistics, rule 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import refuse_no_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MET, NOT_MET, NOT_EVALUABLE = "met", "not met", "not evaluable"
COLUMNS = (
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
    "corrected_low",
    "corrected_high",
)


@dataclass(frozen=True, slots=True, eq=False)
class ResponseRates:
    """Rates of several endpoints; ``table`` has one row per endpoint, ``imputations`` is 0 without correction."""

    table: pd.DataFrame
    conf_level: float
    imputations: int = 0

    def tidy(self) -> pd.DataFrame:
        """One row per endpoint.

        Columns ``label, n, n_met, n_not_met, n_not_evaluable, estimate, conf_low, conf_high`` (met among evaluable,
        Wilson limits), ``bound_low, bound_high`` (every not evaluable patient not met, or met), ``transaminase_only``
        (judged without IgG), ``corrected, corrected_low, corrected_high`` (missing results imputed). NaN where nobody
        is evaluable, or nothing was imputed.
        """
        return self.table.copy()

    def glance(self) -> dict[str, Any]:
        """Return the number of patients, of endpoints and of imputations."""
        n = int(self.table["n"].max()) if len(self.table) else 0
        return {"n": n, "n_endpoints": len(self.table), "n_imputations": self.imputations}

    def describe(self) -> str:
        """Say for a caption what the columns are, and what the correction assumes."""
        said = (
            f"Share of evaluable patients with {100 * self.conf_level:g} % Wilson limits. Abnormal transaminases with "
            "a missing IgG are 'not met', normal ones 'not evaluable', so this share is too low even when IgG is "
            "missing at random: it stands with its bounds and the rate without IgG"
        )
        if not self.table["corrected"].notna().any():
            return f"{said}."
        return (
            f"{said}, and the rate corrected by {self.imputations} imputations of each missing result. These assume "
            "that results are missing at random given the patient's other results (not by their own size), that "
            "their logarithms are normally distributed, and that planned visits are missed whatever the response: "
            "patients without a planned visit in the window are left out of the corrected rate."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw estimate, bounds and limits for the analyst's screen."""
        from aih_outcomes.figures import draw_rates

        return draw_rates(self.tidy(), ax=ax)


def estimate_rates(
    statuses: pd.DataFrame, *, completed: NDArray[np.float64] | None = None, conf_level: float = 0.95
) -> ResponseRates:
    """Count met, not met and not evaluable per endpoint.

    Parameters
    ----------
    statuses : ``endpoint, patient_id, status, status_transaminases`` with the three values; one row per patient and
        endpoint
    completed : (m, n rows) in each of m imputed data sets 1 where met, 0 where not; a row that is left out of the
        corrected rate is NaN in all of them. Without it nothing is corrected

    Raises
    ------
    OutcomeError : ``completed`` has not one column per row of ``statuses``; ``conf_level`` is none

    Notes
    -----
    ``corrected`` is the mean over patients and imputations; its limits are Wilson's with Rubin's rules (Lott & Reiter,
    Am Stat 2020;74:109), so that they are Wilson's where nothing was missing. Wilson, J Am Stat Assoc 1927;22:209.
    """
    refuse_no_level(conf_level)
    if completed is not None and completed.shape[1:] != (len(statuses),):
        raise OutcomeError(
            f"Imputed statuses of shape {completed.shape} came with {len(statuses)} rows",
            "Each row of statuses has one imputed status per imputation",
            "Pass an array of shape (imputations, rows)",
        )
    rows = []
    for endpoint, position in statuses.reset_index(drop=True).groupby("endpoint", sort=False).groups.items():
        group, at = statuses.iloc[position.to_numpy()], position.to_numpy()
        imputed = np.empty((0, 0)) if completed is None else completed[:, at]
        rows.append({"label": str(endpoint)} | _count(group, conf_level) | _correct(imputed, conf_level))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    counts = {name: "Int64" for name in COLUMNS if name.startswith("n")}
    return ResponseRates(table.astype(counts), conf_level, 0 if completed is None else len(completed))


def _count(group: pd.DataFrame, conf_level: float) -> dict[str, Any]:
    n = len(group)
    met, failed = int((group["status"] == MET).sum()), int((group["status"] == NOT_MET).sum())
    low, high = _wilson(met, met + failed, conf_level)
    without = group["status_transaminases"]
    normal, abnormal = int((without == MET).sum()), int((without == NOT_MET).sum())
    return {
        "n": n,
        "n_met": met,
        "n_not_met": failed,
        "n_not_evaluable": n - met - failed,
        "estimate": _share(met, met + failed),
        "conf_low": low,
        "conf_high": high,
        "bound_low": _share(met, n),
        "bound_high": _share(n - failed, n),
        "transaminase_only": _share(normal, normal + abnormal),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _wilson(part: int, whole: int, conf_level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    if not whole:
        return float("nan"), float("nan")
    return _solve(part / whole, float(ndtri((1 + conf_level) / 2)) ** 2 / whole)


def _solve(share: float, size: float) -> tuple[float, float]:
    """Return the two p with (share − p)² = size · p (1 − p)."""
    centre = (share + size / 2) / (1 + size)
    half = np.sqrt(size * (share * (1 - share) + size / 4)) / (1 + size)
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def _correct(imputed: NDArray[np.float64], conf_level: float) -> dict[str, float]:
    """Pool an endpoint's imputed statuses (m, n)."""
    from scipy.special import stdtrit

    shares = imputed[:, ~np.isnan(imputed).any(axis=0)]
    m, n = shares.shape
    if not m * n:
        return dict.fromkeys(COLUMNS[-3:], float("nan"))
    each = shares.mean(axis=1)
    pooled = float(each.mean())
    within, between = float((each * (1 - each)).mean()) / n, float(each.var(ddof=1)) if m > 1 else 0.0
    ratio = (1 + 1 / m) * between / within if within else 0.0  # Rubin's r
    df = (m - 1) * (1 + 1 / ratio) ** 2 if ratio > np.finfo(float).eps else np.inf
    t = float(stdtrit(df, (1 + conf_level) / 2))
    low, high = _solve(pooled, t**2 * (1 + ratio) / n)
    return {"corrected": pooled, "corrected_low": low, "corrected_high": high}
