"""A cohort written as an OMOP database comes back as it was, in CSV files and in a DuckDB file, with its mess."""

import duckdb
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from aih_outcomes.load.omop import read_omop
from aih_outcomes.simulate import simulate_cohort
from aih_outcomes.simulate.exports.omop import export_omop
from aih_outcomes.simulate.exports.printed import print_cohort

SEED = 20240130


def content(cohort):
    """Return the tables without where their rows were read, in one order."""
    tables = {}
    for name, table in cohort.tables().items():
        kept = table.drop(columns=["source_file", "source_row"])
        tables[name] = kept.sort_values(list(kept.columns), ignore_index=True)
    return tables


def assert_same(one, other):
    for name, table in content(one).items():
        assert_frame_equal(content(other)[name], table, check_exact=True)


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(SEED, 24)


@pytest.fixture(scope="module")
def folder(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("omop")
    export_omop(print_cohort(cohort), out)
    return out


@pytest.mark.parametrize("where", [".", "cdm.duckdb"])
def test_a_cohort_comes_back_as_it_was_with_nothing_set_aside(cohort, folder, where):
    again = read_omop(folder / where)
    assert again.set_aside.empty
    assert_same(cohort, again)
    assert (again.load_report["n_read"] == again.load_report["n_kept"]).all()


@pytest.mark.slow
def test_the_whole_synthetic_cohort_comes_back_as_it_was(tmp_path):
    whole = simulate_cohort(SEED, 350)
    export_omop(print_cohort(whole), tmp_path)
    again = read_omop(tmp_path / "cdm.duckdb")
    assert again.set_aside.empty
    assert_same(whole, again)


def test_the_same_cohort_gives_the_same_bytes(cohort, folder, tmp_path):
    export_omop(print_cohort(cohort), tmp_path)
    files = sorted(path.name for path in folder.glob("*.csv"))
    assert "MEASUREMENT.csv" in files
    for name in files:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_result_keeps_what_was_printed_beside_the_canonical_value_and_its_unit_concept(cohort, folder):
    rows = pd.read_csv(folder / "MEASUREMENT.csv", dtype=str, keep_default_na=False)
    printed = rows[(rows["measurement_concept_id"] == "3006923") & (rows["unit_source_value"] == "ukat/L")]
    assert set(printed["unit_concept_id"]) == {"8645"}  # U/L
    ratio = printed["value_as_number"].astype(float) / printed["value_source_value"].str.lstrip("<>").astype(float)
    assert ratio.sub(60).abs().max() < 1e-9  # 1 µkat/L = 60 U/L


def test_the_duckdb_file_has_the_types_of_the_model(folder):
    with duckdb.connect(folder / "cdm.duckdb", read_only=True) as base:
        types = dict(base.execute("SELECT column_name, data_type FROM information_schema.columns "
                                  "WHERE table_name = 'measurement'").fetchall())  # fmt: skip
    assert types["measurement_date"] == "DATE"
    assert types["value_as_number"] == "DOUBLE"
    assert types["person_id"] == types["measurement_concept_id"] == "BIGINT"


def test_the_vocabulary_holds_our_own_words_and_no_text_of_others(folder):
    rows = pd.read_csv(folder / "CONCEPT.csv", dtype=str, keep_default_na=False)
    names = dict(zip(rows["concept_id"], rows["concept_name"], strict=True))
    assert names["3006923"] == "alt"
    assert names["200762"] == "autoimmune_hepatitis"
    assert set(rows["vocabulary_id"]) == {""}


def spoil(printed):
    """Return the cohort with one row spoilt in each way, and how many rows of each table must be set aside."""
    tables = {name: table.copy() for name, table in printed.items()}
    labs = tables["labs"]
    alt = labs.index[(labs["analyte"] == "alt") & (labs["raw_unit"] == "U/L")][:6]
    labs.loc[alt[0], "raw_unit"] = ""
    labs.loc[alt[1], "raw_unit"] = "U/furlong"
    labs.loc[alt[2], "raw_value"] = "see note"
    labs.loc[alt[3], "date"] = ""
    labs.loc[alt[4], "patient_id"] = "nobody"
    labs.loc[alt[5], "analyte"] = "atl"
    tables["labs"] = pd.concat([labs, labs.iloc[[9]]], ignore_index=True)
    events = tables["events"]
    events.loc[events.index[events["kind"] == "transplant"][0], "date"] = ""
    return tables


def test_odd_rows_are_written_as_they_are_and_set_aside_with_their_reason(cohort, tmp_path):
    export_omop(spoil(print_cohort(cohort)), tmp_path)
    again = read_omop(tmp_path)
    found = again.set_aside.groupby(["table", "column"]).size().to_dict()
    assert found == {
        ("events", "date"): 1, ("labs", ""): 1, ("labs", "analyte"): 1, ("labs", "date"): 1,
        ("labs", "patient_id"): 1, ("labs", "unit"): 2, ("labs", "value"): 1,
    }  # fmt: skip
    assert len(again.labs) == len(cohort.labs) - 6
