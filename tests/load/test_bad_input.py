"""What goes wrong in a centre's files, and what is said about it: never a patient, always a way out."""

import re

import pytest

from aih_outcomes.errors import AihError, DataError, PlanError
from aih_outcomes.load import read_tables

PATIENTS = """
    patient_id,  sex,    birth_date, diagnosis_date
    kid-4711,    female, 2008-03-01, 2016-05-20
    kid-4712,    male,   2010-07-15, 2018-01-09
"""
LABS = """
    patient_id, date,       analyte, value, unit, comparator, uln_source
    kid-4711,   2016-05-20, alt,     812.5, U/L,  =,          none
    kid-4712,   2018-01-09, alt,     633.5, U/L,  =,          none
"""
SECRET = re.compile(r"kid|471\d|812|633|2008|2010|2016|2018|female|secret", re.IGNORECASE)


def three_parts(error: AihError) -> tuple[str, str, str]:
    for part in (error.what, error.rule, error.way_out):
        assert part
        assert not SECRET.search(part), part
    return error.what, error.rule, error.way_out


def aside(cohort) -> list[tuple[object, ...]]:
    """Rows set aside as table, line, column, rule; each must say a way out and name no patient."""
    assert cohort.set_aside["way_out"].str.len().gt(0).all()
    assert not any(SECRET.search(str(cell)) for cell in cohort.set_aside.to_numpy().ravel())
    return list(cohort.set_aside[["table", "source_row", "column", "rule"]].itertuples(index=False, name=None))


def counts(cohort, table: str) -> tuple[int, int, int]:
    row = cohort.load_report.set_index("table").loc[table]
    return int(row["n_read"]), int(row["n_kept"]), int(row["n_set_aside"])


# Whole files


def test_folder_without_patients_is_refused(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(labs=LABS))
    what, rule, way_out = three_parts(caught.value)
    assert "has no 'patients.csv'" in what
    assert "patients.csv" in rule
    assert "mapping" in way_out


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        read_tables(tmp_path / "nowhere")
    assert "no folder 'nowhere'" in three_parts(caught.value)[0]


def test_a_slip_in_the_name_of_a_file_does_not_lose_the_table(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(patients=PATIENTS, lab=LABS))
    what, _, way_out = three_parts(caught.value)
    assert what.endswith("holds 'lab.csv' and no 'labs.csv'")
    assert way_out.startswith("Name it labs.csv")


def test_missing_required_column_is_named(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(patients=PATIENTS, labs=LABS.replace("analyte", "test")))
    what, rule, way_out = three_parts(caught.value)
    assert what == "'labs.csv' lacks 1 required column(s): analyte"
    assert rule == "The header names the columns of the table 'labs'"
    assert "mapping" in way_out


def test_patients_need_a_birth_date_or_an_age(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(patients=PATIENTS.replace("birth_date", "born")))
    assert "birth_date (or age_at_diagnosis)" in three_parts(caught.value)[0]


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_the_separator_is_found_and_told(folder, mark, word):
    path = folder(patients=PATIENTS)
    file = path / "patients.csv"
    file.write_text(file.read_text().replace(",", mark))
    cohort = read_tables(path)
    assert cohort.n_patients == 2
    assert cohort.load_report["how_read"][0] == f"cells separated by {word}, as the first lines show"


def test_file_without_header_does_not_show_its_first_patient(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(patients="kid-4711, female, 2008-03-01, 2016-05-20"))
    assert "lacks 3 required column(s)" in three_parts(caught.value)[0]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b",,,\n"])
