"""Ten projects that others made: each is read, and what is wrong in it is named by file, row and field."""

from pathlib import Path

import pandas as pd
import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.load.redcap import RedcapProject, read_project, read_redcap

SIZES = {
    "blank-for-gray-status": {"demographics": 6, "health": 5, "race_and_ethnicity": 5},
    "checkboxes-1": {"form_1": 0, "form_2": 3},
    "clinical-trial-1": {"demographics": 500},
    "decimal-comma": {"demographics": 4},
    "repeating-instruments": {"demographics": 2, "bp": 4},
    "simple": {"demographics": 5, "health": 5, "race_and_ethnicity": 5},
    "validation-types-1": {"form_1": 0},
    "vignette-repeating": {"intake": 2, "blood_pressure": 6, "laboratory": 4, "image": 5},
}


def read(shared_inputs: Path, name: str) -> RedcapProject:
    return read_project(shared_inputs / "redcap" / name)


def test_every_project_is_read(shared_inputs: Path) -> None:
    folders = [path for path in (shared_inputs / "redcap").iterdir() if path.is_dir()]
    assert len(folders) == 10
    for folder in folders:
        assert read_project(folder).forms


@pytest.mark.parametrize("name", SIZES)
def test_forms_have_the_lines_that_a_reader_counts(shared_inputs: Path, name: str) -> None:
    assert {form: source.n_lines for form, source in read(shared_inputs, name).forms.items()} == SIZES[name]


def test_longitudinal_events_have_their_labels_and_arms(shared_inputs: Path) -> None:
    form = read(shared_inputs, "longitudinal").forms["demographics"].cells
    assert form["redcap_event_label"].unique().tolist() == ["Enrollment"]
    assert form["redcap_arm"].tolist() == ["1", "1", "2"]


def test_decimal_commas_become_points_beside_a_calculated_field(shared_inputs: Path) -> None:
    form = read(shared_inputs, "decimal-comma").forms["demographics"].cells
    assert form[["height", "weight", "bmi"]].iloc[0].tolist() == ["1.54", "52.3", "22.1"]


def test_what_is_wrong_is_named_by_file_row_and_field(shared_inputs: Path) -> None:
    found = read(shared_inputs, "simple").problems  # FALSE and TRUE where the codes are 0 and 1
    assert set(found["file"]) == {"data.csv"}
    assert found.loc[found["field"] == "sex", "row"].tolist() == [2, 4, 6, 8, 13]  # remarks have line breaks


def test_without_a_dictionary_forms_end_with_their_state(shared_inputs: Path) -> None:
    project = read(shared_inputs, "russian")
    assert project.record_id == "record_id"
    assert len(project.forms) == 14
    assert {source.n_lines for source in project.forms.values()} == {3}
    found = project.problems.groupby("field", sort=False)["rule"].first()
    assert "no data dictionary" in found[""]
    assert "has no name" in found["column 1"]
    assert "letters" in found["recruitment_other"]  # lost by R
    assert len(found) == 3


def test_names_and_addresses_are_withheld(shared_inputs: Path) -> None:
    project = read(shared_inputs, "clinical-trial-1")
    assert {"name_first", "name_last", "address", "phone", "dob"} <= set(project.withheld)
    text = pd.concat([source.cells for source in project.forms.values()])
    assert not set(project.withheld) & set(text)


def test_a_project_of_others_needs_a_mapping(shared_inputs: Path) -> None:
    with pytest.raises(PlanError, match="aih-outcomes init") as error:
        read_redcap(shared_inputs / "redcap" / "longitudinal")
    assert "9 form(s)" in error.value.what


MAPPING = """
label = "repeating blood pressure"
[reading]
date_format = "YYYY-MM-DD"
[patients]
file = "demographics"
columns.patient_id = "record_id"
columns.birth_date = "dob"
columns.diagnosis_date = "date_enrolled"
columns.sex = { column = "sex", codes = { 0 = "female", 1 = "male" } }
[adverse_events]
file = "bp"
columns.patient_id = "record_id"
columns.date = "date_bp"
columns.kind = { constant = "other" }
columns.grade = { constant = "1" }
"""


def test_a_mapping_turns_a_project_of_others_into_a_cohort(shared_inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    cohort = read_redcap(shared_inputs / "redcap" / "repeating-instruments", tmp_path / "mapping.toml")
    assert cohort.label == "repeating blood pressure"
    assert cohort.patients["sex"].tolist() == ["female", "male"]
    assert cohort.adverse_events["date"].dt.strftime("%Y-%m-%d").tolist() == ["2019-10-14"]
    report = cohort.load_report
    assert report is not None
    row = report[report["table"] == "adverse_events"].iloc[0]
    # three of the four lines are of one day: two of them repeat it; one is older than its patient
    assert (row["source_file"], row["n_read"], row["n_kept"], row["n_set_aside"]) == ("data.csv:bp", 4, 1, 3)
