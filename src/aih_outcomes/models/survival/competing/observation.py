"""How likely someone is still under observation: the weights of those whose competing event has come.

Whoever had the competing event stays in the risk set of the subdistribution with the weight A(t−)/A(T−): the chance
that follow-up from T would have lasted to t. A(t) = G(t) H(t): G is the Kaplan-Meier estimate of not being censored, H
that of having entered, estimated backwards in time (Fine & Gray, JASA 1999;94:496; Geskus, Biometrics 2011;67:39).

Where a censoring and an event fall on one day, cmprsk's ``crr`` counts the event among those at risk of censoring, and
survival's ``finegray`` does not. The two conventions differ in the fourth or fifth digit of a coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Convention = Literal["crr", "finegray"]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Rows (entry, exit] of patients, arrays (n_rows,).

    Attributes
    ----------
    event, competing : the row ends in the event, in a competing one
    censored : follow-up ends here without either
    begins : the patient's first row
    """

    entry: Vector
    exit: Vector
    event: Flags
    competing: Flags
    censored: Flags
    begins: Flags

    def of(self, rows: Flags | NDArray[np.intp]) -> Spells:
        """Return some of the rows, by a mask or by their places."""
        return Spells(
            self.entry[rows], self.exit[rows], self.event[rows], self.competing[rows], self.censored[rows],
            self.begins[rows],
        )  # fmt: skip

    @property
    def enter_late(self) -> bool:
        """Whether anyone comes under observation after the first has left it."""
        return bool(np.any(self.entry[self.begins] > self.exit.min(initial=np.inf)))


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """The step function A and what its variance needs.

    Attributes
    ----------
    time, hazard, n_risk : (m,) distinct times of censoring, their hazard, and how many were at risk of it
    free : (m + 1,) G before the first, after the first, … of these times
    entry_time : (k,) distinct times of entry; none where nobody enters late
    entered : (k + 1,) H before each of these times; 1 after the last
    end : A is 0 after the last follow-up
    """

    time: Vector
    hazard: Vector
    n_risk: Vector
    free: Vector
    entry_time: Vector
    entered: Vector
    end: float

    def before(self, time: Vector) -> Vector:
        """(n,) A just before each time."""
        free = self.free[np.searchsorted(self.time, time, "left")]
        entered = self.entered[np.searchsorted(self.entry_time, time, "left")]
        return np.where(time > self.end, 0.0, free * entered)


def estimate_observation(spells: Spells, convention: Convention) -> Observation:
    """Estimate the chance of being under observation from everyone's beginning and end of follow-up.

    Parameters
    ----------
    spells : rows of one censoring stratum
    convention : who is at risk of censoring on the day of an event
    """
    entry, exit = spells.entry, spells.exit
    time, n_censored = np.unique(exit[spells.censored], return_counts=True)
    n_risk = _count_below(entry, time) - _count_below(exit, time)
    if convention == "finegray":
        ended = exit[spells.event | spells.competing]
        n_risk = n_risk - (_count_below(ended, time, "right") - _count_below(ended, time))
    hazard = n_censored / n_risk
    free = np.concatenate([[1.0], np.cumprod(1 - hazard)])
    entry_time, entered = _estimate_entry(spells) if spells.enter_late else (np.empty(0), np.ones(1))
    return Observation(time, hazard, n_risk.astype(float), free, entry_time, entered, float(exit.max()))


def _estimate_entry(spells: Spells) -> tuple[Vector, Vector]:
    """Kaplan-Meier backwards in time: at risk of entering at L is who is followed from L or earlier to after L."""
    time, n_entering = np.unique(spells.entry[spells.begins], return_counts=True)
    n_risk = _count_below(spells.entry, time, "right") - _count_below(spells.exit, time, "right")
    backwards = np.cumprod((1 - n_entering / n_risk)[::-1])[::-1]
    return time, np.concatenate([backwards, [1.0]])


def _count_below(values: Vector, time: Vector, side: Literal["left", "right"] = "left") -> Index:
    """(m,) how many values lie below each time; ``right`` counts those at it too."""
    return np.searchsorted(np.sort(values), time, side).astype(np.int64)
