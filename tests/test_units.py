"""Units as clinics write them."""

import math

import pandas as pd
import pytest

from aih_outcomes.catalogue import read_analytes, read_conversions
from aih_outcomes.units import (
    accepted_units,
    canonical_units,
    compute_factor,
    compute_factors,
    normalise_unit,
    parse_results,
)


@pytest.mark.parametrize(
    ("written", "ucum"),
    [
        ("U/l", "U/L"), ("UI/L", "[IU]/L"), ("IU/L", "[IU]/L"), ("E/L", "U/L"), (" u / l ", "U/L"),
        ("µkat/L", "ukat/L"), ("μkat/l", "ukat/L"), ("mikrokat/L", "ukat/L"), ("nkat/L", "nkat/L"),
        ("µmol/L", "umol/L"), ("μmol/l", "umol/L"), ("mcmol/L", "umol/L"), ("MG/DL", "mg/dL"), ("gm/dL", "g/dL"),
        ("G/l", "10*9/L"), ("G/L", "10*9/L"), ("g/l", "g/L"), ("g/L", "g/L"), ("Gpt/l", "10*9/L"),
        ("x10E9/L", "10*9/L"), ("×10⁹/L", "10*9/L"), ("x 10^9/L", "10*9/L"), ("K/uL", "10*3/uL"), ("10³/µL", "10*3/uL"),
        ("{INR}", "1"), ("sec", "s"), ("titre", "{titer}"),
        ("mkat/L", "mkat/L"), ("furlongs", "furlongs"), ("", ""),
    ],
)  # fmt: skip
def test_spelling_is_known_or_left_as_it_is(written, ucum):
    assert normalise_unit(written) == ucum


@pytest.mark.parametrize(
    ("analyte", "unit", "factor"),
    [
        ("alt", "µkat/L", 60), ("ast", "nkat/L", 0.06), ("bilirubin", "mg/dL", 17.104), ("igg", "mg/dL", 0.01),
        ("albumin", "g/dL", 10), ("platelets", "G/L", 1), ("platelets", "/µL", 0.001), ("platelets", "10^4/µL", 10),
        ("creatinine", "mg/dL", 88.4), ("inr", "INR", 1), ("ana", "titre", 1),
    ],
)  # fmt: skip
def test_factor_to_the_canonical_unit(analyte, unit, factor):
    assert compute_factor(analyte, unit) == factor


@pytest.mark.parametrize(("analyte", "unit"), [("igg", "mg/L"), ("igg", "G/L"), ("ast", "U/mL"), ("gold", "g/L")])
def test_unknown_unit_is_not_guessed(analyte, unit):
    assert math.isnan(compute_factor(analyte, unit))


def test_factors_of_rows_are_missing_where_unit_or_analyte_is():
    analyte = pd.Series(["alt", "alt", None, "igg"], index=[3, 1, 4, 1], dtype="string")
    unit = pd.Series(["U/L", None, "U/L", "mg/dL"], index=[3, 1, 4, 1], dtype="string")
    factors = compute_factors(analyte, unit)
    assert factors.index.tolist() == [3, 1, 4, 1]
    assert factors.fillna(-1).tolist() == [1, -1, -1, 0.01]


def test_results_as_printed_are_split_into_sign_and_number():
    printed = ["5", "<5", "≥ 1000", "1:640", "< 1:40", "1.5e3", "positive", "", None, "1,5", "5 U/L", "-3"]
    results = parse_results(pd.Series(printed, dtype="string"))
    assert results["comparator"].fillna("").tolist() == ["=", "<", ">=", "=", "<", "=", "", "", "", "", "", ""]
    assert results["number"].fillna(-1).tolist() == [5, 5, 1000, 640, 40, 1500, -1, -1, -1, -1, -1, -1]


def test_each_analyte_accepts_its_canonical_unit_first():
    for analyte, unit in canonical_units().items():
        assert accepted_units(analyte)[0] == unit
        assert compute_factor(analyte, unit) == 1
    assert set(read_conversions()["analyte"]) == set(read_analytes()["analyte"])


def test_each_accepted_unit_is_its_own_ucum_spelling():
    for row in read_conversions().itertuples():
        assert normalise_unit(str(row.unit)) == row.unit
