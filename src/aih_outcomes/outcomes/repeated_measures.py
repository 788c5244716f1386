"""One quantity followed over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from aih_outcomes.outcomes.checks import (
    TimeUnit,
    list_covariates,
    no_exclusions,
    read_ids,
    read_times,
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

        Raises
        ------
        OutcomeError : a column or a time is missing, or a value is not a number
        """
        names = list_covariates(covariates, ("patient_id", "time", "visit", "value"), label)
        require(frame, [patient_id, time, value, *([] if visit is None else [visit]), *names], label)
        refuse_no_unit(time_unit)
        rows = pd.DataFrame(
            {
                "patient_id": read_ids(frame, patient_id, label),
                "time": read_times(frame[time], label),
                "visit": frame[visit].astype("string").to_numpy()
                if visit
                else pd.array([pd.NA] * len(frame), dtype="string"),
                "value": read_times(frame[value], label),
            }
        )
        for column in names:
            rows[column] = frame[column].array
        return cls(rows, label, analyte, unit, time_zero, time_unit, names)
