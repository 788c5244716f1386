"""T13: a drug begun at a flare: what it does itself, what the noise of the peak does, and what the steroid does."""

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted, mean
from aih_outcomes.simulate.mechanisms.clocks import Effect, Flags, Floats
from aih_outcomes.simulate.mechanisms.courses import SPREAD, draw_deviations, draw_lines
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR
from aih_outcomes.simulate.streams import open_stream

LEVEL, PER_YEAR = 0.7, -0.1  # mean log ALT (× ULN) without steroid
EVERY, LAST = 28, 728  # days
FIRST, FINAL = 196, 448  # days of a flare, so that there are seven values before it and ten after
FLARE = float(np.log(4))  # of a value seen, error and all: the first that reaches it
SWITCHES, PER_VALUE, CENTRE = -1.0, 1.5, 1.6  # log odds of a switch at a flare, per unit of the value seen there
DRUG, DRUG_SD = -0.8, 0.3  # effect in each child, from the day after the switch on: it differs between children
STEROID = -0.6  # per mg/kg of prednisolone on the day
MAINTENANCE, PULSE, MORE = 0.1, (0.2, 0.6), 0.3  # mg/kg: before; added at a flare; added to that with the drug
TAPER = ((91, 1.0), (182, 0.5))  # share of what was added, until these days after the flare
PARTS = 20  # in which truths are counted


