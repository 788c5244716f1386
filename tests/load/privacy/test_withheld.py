"""What a laboratory or a prescriber writes in its place stays; what only a person would write there is withheld."""

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.load.privacy.withheld import WITHHELD, withhold_text
from aih_outcomes.schema import TABLES, conform
from aih_outcomes.simulate import SEED, simulate_cohort


def after(table, column, *cells):
    frame = conform(pd.DataFrame({column: list(cells)}), table)
    return withhold_text(table, frame)[0][column].to_list()


@pytest.mark.parametrize(
    ("table", "column", "cells"),
    [
        ("labs", "raw_value", ["5", "5,4", "<5", "≤ 0.5", ">1:1280", "1:640", "neg", "Negative", "5.5349286450287715",
                               "1.2E-05", "1,024", "12 500", "0.5", "0,5", "0", "1/640", "2,5 × 10^3"]),
        ("labs", "raw_unit", ["U/L", "µmol/l", "x10^9/L", "10*9/L", "× 10⁹/L", "mg/dl", "%", "g/L", "titre", "INR",
                              "[IU]/L", "UI/L", "K/uL", "/cumm", "ukat/L", "mEq/L", "lakh/µL", "ng/mL", "mmol/mol", "1",
                              "{titer}", "Tsd/µl", "sec", "g/L (serum)"]),
        ("treatments", "raw_dose", ["5", "2,5", "1-0-1", "5 mg", "1 mg/kg/day", "60"]),
        ("treatments", "raw_dose_unit", ["mg/day", "mg/kg/d", "mg", "mg/24h", "g"]),
    ],
)  # fmt: skip
def test_results_units_and_doses_stay_as_printed(table, column, cells):
    assert after(table, column, *cells) == cells


@pytest.mark.parametrize(
    ("table", "column", "cells"),
    [
        (
            "labs",
            "raw_value",
            [
                "haemolysed, rang Jane",
                "5 (Dr Smith)",
                "12.03.2001",
                "9434765919",
                "Jane",
                "a@b.org",
                "020 7946 0000",
                "07700900123",
                "01.02.17",
                "12/3/17",
                "20010312",
            ],
        ),
        ("labs", "raw_unit", ["Jane Doe", "see letter", "943 476 5919", "SE5 9RS", "K1234567/L"]),
        ("treatments", "raw_dose", ["as mother Jane says", "half a tablet", "943 476 5919", "01.02.17"]),
        ("treatments", "raw_dose_unit", ["Dr Smith", "tablets of Jane"]),
        ("variants", "gene", ["K1234567", "see letter"]),
    ],
)
def test_remarks_in_their_place_are_withheld(table, column, cells):
    assert all(cell is pd.NA for cell in after(table, column, *cells))


def test_a_reason_is_always_withheld_and_an_empty_cell_stays_empty():
    assert after("clinician_responses", "reason", "Well", None) == [WITHHELD, pd.NA]


def test_nothing_that_the_simulator_prints_is_withheld_but_reasons():
    cohort = simulate_cohort(SEED, 40)
    for name, table in cohort.tables().items():
        kept, told = withhold_text(name, table)
        assert all("reason" in words for words in told)
        columns = [one.name for one in TABLES[name].columns if one.name != "reason"]
        pd.testing.assert_frame_equal(kept[columns], table[columns])


@given(st.lists(st.text(), max_size=5))
@example(["1/" * 50, "\u2074/l", "µ" * 40 + "/"])
def test_no_text_breaks_it_and_the_counts_are_right(cells):
    for table, column in (
        ("labs", "raw_value"),
        ("labs", "raw_unit"),
        ("treatments", "raw_dose"),
        ("variants", "hgvs"),
    ):
        frame = conform(pd.DataFrame({column: cells}, dtype="string"), table)
        kept, told = withhold_text(table, frame)
        gone = int((kept[column].isna() & frame[column].notna()).sum())
        assert told == ([f"{gone} {column.replace('_', ' ')}(s) withheld"] if gone else [])


@pytest.mark.parametrize("piece", ["c.1;", "c.1; ", "1/", "1 ", "µ", "(", "A-"])
def test_a_long_cell_does_not_hang_it(piece):
    for table, column in (
        ("labs", "raw_value"),
        ("labs", "raw_unit"),
        ("treatments", "raw_dose"),
        ("variants", "hgvs"),
    ):
        (kept,) = after(table, column, piece * 50_000 + " ?")
        assert kept is pd.NA