def test_empty_file_is_refused(tmp_path, content):
    (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tables(tmp_path)
    assert three_parts(caught.value)[0] == "'patients.csv' is empty: it has no header"


def test_header_without_rows_is_no_cohort(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(patients="patient_id, birth_date, diagnosis_date"))
    what, rule, way_out = three_parts(caught.value)
    assert what == "0 patients in 'patients.csv'"
    assert rule == "A cohort needs at least one patient"
    assert way_out.startswith("Add rows below the header")


def test_cohort_of_which_every_patient_is_set_aside_says_why(folder):
    with pytest.raises(DataError) as caught:
        read_tables(folder(patients=PATIENTS.replace("-", "/").replace("kid/", "kid-")))
    what, rule, way_out = three_parts(caught.value)
    assert what.startswith("0 patients left: all 2 row(s) of 'patients.csv' were set aside, 2 of them for column")
    assert "(lines 2, 3)" in what
    assert "written YYYY-MM-DD" in rule
    assert "date_format" in way_out


def test_one_patient_is_a_cohort(folder):
    cohort = read_tables(folder(patients="\n".join(PATIENTS.strip("\n").splitlines()[:2])))
    assert cohort.n_patients == 1
    assert cohort.labs.empty


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("patient_id,sex\nkid-4711,Mädchen\n".encode("latin-1"), "is not text in the encoding utf-8"),
        ("patient_id,sex\nkid-4711,female\n".encode("utf-16-le"), "holds zero bytes"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00", "is no text but a workbook"),
        (b'patient_id,sex\n"kid-4711,female\nkid-4712,male\n', "Line 2 of 'patients.csv' cannot be split"),
        (b"patient_id,sex,sex\nkid-4711,female,male\n", "1 column name(s) of 'patients.csv' stand more than once"),
    ],
)
def test_what_is_not_a_csv_file_is_refused(tmp_path, content, what):
    (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tables(tmp_path)
    assert what in three_parts(caught.value)[0]


# Rows


def test_text_in_a_number_and_an_impossible_date_set_the_row_aside(folder):
    labs = LABS.replace("812.5", "secret").replace("2018-01-09", "2019-02-30")
    cohort = read_tables(folder(patients=PATIENTS, labs=labs))
    assert aside(cohort) == [
        ("labs", 2, "value", "must be a number with decimal '.'"),
        (
            "labs",
            3,
            "date",
            "must be a date that exists, written YYYY-MM-DD, from 1850 to 2150; it may lack its day or month, and "
            "a missing or two-digit year is never guessed",
        ),
    ]
    assert counts(cohort, "labs") == (2, 0, 2)


def test_a_row_with_several_faults_names_them_together(folder):
    labs = LABS.replace("2016-05-20", "20 May").replace("812.5", "high")
    cohort = read_tables(folder(patients=PATIENTS, labs=labs))
    assert [row[:3] for row in aside(cohort)] == [("labs", 2, "date; value")]


def test_unknown_and_missing_unit_set_the_row_aside(folder):
    labs = LABS.replace("812.5, U/L,", "812.5, nkat/L,").replace("633.5, U/L,", "633.5, ,")
    cohort = read_tables(folder(patients=PATIENTS, labs=labs))
    assert aside(cohort) == [
        ("labs", 2, "unit", "unit 'nkat/L' for 'alt' in a canonical table must be U/L"),
        ("labs", 3, "unit", "missing unit for 'alt' in a canonical table must be U/L"),
    ]
    assert "read the file with a mapping" in cohort.set_aside["way_out"][0]


def test_a_word_that_is_no_unit_is_not_shown(folder):
    cohort = read_tables(folder(patients=PATIENTS, labs=LABS.replace("812.5, U/L,", "812.5, secretary,")))
    assert aside(cohort)[0][3] == "unit for 'alt' in a canonical table must be U/L"


def test_duplicate_patient_goes_with_all_rows_of_this_patient(folder):
    patients = PATIENTS + "    kid-4711, male, 2008-03-01, 2016-05-20\n"
    cohort = read_tables(folder(patients=patients, labs=LABS))
    assert aside(cohort) == [
        ("patients", 2, "patient_id", "one row per patient; this identifier is repeated"),
        ("patients", 4, "patient_id", "one row per patient; this identifier is repeated"),
        ("labs", 2, "patient_id", "patient was set aside"),
    ]
    assert counts(cohort, "patients") == (3, 1, 2)
    assert counts(cohort, "labs") == (2, 1, 1)


def test_exact_repeats_keep_the_first_row(folder):
    patients = PATIENTS + PATIENTS.splitlines()[2] + "\n"
    cohort = read_tables(folder(patients=patients, labs=LABS + LABS.splitlines()[3]))
    assert aside(cohort) == [
        ("patients", 4, "", "repeats an earlier row"),
        ("labs", 4, "", "repeats an earlier row"),
    ]
    assert cohort.n_patients == 2


def test_lab_before_birth_and_row_without_patient_are_set_aside(folder):
    labs = LABS.replace("2016-05-20", "2007-01-01").replace("kid-4712", "kid-9999")
    cohort = read_tables(folder(patients=PATIENTS, labs=labs))
    assert aside(cohort) == [
        ("labs", 2, "date", "date is before the patient's birth"),
        ("labs", 3, "patient_id", "patient is not in the table 'patients'"),
    ]


def test_implausible_value_says_that_the_unit_may_be_wrong(folder):
    cohort = read_tables(folder(patients=PATIENTS, labs=LABS.replace("812.5", "81250")))
    assert aside(cohort) == [("labs", 2, "value", "alt must lie between 1 and 20000 U/L to be plausible")]
    assert "unit may be wrong" in cohort.set_aside["way_out"][0]


def test_unknown_category_lists_what_is_accepted(folder):
    cohort = read_tables(folder(patients=PATIENTS.replace(" male", "M"), labs=LABS))
    assert ("patients", 3, "sex", "must be one of female, male, unknown") in [
        tuple(row) for row in cohort.set_aside[["table", "source_row", "column", "rule"]].to_numpy()
    ]
    assert "codes" in cohort.set_aside["way_out"][0]
    assert counts(cohort, "labs") == (2, 1, 1)


def test_line_with_too_many_cells_is_set_aside(folder):
    cohort = read_tables(folder(patients=PATIENTS, labs=LABS.replace("812.5", "812,5")))
    assert aside(cohort) == [("labs", 2, "", "line has more or fewer cells than the header")]
    assert counts(cohort, "labs") == (2, 1, 1)


def test_line_numbers_count_blank_lines_and_lines_inside_quotes(tmp_path):
    header = "patient_id,birth_date,diagnosis_date,centre"
    text = f'{header}\n\n,,,\nkid-1,2008-03-01,2016-05-20,"two\nlines"\nkid-2,x,2016-05-20,\n'
    (tmp_path / "patients.csv").write_text(text)
    cohort = read_tables(tmp_path)
    assert cohort.set_aside["source_row"].tolist() == [6]
    assert cohort.patients["source_row"].tolist() == [4]
    assert cohort.load_report["how_read"][0] == "2 blank lines passed over"


def test_columns_that_are_not_used_are_listed(folder):
    cohort = read_tables(folder(patients=PATIENTS.replace("sex", "shoe_size")))
    assert cohort.load_report["columns_not_used"][0] == "shoe_size"


def test_several_deaths_of_a_patient_are_set_aside(folder):
    events = """
        patient_id, date,       kind
        kid-4711,   2020-01-01, death
        kid-4711,   2021-01-01, death
    """
    cohort = read_tables(folder(patients=PATIENTS, events=events))
    assert [row[3] for row in aside(cohort)] == ["a patient dies once; this patient has several deaths"] * 2


# Mappings

MAPPING = """
[patients]
file = "patients.csv"
columns.patient_id = "patient_id"
columns.birth_date = "birth_date"
columns.diagnosis_date = "diagnosis_date"

[labs]
file = "labs.csv"
columns.patient_id = "patient_id"
columns.date = "date"
columns.analyte = "analyte"
columns.value = "value"
columns.unit = "unit"
"""


def read_with(folder, mapping: str, *, labs: str = LABS):
    path = folder(patients=PATIENTS, labs=labs)
    (path / "mapping.toml").write_text(mapping, encoding="utf-8")
    return read_tables(path, path / "mapping.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[labs]", "[labs", "is not TOML: Expected ']' at the end of a table declaration (at line 8, column 6)"),
        ("columns.analyte", "columns.analite",
         "line 12: labs.columns.analite: 'analite' is no column of 'labs' to map; perhaps 'analyte' is meant"),
        ('columns.unit = "unit"', "", "line 10: labs.columns: unit must be mapped (a column, or a constant)"),
        ("columns.birth_date", "#", "line 4: patients.columns: birth_date or age_at_diagnosis must be mapped"),
        ('"analyte"', '{ column = "analyte", codes = { GPT = "iggg" } }',
         "line 12: labs.columns.analyte: 'iggg' is no word accepted here; perhaps 'igg' is meant"),
        ('"diagnosis_date"', '{ constant = "May" }',
         "line 6: patients.columns.diagnosis_date: the constant must be a date written YYYY-MM-DD"),
        ('file = "labs.csv"', 'file = "labs.csv"\nshet = 2', "line 10: labs.shet: is no key here"),
        ('"value"', '{ column = "value", decimals = 2 }', "line 13: labs.columns.value.decimals: is no key here"),
        ("[patients]", '[units]\nalt = { mg = "g/L" }\n[patients]',
         "line 3: units.alt: 'mg' must be given as one of U/L, [IU]/L, ukat/L, nkat/L"),
        ("[patients]", '[reading]\ndate_format = "DD.MM.YY"\n[patients]',
         "line 3: reading.date_format: date format 'DD.MM.YY' must hold YYYY, MM and DD once each, e.g. DD.MM.YYYY"),
        ("[patients]", '[reading]\nencoding = "german"\n[patients]', "line 3: reading.encoding: is no encoding"),
    ],
)  # fmt: skip
def test_fault_in_a_mapping_names_line_and_key(folder, old, new, says):
    with pytest.raises(PlanError) as caught:
        read_with(folder, MAPPING.replace(old, new))
    assert says in three_parts(caught.value)[0]


