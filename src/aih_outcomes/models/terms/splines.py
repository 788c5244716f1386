"""Natural cubic splines, column for column those of R's ``splines::ns``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

CUBIC = 3


def spline_knots(values: Vector, df: object) -> Vector:
    """(df + 1,) knots: the range of the values, and between them df − 1 quantiles (type 7, as R's default).

    Raises
    ------
    OutcomeError : too few different values for as many knots
    """
    assert isinstance(df, int)
    known = values[np.isfinite(values)]
    knots = np.quantile(known, np.linspace(0, 1, df + 1)) if len(known) else np.empty(0)
    if len(knots) == 0 or np.any(np.diff(knots) <= 0):
        raise OutcomeError(
            f"A spline with df={df} finds no {df + 1} different knots among {len(np.unique(known))} different values",
            "Its knots are quantiles of the covariate, each larger than the one before",
            "Ask for fewer df, or enter the covariate as a number",
        )
    return np.asarray(knots, float)


def natural_spline(values: Vector, knots: Vector) -> Matrix:
    """(n_rows, df) basis of cubic splines that are linear beyond the outer knots.

    Notes
    -----
    B-splines whose second derivative is 0 at both ends, by the QR decomposition of these two conditions; the first
    B-spline is left out, for the intercept (R's ``ns``; Hastie, in Chambers & Hastie 1992, chapter 7).
    """
    from scipy.interpolate import BSpline

    low, high = knots[0], knots[-1]
    sequence = np.concatenate([np.repeat(low, CUBIC), knots, np.repeat(high, CUBIC)])
    n_basis = len(sequence) - CUBIC - 1
    spline = BSpline(sequence, np.eye(n_basis), CUBIC)
    conditions = spline.derivative(2)(np.array([low, high]))[:, 1:]
    linear_beyond = np.linalg.qr(conditions.T, mode="complete")[0][:, 2:]
    inside = np.clip(values, low, high)
    basis = np.full((len(values), n_basis), np.nan)
    known = np.isfinite(values)
    basis[known] = spline(inside[known])
    beyond = known & (inside != values)
    basis[beyond] += spline.derivative(1)(inside[beyond]) * (values - inside)[beyond, None]
    return np.asarray(basis[:, 1:] @ linear_beyond)
