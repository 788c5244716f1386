"""One laboratory value or dose followed over time."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_analytes
from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.treatment.treatment import derive_steroid_dose
from aih_outcomes.errors import refuse_unknown
from aih_outcomes.outcomes import RepeatedMeasures

Scale = Literal["xuln", "value", "log2_xuln", "log2_value"]
STEROID = "steroid"
# Nominal visits in days since time zero, and the window around each (domain section 1.3).
VISITS: dict[int, tuple[int, int]] = {
    0: (-14, 0),
    28: (21, 35),
    56: (42, 70),
    91: (71, 120),
    182: (150, 240),
    365: (300, 430),
    730: (640, 820),
    1096: (1006, 1186),
}
# The first year for descriptions: name → (first, nominal, last day).
FIRST_YEAR_VISITS = {f"day {day}": (first, day, last) for day, (first, last) in VISITS.items() if day <= 365}


def derive_measures(response: Response, analyte: str, *, scale: Scale = "xuln") -> RepeatedMeasures:
    """Follow one analyte, or the systemic steroid dose (``steroid``: prednisolone mg/kg/day), from time zero on.

    Values on or after transplant are left out, and IgG where the criteria call it not interpretable. A logarithm has
    base 2: one unit is a doubling. ``visit`` names, in days, the nominal visit to which a value is the nearest of its
    window (of the same distance the earlier, of the same day the lower); other values have none.

    Raises
    ------
    PlanError : the analyte or the scale is not known
    """
    known = read_analytes().set_index("analyte")
    refuse_unknown(scale, get_args(Scale), "a scale")
    refuse_unknown(analyte, [STEROID, *known.index], "an analyte")
    if analyte == STEROID:
        rows = derive_steroid_dose(response.timelines.cohort, response.zero, tuple(VISITS)).rename(
            columns={"mg_per_kg": "size"}
        )
        label, unit = "Prednisolone equivalent", "mg/kg/day"
    else:
        kept = (response.results["analyte"] == analyte) & response.results["interpretable"]
        rows = response.results[kept & (response.results["day"] >= VISITS[0][0])]
        size = rows["xuln" if scale.endswith("xuln") else "value"]
        rows = rows.assign(size=np.log2(size) if scale.startswith("log2") else size)
        label, unit = (
            str(known.loc[analyte, "name"]),
            "× ULN" if scale.endswith("xuln") else str(known.loc[analyte, "unit"]),
        )
        unit = f"log2 {unit}" if scale.startswith("log2") else unit
    rows = rows.dropna(subset=["size"]).sort_values(["patient_id", "day", "size"], kind="stable", ignore_index=True)
    return RepeatedMeasures.from_frame(
        rows.assign(visit=nearest_visit(rows["patient_id"], rows["day"])),
        patient_id="patient_id",
        time="day",
        value="size",
        visit="visit",
        label=label,
        analyte=analyte,
        unit=unit,
        time_zero=IN_WORDS[response.time_zero],
    )


def nearest_visit(patient_id: pd.Series, day: pd.Series) -> pd.Series:
    """Name each patient's value nearest to each nominal visit (``28`` for day 28); missing for the others.

    Never the worst and never the mean, which would follow flares (statistics, rule 15). Rows are in order of day.
    """
    days = day.to_numpy(float)
    nominal = np.array(list(VISITS), dtype=float)
    low, high = (np.array([window[end] for window in VISITS.values()], dtype=float) for end in (0, 1))
    at = np.searchsorted(low, days, side="right") - 1
    inside: NDArray[np.bool_] = (at >= 0) & (days <= high[at])
    visits = pd.DataFrame(
        {"patient_id": patient_id.to_numpy(), "visit": nominal[at], "off": np.abs(days - nominal[at])}
    )
    nearest = visits[inside].sort_values("off", kind="stable").drop_duplicates(["patient_id", "visit"]).index
    names = pd.Series(pd.NA, index=day.index, dtype="string")
    names.iloc[nearest] = visits.loc[nearest, "visit"].astype(int).astype("string")
    return names
