"""T10: visits between the scheduled ones: none, after a high value seen, or in a flare that nobody has seen yet."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted, mean
from aih_outcomes.simulate.mechanisms.clocks import Flags, Floats
from aih_outcomes.simulate.mechanisms.courses import SPREAD, compute_mean, draw_deviations, draw_lines
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR
from aih_outcomes.simulate.streams import open_stream

Visits = Literal["fixed", "observed", "latent"]

SCHEDULED = np.arange(0.0, 731.0, 91.25)  # days: every three months for two years, and everybody comes
MOST = 52.0  # visits per year at most that a clinic has room for
# Log rate per year of visits between, at 1 × ULN, and per unit of log ALT: at 5 × ULN five times as many.
RATE, PER_VALUE = float(np.log(1.5)), 1.0
AT = 1.0  # years: where means are told
PARTS = 50  # in which truths are counted


def draw_visit_process(rng: Generator, n: int, *, visits: Visits = "latent") -> pd.DataFrame:
    """Draw patients with log ALT at scheduled visits and at those between them.

    Courses are those of ``draw_courses`` at marker 0. Visits between come at exponential times, whose rate depends on

    Parameters
    ----------
    visits : ``fixed``: there are none; ``observed``: the last value seen; ``latent``: the course on the day itself,
        which is what brings a child with jaundice to the clinic

    Returns
    -------
    frame : one row per value: ``patient_id``, ``time`` in days (those between are not whole: two visits never share
        one), ``value`` (log × ULN), ``scheduled``, ``last`` (the value before, missing at the first), ``treated``

    Examples
    --------
    >>> draw_visit_process(np.random.default_rng(1), 2, visits="fixed").groupby("patient_id").size().tolist()
    [9, 9]
    """
    treated = (np.arange(n) % 2).astype(float)
    day, value, last, scheduled, seen = _draw(rng, treated, visits)
    patient = np.nonzero(seen)[0]
    return pd.DataFrame(
        {
            "patient_id": patient,
            "time": day[seen],
            "value": value[seen],
            "scheduled": scheduled[seen],
            "last": last[seen],
            "treated": treated[patient],
        }
    )


def _draw(rng: Generator, treated: Floats, visits: Visits) -> tuple[Floats, Floats, Floats, Flags, Flags]:
    """Return days in order, values, values seen before, and which visits are scheduled and which are held; (n, t) each.

    Visits between are thinned from a Poisson process of the largest rate (Lewis & Shedler, Nav Res Logist 1979;26:403).
    """
    n, end = len(treated), SCHEDULED[-1]
    mean_number = MOST * end / DAYS_PER_YEAR if visits != "fixed" else 0.0
    room = int(mean_number + 7 * mean_number**0.5)
    between = np.cumsum(rng.standard_exponential((n, room)), axis=1) * DAYS_PER_YEAR / MOST
    day = np.column_stack([np.broadcast_to(SCHEDULED, (n, len(SCHEDULED))), between])
    order = np.argsort(day, axis=1, kind="stable")
    day, scheduled = np.take_along_axis(day, order, axis=1), order < len(SCHEDULED)
    intercept, slope = draw_lines(rng, n, SPREAD)
    course = compute_mean(day / DAYS_PER_YEAR, treated[:, None], np.zeros((n, 1)))
    course += intercept[:, None] + slope[:, None] * day / DAYS_PER_YEAR + draw_deviations(rng, day, SPREAD)
    value = course + SPREAD.error * rng.standard_normal(day.shape)
    chance = rng.random(day.shape) * MOST / DAYS_PER_YEAR
    seen, last, known = scheduled.copy(), np.empty_like(value), np.full(n, np.nan)
    for k in range(day.shape[1]):
        drives = known if visits == "observed" else course[:, k]
        comes = chance[:, k] < np.exp(RATE + PER_VALUE * drives) / DAYS_PER_YEAR
        seen[:, k] |= comes & (day[:, k] <= end)
        last[:, k] = known
        known = np.where(seen[:, k], value[:, k], known)
    return day, value, last, scheduled, seen


def truth_of_visit_process(seed: int, n: int) -> list[Estimand]:
    """T10: means at a year, what all values give if they count alike, and the rate of visits between.

    Scheduled values, and values weighted by the inverse of the intensity given the values seen before, have the means
    as their limit under ``fixed`` and ``observed`` (Lin, Scharfstein & Rosenheck, J R Stat Soc B 2004;66:791); under
    ``latent`` scheduled values only.
    """
    one, other = (float(compute_mean(np.array([AT]), np.array([x]), np.zeros(1))[0]) for x in (1.0, 0.0))
    truth = {"treated": one, "untreated": other, "difference": one - other}
    text = f"Log ALT (× ULN) after {AT * DAYS_PER_YEAR:g} days, treated and untreated"
    kinds: tuple[Visits, ...] = ("fixed", "observed", "latent")
    found = []
    for chunk, kind in enumerate(kinds):
        own = f"visits, {kind}"
        found.append(closed("T10", "mean at 1 year", text, truth, mechanism=own))
        if kind == "fixed":
            continue
        rate = {"intercept": RATE, "per_value": PER_VALUE}
        drives = "the last value seen" if kind == "observed" else "the course on the day, without error"
        words = f"Log rate per year of visits between, and per unit of log ALT: {drives}"
        found.append(closed("T10", "log rate of visits between", words, rate, mechanism=own))
        counts = _count(seed, n, chunk, kind)
        words = f"{text}: limit of least squares, a line per group, all values alike: biased"
        found.append(counted("T10", "mean at 1 year, all values alike", words, counts["means"], n=n, mechanism=own))
        words = "Visits between the scheduled ones, in two years"
        found.append(counted("T10", "visits between", words, counts["visits"], n=n, mechanism=own))
    return found


def _count(seed: int, n: int, chunk: int, visits: Visits) -> dict[str, dict[str, Number]]:
    """Return least-squares means and numbers of visits, with the error from the parts in which they are counted."""
    tallies: list[dict[str, float]] = []
    for part in range(PARTS):
        treated = (np.arange(n // PARTS) % 2).astype(float)
        day, value, _, scheduled, seen = _draw(
            open_stream("visit_process", seed, chunk * PARTS + part), treated, visits
        )
        tally: dict[str, float] = {}
        for name, x in (("treated", 1), ("untreated", 0)):
            own = seen & (treated == x)[:, None]
            level = np.polyfit(day[own] / DAYS_PER_YEAR - AT, value[own], 1)[1]
            tally |= {name: float(level), f"visits_{name}": float((own & ~scheduled).sum() / (treated == x).sum())}
        tallies.append(tally | {"difference": tally["treated"] - tally["untreated"]})
    numbers = {key: mean(np.array([tally[key] for tally in tallies])) for key in tallies[0]}
    means = {key: numbers[key] for key in ("treated", "untreated", "difference")}
    return {"means": means, "visits": {key: numbers[f"visits_{key}"] for key in ("treated", "untreated")}}
