"""Agreement of two sets of criteria on the same patients: the whole two-way table, and Cohen's kappa beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.rates import MET, NOT_EVALUABLE, NOT_MET
from aih_outcomes.models.result import order_columns, refuse_no_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Counts = NDArray[np.int64]

STATUSES = (MET, NOT_MET, NOT_EVALUABLE)
LEAST_PATIENTS = 10  # [P] evaluable by both; below this kappa says nothing
PATIENTS, OBSERVED, KAPPA = "patients", "observed_agreement", "kappa"
CELLS = ("n_both_met", "n_first_only", "n_second_only", "n_neither")
COLUMNS = {
    "label": "string", "strata": "string", "state": "string", "estimate": "float64", "std_error": "float64",
    "conf_low": "float64", "conf_high": "float64", "measure": "string", "first": "string", "second": "string",
    "n": "Int64", "denominator": "Int64", **dict.fromkeys(CELLS, "Int64"), "n_missing": "Int64",
}  # fmt: skip
_NO_CHANCE = 1e-12
_NO_SPREAD = 1e-7  # a standard error below this is the last bits of nought


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Two judgements of the same patients.

    Attributes
    ----------
    counts : (3, 3) patients; rows the status by the first, columns by the second, in the order of ``STATUSES``
    labels : names of the first and the second
    kappa, std_error : over the patients evaluable by both; NaN where not estimable
    not_estimable : why there is no kappa, or no interval of it; None where there are both
    """

    counts: Counts
    labels: tuple[str, str]
    kappa: float
    std_error: float
    conf_level: float
    not_estimable: str | None

    @property
    def n_evaluable(self) -> int:
        """Patients evaluable by both."""
        return int(self.counts[:2, :2].sum())

    @property
    def observed(self) -> float:
        """Share of the patients evaluable by both on whom both agree; NaN where there are none."""
        return float(np.trace(self.counts[:2, :2]) / self.n_evaluable) if self.n_evaluable else float("nan")

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of kappa, which is never above 1."""
        z = float(ndtri((1 + self.conf_level) / 2))
        return max(self.kappa - z * self.std_error, -1.0), min(self.kappa + z * self.std_error, 1.0)

    def tidy(self) -> pd.DataFrame:
        """Nine rows of the two-way table, then observed agreement, then kappa.

        Returns
        -------
        frame ``label, strata, state, estimate, std_error, conf_low, conf_high, measure, first, second, n, denominator,
            n_both_met, n_first_only, n_second_only, n_neither, n_missing``. In the two-way table (``measure`` =
            ``patients``) ``strata`` and ``state`` are the status by the first and the second, ``n`` of ``denominator``
            patients. In the other two rows ``denominator`` is evaluable by both, ``n_missing`` not evaluable by one or
            both, and the four cells stand beside them, so that a small-number rule that hides one hides the agreement
            that could tell it. Margins are not given: two of them, each rounded, may pin a hidden cell down
        """
        total, both = int(self.counts.sum()), self.n_evaluable
        rows: list[dict[str, Any]] = [
            {"measure": PATIENTS, "strata": strata, "state": state, "n": self.counts[i, j], "denominator": total,
             "estimate": self.counts[i, j] / total if total else np.nan}
            for i, strata in enumerate(STATUSES) for j, state in enumerate(STATUSES)
        ]  # fmt: skip
        cells = dict(zip(CELLS, self.counts[:2, :2].ravel(), strict=True))
        common = {"denominator": both, "n_missing": total - both} | cells
        low, high = self.limits
        rows += [
            common | {"measure": OBSERVED, "n": np.trace(self.counts[:2, :2]), "estimate": self.observed},
            common | {"measure": KAPPA, "n": both, "estimate": self.kappa, "std_error": self.std_error,
                      "conf_low": low, "conf_high": high},
        ]  # fmt: skip
        named = {"label": _name(self.labels), "first": self.labels[0], "second": self.labels[1]}
        return order_columns(pd.DataFrame(rows, columns=list(COLUMNS)).assign(**named).astype(COLUMNS))

    def glance(self) -> dict[str, Any]:
        """Return sizes, observed agreement, kappa with its limits, the discordant counts, and why not, if so."""
        low, high = self.limits
        cells = {name: int(count) for name, count in zip(CELLS, self.counts[:2, :2].ravel(), strict=True)}
        sizes = {"n": int(self.counts.sum()), "n_evaluable": self.n_evaluable}
        measured = {"observed": self.observed, "kappa": self.kappa, "std_error": self.std_error}
        ends = {"conf_low": low, "conf_high": high, "not_estimable": self.not_estimable}
        left_out = {"n_missing": sizes["n"] - self.n_evaluable}
        return sizes | left_out | cells | measured | ends

    def describe(self) -> str:
        """Sentences for a caption; no counts."""
        parts = [
            f"{_name(self.labels)}: all patients by both statuses; observed agreement and Cohen's kappa (asymptotic "
            f"{100 * self.conf_level:g} % limits) over those evaluable by both.",
            f"Kappa: {self.not_estimable}." if self.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely: a two-way table has no figure of its own.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError(
            "A two-way table of statuses has no figure", "It is read as a table", "Use tabulate_agreement(...)"
        )


def estimate_agreement(
    first: pd.Series,
    second: pd.Series,
    *,
    labels: tuple[str, str] = ("first", "second"),
    conf_level: float = 0.95,
) -> Agreement:
    """Cross two judgements of the same patients.

    Parameters
    ----------
    first, second : status (met, not met, not evaluable) of each patient; index the patients, in any order
    labels : names of the two, e.g. titles of criteria

    Raises
    ------
    OutcomeError : the two do not hold the same patients once each, or a status is not one of the three

    Notes
    -----
    Cohen, Educ Psychol Meas 1960;20:37; standard error: Fleiss, Cohen & Everitt, Psychol Bull 1969;72:323.

    Examples
    --------
    >>> first = pd.Series(["met"] * 8 + ["not met"] * 8)
    >>> second = pd.Series(["met"] * 7 + ["not met"] * 9)
    >>> round(estimate_agreement(first, second).kappa, 3)
    0.875
    """
    refuse_no_level(conf_level)
    _refuse_other_patients(first, second, labels)
    both = (first, second.loc[first.index])
    codes = [pd.Index(STATUSES).get_indexer(pd.Index(statuses.to_numpy(object))) for statuses in both]
    unknown = int(sum(np.sum(code < 0) for code in codes))
    if unknown:
        raise OutcomeError(
            f"{unknown} of {2 * len(first)} statuses are none of the three",
            f"A status is one of {', '.join(STATUSES)}",
            "Pass the column 'status' of the derived statuses",
        )
    counts = np.bincount(3 * codes[0] + codes[1], minlength=9).reshape(3, 3)
    kappa, std_error = compute_kappa(counts[:2, :2])
    few = int(counts[:2, :2].sum()) < LEAST_PATIENTS
    reason = _why_not(few=few, kappa=kappa, std_error=std_error)
    if few:
        kappa = std_error = float("nan")
    if not std_error > _NO_SPREAD:
        std_error = float("nan")
    return Agreement(counts, labels, kappa, std_error, conf_level, reason)


def compute_kappa(counts: NDArray[np.integer]) -> tuple[float, float]:
    """Return Cohen's kappa of a (k, k) table of counts and its asymptotic standard error.

    NaN where both judges use one and the same category only: chance alone would agree as often.

    Notes
    -----
    With p the shares, r and c their margins, pe = Σ r_i c_i and κ = (Σ p_ii − pe) / (1 − pe), the variance is
    (Σ p_ii [1 − (r_i + c_i)(1 − κ)]² + (1 − κ)² Σ_{i≠j} p_ij (c_i + r_j)² − [κ − pe (1 − κ)]²) / (n (1 − pe)²).
    Fleiss, Cohen & Everitt, Psychol Bull 1969;72:323.
    """
    n = int(counts.sum())
    p = counts / max(n, 1)
    r, c = p.sum(axis=1), p.sum(axis=0)
    expected = float(r @ c)
    if not n or expected >= 1 - _NO_CHANCE:
        return float("nan"), float("nan")
    kappa = float((np.trace(p) - expected) / (1 - expected))
    agree = np.diag(p) @ (1 - (r + c) * (1 - kappa)) ** 2
    differ = (1 - kappa) ** 2 * ((p - np.diag(np.diag(p))) * (c[:, None] + r[None, :]) ** 2).sum()
    variance = (agree + differ - (kappa - expected * (1 - kappa)) ** 2) / (n * (1 - expected) ** 2)
    return kappa, float(np.sqrt(max(variance, 0.0)))


def _why_not(*, few: bool, kappa: float, std_error: float) -> str | None:
    if few:
        return f"not estimable, fewer than {LEAST_PATIENTS} patients evaluable by both"
    if np.isnan(kappa):
        return "not estimable, both give every patient the same status"
    if not std_error > _NO_SPREAD:
        return "no interval, as one of them never changes, or they agree on every patient"
    return None


def _refuse_other_patients(first: pd.Series, second: pd.Series, labels: tuple[str, str]) -> None:
    odd = len(first.index.symmetric_difference(second.index))
    repeated = int(first.index.duplicated().sum() + second.index.duplicated().sum())
    if odd or repeated:
        raise OutcomeError(
            f"{odd} patients are judged by only one of {labels[0]!r} and {labels[1]!r}, {repeated} rows repeat a "
            "patient",
            "Agreement is of two judgements of the same patients, one row each",
            "Derive both from the same cohort and time zero, indexed by patient",
        )


def _name(labels: tuple[str, str]) -> str:
    return f"{labels[0]} against {labels[1]}"
