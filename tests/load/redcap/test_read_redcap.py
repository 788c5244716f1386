"""From a REDCap export to a cohort: the project of the schema, a project of one's own, the blank template."""

from pathlib import Path
from typing import Protocol

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.formats.redcap import data_columns, dictionary
from aih_outcomes.load.redcap import read_redcap, write_redcap_template


class Project(Protocol):
    def __call__(self, **files: str) -> Path: ...


def write_export(folder: Path, *rows: dict[str, str], fields: pd.DataFrame | None = None) -> Path:
    """Write an export of the schema's project; what a row does not name is blank."""
    (dictionary() if fields is None else fields).to_csv(folder / "dictionary.csv", index=False)
    pd.DataFrame(rows, columns=list(data_columns())).fillna("").to_csv(folder / "data.csv", index=False)
    return folder


CHILD = {
    "patient_id": "A", "redcap_event_name": "diagnosis_arm_1", "redcap_data_access_group": "kings", "sex": "female",
    "birth_date": "2010-01-01", "diagnosis_date": "2018-05-14", "ibd": "1", "patients_complete": "2",
}  # fmt: skip
RESULT = {
    "patient_id": "A", "redcap_event_name": "course_arm_1", "redcap_repeat_instrument": "labs",
    "redcap_repeat_instance": "1", "lab_date": "2018-05-14", "lab_analyte": "igg", "lab_raw_value": "<2100",
    "lab_raw_unit": "mg/dL", "lab_uln": "16", "lab_uln_source": "reported",
}  # fmt: skip


def test_results_are_converted_as_printed(tmp_path: Path) -> None:
    cohort = read_redcap(write_export(tmp_path, CHILD, RESULT))
    row = cohort.labs.iloc[0]
    assert (row["value"], row["unit"], row["comparator"], row["uln"]) == (21.0, "g/L", "<", 16.0)
    assert (row["raw_value"], row["raw_unit"]) == ("<2100", "mg/dL")
    assert (row["source_file"], row["source_row"]) == ("data.csv:labs", 3)
    patient = cohort.patients.iloc[0]
    assert (patient["centre"], patient["ibd"]) == ("kings", True)


def test_a_limit_without_a_source_was_reported_with_its_result(tmp_path: Path) -> None:
    cohort = read_redcap(write_export(tmp_path, CHILD, {**RESULT, "lab_uln_source": ""}))
    assert cohort.labs["uln_source"].tolist() == ["reported"]


def test_a_dose_per_kg_takes_the_weight_of_another_form(tmp_path: Path) -> None:
    course = {"patient_id": "A", "redcap_event_name": "course_arm_1", "redcap_repeat_instance": "1"}
    weight = {
        **course, "redcap_repeat_instrument": "measurements", "measured_date": "2018-05-10",
        "measured_measure": "weight", "measured_value": "30",
    }  # fmt: skip
    drug = {
        **course, "redcap_repeat_instrument": "treatments", "drug_drug": "prednisolone", "drug_raw_dose": "2",
        "drug_raw_dose_unit": "mg/kg/day", "drug_start": "2018-05-15", "drug_indication": "aih",
    }  # fmt: skip
    cohort = read_redcap(write_export(tmp_path, CHILD, drug, weight))
    assert cohort.treatments["dose"].tolist() == [60.0]


@pytest.mark.parametrize(
    ("changed", "column", "rule"),
    [
        ({"lab_raw_unit": ""}, "unit", "missing unit for 'igg'"),
        ({"lab_raw_unit": "stones"}, "unit", "unit for 'igg'"),
        ({"lab_date": "14/05/2018"}, "date", "must be a date"),
        ({"lab_date": "2009-05-14"}, "date", "before the patient's birth"),
        ({"lab_raw_value": "990000"}, "value", "to be plausible"),
        ({"lab_analyte": "gpt?"}, "analyte", "must be one of"),
        ({"patient_id": "B"}, "patient_id", "not in the table 'patients'"),
        ({"patient_id": ""}, "patient_id", "required value is missing"),
    ],
)
def test_rows_that_break_a_rule_are_set_aside(tmp_path: Path, changed: dict[str, str], column: str, rule: str) -> None:
    cohort = read_redcap(write_export(tmp_path, CHILD, {**RESULT, **changed}))
    aside = cohort.set_aside.iloc[0]
    assert len(cohort.set_aside) == 1
    assert aside["table"] == "labs"
    assert aside["source_row"] == 3
    assert column in aside["column"]
    assert rule in aside["rule"]


