"""Doses per kg: only a weight of about that day makes them mg a day."""

import pandas as pd
import pytest

from aih_outcomes.load.values.doses import convert_doses


def dose_of(weights: list[tuple[str, str | None, float]], unit: str = "mg/kg/day") -> tuple[float, list[str]]:
    """Return the dose of 2 mg/kg from 10 March 2020 on, and the columns in which it has problems."""
    text = pd.DataFrame({"dose_printed": ["2"], "dose_unit": [unit]})
    parsed = pd.DataFrame({"patient_id": ["a"], "start": [pd.Timestamp("2020-03-10")], "dose": [2.0]})
    known = pd.DataFrame(weights, columns=["date", "date_precision", "value"]).assign(patient_id="a")
    known = known.assign(date=pd.to_datetime(known["date"]), date_precision=known["date_precision"].astype("string"))
    frame, problems = convert_doses(text, parsed, known)
    return frame["dose"].iloc[0], [column for part in problems for column in part["column"]]


@pytest.mark.parametrize(
    ("weights", "dose"),
    [
        ([("2020-03-01", None, 20.0), ("2020-03-30", None, 22.0)], 40.0),  # the nearest
        ([("2020-03-05", None, 20.0), ("2020-03-15", None, 22.0)], 40.0),  # of two as near the earlier
        ([("2020-05-09", None, 20.0)], 40.0),  # 60 days
        ([("2020-03-15", "month", 20.0)], 40.0),  # some day of March
    ],
)
def test_a_dose_per_kg_takes_the_nearest_weight_within_60_days(weights, dose):
    assert dose_of(weights) == (dose, [])


@pytest.mark.parametrize(
    "weights", [[], [("2020-05-10", None, 20.0)], [("2020-01-09", None, 20.0)], [("2020-03-10", "year", 20.0)]]
)
def test_without_such_a_weight_the_row_is_set_aside_and_no_dose_is_guessed(weights):
    dose, columns = dose_of(weights)
    assert pd.isna(dose)
    assert columns == ["dose"]
