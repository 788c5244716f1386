"""Ticks that a human would choose."""

from __future__ import annotations

import math

import numpy as np

DAYS_PER_MONTH = 365.25 / 12
DAYS_PER_YEAR = 365.25
MONTHS = (0, 1, 3, 6, 12)
ULN_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
RATIO_TICKS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10, 20)


def time_ticks(end: float, unit: str) -> list[float]:
    """Return ticks from 0 to at most ``end``: years 0, 1, 2, 5, 10; months 0, 1, 3, 6, 12.

    Examples
    --------
    >>> time_ticks(10, "years")
    [0.0, 1.0, 2.0, 5.0, 10.0]
    """
    if unit.startswith("month"):
        ticks = list(MONTHS) if end < 18 else [0, 6, *range(12, math.ceil(end) + 1, 12 if end < 100 else 60)]
    elif unit.startswith("day"):
        ticks = [0, 28, 91, 182, 365] if end < 500 else list(range(0, math.ceil(end) + 1, 365 if end < 3000 else 1825))
    elif end <= 2.5:
        ticks = list(np.arange(0, end + 1e-9, 0.25 if end <= 1 else 0.5))
    elif end <= 6:
        ticks = list(range(math.ceil(end) + 1))
    elif 7 <= end < 10:
        ticks = [0, 2, 4, 6, 8]  # with 5 as the last the longer half would have none
    else:
        ticks = [0, 1, 2, *range(5, math.ceil(end) + 1, 5)] if end <= 16 else list(range(0, math.ceil(end) + 1, 5))
    return [float(tick) for tick in ticks if tick <= end + 1e-9]


def log_ticks(low: float, high: float, candidates: tuple[float, ...]) -> list[float]:
    """Return the candidates that span ``low`` to ``high``, one beyond each end where they fall between."""
    below = [tick for tick in candidates if tick <= low * 1.001] or [candidates[0]]
    above = [tick for tick in candidates if tick >= high * 0.999] or [candidates[-1]]
    return [tick for tick in candidates if below[-1] <= tick <= above[0]]


def thin_out(ticks: list[float], keep: float, *, most: int = 7) -> list[float]:
    """Return every second tick, ``keep`` among them, where there are more than ``most``.

    Examples
    --------
    >>> thin_out([0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10], 1)
    [0.05, 0.25, 1, 4]
    """
    return ticks[ticks.index(keep) % 2 :: 2] if len(ticks) > most else ticks


def plain(number: float) -> str:
    """Write a tick without trailing zeros: 0.25, 1, 20; below 0.1 with two decimals."""
    return f"{number:.2f}" if 0 < number < 0.1 else f"{number:g}"
