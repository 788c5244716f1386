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
    """Refuse what is no frame, names of columns that are no text, and a frame that lacks a column or has it twice."""
    given: object = frame
    label: object = noun
    if not isinstance(label, str):
        raise OutcomeError(
            f"The label is a {type(label).__name__}", "It is text, shown on axes and in tables", "Write label='death'"
        )
    if not isinstance(given, pd.DataFrame):
        raise OutcomeError(
            f"{noun} is asked of a {type(given).__name__}", "An outcome is read from a pandas DataFrame",
            "Pass the table itself",
        )  # fmt: skip
    names: list[object] = list(columns)
    strange = [type(name).__name__ for name in names if not isinstance(name, str)]
    if strange:
        raise OutcomeError(
            f"{len(strange)} column(s) for {noun} are named by no text but {', '.join(dict.fromkeys(strange))}",
            "Columns are named by text", "Name the columns of your frame in from_frame(...)",
        )  # fmt: skip
    twice = [column for column in columns if int(np.sum(frame.columns == column)) > 1]
    if twice:
        raise OutcomeError(
            f"{len(twice)} column(s) stand more than once in the frame: {', '.join(dict.fromkeys(twice))}",
            "A name means one column", "Rename or drop the others",
        )  # fmt: skip
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


def list_covariates(covariates: Sequence[str], own: Sequence[str], noun: str) -> tuple[str, ...]:
    """Return the covariates' names; refuse those that the outcome gives to columns of its own.

    A covariate called ``weight``, of the body, would else become the weight of a case.

    Raises
    ------
    OutcomeError
    """
    names = list_names("covariates", covariates, "covariates=['age', 'sex']")
    taken = [name for name in names if name in own]
    if taken:
        raise OutcomeError(
            f"{len(taken)} covariate(s) of {noun} have the name of a column of its own: {', '.join(taken)}",
            f"An outcome calls its own columns {', '.join(own)}",
            "Rename the covariate in your frame, such as body_weight for weight",
        )
    return names


def list_names(argument: str, given: object, example: str) -> tuple[str, ...]:
    """Return names given in a list; refuse a single text, which would be read letter by letter.

    Raises
    ------
    OutcomeError
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise OutcomeError(
            f"{argument}= is a {type(given).__name__}", "Names stand in a list, also a single one", f"Write {example}"
        )
    return tuple(given)


def refuse_no_unit(time_unit: object) -> None:
    """Refuse a unit of time that is none.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(time_unit, str) or time_unit not in DAYS_PER_UNIT:
        raise OutcomeError(
            f"time_unit={time_unit!r} is no unit", f"Units are {', '.join(DAYS_PER_UNIT)}", "Name one of them"
        )


def read_flags(values: pd.Series, noun: str) -> NDArray[np.bool_]:
    """Read 0/1 or booleans; refuse text and missing values."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    refuse(
        ~np.isin(numbers, [0.0, 1.0]), noun, f"have neither 0 nor 1 in {str(values.name)!r}", "1 is yes, 0 is no",
        "Complete these rows",
    )  # fmt: skip
    return np.asarray(numbers == 1)


def read_times(values: pd.Series, noun: str) -> Vector:
    """Return times as floats (whole numbers where the source has days); refuse text and missing times."""
    dates = values.dtype.kind in "mMc"
    numbers = (
        np.full(len(values), np.nan)
        if dates
        else pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    )
    refuse(
        ~np.isfinite(numbers),
        noun,
        f"have no usable number in {str(values.name)!r}",
        "A time is a finite number" + (": days since time zero, not a date" if dates else ""),
        "Exclude these rows by name, or complete them",
    )
    return numbers


def read_ids(frame: pd.DataFrame, column: str | None, noun: str) -> pd.Series:
    """Return patients' names as text, rows in order; each row is a patient where no column is given.

    Raises
    ------
    OutcomeError : rows without a name
    """
    ids = pd.Series(np.arange(len(frame))) if column is None else frame[column]
    refuse(
        ids.isna().to_numpy(bool), noun, f"name no patient in {str(column)!r}", "A row belongs to a patient",
        "Complete these rows, or leave them out by name",
    )  # fmt: skip
    codes, names = pd.factorize(ids)  # each name is turned into text once
    return pd.Series(pd.Series(names).astype("string").to_numpy()[codes])


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
