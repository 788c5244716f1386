"""A natural spline through scaled Schoenfeld residuals: a coefficient as it changes with time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

SMOOTH_POINTS = 40  # as R's plot.cox.zph, whose natural spline has 4 degrees of freedom, 2 of them inner knots
INNER_KNOTS = (1 / 3, 2 / 3)


def smooth_residuals(points: pd.DataFrame, transform: str, variance: float, conf_level: float) -> pd.DataFrame:
    """Fit the spline of one term.

    Parameters
    ----------
    points : ``term, time, transformed, estimate``, one row per event: scaled residuals plus the coefficient
    variance : of one residual

    Returns
    -------
    frame : ``term, time, n_event, estimate, std_error, conf_low, conf_high, transformed`` at 40 points; NaN where the
        term has events at fewer than 4 distinct times
    """
    x, time = points["transformed"].to_numpy(float), points["time"].to_numpy(float)
    y, known = points["estimate"].to_numpy(float), points["estimate"].notna().to_numpy(bool)
    at = np.linspace(x.min(), x.max(), SMOOTH_POINTS)
    order = np.argsort(x, kind="stable")
    back = np.exp(at) if transform == "log" else np.interp(at, x[order], time[order])
    estimate = std_error = np.full(SMOOTH_POINTS, np.nan)
    if len(np.unique(x[known])) > len(INNER_KNOTS) + 1:
        basis = _natural_spline(np.concatenate([at, x]))
        Q, R = np.linalg.qr(basis[SMOOTH_POINTS:][known])
        reach = np.linalg.solve(R.T, basis[:SMOOTH_POINTS].T).T
        estimate, std_error = reach @ (Q.T @ y[known]), np.sqrt(variance * np.sum(reach**2, axis=1))
    z = norm.ppf((1 + conf_level) / 2)
    return pd.DataFrame({
        "term": points["term"].iloc[0], "time": back, "n_event": int(known.sum()), "estimate": estimate,
        "std_error": std_error, "conf_low": estimate - z * std_error, "conf_high": estimate + z * std_error,
        "transformed": at,
    })  # fmt: skip


def _natural_spline(x: Vector) -> Matrix:
    """(n, 4) basis of cubic splines that end straight: 1, x and one column per inner knot (thirds of x).

    Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, 5.2.1, on x scaled to [0, 1].
    """
    u = (x - x.min()) / np.ptp(x)
    knots = np.concatenate([[0.0], np.quantile(u, INNER_KNOTS), [1.0]])

    def bend(knot: float) -> Vector:
        return np.asarray((np.maximum(u - knot, 0) ** 3 - np.maximum(u - knots[-1], 0) ** 3) / (knots[-1] - knot))

    return np.column_stack([np.ones_like(u), u, *(bend(knot) - bend(knots[-2]) for knot in knots[:-2])])
