"""Predicted against observed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.models.longitudinal.diagnostics.residuals import sum_by_patient
from aih_outcomes.outcomes import Vector

BINS, LEAST_VALUES = 10, 20
ALIKE = 1e-8  # spread of predictions relative to that of values, below which they are one


def calibration_slope(observed: Vector, predicted: Vector, patient: NDArray[np.intp]) -> tuple[float, float]:
    """Slope of observed on predicted by least squares, and its standard error, patients being independent.

    Returns
    -------
    slope, std_error : NaN where predictions are all alike
    """
    known = np.isfinite(predicted)
    y, x, codes = observed[known], predicted[known], np.unique(patient[known], return_inverse=True)[1]
    centred = x - x.mean() if len(x) else x
    total = float(centred @ centred)
    if len(x) < 3 or np.sqrt(total / len(x)) <= ALIKE * float(y.std()):
        return float("nan"), float("nan")
    slope = float(centred @ y) / total
    scores = sum_by_patient(centred * (y - y.mean() - slope * centred), codes.astype(np.intp))
    return slope, float(np.sqrt(np.sum(scores**2))) / total


def tabulate_calibration(
    observed: Vector, predicted: Vector, patient: NDArray[np.intp], *, conf_level: float
) -> pd.DataFrame:
    """Return mean predicted and observed in tenths of the predictions, at least 20 values each.

    Returns
    -------
    frame : ``term, predicted, estimate, std_error, conf_low, conf_high, n`` (patients), ``n_values``
    """
    known = np.isfinite(predicted)
    y, x, codes = observed[known], predicted[known], patient[known]
    n_bins = int(np.clip(len(x) // LEAST_VALUES, 1, BINS))
    limits = np.unique(np.quantile(x, np.linspace(0, 1, n_bins + 1))) if len(x) else np.zeros(0)
    place = np.clip(np.searchsorted(limits, x, side="left") - 1, 0, max(len(limits) - 2, 0))
    width = norm.ppf((1 + conf_level) / 2)
    rows = []
    for b in np.unique(place):
        own = place == b
        level, value = float(y[own].mean()), y[own]
        own_codes = np.unique(codes[own], return_inverse=True)[1].astype(np.intp)
        order = np.argsort(own_codes, kind="stable")
        spread = sum_by_patient((value - level)[order], own_codes[order])
        error = float(np.sqrt(np.sum(spread**2))) / len(value) if len(spread) > 1 else float("nan")
        rows.append({
            "term": f"part {b + 1} of {max(len(limits) - 1, 1)}", "predicted": float(x[own].mean()), "estimate": level,
            "std_error": error, "conf_low": level - width * error, "conf_high": level + width * error,
            "n": len(spread), "n_values": int(own.sum()),
        })  # fmt: skip
    columns = ["term", "predicted", "estimate", "std_error", "conf_low", "conf_high", "n", "n_values"]
    return pd.DataFrame(rows, columns=columns)
