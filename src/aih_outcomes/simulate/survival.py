"""Transplant and death: cause-specific hazards along the course."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import LIVER_FAILURE, NON_RESPONDER, Children
from aih_outcomes.simulate.course import NEVER, Course, State, Step
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, Mechanism, Parameters
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """Days since the first induction dose, whole, at least 1; NEVER where it does not come; shape (n,)."""

    transplant: Floats
    death: Floats  # before or after a transplant
    liver_death: Flags

    @property
    def first(self) -> Floats:
        """Day of transplant or death, whichever comes first."""
        return np.minimum(self.transplant, self.death)


def hazard_ratios(course: Course, children: Children, p: Parameters, mechanism: Mechanism) -> Floats:
    """Return each stretch's hazard of transplant and liver death relative to baseline, (n, k)."""
    fixed = np.where(children.asc, p.ratio_asc, 1.0) * np.where(children.persistent_inr, p.ratio_inr, 1.0)
    fixed = fixed * np.where(children.referred, p.ratio_referred, 1.0)
    fixed = fixed * (p.high_hazard if mechanism.hazard == "high" else 1.0)
    if mechanism.response_effect == "none":
        return np.broadcast_to(fixed[:, None], course.start.shape)
    ratio = np.where(course.state == State.RESPONSE, 1.0, p.ratio_no_response)
    relapsed = np.cumsum(course.step == Step.FLARE, axis=1) > 0
    ratio = ratio * np.where(relapsed, p.ratio_relapsed, 1.0)
    late = course.first(course.step == Step.SETTLED) > p.late_response
    fixed = fixed * np.where(late, p.ratio_late_response, 1.0)
    fixed = fixed * np.where(children.response_class == NON_RESPONDER, p.ratio_non_responder, 1.0)
    return np.asarray(ratio * fixed[:, None])


def baseline_hazard(p: Parameters, mechanism: Mechanism) -> tuple[float, ...]:
    """Return the baseline hazard of transplant per year in each band of ``hazard_knots``."""
    return p.null_transplant_hazard if mechanism.response_effect == "none" else p.transplant_hazard


def _cumulative(p: Parameters, mechanism: Mechanism) -> tuple[Floats, Floats]:
    knots = np.array(p.hazard_knots)
    hazard = np.array(baseline_hazard(p, mechanism))
    return knots, np.concatenate([[0.0], np.cumsum(hazard / DAYS_PER_YEAR * np.diff(knots))])


def _invert(course: Course, ratio: Floats, threshold: Floats, baseline: tuple[Floats, Floats]) -> Floats:
    """Return the day on which the cumulative hazard of each child reaches ``threshold`` (n,)."""
    knots, cumulative = baseline
    at_start = np.interp(course.start, knots, cumulative)
    grown = np.concatenate([np.diff(at_start, axis=1), cumulative[-1] - at_start[:, -1:]], axis=1) * ratio
    total = np.cumsum(grown, axis=1)
    stretch = np.minimum((total < threshold[:, None]).sum(axis=1), total.shape[1] - 1)
    rows = np.arange(len(threshold))
    before = total[rows, stretch] - grown[rows, stretch]
    base = at_start[rows, stretch] + (threshold - before) / ratio[rows, stretch]
    day = np.interp(base, cumulative, knots)
    return np.where(total[:, -1] < threshold, NEVER, day)


def draw_survival(
    seed: int, course: Course, children: Children, p: Parameters, mechanism: Mechanism, *, chunk: int = 0
) -> Survival:
    """Draw the days of transplant and death."""
    rng = open_stream("survival", seed, chunk)
    wait, u = rng.standard_exponential((4, children.n)), rng.random((4, children.n))
    ratio, baseline = hazard_ratios(course, children, p, mechanism), _cumulative(p, mechanism)
    failing = children.presentation == LIVER_FAILURE
    more = p.high_hazard if mechanism.hazard == "high" else 1.0
    transplant = _invert(course, ratio, wait[0], baseline)
    early = failing & (u[0] < p.failure_transplant)
    transplant = np.where(early, np.minimum(transplant, p.failure_days * u[1]), transplant)
    liver = _invert(course, ratio * p.liver_death_share, wait[1], baseline)
    liver = np.where(failing & ~early & (u[0] < p.failure_transplant + p.failure_death),
                     np.minimum(liver, p.failure_days * u[1]), liver)  # fmt: skip
    other = wait[2] / (p.other_death * more) * DAYS_PER_YEAR
    transplant, liver, other = _whole(transplant), _whole(liver), _whole(other)
    death = np.minimum(liver, other)
    transplanted = transplant < death
    after = transplant + np.ceil(wait[3] / p.death_after_transplant * DAYS_PER_YEAR)
    return Survival(
        transplant=np.where(transplanted, transplant, NEVER),
        death=np.where(transplanted, np.minimum(after, np.maximum(other, transplant + 1)), death),
        liver_death=np.where(transplanted, u[3] < 0.6, liver <= other),
    )


def _whole(day: Floats) -> Floats:
    """Return whole days, at least 1: nobody dies on day 0."""
    return np.where(day >= NEVER, NEVER, np.maximum(np.ceil(day), 1.0))
