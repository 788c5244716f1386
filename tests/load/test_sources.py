"""A path tells its own format, or why it does not."""

import gzip
import json

import pytest

from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load.sources import find_source, list_files, read_source

PATIENTS = "patient_id,sex,birth_date,diagnosis_date\nA1,female,2001-01-01,2010-01-01\n"
DICTIONARY = '"Variable / Field Name","Form Name","Section Header","Field Type"\nrecord_id,base,,text\n'
BUNDLE = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": []})


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"patients__csv": PATIENTS, "labs__csv": "x\n"}, "tables"),
        ({"Patients__CSV": PATIENTS, "truth__json": "{}"}, "tables"),
        ({"children__csv": "Study no,Born\n1,2001-01-01\n"}, "tables"),
        ({"clinic__xlsx": b"PK"}, "tables"),
        ({"clinic__ods": b"PK"}, "tables"),
        ({"study__sav": b"$FL2"}, "tables"),
        ({"study__dta": b"<stata_dta>"}, "tables"),
        ({"data__csv": "record_id,name,form_complete\n1,x,2\n", "dictionary__csv": DICTIONARY}, "redcap"),
        ({"data__csv": "study_id,redcap_event_name,alt\n1,baseline_arm_1,40\n"}, "redcap"),
        ({"data__csv": "study_id,race___1,race___2\n1,0,1\n"}, "redcap"),
        ({"data__csv": "study_id,why___-1\n1,0\n"}, "redcap"),
        ({"data__csv": '\ufeff"study_id";"redcap_repeat_instance"\n1;1\n'}, "redcap"),
        ({"data__csv": "study_id,redcap_repeat_instance\n1,1\n".encode("utf-16")}, "redcap"),
        ({"DATA__CSV": "\ufeffID,redcap_data_access_group\n", "Arm__csv": "arm_num,name\n"}, "redcap"),
        ({"data__csv": "a,b\n1,2\n", "metadata__csv": "field_name,form_name\na,base\n"}, "redcap"),
        ({"Patient__ndjson": '{"resourceType":"Patient"}\n', "LICENSE": "text"}, "fhir"),
        ({"Patient__ndjson": ""}, "fhir"),
        ({"Patient__ndjson__gz": gzip.compress(b'{"resourceType":"Patient"}\n')}, "fhir"),
        ({"Patient__ndjson__gz": gzip.compress(b'{"resourceType":"Patient"}\n')[:20]}, "fhir"),
        ({"Patient__ndjson__gz": gzip.compress(b"x" * 99)[:10] + b"\xff" * 30}, "fhir"),
        ({"one__json": BUNDLE, "limits__csv": "analyte,uln\n"}, "fhir"),
        ({"PERSON__csv": "person_id\n", "CONDITION_OCCURRENCE__csv": "person_id\n"}, "omop"),
        ({"MEASUREMENT__csv": "", "drug_exposure__csv": "", "CONDITION_OCCURRENCE__csv": ""}, "omop"),
        ({"person__parquet": b"PAR1", "condition_occurrence__parquet": b"PAR1"}, "omop"),
        ({"person__csv__gz": b"", "condition_occurrence__csv__gz": b""}, "omop"),
        ({"cdm__duckdb": bytes(8) + b"DUCK" + bytes(20)}, "omop"),
        ({"cdm__db": bytes(8) + b"DUCK" + bytes(20)}, "omop"),
    ],
)  # fmt: skip
def test_a_folder_is_known_by_its_files(tmp_path, files, name):
    assert find_source(write(tmp_path, **files)).name == name


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("clinic.xlsx", b"PK", "tables"),
        ("children.csv", b"Study no,Born\n", "tables"),
        ("data.csv", b"record_id,redcap_event_name\n", "redcap"),
        ("bundle.json", BUNDLE.encode(), "fhir"),
        ("cdm.duckdb", bytes(8) + b"DUCK", "omop"),
    ],
)
def test_a_file_is_known_by_itself(tmp_path, file, content, name):
    (tmp_path / file).write_bytes(content)
    assert find_source(tmp_path / file).name == name


def test_tables_of_a_cdm_may_be_folders_of_parquet_files(tmp_path):
    for table in ("person", "condition_occurrence"):
        (tmp_path / table).mkdir()
        (tmp_path / table / "part-0.parquet").write_bytes(b"PAR1")
    assert find_source(tmp_path).name == "omop"
    assert [path.name for path in list_files(tmp_path, "omop")] == ["part-0.parquet", "part-0.parquet"]


def test_two_formats_in_one_folder_are_refused_and_named(tmp_path):
    write(tmp_path, patients__csv=PATIENTS, one__json=BUNDLE)
    with pytest.raises(DataError, match=r"2 formats: patients\.csv among 2 files; 1 file\(s\) of resources"):
        find_source(tmp_path)


@pytest.mark.parametrize("files", [{}, {"README__md": "x"}, {"package__json": '{"name": "x"}'}, {"note__pdf": b"%PDF"}])
def test_what_is_not_known_is_said_with_what_is(tmp_path, files):
    with pytest.raises(DataError, match=r"not recognised.*Known are: a workbook") as caught:
        find_source(write(tmp_path, **files))
    assert str(tmp_path) not in str(caught.value)


def test_a_path_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="There is no file or folder 'absent'"):
        find_source(tmp_path / "absent")


def test_a_file_named_after_a_patient_is_not_named_when_it_is_recognised(tmp_path):
    write(tmp_path, Tom_Goodwin__json=BUNDLE)
    assert "Goodwin" not in find_source(tmp_path).recognised_by


def test_real_exports_are_recognised(shared_inputs):
    for folder, name in (("redcap", "redcap"), ("omop", "omop")):
        projects = [path for path in (shared_inputs / folder).iterdir() if path.is_dir()]
        assert projects
        assert {find_source(path).name for path in projects} == {name}
    assert find_source(shared_inputs / "fhir").name == "fhir"
    assert find_source(shared_inputs / "pbcseq").name == "tables"


def test_a_source_is_found_and_read(tmp_path):
    read = read_source(write(tmp_path, patients__csv=PATIENTS), label="ours")
    assert (read.n_patients, read.label) == (1, "ours")


def test_a_source_that_does_not_exist_or_has_no_conditions_is_refused(tmp_path):
    write(tmp_path, patients__csv=PATIENTS)
    with pytest.raises(PlanError, match="'sas' is not a source"):
        read_source(tmp_path, source="sas")
    with pytest.raises(PlanError, match="Choices are fhir, omop"):
        read_source(tmp_path, condition="ibd")


def test_files_of_a_source_are_listed_without_those_of_another(tmp_path):
    write(tmp_path, patients__csv=PATIENTS, limits__csv="x\n", truth__json="{}", README__md="x")
    assert [path.name for path in list_files(tmp_path, "tables")] == ["limits.csv", "patients.csv"]
    assert [path.name for path in list_files(tmp_path / "truth.json", "fhir")] == ["truth.json"]
