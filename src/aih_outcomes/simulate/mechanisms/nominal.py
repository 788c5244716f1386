"""T9: log ALT at nominal visits with a covariance of no simple structure."""

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import Effect, Floats

MECHANISM = "Gaussian visits"
DAYS = (28, 56, 91, 182, 273, 365)
UNTREATED = np.array([0.90, 0.75, 0.65, 0.60, 0.60, 0.62])  # mean log ALT (× ULN) at marker 0
EFFECT = np.array([-0.10, -0.20, -0.30, -0.40, -0.45, -0.50])  # of treatment
MARKER = 0.2  # per unit, at every visit
SD = np.array([0.45, 0.50, 0.55, 0.60, 0.65, 0.70])
# Given the marker. Neighbours are alike, late ones more so: no structure with fewer parameters holds.
CORRELATION = np.array(
    [
        [1.00, 0.75, 0.65, 0.55, 0.45, 0.40],
        [0.75, 1.00, 0.78, 0.62, 0.52, 0.45],
        [0.65, 0.78, 1.00, 0.74, 0.60, 0.55],
        [0.55, 0.62, 0.74, 1.00, 0.76, 0.66],
        [0.45, 0.52, 0.60, 0.76, 1.00, 0.80],
        [0.40, 0.45, 0.55, 0.66, 0.80, 1.00],
    ]
)
COVARIANCE = SD[:, None] * CORRELATION * SD


def draw_visits(rng: Generator, n: int, *, effect: Effect = "default") -> pd.DataFrame:
    """Draw patients with log ALT at all of six nominal visits.

    Parameters
    ----------
    n : patients; every second one is treated
    effect : ``none``: treatment changes nothing; the marker still does

    Returns
    -------
    frame : one row per patient and visit: ``patient_id``, ``time`` in days, ``visit`` (``day 28``, …), ``value`` (log
        × ULN), ``treated`` (0 or 1), ``marker`` (standard normal, known at time zero)

    Examples
    --------
    >>> draw_visits(np.random.default_rng(1), 2)["visit"].tolist()[:3]
    ['day 28', 'day 56', 'day 91']
    """
    treated, marker = draw_patients(rng, n)
    return name_columns(draw_values(rng, treated, marker, effect=effect), treated, marker)


def draw_patients(rng: Generator, n: int) -> tuple[Floats, Floats]:
    """Return who is treated, every second one, and a standard normal marker; (n,) each."""
    return (np.arange(n) % 2).astype(float), rng.standard_normal(n)


def draw_values(rng: Generator, treated: Floats, marker: Floats, *, effect: Effect) -> Floats:
    """(n, 6) values, one row per patient."""
    lower = EFFECT if effect == "default" else np.zeros(len(DAYS))
    noise = rng.standard_normal((len(treated), len(DAYS))) @ np.linalg.cholesky(COVARIANCE).T
    return np.asarray(UNTREATED + treated[:, None] * lower + MARKER * marker[:, None] + noise)


def name_columns(value: Floats, treated: Floats, marker: Floats) -> pd.DataFrame:
    """Return one row per patient and visit."""
    patient, visit = (index.ravel() for index in np.indices(value.shape))
    return pd.DataFrame(
        {
            "patient_id": patient,
            "time": np.array(DAYS, dtype=float)[visit],
            "visit": np.array([f"day {day}" for day in DAYS], dtype=object)[visit],
            "value": value.ravel(),
            "treated": treated[patient],
            "marker": marker[patient],
        }
    )


def truth_of_visits() -> list[Estimand]:
    """T9: means by visit, and the covariance between visits."""
    visits = [f"day_{day}" for day in DAYS]
    value = {f"untreated_{visit}": float(x) for visit, x in zip(visits, UNTREATED, strict=True)}
    value |= {f"difference_{visit}": float(x) for visit, x in zip(visits, EFFECT, strict=True)}
    value |= {"difference_mean": float(EFFECT.mean()), "marker": MARKER}
    spread = {f"sd_{visit}": float(x) for visit, x in zip(visits, SD, strict=True)}
    spread |= {f"correlation_{DAYS[j]}_{DAYS[i]}": float(CORRELATION[i, j]) for i in range(len(DAYS)) for j in range(i)}
    text = "Mean log ALT (× ULN) at marker 0, treated − untreated, the mean of that over the visits; per unit of marker"
    null = {key: 0.0 for key in value if key.startswith("difference")}
    return [
        closed("T9", "means by visit", text, value, mechanism=MECHANISM),
        closed("T9", "means by visit", f"{text}; treatment changes nothing", null, mechanism=f"{MECHANISM}, null"),
        closed("T9", "covariance", "Between visits, given treatment and marker", spread, mechanism=MECHANISM),
    ]
