"""One invented cohort, written in five formats and read by five loaders, gives five equal cohorts: clean, and messy.

Rows of a source have no order, so tables are sorted before they are compared; values are compared bit for bit.
"""

from pathlib import Path

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.load.fhir import read_fhir
from aih_outcomes.load.omop import read_omop
from aih_outcomes.load.redcap import read_redcap
from aih_outcomes.load.spreadsheets.tables import read_tables
from aih_outcomes.schema import TABLES
from aih_outcomes.simulate import SEED, simulate_cohort
from aih_outcomes.simulate.exports.fhir import export_fhir
from aih_outcomes.simulate.exports.omop import export_omop
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.redcap import export_redcap
from aih_outcomes.simulate.exports.tables import export_tables
from aih_outcomes.simulate.exports.workbook import export_workbook
from aih_outcomes.simulate.mess import make_mess

WITH_A_DEATH_AND_TRANSPLANTS = 10
PLACES = ["source_file", "source_row"]


def read_workbook(folder: Path):
    """Read the one workbook of a folder, through the mapping that lies beside it."""
    (workbook,), mappings = list(folder.glob("*.xlsx")), list(folder.glob("*.toml"))
    return read_tables(workbook, *mappings)


FORMATS = {
    "tables": (export_tables, read_tables),
    "workbook": (export_workbook, read_workbook),
    "redcap": (export_redcap, read_redcap),
    "fhir": (export_fhir, read_fhir),
    "omop": (export_omop, read_omop),
}


def write_and_read(printed, name, folder):
    write, read = FORMATS[name]
    write(printed, folder)
    return read(folder)


def in_order(table):
    content = table.drop(columns=PLACES)
    return content.sort_values(list(content.columns), ignore_index=True)


def assert_same_tables(found, expected):
    for name in TABLES:
        pd.testing.assert_frame_equal(
            in_order(found.tables()[name]), in_order(expected.tables()[name]), check_exact=True, obj=name
        )


def count_reasons(cohort):
    """Return table, column and rule → rows set aside: what a data manager is told, wherever the row stood."""
    return cohort.set_aside.fillna("").groupby(["table", "column", "rule"]).size().to_dict()


@pytest.fixture(scope="module")
def messy():
    printed = print_cohort(simulate_cohort(WITH_A_DEATH_AND_TRANSPLANTS, 16))
    return make_mess(printed, seed=1)


@pytest.fixture(scope="module")
def messy_as_tables(messy, tmp_path_factory):
    return write_and_read(messy.printed, "tables", tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_clean_cohort_comes_back_as_it_was(name, tmp_path):
    cohort = simulate_cohort(SEED, 24)
    found = write_and_read(print_cohort(cohort), name, tmp_path)
    assert found.set_aside.empty
    assert_same_tables(found, cohort)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_whole_synthetic_cohort_comes_back_as_it_was(name, tmp_path):
    cohort = simulate_cohort(SEED, 350)
    found = write_and_read(print_cohort(cohort), name, tmp_path)
    assert found.set_aside.empty
    assert_same_tables(found, cohort)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "tables"])
def test_a_messy_cohort_is_kept_and_set_aside_as_from_tables(name, messy, messy_as_tables, tmp_path):
    found = write_and_read(messy.printed, name, tmp_path)
    assert count_reasons(found) == count_reasons(messy_as_tables)
    assert_same_tables(found, messy_as_tables)


def test_what_is_kept_of_a_messy_cohort_breaks_no_rule(messy_as_tables):
    again = Cohort(**messy_as_tables.tables())  # checks every rule, and raises
    assert_same_tables(again, messy_as_tables)


def test_nothing_vanishes_from_a_messy_cohort(messy, messy_as_tables):
    report = messy_as_tables.load_report.set_index("table")
    for name, table in messy.printed.items():
        assert report.loc[name, "n_read"] == len(table)


def test_every_fault_that_can_be_found_is_found_and_no_clean_row_is_set_aside(messy, messy_as_tables):
    """Rows of a patient whose own row was set aside go with it: that knock-on is the only one."""
    truth = messy.truth
    for name, table in messy.printed.items():
        aside = messy_as_tables.set_aside
        lines = aside.loc[aside["table"] == name, "source_row"]
        of_table = truth[truth["table"] == name]
        wrong = set(of_table.loc[of_table["found"] == "yes", "row"])
        gone = set(messy.printed["patients"].loc[truth.loc[truth["table"] == "patients", "row"], "patient_id"])
        knocked_on = set(table.index[table["patient_id"].isin(gone)])
        assert set(lines - 2) == wrong | knocked_on, name  # line 1 is the header, line 2 the first row


def test_the_share_of_faults_found_by_kind_is_as_the_truth_says(messy, messy_as_tables, record_property):
    aside = messy_as_tables.set_aside[["table", "source_row"]].assign(found_aside=True)
    truth = messy.truth.assign(source_row=messy.truth["row"] + 2)
    met = truth.merge(aside, on=["table", "source_row"], how="left")
    share = met.assign(aside=met["found_aside"].notna()).groupby(["kind", "found"])["aside"].mean()
    record_property("share of faults set aside, by kind", share.to_dict())
    assert share.xs("yes", level="found").eq(1).all()
    assert share.xs("no", level="found").eq(0).all()
    assert share.xs("nothing wrong", level="found").eq(0).all()
