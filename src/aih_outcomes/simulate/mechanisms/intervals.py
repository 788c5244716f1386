"""T15: an onset seen only at visits, and a death that may come before it is seen."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import YEARS, Floats, days_of, draw_censoring, whole_days
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR

Death = Literal["intervening", "none"]

# Weibull hazards since time zero: shape, and cumulative hazard after ten years, untreated
SHAPE = {"onset": 1.3, "death": 1.5, "death_after_onset": 1.2}
AFTER_TEN_YEARS = {"onset": 0.6, "death": 0.3, "death_after_onset": 2.0}
LOG_RATIOS = {"onset": -0.5, "death": -0.2, "death_after_onset": 0.3}  # of treatment
TEN_YEARS = 10 * DAYS_PER_YEAR
CENSORING = (3.0, 12.0)  # years
EVERY = (240, 480)  # days between visits
MISSED = 0.15  # of visits
NODES = 200  # of the quadrature


def draw_intervals(rng: Generator, n: int, *, death: Death = "intervening") -> pd.DataFrame:
    """Draw patients whose onset lies somewhere between two visits.

    Parameters
    ----------
    death : ``intervening``: it may come before or after the onset, seen or not; ``none``: nobody dies

    Returns
    -------
    frame : (n, 7) ``patient_id``; ``left``, the last visit without the onset (0 where there was none), and ``right``,
        the first with it (infinite where it was never seen); ``end``, last known alive or dead; ``died`` (0 or 1) then;
        ``treated``; ``onset``, its true day, missing where none came before the end. Whole days.
    """
    treated = rng.integers(0, 2, n).astype(float)
    onset = _when("onset", rng.standard_exponential(n), treated)
    dies = _when("death", rng.standard_exponential(n), treated)
    already = _cumulative("death_after_onset", onset, treated)
    later = _when("death_after_onset", already + rng.standard_exponential(n), treated)
    dies = np.where(dies <= onset, dies, later)
    comes = onset < dies
    onset, dies = whole_days(onset), whole_days(dies)
    last = draw_censoring(rng, n, *CENSORING)
    end = last if death == "none" else np.minimum(dies, last)
    comes = np.ones(n, dtype=bool) if death == "none" else comes
    left, right = _look(rng, np.where(comes, onset, np.inf), end)
    return pd.DataFrame(
        {
            "patient_id": np.arange(n),
            "left": left,
            "right": right,
            "end": end,
            "died": (dies <= last).astype(float) if death == "intervening" else 0.0,
            "treated": treated,
            "onset": np.where(comes & (onset <= end), onset, np.nan),
        }
    )


def _look(rng: Generator, onset: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Return the last visit before the onset and the first since it, among those held until the end; (n,) each."""
    n_visits = int(days_of(CENSORING[1]) / EVERY[0]) + 1
    day = np.cumsum(rng.integers(EVERY[0], EVERY[1] + 1, (len(onset), n_visits)), axis=1).astype(float)
    held = (rng.random(day.shape) >= MISSED) & (day <= end[:, None])
    before = day < onset[:, None]
    left = np.where(held & before, day, 0.0).max(axis=1)
    right = np.where(held & ~before, day, np.inf).min(axis=1)
    return left, right


def _scale(part: str, treated: Floats) -> Floats:
    return np.asarray(AFTER_TEN_YEARS[part] * np.exp(LOG_RATIOS[part] * treated))


def _cumulative(part: str, day: Floats, treated: Floats) -> Floats:
    """Return Weibull cumulative hazards H(t) = H₁₀ (t / 10 years)^shape."""
    return np.asarray(_scale(part, treated) * (day / TEN_YEARS) ** SHAPE[part])


def _when(part: str, total: Floats, treated: Floats) -> Floats:
    return np.asarray(TEN_YEARS * (total / _scale(part, treated)) ** (1 / SHAPE[part]))


def compute_onset(day: float, treated: float) -> dict[str, float]:
    """Return the chances, by a day, of onset, of death without onset, and of death: Gauss-Legendre quadrature.

    Onset ∫ S(u) dH(u) with S the chance of neither; death after onset ∫ S(u) (1 − exp(H₁₂(u) − H₁₂(t))) dH(u). The
    variable is v = u^½, which makes every integrand smooth at 0.
    """
    x, weight = np.polynomial.legendre.leggauss(NODES)
    root = (x + 1) / 2 * day**0.5
    u, weight = root**2, weight * day**0.5 / 2 * 2 * root
    x = np.full_like(u, treated)
    hazard = {part: _cumulative(part, u, x) * SHAPE[part] / u for part in ("onset", "death")}
    neither = np.exp(-_cumulative("onset", u, x) - _cumulative("death", u, x))
    after = np.array([day]), np.array([treated])
    dead_since = -np.expm1(_cumulative("death_after_onset", u, x) - _cumulative("death_after_onset", *after))
    onset = float(weight @ (neither * hazard["onset"]))
    without = float(weight @ (neither * hazard["death"]))
    return {
        "onset": onset,
        "death_without_onset": without,
        "death": without + float(weight @ (neither * hazard["onset"] * dead_since)),
    }


def truth_of_intervals() -> list[Estimand]:
    """T15: hazards, ratios, and cumulative incidence of the true onset with and without death in between."""
    mechanism = "interval-censored onset"
    hazards = {f"{part}_shape": shape for part, shape in SHAPE.items()}
    hazards |= {f"{part}_after_10_years": total for part, total in AFTER_TEN_YEARS.items()}
    text = "Weibull since time zero, untreated: shape, and cumulative hazard after ten years"
    found = [
        closed("T15", "hazards", text, hazards, mechanism=mechanism),
        closed("T15", "log hazard ratios", "Of treatment, per transition", LOG_RATIOS, mechanism=mechanism),
    ]
    for years in YEARS:
        one, other = compute_onset(days_of(years), 1.0), compute_onset(days_of(years), 0.0)
        value = {f"{name}_treated": chance for name, chance in one.items()}
        value |= {f"{name}_untreated": chance for name, chance in other.items()}
        value |= {name: (one[name] + other[name]) / 2 for name in one}
        text = f"By day {days_of(years)}: true onset (seen or not), death without it, death"
        found.append(closed("T15", f"incidence, {years} years", text, value, mechanism=mechanism))
        free = {
            f"onset_free_{name}": float(np.exp(-_cumulative("onset", np.array([days_of(years)]), np.array([x])))[0])
            for name, x in (("treated", 1.0), ("untreated", 0.0))
        }
        free["onset_free"] = (free["onset_free_treated"] + free["onset_free_untreated"]) / 2
        text = f"Share without the true onset on day {days_of(years)}, where nobody dies"
        found.append(closed("T15", f"free of onset, {years} years", text, free, mechanism=f"{mechanism}, no death"))
    return found
