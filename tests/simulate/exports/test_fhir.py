"""A cohort as a FHIR bulk export: what another program finds in it, and that it comes back bit for bit."""

import json
import re

import pandas as pd
import pytest

from aih_outcomes.load.fhir import read_fhir
from aih_outcomes.schema import TABLES
from aih_outcomes.simulate.exports.fhir import export_fhir
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.tables import SEED
from aih_outcomes.simulate.synthetic import simulate_cohort

PLACES = ["source_file", "source_row"]


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(SEED, 12)


@pytest.fixture(scope="module")
def exported(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fhir")
    export_fhir(print_cohort(cohort), folder)
    return folder


def resources(folder, kind):
    return [json.loads(line) for line in (folder / f"{kind}.ndjson").read_text(encoding="utf-8").splitlines()]


def assert_equal(found, expected):
    for name in TABLES:
        one, other = (side.tables()[name].drop(columns=PLACES) for side in (found, expected))
        one, other = (table.sort_values(list(table.columns), ignore_index=True) for table in (one, other))
        pd.testing.assert_frame_equal(one, other, check_exact=True, obj=name)


def one_row(**tables):
    """Return a printed cohort of one patient with the given rows, other cells blank."""
    rows = {"patients": {"patient_id": "a", "sex": "female", "birth_date": "2005-04-03", "diagnosis_date": "2015-02-01",
                         "diagnosis": "aih"}} | tables  # fmt: skip
    return {
        name: pd.DataFrame(
            [rows[name]] if name in rows else [],
            columns=[one for one in TABLES[name].column_names() if one not in PLACES],
        ).fillna("")
        for name in TABLES
    }


def test_every_line_is_a_resource_whose_subject_is_a_patient_of_the_export(exported, cohort):
    patients = {one["id"] for one in resources(exported, "Patient")}
    assert patients == set(cohort.patients["patient_id"])
    for path in exported.iterdir():
        for one in resources(exported, path.stem):
            assert one["resourceType"] == path.stem
            assert path.stem == "Patient" or one["subject"]["reference"].removeprefix("Patient/") in patients


def test_ids_are_unique_and_of_the_form_that_fhir_allows(exported):
    names = [one["id"] for path in exported.iterdir() for one in resources(exported, path.stem)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", name) for name in names)


def test_results_have_standard_codes_and_units_where_there_are_some(exported):
    results = [one for one in resources(exported, "Observation") if one["id"].startswith("labs-")]
    codes = {coding["code"] for one in results for coding in one["code"]["coding"] if "loinc" in coding["system"]}
    assert {"1742-6", "1920-8", "2465-3"} <= codes  # ALT, AST, IgG
    units = {one["valueQuantity"].get("code") for one in results if "valueQuantity" in one}
    assert {"U/L", "g/L"} <= units


def test_the_diagnosis_is_a_condition_that_any_program_recognises(exported):
    first = resources(exported, "Condition")[0]
    assert {"system": "http://snomed.info/sct", "code": "408335007"} in first["code"]["coding"]


@pytest.mark.parametrize("how", [{}, {"packed": True}, {"bundle": True}, {"bundle": True, "packed": True}])
def test_a_cohort_comes_back_from_every_form(cohort, how, tmp_path):
    export_fhir(print_cohort(cohort), tmp_path, **how)
    found = read_fhir(tmp_path)
    assert found.set_aside.empty
    assert_equal(found, cohort)


def test_the_same_cohort_gives_the_same_bytes(cohort, tmp_path):
    for name in ("one", "two"):
        export_fhir(print_cohort(cohort), tmp_path / name, packed=True)
    one, two = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("printed", ["1.20", "41", "0.5e3", "<5", ">=1000"])
def test_a_number_is_written_digit_by_digit(printed, tmp_path):
    labs = {"patient_id": "a", "date": "2016-01-02", "analyte": "alt", "raw_value": printed, "raw_unit": "U/L"}
    export_fhir(one_row(labs=labs), tmp_path)
    assert f'"value":{printed.lstrip("<>=")},' in (tmp_path / "Observation.ndjson").read_text()
    assert list(read_fhir(tmp_path).labs["raw_value"]) == [printed]


@pytest.mark.parametrize("printed", ["haemolysed", "neg", "007", ".5", "5,3", ">1:1280", "5 U/L"])
def test_what_is_no_number_is_written_as_it_stands(printed, tmp_path):
    labs = {"patient_id": "a", "date": "2016-01-02", "analyte": "alt", "raw_value": printed, "raw_unit": "U/L"}
    export_fhir(one_row(labs=labs), tmp_path)
    (one,) = resources(tmp_path, "Observation")
    assert one["valueString"] == printed


def test_a_date_is_as_precise_as_it_is_known(tmp_path):
    labs = {"patient_id": "a", "date": "2016-01-15", "analyte": "alt", "raw_value": "4", "raw_unit": "U/L"}
    export_fhir(one_row(labs=labs | {"date_precision": "month"}), tmp_path)
    assert resources(tmp_path, "Observation")[0]["effectiveDateTime"] == "2016-01"
    row = read_fhir(tmp_path).labs.iloc[0]
    assert (row["date"], row["date_precision"]) == (pd.Timestamp("2016-01-15"), "month")


def test_a_patient_id_that_fhir_does_not_allow_is_an_identifier(tmp_path):
    printed = one_row()
    printed["patients"]["patient_id"] = "no. 7 / b"
    export_fhir(printed, tmp_path)
    assert list(read_fhir(tmp_path).patients["patient_id"]) == ["no. 7 / b"]
