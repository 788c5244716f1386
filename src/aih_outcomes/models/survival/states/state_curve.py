"""The curves of one group: how probable each state is at each time, with the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.states.aalen_johansen import (
    Steps,
    count_steps,
    occupy,
    share_at_start,
    sum_at_risk,
)
from aih_outcomes.models.survival.states.jackknife import horizon_influence, occupation_variances
from aih_outcomes.models.survival.states.products import Matrices
from aih_outcomes.models.survival.states.spells import STAYS, Codes, Mask, Spells
from aih_outcomes.outcomes import Vector

QUANTILE_TOLERANCE = float(np.sqrt(np.finfo(float).eps))  # R's, for "the curve equals p"
SETTLED = 1e-12  # so little is left in states that can be left


@dataclass(frozen=True, slots=True, eq=False)
class StateCurve:
    """K states of one group at G distinct times at which someone leaves a state or follow-up.

    Attributes
    ----------
    strata : name of the group
    start : time from which the curves run
    spells, steps : what they are made of
    time : (G,) sorted
    n_risk : (G, K) patients at risk in each state just before ``time``
    n_event, n_censor : (G, K) transitions into a state at ``time``; patients whose follow-up ends in it
    occupied, std_error : (T + 1, K) probabilities and standard errors by slot of ``steps``
    shared_risk : those at risk in the first state are at risk of all others (cumulative incidence)
    start_estimated : the distribution at the start is that of those at risk then, and its error counts
    """

    strata: str
    start: float
    spells: Spells
    steps: Steps
    time: Vector
    n_risk: Matrices
    n_event: Matrices
    n_censor: Matrices
    occupied: Matrices
    std_error: Matrices
    shared_risk: bool = False
    start_estimated: bool = False

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.occupied.shape[1])

    @property
    def n(self) -> int:
        """Number of patients behind the curves."""
        return len(np.unique(self.spells.patient))

    def slot(self, times: Vector) -> Codes:
        """Return the slot of ``steps`` that holds at each time, the time's own transitions included."""
        return np.searchsorted(self.steps.time, times, side="right").astype(np.int64)

    def known(self, times: Vector) -> Mask:
        """Return whether anything is known at each time: from the start to the last time someone is followed.

        Later where no transition can come: nothing is left in a state in which anyone was followed.
        """
        left = self.occupied[-1, np.unique(self.spells.origin)].sum() > SETTLED
        return np.asarray((times >= self.start) & ((times <= self.time[-1]) | (not left)), bool)

    def at_risk(self, times: Vector) -> Matrices:
        """(m, K) patients with entry < t <= exit in each state; at the start those who are followed from then on."""
        counts = np.zeros((len(times), self.n_states))
        early = times <= self.start
        for state in np.unique(self.spells.origin):
            here = self.spells.origin == state
            entry, exit = np.sort(self.spells.entry[here]), np.sort(self.spells.exit[here])
            before = np.searchsorted(entry, times) - np.searchsorted(exit, times)
            after = np.searchsorted(entry, times, "right") - np.searchsorted(exit, times, "right")
            counts[:, state] = np.where(early, after, before)
        return np.repeat(counts[:, :1], self.n_states, axis=1) if self.shared_risk else counts

    def mean_times(self, horizon: float) -> tuple[Vector, Vector]:
        """Return the mean time in each state (K,) up to a horizon and its standard error; NaN where not known."""
        if not self.known(np.array([horizon]))[0]:
            return np.full(self.n_states, np.nan), np.full(self.n_states, np.nan)
        edges = np.clip(np.concatenate([[self.start], self.steps.time, [np.inf]]), self.start, horizon)
        lengths = np.diff(edges)
        start = self.occupied[0] if self.start_estimated else None
        influence = horizon_influence(self.spells, self.steps, self.occupied, start, lengths)
        whole = horizon - self.start  # squares of very long times overflow
        return lengths @ self.occupied, np.sqrt(((influence / whole) ** 2).sum(axis=0)) * whole


