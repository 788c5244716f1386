"""T14: flares that come again, death that ends them, and a frailty that drives both."""

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import YEARS, Effect, days_of, draw_frailty, survive_frailty
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR

MECHANISM = "recurrent flares"
FLARE, DEATH = 0.60 / DAYS_PER_YEAR, 0.08 / DAYS_PER_YEAR  # hazards per day, untreated
LOG_RATIO = -0.4  # of treatment, on flares only
VARIANCE = 0.6  # of the gamma frailty
CENSORING = (2.0, 12.0)  # years


def draw_recurrent(rng: Generator, n: int, *, effect: Effect = "default") -> pd.DataFrame:
    """Draw patients with their flares until death or the end of follow-up.

    One gamma frailty multiplies the hazards of flares and of death; treatment changes those of flares only, so that
    its ratio is the same with and without the frailty. Days are not whole: two flares never share one.

    Returns
    -------
    frame : one row per spell ``(entry, exit]``: ``patient_id``, ``entry``, ``exit`` in days, ``event`` (``flare``,
        ``death``, ``censored``), ``treated``
    """
    treated = rng.integers(0, 2, n).astype(float)
    z = draw_frailty(rng, n, VARIANCE)
    death = rng.standard_exponential(n) / (z * DEATH)
    last = rng.uniform(days_of(CENSORING[0]), days_of(CENSORING[1]), n)
    end = np.minimum(death, last)
    ratio = np.exp((LOG_RATIO if effect == "default" else 0.0) * treated)
    flares = rng.poisson(z * FLARE * ratio * end)
    patient = np.repeat(np.arange(n), flares + 1)  # a spell per flare, and the last one
    is_last = np.zeros(len(patient), dtype=bool)
    is_last[np.cumsum(flares + 1) - 1] = True
    exit = np.where(is_last, 1.0, rng.random(len(patient))) * end[patient]
    order = np.lexsort((exit, patient))  # the last spell stays last
    exit = exit[order]
    first = np.concatenate([[True], patient[1:] != patient[:-1]])
    entry = np.where(first, 0.0, np.concatenate([[0.0], exit[:-1]]))
    ended = np.where(death <= last, "death", "censored")[patient]
    return pd.DataFrame(
        {
            "patient_id": patient,
            "entry": entry,
            "exit": exit,
            "event": np.where(is_last, ended, "flare"),
            "treated": treated[patient],
        }
    )


def truth_of_recurrent() -> list[Estimand]:
    """T14: rate ratio, rates, mean number of flares, survival.

    E N(t) = E ∫ Zρ exp(−Zλu) du = ρ/λ (1 − L(λt)), L the frailty's Laplace transform.
    """
    ratio = float(np.exp(LOG_RATIO))
    found = [
        closed(
            "T14", "log rate ratio of flares", "Of treatment, among those alive; the same given the frailty",
            {"treated": LOG_RATIO}, mechanism=MECHANISM,
        ),
        closed(
            "T14", "flares per year", "Rate at time zero, by treatment",
            {"untreated": FLARE * DAYS_PER_YEAR, "treated": FLARE * DAYS_PER_YEAR * ratio}, mechanism=MECHANISM,
        ),
    ]  # fmt: skip
    for years in YEARS:
        alive = float(survive_frailty(np.array([DEATH * days_of(years)]), VARIANCE)[0])
        mean = FLARE / DEATH * (1 - alive)
        value = {"untreated": mean, "treated": mean * ratio, "all": mean * (1 + ratio) / 2, "survival": alive}
        text = f"Mean number of flares by day {days_of(years)}, none after death; and the share alive then"
        found.append(closed("T14", f"mean cumulative flares, {years} years", text, value, mechanism=MECHANISM))
    return found
