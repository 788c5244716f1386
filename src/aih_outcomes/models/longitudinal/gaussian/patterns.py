"""Visit patterns: patients seen at the same visits, summed up as few pseudo-patients with the same cross-products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Codes, Rows
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """P patterns of T visits; m (pseudo-)patients, those of a pattern together.

    Attributes
    ----------
    Z : (m, T, p + 1) [X y], times the root of the weight; 0 where a visit is missing
    pattern : (m,) of each; ``first`` (P,) where a pattern begins
    mask : (P, T) visits seen; ``pairs`` (P, T, T) 1 where both are; ``filler`` (P, T, T) 1 on the others' diagonal
    count : (P,) patients; ``stratum`` (P,)
    place : (n_patients, T) rows, −1 where missing; ``of_patient`` (n_patients,) pattern of each
    """

    Z: Array
    pattern: Codes
    first: Codes
    mask: NDArray[np.bool_]
    pairs: Array
    filler: Array
    count: Vector
    stratum: Codes
    place: Codes
    of_patient: Codes

    def rows_of(self, pattern: int) -> Codes:
        """(patients, visits seen) rows of a pattern's patients."""
        return np.asarray(self.place[self.of_patient == pattern][:, self.mask[pattern]])


def find_patterns(rows: Rows, n_visits: int) -> Patterns:
    """Sort patients by the visits they have, and by stratum."""
    n, T, q = int(rows.patient.max()) + 1, n_visits, rows.X.shape[1] + 1
    place = np.full((n, T), -1)
    place[rows.patient, rows.visit] = np.arange(len(rows.response))
    stratum = np.zeros(n, np.intp)
    stratum[rows.patient] = rows.stratum
    at = rows.patient * T + rows.visit
    flat = np.zeros((n * T, q))
    flat[at, :-1], flat[at, -1] = rows.X, rows.response
    if (rows.weight != 1).any():
        flat[at] *= np.sqrt(rows.weight)[:, None]
    Z, seen = flat.reshape(n, T, q), place >= 0
    of_patient = _name_patterns(stratum, seen)
    count = np.bincount(of_patient)
    one = np.zeros(len(count), np.intp)  # a patient of each pattern
    one[of_patient] = np.arange(n)
    mask = seen[one]
    order = np.argsort(of_patient, kind="stable")
    ends = np.cumsum(count)
    parts = [_compress(Z[order[end - size : end]]) for end, size in zip(ends, count, strict=True)]
    sizes = np.array([len(part) for part in parts])
    pairs = (mask[:, :, None] & mask[:, None, :]).astype(float)
    return Patterns(
        np.concatenate(parts), np.repeat(np.arange(len(parts)), sizes), np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        mask, pairs, np.eye(T) * ~mask[:, :, None], count.astype(float), stratum[one], place, of_patient,
    )  # fmt: skip


def _compress(Z: Array) -> Array:
    """(m, T, q) fewer pseudo-patients with the same cross-products of every two columns of every two visits."""
    n, T, q = Z.shape
    if n <= 2 * T:
        return Z
    columns = np.ascontiguousarray(Z.reshape(n, T * q).T)
    place: dict[bytes, int] = {}  # a dummy is the same column at many visits
    inverse = [place.setdefault(column.tobytes(), len(place)) for column in columns]
    if len(place) >= n:
        return Z
    first = np.zeros(len(place), np.intp)
    first[inverse[::-1]] = np.arange(len(inverse))[::-1]
    R = np.asarray(np.linalg.qr(columns[first].T, mode="r"))
    return np.ascontiguousarray(R[:, inverse].reshape(-1, T, q))


def _name_patterns(stratum: Codes, seen: NDArray[np.bool_]) -> Codes:
    """(n,) codes of the patterns that occur; visits are read 32 at a time, as digits of one number."""
    codes = stratum.astype(np.int64)
    for begin in range(0, seen.shape[1], 32):
        digits = seen[:, begin : begin + 32]
        number = (codes << 32) + digits @ (1 << np.arange(digits.shape[1], dtype=np.int64))
        codes = np.unique(number, return_inverse=True)[1]
    return codes.astype(np.intp)
