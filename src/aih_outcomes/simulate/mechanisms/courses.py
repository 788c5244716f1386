"""T9: courses of log ALT that are exactly Gaussian, and what the Gaussian mechanisms share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import Effect, Floats
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR

Serial = Literal["exponential", "none"]

MECHANISM = "Gaussian course"
# Log ALT in × ULN: 2.5 × ULN at time zero, slowly falling; treatment lowers it and lets it fall faster.
FIXED = {"intercept": 0.9, "marker": 0.3, "treated": -0.2, "years": -0.15, "treated_years": -0.25}
# Days of visits, each within 5 days; close together at first: what is forgotten in weeks can be told from error.
NOMINAL = np.array([0, 14, 28, 56, 91, 182, 273, 364, 455, 546, 637, 728])
EARLY_OR_LATE = 5
MISSED = 0.1  # of visits after the first, whatever the values
TOLD = (1, 2)  # years


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations of log ALT about its mean.

    Attributes
    ----------
    intercept, slope, correlation : between patients, at time zero and per year
    serial, days : of a deviation that is forgotten as exp(−gap/days)
    error : of a single value
    """

    intercept: float
    slope: float
    correlation: float
    serial: float
    days: float
    error: float

    def covariance(self, days: Floats) -> Floats:
        """(t, t) covariance of one patient's values on these days (t,)."""
        Z = np.column_stack([np.ones(len(days)), days / DAYS_PER_YEAR])
        both = self.correlation * self.intercept * self.slope
        between = np.array([[self.intercept**2, both], [both, self.slope**2]])
        within = self.serial**2 * np.exp(-np.abs(days[:, None] - days) / self.days)
        return np.asarray(Z @ between @ Z.T + within + self.error**2 * np.eye(len(days)))


# A flare lasts about two months; an ALT repeated the next day differs by a fifth.
SPREAD = Spread(intercept=0.45, slope=0.2, correlation=-0.2, serial=0.35, days=60.0, error=0.2)
WITHOUT_SERIAL = Spread(intercept=0.45, slope=0.2, correlation=-0.2, serial=0.0, days=60.0, error=0.3)


def draw_lines(rng: Generator, n: int, spread: Spread) -> tuple[Floats, Floats]:
    """Return each patient's own deviation at time zero and per year; (n,) each."""
    first, second = rng.standard_normal((2, n))
    rest = (1 - spread.correlation**2) ** 0.5
    return spread.intercept * first, spread.slope * (spread.correlation * first + rest * second)


def draw_deviations(rng: Generator, day: Floats, spread: Spread) -> Floats:
    """Return serially correlated deviations at days (n, t) that do not fall along a row: an Ornstein-Uhlenbeck path."""
    noise = rng.standard_normal(day.shape)
    path = np.empty_like(noise)
    path[:, 0] = noise[:, 0]
    for k in range(1, day.shape[1]):
        kept = np.exp((day[:, k - 1] - day[:, k]) / spread.days)
        path[:, k] = kept * path[:, k - 1] + np.sqrt(1 - kept**2) * noise[:, k]
    return spread.serial * path


def compute_mean(years: Floats, treated: Floats, marker: Floats, *, effect: Effect = "default") -> Floats:
    """Return mean log ALT (× ULN) at these years."""
    lower = FIXED["treated"] + FIXED["treated_years"] * years if effect == "default" else 0.0
    return np.asarray(FIXED["intercept"] + FIXED["marker"] * marker + FIXED["years"] * years + lower * treated)


def draw_courses(rng: Generator, n: int, *, serial: Serial = "exponential", effect: Effect = "default") -> pd.DataFrame:
    """Draw patients with log ALT at irregular visits over two years.

    Parameters
    ----------
    serial : ``exponential``: the model is random intercept and slope, exponential correlation, and error; ``none``:
        random intercept and slope with independent errors
    effect : ``none``: treatment changes nothing; the marker still does

    Returns
    -------
    frame : one row per value: ``patient_id``, ``time`` in whole days, ``value`` (log × ULN), ``treated`` (0 or 1, half
        of them), ``marker`` (standard normal, known at time zero)

    Examples
    --------
    >>> draw_courses(np.random.default_rng(1), 3).columns.tolist()
    ['patient_id', 'time', 'value', 'treated', 'marker']
    """
    spread = SPREAD if serial == "exponential" else WITHOUT_SERIAL
    treated, marker = (np.arange(n) % 2).astype(float), rng.standard_normal(n)
    shift = rng.integers(-EARLY_OR_LATE, EARLY_OR_LATE + 1, (n, len(NOMINAL)))
    day = (NOMINAL + np.where(NOMINAL > 0, shift, 0)).astype(float)
    intercept, slope = draw_lines(rng, n, spread)
    mean = compute_mean(day / DAYS_PER_YEAR, treated[:, None], marker[:, None], effect=effect)
    value = mean + intercept[:, None] + slope[:, None] * day / DAYS_PER_YEAR
    value += draw_deviations(rng, day, spread) + spread.error * rng.standard_normal(day.shape)
    seen = (rng.random(day.shape) >= MISSED) | (NOMINAL == 0)
    patient = np.nonzero(seen)[0]
    return pd.DataFrame(
        {
            "patient_id": patient,
            "time": day[seen],
            "value": value[seen],
            "treated": treated[patient],
            "marker": marker[patient],
        }
    )


def truth_of_courses() -> list[Estimand]:
    """T9: fixed effects, variance components, means at fixed times."""
    text = "Of log ALT (× ULN): at time zero, per unit of the marker, of treatment, per year, of treatment per year"
    without = {"treated": 0.0, "treated_years": 0.0}
    found = [
        closed("T9", "fixed effects", text, FIXED, mechanism=MECHANISM),
        closed("T9", "fixed effects", f"{text}; treatment changes nothing", without, mechanism=f"{MECHANISM}, null"),
    ]
    text = (
        "SD between patients at time zero and per year, their correlation; SD and days of serial deviations; of error"
    )
    for spread, words in ((SPREAD, ""), (WITHOUT_SERIAL, ", errors independent")):
        value = {name: float(getattr(spread, name)) for name in Spread.__slots__}
        found.append(closed("T9", "variance components", text, value, mechanism=f"{MECHANISM}{words}"))
    for years in TOLD:
        one, other = (float(compute_mean(np.array([float(years)]), np.array([x]), np.zeros(1))[0]) for x in (1.0, 0.0))
        value = {"treated": one, "untreated": other, "difference": one - other, "ratio": float(np.exp(one - other))}
        text = (
            f"Mean log ALT (× ULN) after {years * DAYS_PER_YEAR:g} days at marker 0, and the ratio of geometric means"
        )
        found.append(closed("T9", f"means, {years} years", text, value, mechanism=MECHANISM))
    return found
