"""P(s, t) of one group, with its errors and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.survival.states.aalen_johansen import (
    Steps,
    TransitionVariance,
    count_steps,
    multiply_steps,
    sum_at_risk,
    transition_variances,
)
from aih_outcomes.models.survival.states.products import Matrices
from aih_outcomes.models.survival.states.spells import Codes, Spells
from aih_outcomes.models.survival.states.state_curve import refuse_nobody


@dataclass(frozen=True, slots=True, eq=False)
class TransitionMatrix:
    """P(s, t) of one group by slot of ``steps`` (T of them, K states).

    Attributes
    ----------
    spells, steps : what it is made of
    n_risk : (T, K) patients at risk in each state just before a transition; ``n_moved`` (T, K, K) who move
    probability, std_error : (T + 1, K, K) from a state (row) to another
    """

    strata: str
    spells: Spells
    steps: Steps
    n_risk: Matrices
    n_moved: Matrices
    probability: Matrices
    std_error: Matrices

    @property
    def n(self) -> int:
        """Number of patients behind it."""
        return len(np.unique(self.spells.patient))

    @property
    def followed(self) -> Codes:
        """Codes of the states in which someone is followed; in the others nothing happens."""
        return np.unique(self.spells.origin)

    @property
    def last_time(self) -> float:
        """Last time at which someone is followed."""
        return float(self.spells.exit.max())


def estimate_matrix(
    strata: str, spells: Spells, n_states: int, start: float, variance: TransitionVariance
) -> TransitionMatrix:
    """Estimate P(s, t) of one group from its arranged spells, followed after ``start``.

    Raises
    ------
    OutcomeError : nobody is followed
    """
    refuse_nobody(strata, spells, start)
    steps = count_steps(spells, n_states)
    probability = multiply_steps(steps)
    error = np.sqrt(transition_variances(steps, probability, variance))
    shape = (len(steps.time), n_states)
    n_risk = sum_at_risk(steps.first, steps.last, spells.origin, np.ones(len(spells.exit)), shape)
    moves = spells.moves
    cell = ((steps.last[moves] - 1) * n_states + spells.origin[moves]) * n_states + spells.target[moves]
    n_moved = np.bincount(cell, minlength=len(steps.time) * n_states**2).reshape(-1, n_states, n_states)
    return TransitionMatrix(strata, spells, steps, n_risk, n_moved.astype(float), probability, error)
