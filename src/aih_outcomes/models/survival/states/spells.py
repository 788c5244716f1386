"""Spells of a multi-state history as arrays: sorted, joined where nothing happened, cut at a starting day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.survival.curves.curve import first_day_with_at_risk
from aih_outcomes.outcomes import Vector

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

STAYS = -1  # the target of a spell that ends without a change
LEAST_AT_RISK = 5


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Spells (entry, exit] in one state each; all vectors (n,).

    Attributes
    ----------
    entry, exit : in the outcome's unit
    origin : code of the state in which the spell is spent
    target : code of the state entered at ``exit``; −1 where follow-up ends
    weight : case weights above 0
    patient : code of the patient
    cluster : code of what belongs together in the variance; the patient unless something larger is asked for
    """

    entry: Vector
    exit: Vector
    origin: Codes
    target: Codes
    weight: Vector
    patient: Codes
    cluster: Codes

    @property
    def moves(self) -> Mask:
        """(n,) whether the spell ends in another state."""
        return self.target >= 0

    def select(self, kept: Mask | Codes) -> Spells:
        """Return the spells kept, or in another order."""
        return Spells(
            self.entry[kept], self.exit[kept], self.origin[kept], self.target[kept], self.weight[kept],
            self.patient[kept], self.cluster[kept],
        )  # fmt: skip

    def begun_at(self, start: float) -> Spells:
        """Return what is followed after ``start``: earlier entries count from it, events at or before it not at all."""
        later = self.select(self.exit > start)
        return replace(later, entry=np.maximum(later.entry, start))


def arrange(spells: Spells) -> Spells:
    """Sort spells by patient and entry, leave out those of weight 0, and join those between which nothing happened.

    A spell that ends without a change, and goes on that day in the same state with the same weight, is one spell: it
    is no censoring, and where it was cut changes no figure.
    """
    stays = spells.target == spells.origin
    spells = replace(spells, target=np.where(stays, STAYS, spells.target)) if stays.any() else spells
    spells = spells if spells.weight.all() else spells.select(spells.weight > 0)
    spells = spells.select(np.lexsort((spells.entry, spells.patient)))
    goes_on = ~spells.moves[:-1] & (spells.exit[:-1] == spells.entry[1:])
    for part in (spells.patient, spells.origin, spells.weight, spells.cluster):
        goes_on &= part[:-1] == part[1:]
    if not goes_on.any():
        return spells
    begins, ends = np.concatenate([[True], ~goes_on]), np.concatenate([~goes_on, [True]])
    joined = spells.select(ends)
    return replace(joined, entry=spells.entry[begins])


def find_common_start(parts: Iterable[Spells]) -> float:
    """Return the time from which all curves can be told (rule 13): 0, or where 5 are at risk under late entry."""
    return max(
        first_day_with_at_risk(own.entry, own.exit, own.moves, np.ones(len(own.exit)), LEAST_AT_RISK) for own in parts
    )
