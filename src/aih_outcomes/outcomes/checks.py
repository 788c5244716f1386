"""What every outcome refuses at birth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError

Vector = NDArray[np.float64]
TimeUnit = Literal["days", "months", "years"]
CENSORED = "censored"
UNDETERMINED = "undetermined"
DAYS_PER_UNIT: dict[str, float] = {"days": 1.0, "months": 365.25 / 12, "years": 365.25}
HALF_DAY = 0.5  # time at risk of someone who dies on the day follow-up begins


def no_exclusions() -> pd.DataFrame:
    """Return an empty exclusions frame: ``reason, n, n_event``."""
    return pd.DataFrame(
        {"reason": pd.Series(dtype="string"), "n": pd.Series(dtype="Int64"), "n_event": pd.Series(dtype="Int64")}
    )


def require(frame: pd.DataFrame, columns: Sequence[str], noun: str) -> None:
    """Refuse a frame that lacks a column."""
    missing = [column for column in columns if column not in frame]
    if missing:
        raise OutcomeError(
            f"{len(missing)} column(s) are missing for {noun}: {', '.join(missing)}",
            f"{noun} needs {', '.join(columns)}",
            "Name the columns of your frame in from_frame(...)",
        )


def refuse(bad: NDArray[np.bool_], noun: str, problem: str, rule: str, way_out: str) -> None:
    """Refuse rows that are ``bad``, with how many they are.

    Raises
    ------
    OutcomeError
    """
    count = int(np.sum(bad))
    if count:
        raise OutcomeError(f"{count} of {len(bad)} rows of {noun} {problem}", rule, way_out)


def read_times(values: pd.Series, noun: str) -> Vector:
    """Return times as floats (whole numbers where the source has days); refuse text and missing times."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    refuse(
        ~np.isfinite(numbers),
        noun,
        f"have no usable number in {str(values.name)!r}",
        "A time is a finite number",
        "Exclude these rows by name, or complete them",
    )
    return numbers


def read_ids(frame: pd.DataFrame, column: str | None) -> pd.Series:
    """Return patients' names as text, rows in order; each row is a patient where no column is given."""
    ids = pd.Series(np.arange(len(frame))) if column is None else frame[column]
    return pd.Series(ids.astype("string").to_numpy())


def read_weights(values: pd.Series, label: str) -> Vector:
    """Return case weights; refuse negative ones."""
    weight = read_times(values, label)
    refuse(weight < 0, label, "have a negative weight", "Weights are 0 or more", "Check the weights")
    return weight


def refuse_overlap(rows: pd.DataFrame, label: str) -> None:
    """Refuse overlapping spells of a patient: they would be counted twice."""
    patient = pd.factorize(rows["patient_id"])[0]
    entry, exit = rows["entry"].to_numpy(float), rows["exit"].to_numpy(float)
    order = np.lexsort((exit, entry, patient))
    patient, entry, exit = patient[order], entry[order], exit[order]
    overlap = np.zeros(len(rows), dtype=bool)
    overlap[1:] = (patient[1:] == patient[:-1]) & (entry[1:] < exit[:-1])
    refuse(
        overlap,
        label,
        "overlap an earlier spell of the same patient",
        "Spells (entry, exit] of one patient do not overlap",
        "Split or merge them, or give each patient one row",
    )