def counts(cohort: Cohort, table: str) -> tuple[int, int, int]:
    assert cohort.load_report is not None
    row = cohort.load_report.set_index("table").loc[table]
    return int(row["n_read"]), int(row["n_kept"]), int(row["n_set_aside"])


def test_a_line_that_ends_early_is_set_aside_with_its_form(tmp_path: Path) -> None:
    folder = write_export(tmp_path, CHILD, RESULT, RESULT)
    text = (folder / "data.csv").read_text(encoding="utf-8").rstrip("\n")
    (folder / "data.csv").write_text(text[: text.rindex("lab") if "lab" in text[-20:] else -40], encoding="utf-8")
    assert counts(read_redcap(folder), "labs") == (2, 1, 1)


def test_a_record_exported_twice_is_kept_once(tmp_path: Path) -> None:
    assert counts(read_redcap(write_export(tmp_path, CHILD, CHILD, RESULT)), "patients") == (2, 1, 1)


def test_two_different_records_of_one_patient_are_both_set_aside(tmp_path: Path) -> None:
    other = {**CHILD, "patient_id": "B"}
    cohort = read_redcap(write_export(tmp_path, CHILD, {**CHILD, "sex": "male"}, other, RESULT))
    assert cohort.patients["patient_id"].tolist() == ["B"]
    assert counts(cohort, "labs") == (1, 0, 1)


def test_fields_added_by_the_centre_are_told(tmp_path: Path) -> None:
    fields = dictionary()
    own = fields.iloc[[1]].assign(**{"Variable / Field Name": "school", "Form Name": "life"})
    cohort = read_redcap(write_export(tmp_path, CHILD, fields=pd.concat([fields, own])))
    assert cohort.load_report is not None
    assert cohort.load_report["columns_not_used"].iloc[0] == "school"


def test_a_form_without_a_required_field_is_refused(tmp_path: Path) -> None:
    fields = dictionary()
    with pytest.raises(DataError, match="lacks 1 field") as error:
        read_redcap(write_export(tmp_path, CHILD, fields=fields[fields.iloc[:, 0] != "lab_raw_unit"]))
    assert "lab_raw_unit" in error.value.what


def test_the_blank_template_reads_back_its_example_alone(tmp_path: Path) -> None:
    write_redcap_template(tmp_path)
    cohort = read_redcap(tmp_path)
    assert {name: len(table) for name, table in cohort.tables().items()} == dict.fromkeys(cohort.tables(), 1)
    assert cohort.set_aside.empty
    assert "invented" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_template_without_its_example_holds_no_patient(tmp_path: Path) -> None:
    write_redcap_template(tmp_path)
    header = (tmp_path / "example.csv").read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "example.csv").write_text(header + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="0 patients"):
        read_redcap(tmp_path)


