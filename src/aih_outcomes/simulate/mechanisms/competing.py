"""T3: two competing causes with known hazards, many events of each: for cumulative incidence and its limits."""

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import (
    YEARS,
    Effect,
    Floats,
    Hazard,
    days_of,
    draw_censoring,
    normal_nodes,
    whole_days,
)

MECHANISM = "competing causes"
SINCE = (0.0, 365.0, 1826.0)
HAZARDS = {"transplant": Hazard((0.12, 0.06, 0.05), SINCE), "death": Hazard((0.05, 0.04, 0.06), SINCE)}
LOG_RATIOS = {"transplant": {"treated": -0.5, "marker": 0.4}, "death": {"treated": 0.2, "marker": 0.3}}
CENSORING = (2.0, 12.0)  # years
HORIZON = 5  # years


def draw_competing(rng: Generator, n: int, *, effect: Effect = "default") -> pd.DataFrame:
    """Draw patients who are transplanted, die, or are censored.

    Parameters
    ----------
    effect : ``none``: treatment changes neither hazard; the marker still does

    Returns
    -------
    frame : (n, 5) ``patient_id``, ``exit`` in whole days, ``event`` (``transplant``, ``death``, ``censored``),
        ``treated`` (0 or 1, half of them), ``marker`` (standard normal)

    Examples
    --------
    >>> draw_competing(np.random.default_rng(1), 3).columns.tolist()
    ['patient_id', 'exit', 'event', 'treated', 'marker']
    """
    treated, marker = rng.integers(0, 2, n).astype(float), rng.standard_normal(n)
    days = [
        HAZARDS[cause].when(rng.standard_exponential(n) / _ratio(cause, treated, marker, effect)) for cause in HAZARDS
    ]
    day, cause = whole_days(np.minimum(*days)), np.where(days[0] < days[1], *HAZARDS)
    last = draw_censoring(rng, n, *CENSORING)
    return pd.DataFrame(
        {
            "patient_id": np.arange(n),
            "exit": np.minimum(day, last),
            "event": np.where(day <= last, cause, "censored"),
            "treated": treated,
            "marker": marker,
        }
    )


def _ratio(cause: str, treated: Floats, marker: Floats, effect: Effect) -> Floats:
    beta = LOG_RATIOS[cause]
    return np.asarray(np.exp((beta["treated"] if effect == "default" else 0.0) * treated + beta["marker"] * marker))


def compute_incidence(days: Floats, treated: float, *, effect: Effect = "default") -> dict[str, Floats]:
    """Return each cause's cumulative incidence at ``days`` (k,), averaged over the marker.

    F_k(t) = ∫ S(u) λ_k(u) du, piece by piece: S λ_k/λ (1 − exp(−λΔ)).
    """
    marker, weight = normal_nodes()
    ratio = {cause: _ratio(cause, np.full_like(marker, treated), marker, effect)[:, None] for cause in HAZARDS}
    incidence = {cause: np.zeros(len(days)) for cause in HAZARDS}
    for piece, (begin, end) in enumerate(zip(SINCE, (*SINCE[1:], np.inf), strict=True)):
        hazard = {cause: HAZARDS[cause].per_day[piece] * ratio[cause] for cause in HAZARDS}
        total = sum(hazard.values())
        alive = np.exp(-sum(HAZARDS[cause].until(np.array([begin])) * ratio[cause] for cause in HAZARDS))
        gone = alive * -np.expm1(-total * np.clip(days - begin, 0, end - begin))
        for cause in HAZARDS:
            incidence[cause] += weight @ (hazard[cause] / total * gone)
    return incidence


def truth_of_competing() -> list[Estimand]:
    """T3: log hazard ratios, cumulative incidence, restricted means and time lost."""
    found = [
        closed(
            "T3", "cause-specific log hazard ratios", "Given treatment and marker, per cause",
            {f"{cause}_{x}": b for cause, betas in LOG_RATIOS.items() for x, b in betas.items()}, mechanism=MECHANISM,
        ),
        closed(
            "T3", "cause-specific log hazard ratios", "Treatment changes neither hazard; the marker does",
            {f"{cause}_treated": 0.0 for cause in HAZARDS}, mechanism=f"{MECHANISM}, null",
        ),
    ]  # fmt: skip
    found += [_incidence(years) for years in YEARS]
    end = days_of(HORIZON)
    days = np.arange(end, dtype=float)
    value: dict[str, float] = {}
    for name, part in _parts(days).items():
        value |= {f"lost_to_{cause}{name}": float(part[cause].sum()) for cause in HAZARDS}
        value[f"event_free{name}"] = float((1 - part["transplant"] - part["death"]).sum())
    text = (
        f"Mean days event-free until day {end}, and lost to each cause; event days are whole; averaged over the marker"
    )
    return [*found, closed("T3", f"restricted mean, {HORIZON} years", text, value, mechanism=MECHANISM)]


def _parts(days: Floats) -> dict[str, dict[str, Floats]]:
    """Return cumulative incidence of all (no suffix), and by treatment."""
    one, other = compute_incidence(days, 1.0), compute_incidence(days, 0.0)
    both = {cause: (one[cause] + other[cause]) / 2 for cause in HAZARDS}
    return {"": both, "_treated": one, "_untreated": other}


def _incidence(years: int) -> Estimand:
    day = days_of(years)
    value: dict[str, float] = {}
    for name, part in _parts(np.array([float(day)])).items():
        value |= {f"{cause}{name}": float(part[cause][0]) for cause in HAZARDS}
        value[f"event_free{name}"] = float(1 - part["transplant"][0] - part["death"][0])
    text = f"By day {day}: transplant as first event, death as first event, neither; averaged over the marker"
    return closed("T3", f"cumulative incidence, {years} years", text, value, mechanism=MECHANISM)
