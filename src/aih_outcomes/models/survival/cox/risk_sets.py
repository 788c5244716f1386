"""Who is at risk when: every row mapped once to the span of distinct event times at which it is at risk.

A sum over a risk set is then a sum per position and a reversed cumulative sum, exact under ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

BLOCK = 8192  # rows whose products stay in the processor's cache
TABLE = 4  # a table of whole days may be this many times as long as there are rows


@dataclass(frozen=True, slots=True, eq=False)
class RiskSets:
    """Who is at risk when. Event times are numbered 0 … n_times − 1, stratum after stratum.

    Attributes
    ----------
    first, last : (n_rows,) a row is at risk at event times first <= k < last
    event_rows : (n_events,) rows that end in an event; ``event_time`` : (n_events,) the number of their event time
    fraction : (n_events,) Efron's j/d; 0 for Breslow
    event_weight : (n_events,) mean weight of the events tied with it
    weight : (n_rows,) case weights
    time : (n_times,) the event times themselves; ``stratum`` : (n_times,) the number of their stratum
    heads : (n_times,) the first event of each event time
    row_stratum : (n_rows,) the number of each row's stratum; None where there is one
    offset : (n_rows,) part of the linear predictor with coefficient 1; None for 0
    late : some rows enter after the first event time
    """

    first: Index
    last: Index
    event_rows: Index
    event_time: Index
    fraction: Vector
    event_weight: Vector
    weight: Vector
    time: Vector
    stratum: Index
    heads: Index
    row_stratum: Index | None = None
    offset: Vector | None = None
    late: bool = True

    @property
    def n_times(self) -> int:
        """Number of distinct event times."""
        return len(self.time)

    def at_risk(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, n_times) sum of ``values`` (…, n_rows) over those at risk at each event time."""
        leaving = _count(self.last, values, self.n_times)
        if self.late:
            leaving -= _count(self.first, values, self.n_times)
        return np.cumsum(leaving[..., ::-1], axis=-1)[..., -2::-1]

    def at_events(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, n_times) sum of ``values`` (…, n_events) over the events at each event time."""
        if len(self.event_time) == self.n_times:  # no ties
            return np.asarray(values, float)
        return np.asarray(np.add.reduceat(values, self.heads, axis=-1), float)

    def while_at_risk(self, values: Matrix) -> Matrix:
        """(n_rows, …) sum of ``values`` (n_times, …) over the event times at which each row is at risk."""
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        here: Matrix = total[self.last]
        for start in range(0, len(here) if self.late else 0, BLOCK):
            here[start : start + BLOCK] -= total[self.first[start : start + BLOCK]]
        return here


def map_risk_sets(
    entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector, strata: Index | None, *, efron: bool,
    offset: Vector | None = None,
) -> RiskSets:  # fmt: skip
    """Map every row to the event times of its stratum at which it is at risk (entry < t <= exit).

    Parameters
    ----------
    entry, exit, event, weight, strata : (n_rows,); strata are numbered from 0, None for one
    offset : (n_rows,) added to the linear predictor
    """
    event_rows = np.flatnonzero(event)
    times = np.unique(exit[event_rows])
    since, until = _places(times, entry), _places(times, exit)
    keys = np.arange(1, len(times) + 1)
    if strata is not None and not strata.any():
        strata = None
    if strata is not None:  # the same times once more in each stratum
        since, until = (strata * (len(times) + 1) + place for place in (since, until))
        keys = np.unique(until[event_rows])
        since, until = _places(keys, since), _places(keys, until)
    time, stratum = times[(keys - 1) % (len(times) + 1)], (keys - 1) // (len(times) + 1)
    event_rows = event_rows[np.argsort(until[event_rows], kind="stable")]
    event_time = until[event_rows] - 1
    tied = np.bincount(event_time, minlength=len(keys))
    heads = np.cumsum(tied) - tied
    place = np.arange(len(event_rows)) - heads[event_time]
    fraction = place / tied[event_time] if efron else np.zeros(len(event_rows))
    mean_weight = np.bincount(event_time, weight[event_rows], len(keys))[event_time] / tied[event_time]
    return RiskSets(
        since, until, event_rows, event_time, fraction, mean_weight, weight, time, stratum, heads,
        strata, offset, bool(since.any()),
    )  # fmt: skip


def _count(position: Index, values: NDArray[np.float64], n_times: int) -> NDArray[np.float64]:
    """(…, n_times + 1) sum of ``values`` (…, n_rows) at each position."""
    if values.ndim == 1:
        return np.bincount(position, values, n_times + 1).astype(float, copy=False)
    return np.array([_count(position, own, n_times) for own in values]).reshape(*values.shape[:-1], n_times + 1)


def _places(ordered: NDArray[np.float64] | Index, values: NDArray[np.float64] | Index) -> Index:
    """(n,) how many of the ``ordered``, distinct numbers are no larger than each value; by a table of whole numbers."""
    low, high = (float(ordered[0]), float(ordered[-1])) if len(ordered) else (0.0, 0.0)
    whole = high - low < TABLE * len(values) and bool(np.all(ordered == np.floor(ordered)))
    if not whole:
        return np.searchsorted(ordered, values, "right")
    table = np.zeros(int(high - low) + 2, np.int64)
    table[(ordered - low).astype(np.int64) + 1] = 1
    cell = np.floor(values, dtype=np.float64)
    cell -= low - 1
    place: Index = np.clip(cell, 0, len(table) - 1, out=cell).astype(np.int64)
    return np.asarray(np.cumsum(table)[place])