OWN = {
    "dictionary": """
        study_no,baseline,text,Study number
        born,baseline,text,Born,,date_dmy,,,y
        biopsy,baseline,text,Biopsy,,date_dmy
        sex,baseline,radio,Sex,"1, Girl | 2, Boy"
        visit,bloods,text,Visit,,date_dmy
        alt,bloods,text,ALT,,number_comma_decimal
        igg,bloods,text,IgG,,number
        signs,bloods,checkbox,Signs,"1, Ascites | 2, Bleed"
    """,
    "data": """
        study_no,redcap_event_name,redcap_repeat_instance,born,biopsy,sex,baseline_complete,visit,alt,igg,signs___1,signs___2,bloods_complete
        17,start_arm_1,,2010-01-01,2018-05-14,1,2,,,,,,
        17,visits_arm_1,1,,,,,2018-06-01,"40,5",-999,0,0,2
        17,visits_arm_1,2,,,,,2018-07-01,"38",12.5,1,0,2
    """,
}  # fmt: skip
MAPPING = """
[reading]
missing = ["-999"]
[patients]
file = "baseline"
columns.patient_id = "study_no"
columns.birth_date = "born"
columns.diagnosis_date = "biopsy"
columns.sex = { column = "sex", codes = { 1 = "female", 2 = "male" } }
[labs]
file = "bloods"
columns.patient_id = "study_no"
columns.date = "visit"
wide = [
    { column = "alt", analyte = "alt", unit = "U/L" },
    { column = "igg", analyte = "igg", unit = "g/L" },
]
[events]
file = "bloods"
only = { signs___1 = ["1"] }
columns.patient_id = "study_no"
columns.date = "visit"
columns.kind = { constant = "ascites" }
"""


def read_own(project: Project, mapping: str, **changed: str) -> Cohort:
    folder = project(**{**OWN, **changed})
    (folder / "mapping.toml").write_text(mapping, encoding="utf-8")
    return read_redcap(folder, folder / "mapping.toml")


def test_a_project_of_ones_own_is_read_with_a_mapping_of_its_forms(project: Project) -> None:
    cohort = read_own(project, MAPPING)
    assert cohort.patients[["sex", "birth_date"]].astype(str).to_numpy().tolist() == [["female", "2010-01-01"]]
    assert cohort.labs[["analyte", "value"]].to_numpy().tolist() == [["alt", 40.5], ["alt", 38.0], ["igg", 12.5]]
    assert cohort.events["date"].dt.strftime("%Y-%m-%d").tolist() == ["2018-07-01"]
    assert set(cohort.labs["source_file"]) == {"data.csv:bloods"}


def test_a_mapping_reads_labels_by_the_codes_of_the_dictionary(project: Project) -> None:
    header = "Study number,Event Name,Repeat Instance,Born,Biopsy,Sex,Complete?,Visit,ALT,IgG,"
    labels = f"""
        {header}Signs (choice=Ascites),Signs (choice=Bleed),Complete?
        17,Start,,2010-01-01,2018-05-14,Girl,Complete,,,,,,
        17,Visits,1,,,,,2018-06-01,"40,5",-999,Unchecked,Unchecked,Complete
        17,Visits,2,,,,,2018-07-01,"38",12.5,Checked,Unchecked,Complete
    """
    codes = read_own(project, MAPPING)
    labelled = read_own(project, MAPPING, data=labels)
    for name, table in codes.tables().items():
        pd.testing.assert_frame_equal(table, labelled.tables()[name])


def test_forms_that_the_mapping_does_not_use_are_told(project: Project) -> None:
    cohort = read_own(project, MAPPING.split("[labs]", maxsplit=1)[0])
    assert cohort.load_report is not None
    assert "forms not used: bloods" in cohort.load_report["how_read"].iloc[0]


def test_a_mapping_that_names_a_form_that_is_not_there_is_refused(project: Project) -> None:
    with pytest.raises(PlanError, match="Perhaps 'bloods' is meant"):
        read_own(project, MAPPING.replace('"bloods"', '"blood"'))


def test_a_mapping_that_names_a_field_that_is_not_there_is_refused(project: Project) -> None:
    with pytest.raises(PlanError, match="lacks 1 column"):
        read_own(project, MAPPING.replace('"visit"', '"visits"'))


def test_a_project_of_ones_own_without_mapping_names_the_command_that_fills_one(project: Project) -> None:
    with pytest.raises(PlanError) as error:
        read_redcap(project(**OWN))
    assert "never guessed" in error.value.rule
    assert "aih-outcomes init" in error.value.way_out
