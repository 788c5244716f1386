"""T6: a status that changes with time, and a frailty that drives both the change and death."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.course import NEVER
from aih_outcomes.simulate.estimands import Estimand, closed, counted
from aih_outcomes.simulate.mechanisms.clocks import (
    Effect,
    Floats,
    days_of,
    draw_censoring,
    draw_frailty,
    whole_days,
)
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR
from aih_outcomes.simulate.scores import count_days, solve_ratio
from aih_outcomes.simulate.streams import open_stream

Frailty = Literal["shared", "of death", "none"]

CHANGE, DEATH = 0.40 / DAYS_PER_YEAR, 0.12 / DAYS_PER_YEAR  # hazards per day before the change
LOG_RATIO = -0.7  # of death after the change, given the frailty
VARIANCE = 0.8  # of the gamma frailty
CENSORING = (2.0, 10.0)  # years
LANDMARK = 365


def draw_status(rng: Generator, n: int, *, frailty: Frailty = "shared", effect: Effect = "default") -> pd.DataFrame:
    """Draw patients whose status may change once and then stays.

    Parameters
    ----------
    frailty : ``shared``: one gamma frailty multiplies the hazards of the change and of death, so that those who change
        are those who die sooner; ``of death``: it multiplies that of death only; ``none``: the conditional and the
        marginal ratio are the same
    effect : ``none``: the change has no effect on death

    Returns
    -------
    frame : (n, 4) ``patient_id``, ``exit`` in whole days, ``event`` (1 death, 0 censored), ``changed``: day of the
        change, missing where none was seen before ``exit``
    """
    z = draw_frailty(rng, n, 0.0 if frailty == "none" else VARIANCE)
    change = rng.standard_exponential(n) / (CHANGE * (z if frailty == "shared" else 1.0))
    due = rng.standard_exponential(n) / (z * DEATH)  # the day of death without a change
    ratio = np.exp(LOG_RATIO) if effect == "default" else 1.0
    death = whole_days(np.where(due <= change, due, change + (due - change) / ratio))
    last = draw_censoring(rng, n, *CENSORING)
    day, changed = np.minimum(death, last), whole_days(change)
    return pd.DataFrame(
        {
            "patient_id": np.arange(n),
            "exit": day,
            "event": (death <= last).astype(float),
            "changed": np.where(changed < day, changed, np.nan),
        }
    )


def truth_of_status(seed: int, n: int) -> list[Estimand]:
    """T6: the conditional ratio; marginal, landmark and naive ratios, counted under the mechanism's own censoring."""
    kinds: list[tuple[Frailty, Effect]] = [
        ("shared", "default"), ("shared", "none"), ("of death", "default"), ("none", "default"), ("none", "none"),
    ]  # fmt: skip
    return [
        estimand
        for chunk, (frailty, effect) in enumerate(kinds)
        for estimand in _truth_of_kind(open_stream("frailty", seed, chunk), n, frailty, effect)
    ]


def _truth_of_kind(rng: Generator, n: int, frailty: Frailty, effect: Effect) -> list[Estimand]:
    mechanism = f"status, frailty {frailty}{'' if effect == 'default' else ', null'}"
    conditional = LOG_RATIO if effect == "default" else 0.0
    frame = draw_status(rng, n, frailty=frailty, effect=effect)
    known = {"conditional": conditional}  # in closed form
    if frailty == "none":
        known |= {"marginal": conditional} | ({"landmark": 0.0} if effect == "none" else {})
    found = []
    for name, (start, since, words) in _designs(frame).items():
        title, text = f"{name} log hazard ratio", f"Log hazard ratio of death, {words}"
        if name in known:
            value = {"log_hazard_ratio": known[name]}
            found.append(closed("T6", title, text, value, mechanism=mechanism))
        else:
            exit, event = frame["exit"].to_numpy(float), frame["event"].to_numpy(float) == 1
            ratio = solve_ratio(count_days(np.full(n, start), exit, event, since))
            text += f"; least-false, censored from day {days_of(CENSORING[0])} to {days_of(CENSORING[1])}"
            number = {"log_hazard_ratio": (ratio.log_ratio, ratio.error)}
            found.append(counted("T6", title, text, number, n=n, mechanism=mechanism))
    return found


def _designs(frame: pd.DataFrame) -> dict[str, tuple[float, Floats, str]]:
    """Return per design the day from which patients are counted, and since when each has the status."""
    since = frame["changed"].fillna(NEVER).to_numpy(float)
    at_landmark, ever = (np.where(since <= day, 0.0, NEVER) for day in (LANDMARK, NEVER - 1))
    return {
        "conditional": (0.0, since, "after the change against before it, given the frailty"),
        "marginal": (0.0, since, "after the change against before it"),
        "landmark": (float(LANDMARK), at_landmark, f"changed by day {LANDMARK} or not, among those at risk then"),
        "naive": (0.0, ever, "ever changed against never, from day 0: biased"),
    }