def estimate_state_curve(
    strata: str, spells: Spells, n_states: int, start: float, distribution: Vector | None, *, start_estimated: bool
) -> StateCurve:
    """Estimate the occupation probabilities of one group.

    Parameters
    ----------
    spells : arranged, followed after ``start``
    distribution : (n_states,) probabilities at the start; None for those of the patients then at risk
    start_estimated : the error of that distribution counts

    Raises
    ------
    OutcomeError : nobody is followed, or nobody in the states of the given distribution
    """
    refuse_nobody(strata, spells, start)
    steps = count_steps(spells, n_states)
    share = share_at_start(spells, steps, n_states) if distribution is None else distribution
    if share[np.unique(spells.origin)].sum() == 0:
        raise OutcomeError(
            f"Nobody in group {strata!r} is followed in a state in which the patients start",
            "Who starts in a state that nobody leaves, such as death, has no course",
            "Give another start=..., or None for the states of those at risk",
        )
    occupied = occupy(share, steps)
    variances = occupation_variances(spells, steps, occupied, share if start_estimated else None)
    time = np.unique(spells.exit)
    return StateCurve(
        strata, start, spells, steps, time, *_count(spells, time, n_states), occupied, np.sqrt(variances),
        start_estimated=start_estimated,
    )  # fmt: skip


def share_risk(curve: StateCurve) -> StateCurve:
    """Return the curve with everyone at risk in the first state counted at risk of each other one."""
    n_event = curve.n_event.copy()
    n_event[:, 0] = curve.n_event[:, 1:].sum(axis=1)
    everyone = [np.repeat(part[:, :1], curve.n_states, axis=1) for part in (curve.n_risk, curve.n_censor)]
    return replace(curve, n_risk=everyone[0], n_event=n_event, n_censor=everyone[1], shared_risk=True)


def refuse_nobody(strata: str, spells: Spells, start: float) -> None:
    """Refuse a group without a spell.

    Raises
    ------
    OutcomeError
    """
    if not len(spells.exit):
        raise OutcomeError(
            f"Nobody in group {strata!r} is followed after {start:g}", "A curve needs someone at risk",
            "Choose an earlier from_day, or leave the group out by name",
        )  # fmt: skip


def find_quantile(start: float, time: Vector, reached: Vector, p: float) -> float:
    """Return when a curve that rises from ``reached[0]`` at ``start`` comes to ``p``; NaN if it never does.

    R's rule (``quantile.survfit``): the middle of a step that lies at ``p`` exactly.

    Parameters
    ----------
    time : (n,); ``reached`` (n + 1,) from the start on, NaN where a limit is not known
    """
    times, known = np.concatenate([[start], time]), np.isfinite(reached)
    height, first = np.unique(reached[known], return_index=True)
    when = times[known][first]
    comes = int(np.searchsorted(height + QUANTILE_TOLERANCE, p))
    if comes == len(height):
        return float("nan")
    passes = int(np.searchsorted(height - QUANTILE_TOLERANCE, p))
    if comes == 0 and p == 0:
        return start
    return float((when[comes] + (times[-1] if passes == len(height) else when[passes])) / 2)


def _count(spells: Spells, time: Vector, n_states: int) -> tuple[Matrices, Matrices, Matrices]:
    """Count patients at risk, arriving and lost, at each distinct time of leaving and in each state."""
    shape = (len(time), n_states)
    first, last = np.searchsorted(time, spells.entry, "right"), np.searchsorted(time, spells.exit, "right")
    n_risk = sum_at_risk(first, last, spells.origin, np.ones(len(first)), shape)
    moves = spells.moves
    cells = len(time) * n_states
    arriving = np.bincount((last[moves] - 1) * n_states + spells.target[moves], minlength=cells)
    ends = spells.target == STAYS
    lost = np.bincount((last[ends] - 1) * n_states + spells.origin[ends], minlength=cells)
    return n_risk, arriving.reshape(shape).astype(float), lost.reshape(shape).astype(float)
