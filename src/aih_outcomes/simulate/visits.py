"""When blood is taken: planned visits with jitter and gaps, and unplanned ones when something is wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.course import NEVER, Course, Step
from aih_outcomes.simulate.parameters import Parameters
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

AFTER_ALARM = (0.0, 14.0, 28.0, 56.0)  # days of samples after a flare or a decision: project


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Samples in order of time, (n, m); day NEVER pads the rows."""

    day: Floats
    scheduled: Flags
    held: Flags  # not missed; a flare's own sample is always held
    first: Flags  # the sample before treatment


def _planned(n: int, p: Parameters, until: float, seed: int, chunk: int) -> tuple[Floats, Flags]:
    rng = open_stream("visits", seed, chunk)
    quarterly = np.arange(182, p.quarterly_until + 1, 91)
    later = max(0, int(np.ceil((until - p.quarterly_until) / p.later_every[0])))
    u, gap = rng.random((2, n, len(p.early_visits) + len(quarterly))), rng.random((n, later))
    fixed = np.concatenate([p.early_visits, quarterly]).astype(float)
    room = np.where(fixed < 60, 2.0, np.where(fixed < 100, 5.0, 9.0))  # jitter in days; never past a window's end
    day = fixed + np.rint((u[0] * 2 - 1) * room) - np.where((fixed == 182) | (fixed == 364), 10.0, 0.0)
    day[:, 0] = -np.floor(u[0][:, 0] * 4)
    far = p.quarterly_until + np.cumsum(np.rint(p.later_every[0] + (p.later_every[1] - p.later_every[0]) * gap), axis=1)
    held = u[1] >= np.where(fixed == 0, 0.04, p.missed)
    more = rng.random((n, later)) >= p.missed
    return np.concatenate([day, far], axis=1), np.concatenate([held, more], axis=1)


def draw_visits(
    seed: int, course: Course, p: Parameters, *, until: float, chunk: int = 0, unscheduled: bool = True
) -> Visits:
    """Draw the days of all samples up to ``until`` (days), the missed ones included.

    Parameters
    ----------
    unscheduled : add the samples that flares and decisions prompt
    """
    planned, held = _planned(len(course.start), p, until, seed, chunk)
    day, scheduled = planned, np.ones(planned.shape, bool)
    if unscheduled:
        alarm = np.where((course.step == Step.RETREATED) | (course.step == Step.DECISION), course.start, NEVER)
        alarm = alarm[:, (alarm <= until).any(axis=0)]
        extra = np.concatenate(
            [np.where(alarm < NEVER, np.floor(alarm + after), NEVER) for after in AFTER_ALARM], axis=1
        )
        near = (np.abs(extra[:, :, None] - planned[:, None, :]) < 2).any(axis=2)
        extra = np.where(near, NEVER, extra)
        day = np.concatenate([planned, extra], axis=1)
        held = np.concatenate([held, np.ones(extra.shape, bool)], axis=1)
        scheduled = np.concatenate([scheduled, np.zeros(extra.shape, bool)], axis=1)
    day, held, scheduled = _in_order(np.where(day <= until, day, NEVER), held, scheduled)
    twice = np.concatenate([np.zeros((len(day), 1), bool), np.diff(day, axis=1) == 0], axis=1)
    day, held, scheduled = _in_order(np.where(twice, NEVER, day), held, scheduled)
    return Visits(day=day, scheduled=scheduled, held=held & (day < NEVER), first=day <= 0)


def _in_order(day: Floats, held: Flags, scheduled: Flags) -> tuple[Floats, Flags, Flags]:
    order = np.argsort(day, axis=1, kind="stable")
    return tuple(np.take_along_axis(a, order, axis=1) for a in (day, held, scheduled))  # type: ignore[return-value]