def test_mapping_that_is_not_there_is_refused(folder):
    with pytest.raises(PlanError) as caught:
        read_tables(folder(patients=PATIENTS), "nowhere.toml")
    assert "'nowhere.toml' cannot be read" in three_parts(caught.value)[0]


def test_mapped_file_and_column_must_be_there(folder):
    with pytest.raises(PlanError) as caught:
        read_with(folder, MAPPING.replace("labs.csv", "lab.csv"))
    assert three_parts(caught.value)[2] == "Perhaps 'labs.csv' is meant"
    with pytest.raises(PlanError) as caught:
        read_with(folder, MAPPING.replace('"analyte"', '"Analyte"'))
    assert "lacks 1 column(s) that the mapping names for 'labs': Analyte" in three_parts(caught.value)[0]
    assert three_parts(caught.value)[2] == "Perhaps 'analyte' is meant for 'Analyte'"


def test_unknown_unit_shows_the_line_of_the_mapping_that_would_accept_it(folder):
    labs = LABS.replace("alt", "igg").replace("812.5, U/L,", "812.5, mg/L,").replace("633.5, U/L,", "633.5, ,")
    cohort = read_with(folder, MAPPING, labs=labs)
    assert aside(cohort) == [
        ("labs", 2, "unit", "unit 'mg/L' for 'igg'; expected one of g/L, mg/dL, mg/mL"),
        ("labs", 3, "unit", "missing unit for 'igg'; expected one of g/L, mg/dL, mg/mL"),
    ]
    assert 'units = { igg = { "mg/L" = "0.001 g/L" } }' in cohort.set_aside["way_out"][0]
    assert 'units = { igg = { "" = "mg/dL" } }' in cohort.set_aside["way_out"][1]


def test_nothing_is_set_aside_where_nothing_is_wrong(folder):
    cohort = read_tables(folder(patients=PATIENTS, labs=LABS))
    assert aside(cohort) == []
    assert str(cohort.patients["birth_date"].dtype) == "datetime64[s]"
