"""T4: a mechanism in which Fine and Gray's model is exactly right (Fine & Gray, JASA 1999;94:496, their simulation)."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import (
    YEARS,
    Effect,
    Floats,
    days_of,
    draw_censoring,
    normal_nodes,
    whole_days,
)

MECHANISM = "subdistribution"
Entry = Literal["at time zero", "late"]

SHARE = 0.4  # p: transplant in the end, untreated and with marker 0
SCALE = 1461.0  # days
LOG_RATIOS = {"treated": -0.5, "marker": 0.4}  # of the subdistribution of transplant
LOG_RATIOS_DEATH = {"treated": 0.3, "marker": 0.2}  # of the time of death among those who die first
CENSORING = (2.0, 12.0)  # years
FROM_START, LATEST_ENTRY = 0.3, 1826  # share followed from time zero; the others enter by this day


def draw_subdistribution(
    rng: Generator, n: int, *, entry: Entry = "at time zero", effect: Effect = "default"
) -> pd.DataFrame:
    """Draw patients with an exact subdistribution hazard ratio for transplant.

    F₁(t | x) = 1 − (1 − p(1 − exp(−t/s)))^exp(xβ); the others die, after an exponential time.

    Parameters
    ----------
    entry : ``late``: seven in ten enter on a day that has nothing to do with their course, and only those still
        event-free then are drawn
    effect : ``none``: treatment changes nothing; the marker still does

    Returns
    -------
    frame : (n, 6) ``patient_id``, ``entry``, ``exit`` in whole days, ``event`` (``transplant``, ``death``,
        ``censored``), ``treated``, ``marker``
    """
    parts, drawn = [], 0
    while drawn < n:
        part = _draw(rng, n, entry, effect)
        parts.append(part)
        drawn += len(part)
    frame = pd.concat(parts, ignore_index=True).iloc[:n]
    frame.insert(0, "patient_id", np.arange(n))
    return frame


def _draw(rng: Generator, n: int, entry: Entry, effect: Effect) -> pd.DataFrame:
    treated, marker = rng.integers(0, 2, n).astype(float), rng.standard_normal(n)
    ratio, ratio_death = (_ratio(beta, treated, marker, effect) for beta in (LOG_RATIOS, LOG_RATIOS_DEATH))
    rank = rng.random(n)  # a transplant comes at F₁ = rank, if F₁ ever reaches it
    is_transplant = rank < _ever(ratio)
    reached = np.where(is_transplant, (1 - (1 - rank) ** (1 / ratio)) / SHARE, 0.0)
    transplant = -SCALE * np.log1p(-reached)
    death = SCALE * rng.standard_exponential(n) / ratio_death
    day, last = whole_days(np.where(is_transplant, transplant, death)), draw_censoring(rng, n, *CENSORING)
    since = np.where(rng.random(n) < FROM_START, 0, rng.integers(1, LATEST_ENTRY + 1, n)).astype(float)
    since = since if entry == "late" else np.zeros(n)
    frame = pd.DataFrame(
        {
            "entry": since,
            "exit": np.minimum(day, last),
            "event": np.where(day > last, "censored", np.where(is_transplant, "transplant", "death")),
            "treated": treated,
            "marker": marker,
        }
    )
    return frame[frame["entry"] < frame["exit"]]


def _ratio(beta: dict[str, float], treated: Floats, marker: Floats, effect: Effect) -> Floats:
    return np.asarray(np.exp((beta["treated"] if effect == "default" else 0.0) * treated + beta["marker"] * marker))


def _ever(ratio: Floats) -> Floats:
    return np.asarray(1 - (1 - SHARE) ** ratio)


def truth_of_subdistribution() -> list[Estimand]:
    """T4: the ratio itself, and cumulative incidence at fixed covariates and averaged over them."""
    text = "Log subdistribution hazard ratio of transplant, given treatment and marker"
    found = [
        closed("T4", "log subdistribution hazard ratios", text, LOG_RATIOS, mechanism=MECHANISM),
        closed(
            "T4", "log subdistribution hazard ratios", f"{text}; treatment changes nothing", {"treated": 0.0},
            mechanism=f"{MECHANISM}, null",
        ),
    ]  # fmt: skip
    return [*found, *(_incidence(years) for years in YEARS)]


def _incidence(years: int) -> Estimand:
    day = days_of(years)
    nodes, weight = normal_nodes()
    value: dict[str, float] = {}
    for name, treated in (("treated", 1.0), ("untreated", 0.0)):
        x = np.append(nodes, 0.0), np.full(len(nodes) + 1, treated)
        ratio, ratio_death = (_ratio(beta, x[1], x[0], "default") for beta in (LOG_RATIOS, LOG_RATIOS_DEATH))
        transplant = 1 - (1 - SHARE * -np.expm1(-day / SCALE)) ** ratio
        death = (1 - _ever(ratio)) * -np.expm1(-day * ratio_death / SCALE)
        value |= {f"transplant_{name}": float(weight @ transplant[:-1]), f"death_{name}": float(weight @ death[:-1])}
        value[f"transplant_{name}_marker_0"] = float(transplant[-1])
    for cause in ("transplant", "death"):
        value[cause] = (value[f"{cause}_treated"] + value[f"{cause}_untreated"]) / 2
    text = f"By day {day}: transplant or death as first event, averaged over the marker, and of transplant at marker 0"
    return closed("T4", f"cumulative incidence, {years} years", text, value, mechanism=MECHANISM)
