"""Times at which a curve is shown: someone leaves or, under late entry, comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class ShownTimes:
    """Times of the rows of one curve, and which of its steps holds at each.

    Attributes
    ----------
    time : (m,) sorted
    step : (m,) number of steps of the curve up to and including each time; 0 before the first
    is_step : (m,) whether a step of the curve lies at it
    """

    time: Vector
    step: NDArray[np.int64]
    is_step: NDArray[np.bool_]

    def hold(self, values: Vector, beginning: float) -> Vector:
        """(m, …) what holds at each time: a value per step (n_steps, …), before the first ``beginning``."""
        before = np.full((1, *values.shape[1:]), beginning)
        return np.concatenate([before, values])[self.step]

    def count(self, counts: Vector) -> Vector:
        """(m, …) what happens at each time: a count per step (n_steps, …), none between them."""
        own = self.is_step.reshape(-1, *[1] * (counts.ndim - 1))
        return np.where(own, self.hold(counts, 0.0), 0.0)


def list_times(steps: Vector, entry: Vector, start: float) -> ShownTimes:
    """List the steps of a curve and, where some enter late, its start and every time of entry.

    Between two of these nobody comes or leaves, so that who is at risk at any time stands in the row that follows, as
    with R's ``survfit(entry = TRUE)``. Where all enter at the start the steps alone say it.

    Parameters
    ----------
    steps : (n_steps,) distinct times at which someone leaves, sorted
    entry : (n,) when each spell begins
    start : where the curve begins
    """
    late = entry[entry > start]
    time = np.union1d(steps, np.append(late, start)) if len(late) else steps
    step = np.searchsorted(steps, time, side="right").astype(np.int64)
    return ShownTimes(time, step, step > np.searchsorted(steps, time, side="left"))
