"""One quantity followed over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.outcomes.checks import (
    TimeUnit,
    Vector,
    list_covariates,
    no_exclusions,
    read_ids,
    read_times,
    refuse,
    refuse_no_unit,
    require,
)


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedMeasures:
    """One quantity followed over time: ``patient_id, time, visit, value``, then covariates.

    Attributes
    ----------
    frame : one row per value; ``visit`` is a nominal visit name or missing
    analyte : what was measured; the guard compares it with the analytes that define a group
    unit : unit of ``value`` in words, e.g. ``× ULN``
    """

    frame: pd.DataFrame
    label: str
    analyte: str = ""
    unit: str = ""
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    covariates: tuple[str, ...] = ()
    design: str = ""
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        patient_id: str,
        time: str,
        value: str,
        visit: str | None = None,
        covariates: Sequence[str] = (),
        label: str = "value",
        analyte: str = "",
        unit: str = "",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
    ) -> RepeatedMeasures:
        """Read any published longitudinal data set: name its columns.

        A visit without a value is no measurement: it is left out, and counted in ``exclusions``.

        Raises
        ------
        OutcomeError : a column or a time is missing, or a value is not a number
        """
        names = list_covariates(covariates, ("patient_id", "time", "visit", "value"), label)
        require(frame, [patient_id, time, value, *([] if visit is None else [visit]), *names], label)
        refuse_no_unit(time_unit)
        absent = frame[value].isna().to_numpy(bool)
        if absent.any():
            frame = frame[~absent]
        rows = pd.DataFrame(
            {
                "patient_id": read_ids(frame, patient_id, label),
                "time": read_times(frame[time], label),
                "visit": frame[visit].astype("string").to_numpy()
                if visit
                else pd.array([pd.NA], dtype="string").take(np.zeros(len(frame), int)),
                "value": _read_values(frame[value], label),
            }
        )
        for column in names:
            rows[column] = frame[column].array
        return cls(rows, label, analyte, unit, time_zero, time_unit, names, exclusions=_without_value(absent))


def _read_values(values: pd.Series, label: str) -> Vector:
    """Return values as floats; refuse text, dates and infinity."""
    dates = values.dtype.kind in "mMc"
    numbers = np.full(len(values), np.nan) if dates else pd.to_numeric(values, errors="coerce").to_numpy(float)
    refuse(
        ~np.isfinite(numbers), label, f"have no usable number in {str(values.name)!r}", "A value is a finite number",
        "Say what stands for a value below detection, and leave out words by name",
    )  # fmt: skip
    return numbers


def _without_value(absent: NDArray[np.bool_]) -> pd.DataFrame:
    """Count rows that had no value."""
    if not absent.any():
        return no_exclusions()
    return pd.DataFrame({"reason": ["no value"], "n": [int(absent.sum())], "n_event": [pd.NA]}).astype(
        no_exclusions().dtypes.to_dict()
    )
