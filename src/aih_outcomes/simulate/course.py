"""The latent course of the disease: what happens to a liver whether or not anybody looks, and what its doctors do.

A course is a row of *stretches*. In each, ALT moves from where it is towards a target, ALT(t) = P + (A − P) · 2^(−t/h);
the next begins at a flare, a failure or a treatment. All else (results, doses, transplant, death) is read off the
stretches. All children take their k-th step together: no loop over patients.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.children import NON_RESPONDER, Children
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, Parameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER = 1e9  # a day that does not come


class State(IntEnum):
    """Where the disease stands during a stretch."""

    INDUCTION = 0
    RESPONSE = 1
    FLARE = 2
    FAILING = 3
    BURST = 4  # failing, under a course of steroid


class Step(IntEnum):
    """What began a stretch."""

    INDUCTION = 0
    SETTLED = 1  # low-grade activity ended
    FAILED = 2  # non-response became plain
    DECISION = 3  # second and later lines
    STEROID_SPENT = 4
    FLARE = 5
    RETREATED = 6
    WITHDRAWAL = 7


class Option(IntEnum):
    """What was newly given."""

    NONE = 0
    MYCOPHENOLATE = 1
    CNI = 2
    EMPIRICAL = 3
    MATCHED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Stretches of each child, arrays of shape (n, k); days since the first induction dose; NEVER where none."""

    start: Floats
    state: Ints
    step: Ints
    option: Ints
    target: Floats  # ALT, × ULN
    half_life: Floats
    igg_target: Floats  # × ULN
    off_treatment: Flags
    peak: Floats  # noise at a decision, in standard deviations; NaN elsewhere
    eligible: Flags  # begins where a matched drug comes into question
    chance: Floats  # of a switch there, given the history; NaN elsewhere
    panel: Floats  # (n,) day of the gene result; NEVER where untested

    def first(self, chosen: Flags) -> Floats:
        """Return the first day of a stretch among ``chosen`` (n, k), NEVER where there is none; shape (n,)."""
        return np.asarray(np.where(chosen, self.start, NEVER).min(axis=1))

    def until(self) -> Floats:
        """Return the day each stretch ends, (n, k): the start of the next."""
        last = np.full((len(self.start), 1), NEVER)
        return np.concatenate([self.start[:, 1:], last], axis=1)


STRETCH_FIELDS = (
    "start", "state", "step", "option", "target", "half_life", "igg_target", "off_treatment", "peak", "eligible",
    "chance",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Fate:
    """What a child will do, drawn once: arrays of shape (n,)."""

    early_target: Floats  # × ULN after induction
    half_life: Floats
    settles: Floats  # day on which low-grade activity ends, or on which failure is plain
    quiet: Floats  # × ULN in response
    igg_early: Floats  # × ULN until settled
    igg_quiet: Floats
    withdrawal: Floats
    flare_rate: Floats  # per day in response on treatment
    era: Floats  # day on which gene panels reach the centre, on the child's clock
    panel_lag: Floats
    tested_if_difficult: Flags
    panel: Floats  # day of a result that no difficulty prompted


def draw_fate(children: Children, rng: Generator, p: Parameters) -> Fate:
    """Draw what settles a child's course before anything happens."""
    n, failing = children.n, children.response_class == NON_RESPONDER
    z, u = rng.standard_normal((6, n)), rng.random((12, n))
    low_grade = u[11] < np.array(p.low_grade_share)[children.response_class]
    quiet = np.where(u[1] < p.never_quiet, _between(p.smouldering_xuln, u[2]), p.quiet[0] * np.exp(p.quiet[1] * z[2]))
    early = np.where(low_grade, p.low_grade[0] * np.exp(p.low_grade[1] * z[0]), quiet * np.exp(p.quiet[1] * z[0]))
    early = np.minimum(early, p.low_grade_at_most * children.alt / children.alt_uln)
    early = np.where(failing, _between(p.non_responder_plateau, u[0]) * children.alt / children.alt_uln, early)
    until = np.where(low_grade, np.clip(p.low_grade_until[0] * np.exp(p.low_grade_until[1] * z[1]), 60, 1400),
                     _between(p.settled_early, u[3]))  # fmt: skip
    era = _between(p.panel_from, u[6]) - children.diagnosis - children.lag
    return Fate(
        early_target=early,
        half_life=np.array(p.half_life)[children.response_class] * np.exp(p.half_life_spread * z[3]),
        settles=np.where(failing, _between(p.failure_plain, u[3]), until),
        quiet=quiet,
        igg_early=p.igg_early[0] * np.exp(p.igg_early[1] * z[5]),
        igg_quiet=p.igg_quiet[0] * np.exp(p.igg_quiet[1] * z[4]),
        withdrawal=np.where(u[4] < p.withdrawal_share, _between(p.withdrawal_after, u[5]), NEVER),
        flare_rate=p.flare_rate / DAYS_PER_YEAR * children.frailty
        * np.where(children.non_adherent, p.flare_non_adherent, 1.0),
        era=era,
        panel_lag=_between(p.panel_lag, u[7]),
        tested_if_difficult=u[8] < p.panel_difficult,
        panel=np.where(u[9] < p.panel_other, np.maximum(era, 0) + 365 * u[10], NEVER),
    )  # fmt: skip


def _between(limits: tuple[float, float], u: Floats) -> Floats:
    return limits[0] + (limits[1] - limits[0]) * u


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A quantity along the stretches: where each begins (n, k), its target and its half-life."""

    start: Floats
    begin: Floats
    target: Floats
    half_life: Floats

    def at(self, day: Floats) -> Floats:
        """Return the noise-free level at ``day`` (n, m); before day 0 the level of day 0."""
        stretch = find_stretch(self.start, day)
        rows = np.arange(len(day))[:, None]
        since = np.maximum(day - self.start[rows, stretch], 0.0)
        target = self.target[rows, stretch]
        return np.asarray(
            target + (self.begin[rows, stretch] - target) * np.exp2(-since / self.half_life[rows, stretch])
        )


def trim(levels: Levels, until: float) -> Levels:
    """Return the levels without the stretches that begin after ``until`` for every child: the same, and quicker."""
    k = int((levels.start <= until).any(axis=0).sum())
    return Levels(*(a[:, :k] for a in (levels.start, levels.begin, levels.target, levels.half_life)))


def find_stretch(start: Floats, day: Floats) -> Ints:
    """Return the index of the stretch that holds each day, (n, m); a change on a day applies from that day."""
    found = np.zeros(day.shape, np.int64)
    for k in range(1, start.shape[1]):
        found += day >= start[:, k, None]
    return found


def follow_levels(course: Course, baseline: Floats, target: Floats, half_life: Floats) -> Levels:
    """Return the level at the start of each stretch, given the level at day 0 and targets and half-lives (n, k)."""
    begin = np.empty_like(target)
    begin[:, 0] = baseline
    lasts = np.minimum(course.until(), NEVER) - course.start
    for k in range(1, target.shape[1]):
        fallen = np.exp2(-lasts[:, k - 1] / half_life[:, k - 1])
        begin[:, k] = target[:, k - 1] + (begin[:, k - 1] - target[:, k - 1]) * fallen
    return Levels(course.start, begin, target, half_life)
