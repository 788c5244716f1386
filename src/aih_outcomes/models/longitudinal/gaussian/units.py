"""Rows cut into independent units, a patient or a centre each, and units of like size laid together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Codes, Matrix, Rows

FILL = 5_000  # entries of V that may be filled in to spare a batch: as dear as the calls for one
CHUNK = 30_000  # entries of V in a batch: what the processor's cache holds


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """m units of t rows each.

    Attributes
    ----------
    rows : (m, t) places in ``Rows``
    Z : (m, t, q); ``order`` (m, t) place of a row among its patient's; ``time`` (m, t), scaled
    stratum, weight : (m, t)
    same : (m, t, t) 1 where two rows are one patient's, else 0; None where a unit is a patient
    present : (m, t) 0 where a unit is filled up to t rows (``weight`` infinite, ``Z`` 0), else 1
    """

    rows: Codes
    Z: Array
    order: Matrix
    time: Matrix
    stratum: Codes
    weight: Matrix
    same: Array | None
    present: Matrix


def batch_units(rows: Rows, *, nested: bool) -> list[Units]:
    """Units of one size together."""
    places = _Places.of(rows, nested=nested)
    return [places.lay(rows, np.flatnonzero(places.size == t), int(t)) for t in np.unique(places.size[places.size > 0])]


def batch_like_units(rows: Rows, *, nested: bool) -> list[Units]:
    """Units of like size together, filled up where that is cheaper than another batch, no batch too large."""
    places = _Places.of(rows, nested=nested)
    batches = []
    for sizes in _join(places.size):
        t, members = max(sizes), np.flatnonzero(np.isin(places.size, sizes))
        parts = min(-(-len(members) * t * t // CHUNK), len(members))
        batches += [places.lay(rows, part, t) for part in np.array_split(members, parts)]
    return batches


def _join(size: Codes) -> list[list[int]]:
    """Sizes that share a batch."""
    joined: list[list[int]] = []
    count = np.bincount(size)
    for t in np.flatnonzero(count[1:]) + 1:
        filled = sum(int(count[s]) * int(t**2 - s**2) for s in joined[-1]) if joined else FILL + 1
        if filled > FILL:
            joined.append([])
        joined[-1].append(int(t))
    return joined


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where each unit's rows are: (n,) rows by unit, (units,) size and first place; ``order`` (n,)."""

    by_unit: Codes
    size: Codes
    first: Codes
    order: Matrix
    nested: bool

    @staticmethod
    def of(rows: Rows, *, nested: bool) -> _Places:
        unit = rows.cluster if nested else rows.patient
        size = np.bincount(unit)
        begins = np.concatenate([[True], rows.patient[1:] != rows.patient[:-1]])
        order = np.arange(len(unit)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
        return _Places(np.argsort(unit, kind="stable"), size, np.cumsum(size) - size, order.astype(float), nested)

    def lay(self, rows: Rows, members: Codes, t: int) -> Units:
        """Lay units beside each other, each filled up to t rows."""
        size = self.size[members][:, None]
        own = self.by_unit[self.first[members][:, None] + np.minimum(np.arange(t), size - 1)]
        present = (np.arange(t) < size).astype(float)
        patient = rows.patient[own]
        same = (patient[:, :, None] == patient[:, None, :]).astype(float) if self.nested else None
        weight = np.where(present > 0, rows.weight[own], np.inf)
        return Units(own, rows.Z[own] * present[:, :, None], self.order[own], rows.time[own], rows.stratum[own],
                     weight, same, present)  # fmt: skip
