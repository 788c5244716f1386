"""Daily doses: as recorded to mg a day; mg/kg needs a weight of about that day."""

import pandas as pd

from aih_outcomes.load.records import list_problems
from aih_outcomes.units import DRUG_DOSE_UNITS

WEIGHT_WINDOW_DAYS = 60
_WRITTEN = {"mg/d": "mg/day", "mg/24h": "mg/day", "mg/kg/d": "mg/kg/day", "mg/kg/24h": "mg/kg/day"}


def convert_doses(
    text: pd.DataFrame, parsed: pd.DataFrame, weights: pd.DataFrame
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert recorded doses to mg a day.

    Parameters
    ----------
    text : ``dose_printed, dose_unit`` as text
    parsed : ``patient_id, start, dose``; ``dose`` in the recorded unit
    weights : ``patient_id, date, date_precision, value`` in kg; one dated to the year is near to no day

    Returns
    -------
    frame ``dose, raw_dose, raw_dose_unit``, and its problems
    """
    unit = text["dose_unit"].str.replace(" ", "").str.lower().replace(_WRITTEN)
    weight = _nearest_weight(parsed, weights)
    per_kg = unit == "mg/kg/day"
    dosed = text["dose_printed"] != ""
    frame = pd.DataFrame(
        {
            "dose": parsed["dose"].where(~per_kg, parsed["dose"] * weight),
            "raw_dose": text["dose_printed"].replace("", None).astype("string"),
            "raw_dose_unit": text["dose_unit"].replace("", None).astype("string"),
        }
    )
    problems = [
        list_problems(
            dosed & ~unit.isin(DRUG_DOSE_UNITS), "dose", f"unit of the dose must be {' or '.join(DRUG_DOSE_UNITS)}",
            'Map it: dose_unit = { column = "…", codes = { "…" = "mg/day" } }, or give the dose per day',
        ),
        list_problems(
            dosed & per_kg & weight.isna(), "dose",
            f"a dose in mg/kg needs a weight within {WEIGHT_WINDOW_DAYS} days of its start",
            "Add the weight to the table 'measurements', or give the dose in mg/day",
        ),
    ]  # fmt: skip
    return frame, problems


def _nearest_weight(treatments: pd.DataFrame, weights: pd.DataFrame) -> pd.Series:
    """Return the weight nearest to the start of each treatment (the earlier of two as near), or NaN."""
    starts = treatments[["patient_id", "start"]].dropna().sort_values("start", kind="stable")
    starts = starts.assign(position=starts.index)
    dated = weights[weights["date_precision"].ne("year").fillna(value=True)]
    known = dated[["patient_id", "date", "value"]].dropna().sort_values("date", kind="stable")
    near = pd.merge_asof(
        starts, known, left_on="start", right_on="date", by="patient_id", direction="nearest",
        tolerance=pd.Timedelta(days=WEIGHT_WINDOW_DAYS),
    )  # fmt: skip
    return near.set_index("position")["value"].reindex(treatments.index)
