"""Ten events: what Firth's penalty is for."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, closed
from aih_outcomes.simulate.mechanisms.clocks import whole_days

Sample = Literal["few exposed", "crowded"]

N_EVENTS = 10
PATIENTS: dict[Sample, tuple[int, int]] = {"few exposed": (60, 12), "crowded": (30, 15)}  # all, exposed
LOG_RATIO = 1.0  # of exposure
LOG_RATIO_MORE = 0.5  # of each of two more covariates, where the sample is crowded
MORE = ("marker", "severity")
MEAN_DAYS = 20_000.0  # long, so that hardly two events share a day


def draw_ten_events(rng: Generator, *, sample: Sample = "few exposed") -> pd.DataFrame:
    """Draw patients who are followed until the tenth event.

    Stopping at an event changes nothing in the partial likelihood (type II censoring).

    Parameters
    ----------
    sample : ``few exposed``: 12 of 60, one parameter; ``crowded``: 15 of 30, and two more covariates, so that there
        are three events per parameter

    Returns
    -------
    frame : ``patient_id``, ``exit`` in whole days, ``event`` (0 or 1, ten of them), ``exposed`` (0 or 1), and in a
        crowded sample ``marker`` and ``severity`` (standard normal)
    """
    n, n_exposed = PATIENTS[sample]
    columns = {"exposed": (np.arange(n) < n_exposed).astype(float)}
    ratio = LOG_RATIO * columns["exposed"]
    for name in MORE if sample == "crowded" else ():
        columns[name] = rng.standard_normal(n)
        ratio = ratio + LOG_RATIO_MORE * columns[name]
    time = MEAN_DAYS * rng.standard_exponential(n) * np.exp(-ratio)
    stop = np.sort(time)[N_EVENTS - 1]
    exit, event = whole_days(np.minimum(time, stop)), (time <= stop).astype(float)
    return pd.DataFrame({"patient_id": np.arange(n), "exit": exit, "event": event, **columns})


def truth_of_ten_events() -> list[Estimand]:
    """Return the log hazard ratio behind ten events."""
    found = []
    for sample, (n, n_exposed) in PATIENTS.items():
        more = f", given {' and '.join(MORE)}" if sample == "crowded" else ""
        text = f"Of exposure{more}; {n_exposed} of {n} patients exposed, followed until event {N_EVENTS}"
        mechanism = f"ten events, {sample}"
        found.append(closed("T3", "log hazard ratio", text, {"exposed": LOG_RATIO}, mechanism=mechanism))
    return found
