"""Where values are too few, or too exact, to tell the variances of a model apart."""

from __future__ import annotations

import numpy as np

from aih_outcomes.models.longitudinal.fixed_effects import FixedEffects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Rows
from aih_outcomes.models.longitudinal.gaussian.structure import Serial

LEAST_PATIENTS = 3  # in a group
MOST_NAMED = 5  # levels; more of them are numbers, and patients' own values
NOTHING_LEFT = "fixed effects and a patient's own explain every value exactly: nothing is left to vary within patients"
ROUNDING = 1e-10  # of a value, left by effects that explain it


def why_hopeless(fixed: FixedEffects, rows: Rows, serial: Serial) -> str | None:
    """Say before the fit why random effects cannot be told apart; None if they may."""
    small = too_few(fixed)
    if small:
        return small
    values, q = np.bincount(rows.patient), rows.Z.shape[1]
    if len(rows.response) <= rows.X.shape[1]:
        return "no more values than terms"
    if q and values.max() <= q:
        return f"nobody has {q + 1} values, so {q} effect(s) per patient and residual cannot be told apart"
    if q == 0 and serial == "independent":
        return None
    return "nobody has two values" if values.max() < 2 else None


def leaves_nothing(rows: Rows) -> bool:
    """Do effects of each patient's own, beside the fixed ones, explain every value."""
    XY = np.concatenate([rows.X, rows.response[:, None]], axis=1)
    first, size = np.flatnonzero(np.r_[True, np.diff(rows.patient) > 0]), np.bincount(rows.patient)
    for t in np.unique(size):
        own = first[size == t][:, None] + np.arange(t)
        XY[own] -= rows.Z[own] @ (np.linalg.pinv(rows.Z[own]) @ XY[own])
    left = XY[:, -1] - XY[:, :-1] @ np.linalg.lstsq(XY[:, :-1], XY[:, -1], rcond=None)[0]
    return float(np.abs(left).max()) <= ROUNDING * float(np.abs(rows.response).max())


def too_few(fixed: FixedEffects) -> str | None:
    """Say which groups have too few patients to estimate anything."""
    if len(fixed.frame) == 0:
        return "no values"
    group, n = fixed.frame["group"].cat, int(fixed.patient.max()) + 1
    cells = np.bincount(group.codes.astype(np.intp) * n + fixed.patient, minlength=len(group.categories) * n)
    patients = (cells.reshape(-1, n) > 0).sum(axis=1)  # of one group, or of several in turn
    small = [str(level) for level, count in zip(group.categories, patients, strict=True) if count < LEAST_PATIENTS]
    named = ", ".join(small) if len(small) <= MOST_NAMED else f"{len(small)} of {len(patients)} levels"
    return f"fewer than {LEAST_PATIENTS} patients in {named}" if small else None
