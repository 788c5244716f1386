"""How alike two values of a patient are, by the time between them: as observed, and as the model has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_numbers
from aih_outcomes.models.longitudinal.diagnostics.residuals import iterate_patients, sum_by_patient
from aih_outcomes.models.longitudinal.gaussian.likelihood import Codes, Fitted
from aih_outcomes.outcomes import Vector

MOST_BINS, LEAST_PAIRS = 10, 30


def tabulate_variogram(
    fitted: Fitted, time: Vector, marginal: Vector, *, edges: Sequence[float] | None, conf_level: float
) -> pd.DataFrame:
    """Return half the mean squared difference of two residuals of a patient, by lag.

    Parameters
    ----------
    time : (n,) in the outcome's unit; ``marginal`` (n,) residuals
    edges : limits of the lags, each belonging to the bin below; None: each lag if at most 10, else up to 10
        bins of as many pairs, at least 30

    Returns
    -------
    frame : ``term`` (bin), ``time`` (mean lag), ``n`` (patients), ``n_pairs, estimate, std_error, conf_low, conf_high``
        (patients independent of each other), ``expected`` (the model's mean over the same pairs)

    Notes
    -----
    γ(u) = ½ E (r_j − r_k)² (Diggle, Biometrics 1988;44:959); the model's is ½ (V_jj + V_kk) − V_jk. Where patients have
    slopes of their own it depends on both times, hence the mean over the pairs that there are.
    """
    patient, lag, observed, expected = _pairs(fitted, time, marginal)
    if len(lag) == 0:
        return pd.DataFrame(columns=["term", "time", "n", "n_pairs", "estimate", "std_error", "conf_low", "conf_high",
                                     "expected"])  # fmt: skip
    limits = _read_edges(edges, lag)
    place = np.searchsorted(limits, lag, side="left") - 1
    place[lag == limits[0]] = 0
    width = norm.ppf((1 + conf_level) / 2)
    rows = []
    for b in range(len(limits) - 1):
        own = place == b
        n_pairs = int(own.sum())
        if not n_pairs:
            continue
        codes, value = np.unique(patient[own], return_inverse=True)[1].astype(np.intp), observed[own]
        by_patient = np.argsort(codes, kind="stable")
        mean = float(value.mean())
        spread = sum_by_patient((value - mean)[by_patient], codes[by_patient])
        error = float(np.sqrt(np.sum(spread**2))) / n_pairs if len(spread) > 1 else float("nan")
        rows.append({
            "term": _name(lag[own], limits[b], limits[b + 1]), "time": float(lag[own].mean()), "n": len(spread),
            "n_pairs": n_pairs, "estimate": mean, "std_error": error, "conf_low": max(mean - width * error, 0.0),
            "conf_high": mean + width * error, "expected": float(expected[own].mean()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _pairs(fitted: Fitted, time: Vector, marginal: Vector) -> tuple[Codes, Vector, Vector, Vector]:
    """Patient, lag, half the squared difference, and the model's, of every pair of values of one patient."""
    found: list[tuple[Codes, Vector, Vector, Vector]] = []
    for places, V in fitted.kernel.blocks(fitted.evaluation):
        for units, within, _, own in iterate_patients(fitted.rows.patient, places):
            first, second = np.triu_indices(own.shape[1], 1)
            a, b = within[:, first], within[:, second]
            unit = units[:, None]
            model = (V[unit, a, a] + V[unit, b, b]) / 2 - V[unit, a, b]
            gap = (marginal[own[:, first]] - marginal[own[:, second]]) ** 2 / 2
            lag = np.abs(time[own[:, second]] - time[own[:, first]])
            found.append((fitted.rows.patient[own[:, first]].ravel(), lag.ravel(), gap.ravel(), model.ravel()))
    patient, lag, gap, model = (np.concatenate([part[i] for part in found]) for i in range(4))
    order = np.lexsort((gap, lag, patient))  # sums in one order, whatever that of the rows
    return patient[order].astype(np.intp), lag[order], gap[order], model[order]


def _name(lag: Vector, low: float, high: float) -> str:
    return f"{lag[0]:g}" if lag.min() == lag.max() else f"{low:g} to {high:g}"


def _read_edges(edges: Sequence[float] | None, lag: Vector) -> Vector:
    distinct = np.unique(lag)
    if edges is None and len(distinct) <= MOST_BINS:
        return np.concatenate([[distinct[0] - 1], distinct])
    if edges is None:
        n_bins = int(np.clip(len(lag) // LEAST_PAIRS, 1, MOST_BINS))
        return np.unique(np.quantile(lag, np.linspace(0, 1, n_bins + 1)))
    given = read_numbers("lags", edges, "lags=[0, 30, 91, 182, 365]")
    if len(given) < 2 or not np.isfinite(given).all() or (np.diff(given) <= 0).any():
        raise OutcomeError(
            f"The {len(given)} limits of the lags are not two or more rising numbers",
            "Pairs of values are sorted by the time between them", "Write lags=[0, 30, 91, 182, 365]",
        )  # fmt: skip
    return given
