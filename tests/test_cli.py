"""The command line as a user meets it: plain words, no traceback, a code per class of error."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLAN = 'title = "A study"\nnotebooks = ["01_cohort"]\ndisclosure = "none"\n[data]\nfolder = "../../data"\n'
PATIENTS = "patient_id,sex,birth_date,diagnosis_date\n"
GIRL = "SECRET-7,female,2001-01-01,2010-01-01\n"
LABS = "patient_id,date,analyte,value,unit,comparator,uln,uln_source\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "reports/plans").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "reports/plans/study.toml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def run(project, *arguments):
    command = [sys.executable, "-c", "from aih_outcomes.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)


def check(project, patients, **tables):
    (project / "data/patients.csv").write_text(patients, encoding="utf-8")
    for name, text in tables.items():
        (project / f"data/{name}.csv").write_text(text, encoding="utf-8")
    return run(project, "check", "reports/plans/study.toml")


def assert_three_parts(done, code):
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    for part in ("Error:", "Rule:", "Way out:"):
        assert part in done.stderr
    assert "SECRET" not in done.stderr + done.stdout


def test_help_names_the_commands_in_plain_words(project):
    done = run(project, "--help")
    assert done.returncode == 0
    for word in ("init", "check", "derive", "report", "simulate", "template", "key", "must not guide treatment"):
        assert word in done.stdout


def test_importing_stays_quick_because_nothing_heavy_is_imported(project):
    heavy = "('pandas', 'matplotlib', 'statsmodels', 'scipy')"
    code = f"import sys, aih_outcomes.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_one_patient_is_a_cohort(project):
    done = check(project, PATIENTS + GIRL)
    assert done.returncode == 0
    assert "Patients in the study: 1" in done.stdout
    assert "SECRET" not in done.stdout


@pytest.mark.parametrize(
    ("patients", "tables"),
    [
        ("", {}),
        (PATIENTS, {}),
        ("patient_id,sex\nSECRET-7,female\n", {}),
        (PATIENTS + GIRL + GIRL.replace("female", "male"), {}),
        (PATIENTS + GIRL, {"labs": "patient_id,date\nSECRET-7,2010-01-01\n"}),
    ],
    ids=["empty file", "empty cohort", "missing column", "duplicate patient", "missing column of labs"],
)
def test_a_file_that_cannot_be_used_is_said_in_three_parts(project, patients, tables):
    assert_three_parts(check(project, patients, **tables), code=4)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("SECRET-7,2010-02-30,alt,40,U/L,=,40,reported", "must be a date that exists"),
        ("SECRET-7,2010-02-03,alt,forty,U/L,=,40,reported", "must be a number"),
        ("SECRET-7,2010-02-03,alt,40,furlong,=,40,reported", "must be U/L"),
        ("SECRET-7,1999-02-03,alt,40,U/L,=,40,reported", "before the patient's birth"),
        ("SECRET-8,2010-02-03,alt,40,U/L,=,40,reported", "not in the table 'patients'"),
    ],
    ids=["impossible date", "text in a number", "unknown unit", "before birth", "unknown patient"],
)
def test_a_row_that_breaks_a_rule_is_set_aside_and_named_with_its_line(project, row, rule):
    done = check(project, PATIENTS + GIRL, labs=f"{LABS}{row}\n")
    printed = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert "Set aside for checking" in done.stdout
    assert rule in printed
    assert "SECRET" not in done.stdout


def test_an_unknown_key_of_the_plan_is_named(project):
    (project / "reports/plans/study.toml").write_text(PLAN + "colour = 1\n", encoding="utf-8")
    done = run(project, "check", "reports/plans/study.toml")
    assert_three_parts(done, code=3)
    assert "data.colour" in done.stderr


@pytest.mark.parametrize("command", ["check", "report"])
def test_a_plan_that_is_not_there_is_an_error_not_a_traceback(project, command):
    assert_three_parts(run(project, command, "nowhere.toml"), code=3)


def test_simulate_writes_a_cohort_that_check_accepts(project):
    done = run(project, "simulate", "data", "--patients", "3", "--seed", "1")
    assert done.returncode == 0
    assert "Patients in the study: 3" in run(project, "check", "reports/plans/study.toml").stdout


def test_derive_writes_one_row_per_patient_and_the_query_list(project):
    (project / "data/patients.csv").write_text(PATIENTS + GIRL, encoding="utf-8")
    treatments = "patient_id,drug,start,indication\nSECRET-7,prednisolone,2010-01-03,aih\n"
    (project / "data/treatments.csv").write_text(treatments, encoding="utf-8")
    done = run(project, "derive", "reports/plans/study.toml", "--format", "csv", "--format", "sav")
    assert done.returncode == 0, done.stderr
    folder = project / "reports/output/study/internal"
    assert sorted(path.name for path in folder.iterdir()) == ["analysis_set.csv", "analysis_set.sav", "query_list.xlsx"]
    assert "stay inside the study group" in done.stdout
    assert_three_parts(run(project, "derive", "reports/plans/study.toml", "--format", "doc"), 3)


def test_data_are_checked_without_a_plan_and_the_rows_set_aside_are_written(project):
    (project / "data/patients.csv").write_text(PATIENTS + GIRL, encoding="utf-8")
    lost = f"{LABS}SECRET-8,2010-02-03,alt,40,U/L,=,40,reported\n"
    (project / "data/labs.csv").write_text(lost, encoding="utf-8")
    done = run(project, "check", "data", "--set-aside", "aside.csv")
    assert done.returncode == 0, done.stderr
    for told in ("data is read as tables", "Patients read: 1", "not in the table 'patients'", "No identifiers"):
        assert told in " ".join(done.stdout.split())
    written = (project / "aside.csv").read_text(encoding="utf-8-sig")
    assert "labs,labs.csv,2,patient_id" in written
    assert "SECRET" not in done.stdout + written


def test_a_study_begins_with_init_and_check_says_what_to_fill(project):
    text = "Study no;Sex;DOB;Diagnosed;Last seen\nSECRET-1;F;03.02.2009;04.05.2019;01.01.2024\n"
    (project / "children.csv").write_text(text, encoding="utf-8")
    done = run(project, "init", "mine", "--from", "children.csv")
    assert done.returncode == 0, done.stderr
    assert "wait to be filled" in done.stdout
    assert "SECRET" not in done.stdout
    assert_three_parts(run(project, "check", "mine/reports/plans/study.toml"), code=3)
    assert_three_parts(run(project, "init", "mine", "--from", "children.csv"), code=3)
    mapping = project / "mine/reports/plans/mapping.toml"
    mapping.write_text(mapping.read_text(encoding="utf-8").replace("…", "ongoing"), encoding="utf-8")
    checked = run(project, "check", "mine/reports/plans/study.toml")
    assert checked.returncode == 0, checked.stderr
    assert "Patients in the study: 1" in checked.stdout


def test_an_option_that_does_not_go_with_a_plan_is_refused(project):
    assert_three_parts(run(project, "check", "reports/plans/study.toml", "--condition", "x"), code=3)


def test_blank_forms_and_a_key_are_written_and_a_key_never_twice(project):
    assert run(project, "template", "blank").returncode == 0
    assert (project / "blank/template.xlsx").is_file()
    assert list((project / "blank/redcap").glob("*.csv"))
    assert run(project, "key", "secret.key").returncode == 0
    assert_three_parts(run(project, "key", "secret.key"), code=3)


@pytest.mark.parametrize("source", ["redcap/simple", "omop/Synthea27Nj_5.4", "fhir"])
def test_data_of_another_disease_are_told_and_refused_in_three_parts(project, shared_inputs, source):
    done = run(project, "check", str(shared_inputs / source))
    assert "is read as" in done.stdout
    assert done.returncode in (3, 4)
    assert_three_parts(done, done.returncode)


def test_lines_of_an_export_that_hold_nothing_are_told(project, shared_inputs):
    done = run(project, "check", str(shared_inputs / "redcap" / "validation-types-1"))
    assert "1 line of data.csv with nothing filled in passed over" in done.stdout
