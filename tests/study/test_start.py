"""From a clinic's own files to a study: what is guessed, what is asked, and that the answer comes out right."""

import shutil

import pandas as pd
import pyreadstat
import pytest

from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load.sources import read_source
from aih_outcomes.load.spreadsheets.tables import read_tables
from aih_outcomes.simulate import SEED, simulate_cohort
from aih_outcomes.simulate.exports.clinic_workbook import write_clinic_workbook
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.redcap import export_redcap
from aih_outcomes.simulate.exports.tables import export_tables
from aih_outcomes.study import open_study
from aih_outcomes.study.overview import list_mapping_lines
from aih_outcomes.study.start import refuse_gaps, start_study
from tests.load.workbooks import write_xlsx

WRITTEN_BY_HAND = (
    ('end_reason = { constant = "…" }', 'end_reason = { constant = "ongoing" }'),
    ('"Prednisolone" = ', '"Prednisolone tabs" = "prednisolone", "Prednisolone" = '),
    ("[reading]", '[units]\nigg = { "" = "g/L" }\n\n[reading]'),
)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return write_clinic_workbook(tmp_path_factory.mktemp("clinic") / "clinic.xlsx")


@pytest.fixture(scope="module")
def started(clinic):
    return start_study(clinic.path.parent / "my_study", clinic.path)


@pytest.fixture(scope="module")
def mended(started):
    """The mapping after the three lines that only a person can write."""
    text = started.mapping.read_text(encoding="utf-8")
    for guessed, right in WRITTEN_BY_HAND:
        assert guessed in text
        text = text.replace(guessed, right)
    path = started.mapping.with_name("mended.toml")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cohort(clinic, mended):
    return read_source(clinic.path, mended)


def assert_same_rows(found, answer):
    """Compare the columns that the workbook tells; the limit was printed in the laboratory's unit and converted."""
    by = list(answer.columns)
    left, right = (one[by].sort_values(by[:4], ignore_index=True) for one in (found, answer))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("table", ["patients", "events", "treatments"])
def test_the_clinic_s_workbook_is_read_as_what_it_was_made_from(clinic, cohort, table):
    answer = clinic.answer[table]
    if table == "patients":
        answer = answer.assign(sex=answer["sex"])
    assert_same_rows(cohort.tables()[table], answer)


def test_every_result_comes_out_in_the_canonical_unit_with_its_sign_and_limit(clinic, cohort):
    told = ["patient_id", "date", "analyte", "value", "comparator", "uln"]
    assert_same_rows(cohort.labs, clinic.answer["labs"][told])


def test_follow_up_runs_from_the_day_of_diagnosis_to_the_day_last_seen(clinic, cohort):
    assert_same_rows(cohort.follow_up, clinic.answer["follow_up"][["patient_id", "start", "end", "date_precision"]])


def test_only_the_total_below_the_list_is_set_aside(cohort):
    aside = cohort.set_aside.groupby("table")["source_row"].agg(list)
    assert aside.to_dict() == {"patients": [30], "follow_up": [30]}


def test_before_the_unit_is_told_its_line_is_offered_and_nothing_guessed(clinic, started, mended):
    text = mended.read_text(encoding="utf-8").replace(WRITTEN_BY_HAND[2][1], "[reading]")
    without = started.mapping.with_name("without.toml")
    without.write_text(text, encoding="utf-8")
    cohort = read_source(clinic.path, without)
    offered = list_mapping_lines(cohort).set_index("mapping_line")["n"]
    printed = clinic.answer["labs"].query("analyte == 'igg'")
    in_grams = printed["raw_value"].astype(float).eq(printed["value"])
    assert offered['igg."" = "g/L"'] == in_grams.sum() > 0


def test_the_plan_opens_the_data_where_they_lie(started, mended):
    started.mapping.write_text(mended.read_text(encoding="utf-8"), encoding="utf-8")
    study = open_study(started.plan)
    assert study.source.n_patients == 24
    assert study.plan.title.endswith("?")


def test_the_notebooks_open_the_new_study(started):
    texts = [path.read_text(encoding="utf-8") for path in started.written if path.suffix == ".ipynb"]
    assert len(texts) >= 5
    assert not any('open_study(\\"synthetic\\")' in text for text in texts)


def test_lines_that_wait_to_be_filled_are_named(clinic, tmp_path):
    mapping = start_study(tmp_path / "new", clinic.path).mapping
    with pytest.raises(PlanError, match=r"1 line\(s\) of 'mapping.toml' wait to be filled: lines \d+"):
        refuse_gaps(mapping)


def test_columns_with_the_dates_of_visits_are_not_told_as_unused(started):
    text = started.mapping.read_text(encoding="utf-8")
    assert 'date = "Date | m{months}"' in text
    assert '"Date | m0"' not in text


