"""T11: patients who stop coming: whatever their values, because of values seen, and with values that nobody sees."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted, mean
from aih_outcomes.simulate.mechanisms.clocks import Effect, Flags, Floats
from aih_outcomes.simulate.mechanisms.nominal import DAYS, EFFECT, draw_patients, draw_values, name_columns
from aih_outcomes.simulate.streams import open_stream

Dropout = Literal["MCAR", "MAR", "MNAR"]

STAYS = 0.8  # MCAR: share that comes to the last visit
# MAR: log odds of not coming again, after a value seen. The treated who do badly go elsewhere; the untreated who do
# well no longer see why they should come. Those who stay flatter the treatment.
LEAVES, CENTRE = -2.2, 0.5
PER_VALUE = {"treated": 1.2, "untreated": -1.2}
# MNAR: leaves as under MAR, and from then on values lie higher by this (a pattern mixture; Little, J Am Stat Assoc
# 1993;88:125): whoever leaves loses the drug, if there was one.
DELTA = {"treated": 0.5, "untreated": 0.0}
PARTS = 20  # in which truths are counted


def draw_dropout(rng: Generator, n: int, *, dropout: Dropout = "MAR", effect: Effect = "default") -> pd.DataFrame:
    """Draw patients who stop coming, with the values that are no longer seen.

    Parameters
    ----------
    n : patients; every second one is treated
    dropout : ``MCAR``: one in five stops, whatever the values; ``MAR``: who stops depends on the last value seen;
        ``MNAR``: the same, and later values lie higher by a known difference
    effect : ``none``: treatment changes no value

    Returns
    -------
    frame : as of ``draw_visits``, and ``seen``: False after the patient has stopped coming

    Examples
    --------
    >>> draw_dropout(np.random.default_rng(1), 2)["seen"].head(6).tolist()
    [True, True, True, True, True, True]
    """
    treated, marker = draw_patients(rng, n)
    value, seen = _draw(rng, treated, marker, dropout, effect)
    return name_columns(value, treated, marker).assign(seen=seen.ravel())


def _draw(rng: Generator, treated: Floats, marker: Floats, dropout: Dropout, effect: Effect) -> tuple[Floats, Flags]:
    """Return values and whether they are seen; (n, 6) each."""
    value = draw_values(rng, treated, marker, effect=effect)
    if dropout == "MCAR":
        stops = np.full((len(value), len(DAYS) - 1), 1 - STAYS ** (1 / (len(DAYS) - 1)))
    else:
        slope = np.where(treated == 1, PER_VALUE["treated"], PER_VALUE["untreated"])[:, None]
        stops = 1 / (1 + np.exp(-LEAVES - slope * (value[:, :-1] - CENTRE)))
    comes = rng.random(stops.shape) >= stops
    seen = np.column_stack([np.ones(len(value), dtype=bool), np.logical_and.accumulate(comes, axis=1)])
    if dropout == "MNAR":
        value = value + np.where(treated == 1, DELTA["treated"], DELTA["untreated"])[:, None] * ~seen
    return value, seen


def truth_of_dropout(seed: int, n: int) -> list[Estimand]:
    """T11: the difference in all values, seen or not, and in those of whoever is left.

    Under MNAR what is seen is distributed as under MAR: an analysis that holds under MAR tends to MAR's truth.
    """
    text = (
        f"Treated − untreated, log ALT (× ULN), on day {DAYS[-1]} (last) and as the mean over the visits (mean); {{}}"
    ).format
    at_random = {"last": float(EFFECT[-1]), "mean": float(EFFECT.mean())}
    kinds: tuple[Dropout, ...] = ("MCAR", "MAR", "MNAR")
    found = []
    for chunk, kind in enumerate(kinds):
        own = f"dropout, {kind}"
        counts = _count(seed, n, chunk, kind)
        full = "all values, seen or not"
        if kind == "MNAR":
            found.append(counted("T11", "difference", text(full), counts["full"], n=n, mechanism=own))
            words = text("the limit of what takes dropout to be MAR: biased")
            found.append(closed("T11", "difference, as if MAR", words, at_random, mechanism=own))
        else:
            found.append(closed("T11", "difference", text(full), at_random, mechanism=own))
        for name, words in (
            ("complete cases", "in those seen at every visit"),
            ("values seen", "from each visit's means of the values seen, which GEE tends to"),
        ):
            words = text(words + (": biased" if kind != "MCAR" else ""))
            found.append(counted("T11", f"difference, {name}", words, counts[name], n=n, mechanism=own))
        words = f"Of the treated and the untreated, on day {DAYS[-1]}"
        found.append(counted("T11", "share seen", words, counts["seen"], n=n, mechanism=own))
    words = "By which values of the treated and the untreated, once they are no longer seen, lie higher than under MAR"
    found.append(closed("T11", "shift of what is not seen", words, DELTA, mechanism="dropout, MNAR"))
    return found


def _count(seed: int, n: int, chunk: int, dropout: Dropout) -> dict[str, dict[str, Number]]:
    """Return each analysis' differences, with the error from the parts in which they are counted."""
    tallies: dict[str, list[dict[str, float]]] = {}
    for part in range(PARTS):
        rng = open_stream("dropout", seed, chunk * PARTS + part)
        treated, marker = draw_patients(rng, n // PARTS)
        value, seen = _draw(rng, treated, marker, dropout, "default")
        for name, own in (
            ("full", np.ones_like(seen)), ("values seen", seen), ("complete cases", seen & seen[:, -1:]),
        ):  # fmt: skip
            gap = _means(value, own & (treated == 1)[:, None]) - _means(value, own & (treated == 0)[:, None])
            tallies.setdefault(name, []).append({"last": gap[-1], "mean": gap.mean()})
        last = {name: seen[treated == x, -1].mean() for name, x in (("treated", 1), ("untreated", 0))}
        tallies.setdefault("seen", []).append(last)
    return {
        name: {key: mean(np.array([part[key] for part in parts])) for key in parts[0]}
        for name, parts in tallies.items()
    }


def _means(value: Floats, own: Flags) -> Floats:
    """(6,) mean at each visit of the values that count."""
    return np.asarray((value * own).sum(axis=0) / own.sum(axis=0))
