"""T7: patients who are seen only from a later day on, which may or may not have to do with their course."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted
from aih_outcomes.simulate.mechanisms.clocks import (
    YEARS,
    Floats,
    Hazard,
    days_of,
    draw_censoring,
    draw_frailty,
    survive_frailty,
    whole_days,
)
from aih_outcomes.simulate.scores import Counts, count_days, solve_ratio
from aih_outcomes.simulate.streams import open_stream

Truncation = Literal["independent", "dependent"]

HAZARD = Hazard((0.10, 0.06, 0.08), (0.0, 365.0, 1826.0))
LOG_RATIO = -0.5  # of treatment; given the frailty where there is one
VARIANCE = 1.0  # of the gamma frailty, where entry depends on it
FROM_START, LATEST_ENTRY = 0.3, 1825  # share followed from time zero; the others enter by this day
CENSORING = (6.0, 12.0)  # years since time zero, after every entry


def draw_truncated(rng: Generator, n: int, *, truncation: Truncation = "independent") -> pd.DataFrame:
    """Draw patients who were alive when they were first seen.

    Parameters
    ----------
    truncation : ``independent``: the day of entry has nothing to do with the course; ``dependent``: one frailty makes
        for an early death and, in those referred, for an early referral

    Returns
    -------
    frame : (n, 5) ``patient_id``, ``entry``, ``exit`` in whole days, ``event`` (1 death, 0 censored), ``treated``
    """
    parts, drawn = [], 0
    while drawn < n:
        part = _draw(rng, n, truncation)
        parts.append(part)
        drawn += len(part)
    frame = pd.concat(parts, ignore_index=True).iloc[:n]
    frame.insert(0, "patient_id", np.arange(n))
    return frame


def _draw(rng: Generator, n: int, truncation: Truncation) -> pd.DataFrame:
    treated = rng.integers(0, 2, n).astype(float)
    z = draw_frailty(rng, n, VARIANCE if truncation == "dependent" else 0.0)
    death = whole_days(HAZARD.when(rng.standard_exponential(n) / (z * np.exp(LOG_RATIO * treated))))
    referred = 1 + np.floor(LATEST_ENTRY * rng.random(n) ** z)  # uniform on the days 1 … LATEST_ENTRY where z is 1
    entry = np.where(rng.random(n) < FROM_START, 0.0, referred)
    last = draw_censoring(rng, n, *CENSORING)
    frame = pd.DataFrame(
        {
            "entry": entry,
            "exit": np.minimum(death, last),
            "event": (death <= last).astype(float),
            "treated": treated,
        }
    )
    return frame[entry < death]


def truth_of_independent() -> list[Estimand]:
    """T7, independent entry: survival and ratio, which delayed entry finds, and where the naive analysis ends.

    With f the probability of dying on a day and A(t) = P(entry < t), those at risk on day t without regard to entry
    are Σ_{u ≥ t} f(u) A(u), of whom f(t) A(t) die.
    """
    mechanism = "truncation, independent"
    end = days_of(CENSORING[1])
    days = np.arange(end + 1, dtype=float)
    alive = {x: np.exp(-HAZARD.until(days) * np.exp(LOG_RATIO * x)) for x in (0, 1)}
    entered = FROM_START + (1 - FROM_START) * np.clip((days[1:] - 1) / LATEST_ENTRY, 0, 1)  # entry < 1, 2, …
    events = {x: -np.diff(s) * entered for x, s in alive.items()}
    risk = {x: np.cumsum(e[::-1])[::-1] + alive[x][-1] for x, e in events.items()}
    first, last = days_of(CENSORING[0]), end
    seen = np.clip((last - days[1:] + 1) / (last - first + 1), 0, 1)  # P(censored on the day or later)
    ratio = solve_ratio(Counts(risk[1] * seen, risk[0] * seen, events[1] * seen, events[0] * seen)).log_ratio
    naive = np.cumprod(1 - (events[0] + events[1]) / (risk[0] + risk[1]))
    at = {years: days_of(years) for years in YEARS}
    both = (alive[0] + alive[1]) / 2
    return [
        closed("T7", "log hazard ratio", "Of treatment; delayed entry finds it", {"treated": LOG_RATIO},
               mechanism=mechanism),
        closed("T7", "log hazard ratio, entry ignored", "Least-false, everyone counted from day 0: biased",
               {"treated": ratio}, mechanism=mechanism),
        closed("T7", "survival", "Of all, treated and untreated alike, truncated or not; delayed entry finds it",
               {f"years_{years}": float(both[day]) for years, day in at.items()}, mechanism=mechanism),
        closed("T7", "survival, entry ignored", "Limit of Kaplan-Meier with everyone counted from day 0: biased",
               {f"years_{years}": float(naive[day - 1]) for years, day in at.items()}, mechanism=mechanism),
    ]  # fmt: skip


def truth_of_dependent(seed: int, n: int) -> list[Estimand]:
    """T7, dependent entry: survival, and where the analysis with delayed entry ends, counted."""
    mechanism = "truncation, dependent"
    alive = [survive_frailty(HAZARD.until(np.array([days_of(y) for y in YEARS], float)) * np.exp(LOG_RATIO * x),
                             VARIANCE) for x in (0, 1)]  # fmt: skip
    frame = draw_truncated(open_stream("truncation", seed), n, truncation="dependent")
    entry, exit, event = (frame[name].to_numpy(float) for name in ("entry", "exit", "event"))
    numbers = {}
    for name, since in (("delayed entry", entry), ("entry ignored", np.zeros(n))):
        counts = count_days(since, exit, event == 1, np.full(n, 1e9))
        numbers[name] = _product_limit(counts.without_events, counts.without_risk)
    text = "Of all, treated and untreated alike, truncated or not"
    value = {f"years_{y}": float(s) for y, s in zip(YEARS, (alive[0] + alive[1]) / 2, strict=True)}
    found = [closed("T7", "survival", text, value, mechanism=mechanism)]
    for name, number in numbers.items():
        text = f"Limit of Kaplan-Meier with {name}: biased, because the frail are referred early and die early"
        found.append(counted("T7", f"survival, {name}", text, number, n=n, mechanism=mechanism))
    return found


def _product_limit(events: Floats, risk: Floats) -> dict[str, Number]:
    """Return survival with Greenwood's standard error at the years told, from counts on the days 1, 2, …."""
    risk = np.maximum(risk, 1.0)
    alive = np.cumprod(1 - events / risk)
    spread = np.sqrt(np.cumsum(events / (risk * np.maximum(risk - events, 1.0))))
    at = {years: days_of(years) - 1 for years in YEARS}
    return {f"years_{years}": (float(alive[k]), float(alive[k] * spread[k])) for years, k in at.items()}