def test_nothing_is_overwritten(clinic, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(PlanError, match="holds something already"):
        start_study(tmp_path, clinic.path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_format_that_nobody_knows_leaves_no_folder_behind(tmp_path):
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    with pytest.raises(DataError, match="not recognised"):
        start_study(tmp_path / "new", tmp_path / "scan.pdf")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("export", [export_tables, export_redcap])
def test_data_in_the_form_of_the_schema_need_no_mapping(export, tmp_path):
    export(print_cohort(simulate_cohort(SEED, 12)), tmp_path / "data")
    started = start_study(tmp_path / "new", tmp_path / "data")
    assert started.mapping is None
    assert open_study(started.plan).source.n_patients == 12


def test_a_file_in_another_encoding_is_read_in_the_one_that_is_offered(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    text = "Fallnummer;Geschlecht;Geburtsdatum;Erstdiagnose;Körper\n" + "".join(
        f"{n};{'wm'[n % 2]}eiblich;1{n % 9}.02.2009;2{n % 9}.03.2019;1{n % 9}0\n".replace("meiblich", "männlich")
        for n in range(1, 30)
    )
    (folder / "Kinder.csv").write_bytes(text.encode("cp1252"))
    started = start_study(tmp_path / "new", folder)
    assert 'encoding = "' in started.mapping.read_text(encoding="utf-8")
    refuse_gaps(started.mapping)
    assert read_tables(folder, started.mapping).patients["sex"].value_counts().to_dict() == {"male": 15, "female": 14}


@pytest.mark.parametrize("ending", [".sav", ".dta"])
def test_spss_and_stata_files_are_looked_at_by_their_words(ending, tmp_path):
    frame = pd.DataFrame(
        {"study_no": ["a", "b"], "sex": [1.0, 2.0], "dob": ["2009-02-03"] * 2, "diagnosed": ["2019-02-03"] * 2}
    )
    write = pyreadstat.write_sav if ending == ".sav" else pyreadstat.write_dta
    write(frame, tmp_path / f"children{ending}", variable_value_labels={"sex": {1: "boy", 2: "girl"}})
    started = start_study(tmp_path / "new", tmp_path / f"children{ending}")
    refuse_gaps(started.mapping)
    assert read_source(tmp_path / f"children{ending}", started.mapping).patients["sex"].tolist() == ["male", "female"]


def test_projects_of_others_get_a_template_or_a_reason(shared_inputs, tmp_path):
    for source in sorted(path for path in (shared_inputs / "redcap").iterdir() if path.is_dir()):
        started = start_study(tmp_path / source.name, source)
        assert "[[patients]]" in started.mapping.read_text(encoding="utf-8")


@pytest.mark.parametrize("source", ["fhir", "omop/Synthea27Nj_5.4"])
def test_a_coded_source_gets_rules_with_what_was_looked_for(shared_inputs, tmp_path, source):
    started = start_study(tmp_path / "new", shared_inputs / source)
    text = started.mapping.read_text(encoding="utf-8")
    assert "[codes.labs]" in text
    assert "Found when your data were read" in text


def test_the_data_may_move_with_the_study(clinic, tmp_path):
    shutil.copy(clinic.path, tmp_path / "clinic.xlsx")
    started = start_study(tmp_path / "study", tmp_path / "clinic.xlsx")
    assert 'folder = "../../../clinic.xlsx"' in started.plan.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_read_is_named_beside_those_that_can(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "broken.xlsx").write_bytes(b"PK no workbook")
    (folder / "children.csv").write_text("Study no,Sex,DOB\n1,F,2009-02-03\n", encoding="utf-8")
    assert any("broken.xlsx" in step for step in start_study(tmp_path / "new", folder).next_steps())
    (folder / "children.csv").unlink()
    with pytest.raises(DataError, match=r"broken\.xlsx"):
        start_study(tmp_path / "other", folder)
    assert not (tmp_path / "other").exists()


def test_no_line_of_a_patient_is_taken_for_a_header(tmp_path):
    def fill(book):
        sheet = book.add_worksheet("Bloods")
        sheet.write_row(0, 0, ["Name", "Hospital Number", "DOB", "ALT", "ALT"])
        sheet.write_row(1, 0, ["Anna Example", "1000", "2010-01-01", 300, 50])
        other = book.add_worksheet("Children")
        other.write_row(0, 0, ["Hospital Number", "DOB", "Sex", "Date of diagnosis"])
        other.write_row(1, 0, ["1000", "2010-01-01", "F", "2019-01-01"])

    started = start_study(tmp_path / "new", write_xlsx(tmp_path / "clinic.xlsx", fill))
    assert "Example" not in started.mapping.read_text(encoding="utf-8")
    assert any("stand more than once in its header" in step for step in started.next_steps())


def test_a_sheet_for_which_no_line_could_be_guessed_is_named(tmp_path):
    def fill(book):
        children, other = book.add_worksheet("Children"), book.add_worksheet("Shoes")
        children.write_row(0, 0, ["Hospital Number", "DOB", "Sex", "Date of diagnosis"])
        children.write_row(1, 0, ["1000", "2010-01-01", "F", "2019-01-01"])
        other.write_row(0, 0, ["Size", "Colour"])
        other.write_row(1, 0, ["thirty", "red"])

    started = start_study(tmp_path / "new", write_xlsx(tmp_path / "clinic.xlsx", fill))
    assert any("'Shoes': no line of the mapping reads it" in step for step in started.next_steps())
