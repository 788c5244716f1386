"""Nominal visits: which value stands for which visit, for a description and for a model alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_numbers

Window = tuple[float, float, float]  # first day, nominal day, last day; both ends belong to it
WINDOWS = "visits={'month 6': (150, 182, 212)}"
Visits = Mapping[str, Window] | Sequence[float]


def read_windows(visits: Visits) -> dict[str, Window]:
    """Return windows by name, earliest first.

    Parameters
    ----------
    visits : name → (first day, nominal day, last day), or nominal days alone, whose windows reach half-way to the next

    Raises
    ------
    OutcomeError : no visits, or no numbers; a window that does not hold its nominal day; windows that overlap
    """
    if isinstance(visits, Mapping):
        windows = {str(name): _three_days(window) for name, window in visits.items()}
    else:
        windows = _half_way(read_numbers("visits", visits, "visits=[28, 91, 182]").tolist())
    ordered = sorted(windows.values())
    wrong = sum(not low <= day <= high for low, day, high in ordered)
    overlapping = sum(b[0] <= a[2] for a, b in pairwise(ordered))
    if not windows or wrong or overlapping:
        raise OutcomeError(
            f"Of {len(windows)} visit window(s) {wrong} do not hold their nominal day and {overlapping} "
            "overlap the one before",
            "A visit is (first day, nominal day, last day), and a value belongs to one visit at most",
            "Give windows such as {'month 6': (150, 182, 212)}, or nominal days alone",
        )
    return dict(sorted(windows.items(), key=lambda item: item[1]))


def values_at_visits(frame: pd.DataFrame, windows: Mapping[str, Window]) -> pd.DataFrame:
    """Keep one row per patient and visit: the value nearest the nominal day, the earlier of two equally near.

    Parameters
    ----------
    frame : ``patient_id, time, value``, …
    windows : as ``read_windows`` returns them

    Returns
    -------
    frame : its rows in the order of patient and visit; ``visit`` is categorical in the order of the windows; values of
        the day picked are averaged. Never the worst value and never the visit's mean, which would follow flares
    """
    low, nominal, high = (np.array([window[part] for window in windows.values()]) for part in range(3))
    time = frame["time"].to_numpy(float)
    at = np.searchsorted(low, time, side="right") - 1
    inside = (at >= 0) & (time <= high[at])
    codes = np.where(inside, at, -1)
    names = pd.Categorical.from_codes(codes, categories=pd.Index(list(windows), dtype=object))  # type: ignore[arg-type]  # whole numbers
    rows = frame.assign(visit=names, distance=np.abs(time - nominal[at]))[inside]
    if rows.duplicated(["patient_id", "time"]).any():
        rows["value"] = rows.groupby(["patient_id", "time"], sort=False)["value"].transform("mean")
    nearest = rows.sort_values(["distance", "time"], kind="stable").drop_duplicates(["patient_id", "visit"])
    return nearest.sort_index().drop(columns="distance")


def _three_days(window: object) -> Window:
    days = read_numbers("visits", window, WINDOWS)
    if len(days) != 3:
        raise OutcomeError(
            f"A visit window has {len(days)} day(s)", "It is (first day, nominal day, last day)", f"Write {WINDOWS}"
        )
    low, day, high = days.tolist()
    return low, day, high


def _half_way(days: list[float]) -> dict[str, Window]:
    """Windows that reach half-way to the neighbours; a value half-way belongs to the earlier visit."""
    days = sorted(set(days))
    if len(days) < 2:
        return {f"day {day:g}": (-np.inf, day, np.inf) for day in days}
    middles = [(a + b) / 2 for a, b in pairwise(days)]
    lows = [2 * days[0] - middles[0], *[float(np.nextafter(middle, np.inf)) for middle in middles]]
    highs = [*middles, 2 * days[-1] - middles[-1]]
    return {f"day {day:g}": (low, day, high) for low, day, high in zip(lows, days, highs, strict=True)}
