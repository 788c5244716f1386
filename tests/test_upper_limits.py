"""Limits of a table of bands: by age, sex, centre and day of the sample."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.schema import conform
from aih_outcomes.upper_limits import describe_samples, find_limits, limits_of_table

PATIENTS = conform(
    pd.DataFrame(
        {
            "patient_id": ["a", "b", "b"],
            "sex": ["female", None, "male"],
            "birth_date": ["2010-02-28", None, "2000-01-01"],
            "age_at_diagnosis": [None, 4.0, None],
            "diagnosis_date": ["2019-01-01", "2019-01-01", "2019-01-01"],
            "centre": ["North", None, "South"],
        }
    ),
    "patients",
)


def samples(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return conform(pd.DataFrame(rows, columns=["patient_id", "date", "analyte"]), "labs")


def test_samples_know_age_sex_and_centre_of_their_patient() -> None:
    found = describe_samples(
        samples(("a", "2020-02-27", "alt"), ("a", "2020-02-28", "alt"), ("b", "2019-01-01", "igg")), PATIENTS
    )
    assert found.age.tolist() == [9, 10, 4]
    assert found.sex.tolist() == ["female", "female", ""]  # of two rows of a patient the first counts
    assert found.centre.tolist() == ["North", "North", ""]


def test_who_is_not_among_the_patients_and_what_has_no_date_has_no_age() -> None:
    rows = samples(("nobody", "2020-01-01", "igg"), ("a", None, "igg"), (None, "2020-01-01", "igg"))
    assert np.isnan(describe_samples(rows, PATIENTS).age).all()
    assert np.isnan(limits_of_table(rows, PATIENTS, "uk-pru")[0]).all()
    assert np.isnan(limits_of_table(rows, PATIENTS.iloc[:0], "uk-pru")[0]).all()


@pytest.mark.parametrize(("day", "limit"), [("2020-01-01", 40), ("2020-12-31", 40), ("2021-01-01", np.nan)])
def test_the_first_and_the_last_day_of_a_period_count(day: str, limit: float) -> None:
    band = {"analyte": "alt", "sex": "any", "age_from_years": -np.inf, "age_to_years": np.inf, "upper": 40.0,
            "since": pd.Timestamp("2020-01-01"), "until": pd.Timestamp("2020-12-31")}  # fmt: skip
    found = find_limits(describe_samples(samples(("a", day, "alt")), PATIENTS), pd.DataFrame([band]))
    np.testing.assert_array_equal(found, [limit])


def test_a_band_for_every_age_needs_none() -> None:
    band = {"analyte": "alt", "sex": "any", "age_from_years": -np.inf, "age_to_years": np.inf, "upper": 40.0}
    rows = describe_samples(samples(("nobody", "2020-01-01", "alt"), ("a", "2020-01-01", "ast")), PATIENTS)
    np.testing.assert_array_equal(find_limits(rows, pd.DataFrame([band])), [40, np.nan])


def test_which_results_a_table_speaks_of() -> None:
    rows = samples(("a", "2020-01-01", "alt"), ("a", "2020-01-01", "igg"))
    assert limits_of_table(rows, PATIENTS, "uk-pru")[1].tolist() == [False, True]


@pytest.mark.parametrize(
    ("born", "of_birth", "sampled", "of_sample", "limit"),
    [
        ("2018-06-20", None, "2020-03-20", None, 13.8),  # 21 months: the girl of the 2024 letter
        ("2018-06-15", "month", "2020-03-20", None, 13.8),  # whatever the day
        ("2018-07-01", "year", "2020-03-20", None, np.nan),  # 14 months to 2 years and 2 months: 13.8 or 15.8
        ("2018-07-01", "year", "2026-03-20", None, 16.1),  # 7 to 8 years: the same band
        ("2018-06-20", None, "2020-06-15", "month", np.nan),  # before or after her second birthday
        ("2018-06-20", None, "2020-08-15", "month", 15.8),
        ("2018-06-20", None, "2019-07-01", "year", np.nan),
    ],
)  # fmt: skip
def test_a_band_that_dates_in_part_leave_open_is_not_guessed(born, of_birth, sampled, of_sample, limit) -> None:
    girl = {"patient_id": "a", "sex": "female", "birth_date": born, "date_precision": of_birth}
    patients = conform(pd.DataFrame([girl | {"diagnosis_date": "2020-03-20"}]), "patients")
    labs = samples(("a", sampled, "igg")).assign(date_precision=pd.array([of_sample], dtype="string"))
    np.testing.assert_array_equal(limits_of_table(labs, patients, "uk-pru")[0], [limit])


@pytest.mark.parametrize(
    ("age", "sampled", "limit"),
    [
        (1.75, "2020-03-20", 13.8),
        (1.0, "2020-03-20", 13.8),  # from one to nearly two
        (1.0, "2020-06-20", np.nan),  # three months later some are two
        (4.0, "2025-03-20", 16.1),  # nine or nearly ten: one band
    ],
)
def test_an_age_in_completed_years_is_not_taken_for_a_birthday(age, sampled, limit) -> None:
    child = {"patient_id": "a", "age_at_diagnosis": age, "diagnosis_date": "2020-03-20"}
    patients = conform(pd.DataFrame([child]), "patients")
    np.testing.assert_array_equal(limits_of_table(samples(("a", sampled, "igg")), patients, "uk-pru")[0], [limit])
