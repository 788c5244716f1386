"""SPSS and Stata files: value labels, missing codes, dates."""

import datetime
import sys

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from aih_outcomes.errors import DataError
from aih_outcomes.load import read_tables
from aih_outcomes.load.mapping import parse_mapping
from aih_outcomes.load.spreadsheets.statistical import read_statistical

FRAME = pd.DataFrame(
    {
        "id": ["k1", "k2", "k3"],
        "sex": [1.0, 2.0, np.nan],
        "born": [datetime.date(2010, 2, 3), None, datetime.date(2011, 3, 4)],
        "alt": [812.5, 999.0, 30.0],
        "centre": [1.0, 3.0, 2.0],
    }
)
LABELS = {"sex": {1: "Mädchen", 2: "Junge"}, "centre": {1: "North", 2: "South"}}
MAPPING = """
[patients]
columns.patient_id = "id"
columns.birth_date = "born"
columns.diagnosis_date = { constant = 2020-01-01 }
columns.sex = { column = "sex", codes = { "Mädchen" = "female", Junge = "male" } }
columns.centre = "centre"
[labs]
columns.patient_id = "id"
columns.date = { constant = 2020-01-01 }
columns.analyte = { constant = "alt" }
columns.value = { column = "alt", unit = "U/L" }
"""


@pytest.fixture
def sav(tmp_path):
    pyreadstat.write_sav(FRAME, tmp_path / "c.sav", variable_value_labels=LABELS, missing_ranges={"alt": [999.0]})
    return tmp_path / "c.sav"


@pytest.fixture
def dta(tmp_path):
    pyreadstat.write_dta(FRAME, tmp_path / "c.dta", variable_value_labels=LABELS)
    return tmp_path / "c.dta"


def test_labels_dates_and_missing_codes_of_spss(sav):
    cells = read_statistical(sav, "c.sav").cells
    assert cells.loc[1].tolist() == ["k1", "Mädchen", "2010-02-03", "812.5", "North"]
    assert cells.loc[2].tolist() == ["k2", "Junge", "", "", "3"]
    assert cells.loc[3].tolist() == ["k3", "", "2011-03-04", "30", "South"]


def test_codes_instead_of_labels(dta):
    cells = read_statistical(dta, "c.dta", values="codes").cells
    assert cells["sex"].tolist() == ["1", "2", ""]
    assert cells["alt"].tolist() == ["812.5", "999", "30"]


def test_an_spss_file_becomes_a_cohort(sav):
    cohort = read_tables(sav, parse_mapping(MAPPING))
    assert cohort.patients[["patient_id", "sex", "centre"]].astype(object).where(
        cohort.patients[["patient_id", "sex", "centre"]].notna(), None
    ).to_numpy().tolist() == [["k1", "female", "North"], ["k3", None, "South"]]
    assert cohort.labs["value"].tolist() == [812.5, 30.0]
    report = cohort.load_report.set_index("table").loc["labs"]
    assert (report["n_read"], report["n_kept"], report["n_set_aside"]) == (3, 2, 1)
    assert "lines are numbers of cases" in report["how_read"]


@pytest.mark.slow
def test_a_damaged_file_is_refused(sav, tmp_path):
    data = sav.read_bytes()
    for length in (0, 3, 100, 400):
        (tmp_path / "cut.sav").write_bytes(data[:length])
        with pytest.raises(DataError) as caught:
            read_statistical(tmp_path / "cut.sav", "cut.sav")
        assert "damaged" in caught.value.what
    (tmp_path / "text.dta").write_text("id;sex\n1;2\n")
    with pytest.raises(DataError):
        read_statistical(tmp_path / "text.dta", "text.dta")


def test_without_pyreadstat_the_extra_is_named(sav, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(DataError) as caught:
        read_statistical(sav, "c.sav")
    assert "aih-outcomes[spss]" in caught.value.way_out


def test_a_file_that_crashes_the_c_library_is_refused(sav, tmp_path):
    data = bytearray(sav.read_bytes())
    data[78], data[317] = 3, 18  # found by changing bytes at random: ReadStat ends with a segmentation fault
    (tmp_path / "crash.sav").write_bytes(bytes(data))
    with pytest.raises(DataError) as caught:
        read_statistical(tmp_path / "crash.sav", "crash.sav")
    assert "damaged" in caught.value.what
