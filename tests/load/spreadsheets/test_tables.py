"""Canonical tables: written and read back unchanged, and everything read is counted."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError
from aih_outcomes.load import read_tables
from aih_outcomes.schema import TABLES

TABLE_TEXTS = {
    "patients": """
        patient_id, sex,    birth_date, age_at_diagnosis, diagnosis_date, centre,   cirrhosis_at_diagnosis, ibd
        001,        female, 2008-03-01, ,                 2016-05-20,     NA,       yes,                    no
        A 2,        male,   ,           7.123456789012345, 2018-01-09,    "B, west", ,                      yes
    """,
    "labs": """
        patient_id, date,       analyte, value, unit, comparator, raw_value, raw_unit, uln,  uln_source, visit
        001,        2016-05-20, alt,     812.5, U/L,  =,          812.5,     IU/L,     40,   reported,   scheduled
        001,        2016-06-20, alt,     5,     U/L,  <,          <5,        U/L,      ,     none,       unscheduled
        A 2,        2018-01-09, igg,     0.1,   g/L,  =,          10,        mg/dL,    16.1, fixed,
    """,
    "treatments": """
        patient_id, drug,         dose, raw_dose, raw_dose_unit, start,      stop,       indication, reason_stopped
        001,        prednisolone, 40,   2,        mg/kg/day,     2016-05-21, 2016-06-20, aih,        planned
        001,        azathioprine, ,     ,         ,              2016-06-01, ,           aih,
    """,
    "events": "patient_id, date, kind, cause, grade\n001, 2020-02-29, death, liver,",
    "biopsies": "patient_id, date, hai, ishak_fibrosis, adequate\nA 2, 2018-01-09, 9, 2, yes",
    "imaging": "patient_id, date, modality, finding, stiffness\nA 2, 2018-02-01, elastography, normal, 5.5",
    "measurements": "patient_id, date, measure, value\nA 2, 2018-01-09, weight, 20.5",
    "variants": "patient_id, date, result, gene, acmg_class\nA 2, 2018-05-01, variant, STAT1, 5",
    "adverse_events": "patient_id, date, kind, grade, serious\n001, 2017-01-01, zoster, 3, no",
    "clinician_responses": """
        patient_id, date,       endpoint,             clinician_response, reason,           initials
        001,        2016-12-01, response_by_6_months, met,                IgG not repeated, QX
    """,
    "follow_up": """
        patient_id, start,      end,        end_reason, end_source
        001,        2016-05-20, 2020-02-29, death,      registry
        A 2,        2018-01-09, 2021-01-01, ongoing,    visit
    """,
}


def write_canonical(cohort: Cohort, folder: Path) -> None:
    for name, table in cohort.tables().items():
        table.to_csv(folder / f"{name}.csv", index=False)


def without_source(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["source_file", "source_row"])


def test_canonical_tables_are_read_as_written(folder):
    cohort = read_tables(folder(**{name: text.replace('"B, west"', "B west") for name, text in TABLE_TEXTS.items()}))
    assert cohort.set_aside.empty
    assert cohort.patients["patient_id"].tolist() == ["001", "A 2"]
    assert cohort.patients["centre"].tolist() == ["NA", "B west"]
    assert cohort.patients["age_at_diagnosis"][1] == 7.123456789012345
    assert cohort.patients["ibd"].tolist() == [False, True]
    assert cohort.labs["uln"].isna().tolist() == [False, True, False]
    assert cohort.variants["acmg_class"].tolist() == [5]
    assert cohort.labs["source_row"].tolist() == [2, 3, 4]
    assert cohort.label == "cohort"


def test_round_trip_changes_nothing_but_the_place_of_origin(folder, tmp_path_factory):
    first = read_tables(folder(**{name: text.replace('"B, west"', "B west") for name, text in TABLE_TEXTS.items()}))
    elsewhere = tmp_path_factory.mktemp("again")
    write_canonical(first, elsewhere)
    again = read_tables(elsewhere, label="again")
    assert again.set_aside.empty
    for name, table in first.tables().items():
        assert_frame_equal(without_source(again.tables()[name]), without_source(table), obj=name)
    assert set(again.load_report["columns_not_used"]) == {""}


def test_a_quoted_separator_and_a_time_of_day_are_read(tmp_path):
    text = 'patient_id,birth_date,diagnosis_date,centre\r\n1,2008-03-01 00:00:00,2016-05-20T10:15:00Z,"B, west"\r\n'
    (tmp_path / "patients.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    patients = read_tables(tmp_path).patients
    assert patients["centre"].tolist() == ["B, west"]
    assert patients["diagnosis_date"].tolist() == [pd.Timestamp("2016-05-20")]


CELLS = st.sampled_from(
    ["", "x", "-1", "0", "1e400", "nan", "2019-02-30", "0001-01-01", "9999-12-31", "2007-01-01", "1;2", "<5", "001",
     "A 2", "yes", "death", "male", "U/L", "é", "=", "alt", '"', "a,b", "\n", "99999999999999999999"],
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.sampled_from(list(TABLE_TEXTS)), st.integers(0, 9), st.integers(0, 9), CELLS), min_size=1, max_size=6
)


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> dict[str, pd.DataFrame]:
    tables = {}
    for name, text in TABLE_TEXTS.items():
        lines = text.replace('"B, west"', "B west").strip().splitlines()
        rows = [[cell.strip() for cell in line.split(",")] for line in lines]
        tables[name] = pd.DataFrame(rows[1:], columns=rows[0], dtype=object)
    return tables


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(changes=CHANGES, repeated=st.sampled_from([None, *TABLE_TEXTS]))
def test_whatever_is_in_a_cell_every_row_is_kept_or_set_aside(valid, tmp_path_factory, changes, repeated):
    tables = {name: table.copy() for name, table in valid.items()}
    for name, row, column, cell in changes:
        table = tables[name]
        table.iloc[row % len(table), column % table.shape[1]] = cell
    if repeated is not None:
        tables[repeated] = pd.concat([tables[repeated], tables[repeated].iloc[:1]], ignore_index=True)
    folder = tmp_path_factory.mktemp("corrupted")
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    try:
        cohort = read_tables(folder)
    except DataError as error:
        fault = error.what
    else:
        fault = ""
    if fault:
        assert fault.startswith("0 patients left")
        return
    report = cohort.load_report.set_index("table")
    for name in TABLES:
        n_read = len(tables[name]) - int((tables[name] == "").all(axis=1).sum())
        n_aside = int((cohort.set_aside["table"] == name).sum())
        assert n_read == len(cohort.tables()[name]) + n_aside == report.loc[name, "n_read"]
    assert cohort.set_aside[["source_file", "source_row", "rule", "way_out"]].notna().all(axis=None)


def test_set_aside_rows_are_placed_by_file_and_line(folder):
    texts = {name: text.replace('"B, west"', "B west") for name, text in TABLE_TEXTS.items()}
    cohort = read_tables(folder(**{**texts, "events": "patient_id, date, kind\n001, 2020-02-29, deth"}))
    row = cohort.set_aside.iloc[0]
    assert (row["table"], row["source_file"], row["source_row"], row["column"]) == ("events", "events.csv", 2, "kind")


def test_the_synthetic_cohort_is_read_whole():
    folder = Path(__file__).resolve().parents[3] / "data" / "synthetic"
    cohort = read_tables(folder)
    assert cohort.set_aside.empty, cohort.set_aside.head().to_string()
    assert set(cohort.load_report["columns_not_used"]) == {""}


def test_only_line_ends_end_a_line(tmp_path):
    text = "patient_id,birth_date,diagnosis_date,centre\r1,2008-03-01,2016-05-20,a\u2028b\x0cc\r2,x,,\r"
    (tmp_path / "patients.csv").write_bytes(text.encode())
    cohort = read_tables(tmp_path)
    assert cohort.patients["centre"].tolist() == ["a\u2028b\x0cc"]
    assert cohort.set_aside["source_row"].tolist() == [3]