def draw_switches(rng: Generator, n: int, *, effect: Effect = "default") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw patients with monthly log ALT, of whom some flare, and of those some begin a drug.

    The flare is the first value seen of at least 4 × ULN between days 196 and 448: part of it is noise, and fades
    whatever is done. The higher it is, the likelier the switch. Steroid is raised in all who flare, and more in those
    who switch. Given the steroid and the values up to the flare, who switches has nothing to do with the course.

    Parameters
    ----------
    effect : ``none``: the drug does nothing; the steroid still works

    Returns
    -------
    measures : one row per value: ``patient_id``, ``time`` in whole days, ``value`` (log × ULN), ``steroid`` (mg/kg)
    flares : one row per patient with a flare: ``patient_id``, ``time``, ``switched``, ``peak`` (the value seen then),
        ``effect`` (of the drug in this child, given or not)

    Examples
    --------
    >>> measures, flares = draw_switches(np.random.default_rng(1), 20)
    >>> len(measures), bool(flares["switched"].any())
    (540, True)
    """
    day, value, steroid, flare, switched, own = _draw(rng, n, effect)
    flares = np.flatnonzero(flare >= 0)
    visit = flare[flares]
    measures = pd.DataFrame(
        {
            "patient_id": np.repeat(np.arange(n), len(day)),
            "time": np.tile(day, n),
            "value": value.ravel(),
            "steroid": steroid.ravel(),
        }
    )
    return measures, pd.DataFrame(
        {
            "patient_id": flares,
            "time": day[visit],
            "switched": switched[flares],
            "peak": value[flares, visit],
            "effect": own[flares],
        }
    )


def _draw(rng: Generator, n: int, effect: Effect) -> tuple[Floats, Floats, Floats, Floats, Flags, Floats]:
    """Return days (t,), values and steroid (n, t), the visit of the flare (−1: none), who switches, effects (n,)."""
    day = np.arange(0.0, LAST + 1, EVERY)
    years = day / DAYS_PER_YEAR
    intercept, slope = draw_lines(rng, n, SPREAD)
    value = LEVEL + PER_YEAR * years + STEROID * MAINTENANCE + intercept[:, None] + slope[:, None] * years
    value += draw_deviations(rng, np.broadcast_to(day, value.shape), SPREAD)
    value += SPREAD.error * rng.standard_normal(value.shape)
    reaches = (value >= FLARE) & (day >= FIRST) & (day <= FINAL)
    flare = np.where(reaches.any(axis=1), reaches.argmax(axis=1), -1)
    peak = value[np.arange(n), flare]
    switched = (flare >= 0) & (rng.random(n) < compute_chance(peak))
    own = DRUG + DRUG_SD * rng.standard_normal(n)
    own = own if effect == "default" else np.zeros(n)  # the same random numbers either way
    added = rng.uniform(*PULSE, n) + MORE * switched
    since = np.where(flare[:, None] >= 0, day - day[flare][:, None], -1.0)
    share = np.select([(since > 0) & (since <= until) for until, _ in TAPER], [share for _, share in TAPER], 0.0)
    steroid = MAINTENANCE + added[:, None] * share
    value += STEROID * (steroid - MAINTENANCE) + own[:, None] * (switched[:, None] & (since > 0))
    return day, value, steroid, flare, switched, own


def compute_chance(peak: Floats) -> Floats:
    """Return the chance of a switch at a flare of these values."""
    return np.asarray(1 / (1 + np.exp(-SWITCHES - PER_VALUE * (peak - CENTRE))))


def truth_of_switches(seed: int, n: int) -> list[Estimand]:
    """T13: the drug's effect, and what comparisons of means before and after the flare would show instead.

    Others are weighted by the odds of a switch at their peak, so that their peaks are distributed as those of patients
    who switched: the limit of matching on the peak.
    """
    found = []
    kinds: tuple[Effect, ...] = ("default", "none")
    for chunk, kind in enumerate(kinds):
        own = f"switch at a flare{'' if kind == 'default' else ', no effect'}"
        value = {"mean": DRUG, "sd": DRUG_SD} if kind == "default" else {"mean": 0.0, "sd": 0.0}
        text = "Change in log ALT, in those who switch as in others; its SD between children"
        found.append(closed("T13", "effect of the drug", text, value, mechanism=own))
        text = "Change in log ALT per mg/kg of prednisolone on the day"
        found.append(closed("T13", "effect of steroid", text, {"per_mg_per_kg": STEROID}, mechanism=own))
        counts = _count(seed, n, chunk, kind)
        for name, before in (
            ("the flare", "the flare itself"),
            (f"{FIRST} days", f"values of the {FIRST} days before, the flare's included"),
            ("the decision window", f"the same without days −{EVERY} to 0"),
        ):
            words = (
                f"Mean log ALT in the {LAST - FINAL} days after the flare less {before}: switchers, others (as they "
                "are, and with the switchers' peaks), the difference of both, and that less what steroid explains"
            )
            numbers = {key.split("|")[1]: number for key, number in counts.items() if key.startswith(name + "|")}
            found.append(counted("T13", f"change from before {name}", words, numbers, n=n, mechanism=own))
        numbers = {key: counts[key] for key in ("flares", "switches")}
        words = "Share of patients with a flare, and of those who switch then"
        found.append(counted("T13", "flares and switches", words, numbers, n=n, mechanism=own))
    return found


def _count(seed: int, n: int, chunk: int, effect: Effect) -> dict[str, Number]:
    """Return shares and changes, with the error from the parts in which they are counted."""
    tallies: list[dict[str, float]] = []
    for part in range(PARTS):
        rng = open_stream("switches", seed, chunk * PARTS + part)
        day, value, steroid, flare, switched, _ = _draw(rng, n // PARTS, effect)
        rows = np.flatnonzero(flare >= 0)
        value, steroid, switched = value[rows], steroid[rows], switched[rows]
        since = day - day[flare[rows]][:, None]
        chance = compute_chance(value[np.arange(len(rows)), flare[rows]])
        weights = {"switchers": switched.astype(float), "others": 1.0 - switched,
                   "matched": np.where(switched, 0.0, chance / (1 - chance))}  # fmt: skip
        tally = {"flares": len(rows) / (n // PARTS), "switches": float(switched.mean())}
        after = (since > 0) & (since <= LAST - FINAL)
        for name, before in (
            ("the flare", since == 0),
            (f"{FIRST} days", (since >= -FIRST) & (since <= 0)),
            ("the decision window", (since >= -FIRST) & (since < -EVERY)),
        ):
            change, dose = (_mean(x, after) - _mean(x, before) for x in (value, steroid))
            seen = {who: float(np.average(change, weights=w)) for who, w in weights.items()}
            given = {who: float(np.average(dose, weights=w)) for who, w in weights.items()}
            gap = seen["switchers"] - seen["matched"]
            seen["difference"] = gap
            seen["difference_given_steroid"] = gap - STEROID * (given["switchers"] - given["matched"])
            tally |= {f"{name}|{who}": number for who, number in seen.items()}
        tallies.append(tally)
    return {key: mean(np.array([tally[key] for tally in tallies])) for key in tallies[0]}


def _mean(value: Floats, own: Flags) -> Floats:
    """(n,) mean of each patient's values that count."""
    return np.asarray((value * own).sum(axis=1) / own.sum(axis=1))
