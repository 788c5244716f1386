"""Numbers with the range that a missing value or a sign such as ``<`` leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aih_outcomes.endpoints.response.evaluation import AT_LIMIT
from aih_outcomes.endpoints.timelines import ABOVE, BELOW, Flags, Floats

LEAST, MOST = 1e-6, 1e6  # stand for "hardly any" and "without limit": their logarithms are still numbers
JUST_BEYOND = 1e-6  # relative: "<40" ends this far below 40; wider than AT_LIMIT, so that it counts as below


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """The lowest and highest a number may be, per patient (n,): equal where it is known, NaN where there is none."""

    low: Floats
    high: Floats

    @property
    def missing(self) -> Flags:
        """Whether there is no number at all."""
        return np.isnan(self.low)

    @property
    def open(self) -> Flags:
        """Whether there is a number, known only as a bound."""
        return self.low < self.high

    def __add__(self, other: Range) -> Range:
        """Return the range of the sum."""
        return Range(self.low + other.low, self.high + other.high)

    def scaled(self, factor: Floats) -> Range:
        """Return the range in another unit; ``factor`` is positive."""
        return Range(self.low * factor, self.high * factor)

    def at_most(self, cap: float) -> Range:
        """Return the range where no number exceeds ``cap``."""
        return Range(np.minimum(self.low, cap), np.minimum(self.high, cap))


def exactly(value: Floats) -> Range:
    """Return plain numbers as ranges."""
    return Range(value, value)


def read_signs(value: Floats, sign: Floats, strict: Flags) -> Range:
    """Return what results mean, sign included: ``<40`` is anything below 40, ``>=40`` is 40 or more.

    Parameters
    ----------
    sign, strict : as in ``timelines.Labs``
    """
    low, high, nudge = value.copy(), value.copy(), value * JUST_BEYOND * strict
    below, above = sign == BELOW, sign == ABOVE
    low[below], high[below] = LEAST, np.maximum(value - nudge, LEAST)[below]
    low[above], high[above] = (value + nudge)[above], MOST
    return Range(low, high)


def larger(first: Range, second: Range) -> Range:
    """Return the range of the larger of two numbers, both known at least as a range."""
    return Range(np.maximum(first.low, second.low), np.maximum(first.high, second.high))


def at_least(limit: float) -> float:
    """Return a threshold that numbers equal to ``limit`` reach, the last bit of a conversion aside."""
    return limit * (1 - AT_LIMIT)


def over(limit: float) -> float:
    """Return a threshold that numbers equal to ``limit`` do not reach, the last bit of a conversion aside."""
    return limit * (1 + AT_LIMIT)


def give_points(size: Range, thresholds: Sequence[float], points: Sequence[float]) -> Range:
    """Return the points for sizes: ``points[k]`` where ``k`` thresholds are reached; any of them where it is missing.

    Parameters
    ----------
    thresholds : ascending; made by ``at_least`` or ``over``
    points : one more than thresholds, ascending or descending
    """
    worth = np.asarray(points, dtype=float)
    ends = [worth[np.searchsorted(thresholds, end, side="right")] for end in (size.low, size.high)]
    low = np.where(size.missing, worth.min(), np.minimum(*ends))
    high = np.where(size.missing, worth.max(), np.maximum(*ends))
    return Range(low, high)


def points_for(fact: Floats, *, yes: float, no: float = 0.0) -> Range:
    """Return the points for a fact (1 yes, 0 no, NaN not known): either of them where it is not known."""
    unknown = np.isnan(fact)
    known = np.where(fact == 1, yes, no)
    return Range(np.where(unknown, min(yes, no), known), np.where(unknown, max(yes, no), known))
