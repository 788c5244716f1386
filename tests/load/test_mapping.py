"""Clinics' own spreadsheets, through a mapping."""

from datetime import datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load import read_mapping, read_tables
from aih_outcomes.load.mapping import parse_mapping
from tests.load.workbooks import write_xlsx

CHILDREN = """\
Study no;Born;Biopsy;Sex;Transplant;Age (months)
1;03.02.2008;20.05.2016;f;;99
2;15.07.2010;09.01.2018;m;01.02.2021;NA
"""
VISITS = """\
Study no;Visit;ALT;IgG;IgG limit;Weight
1;20.05.2016;812,5;24,1;5,4-16,1;25,5
1;19.08.2016;<5;;16,1;
2;09.01.2018;1.200;30;;18000
"""
MAPPING = """
label = "Two children"

[reading]
separator = ";"
decimal = ","
date_format = "DD.MM.YYYY"
missing = ["NA"]

[units]
igg = { "g/L (serum)" = "g/L" }

[patients]
file = "children.csv"
columns.patient_id = "Study no"
columns.birth_date = "Born"
columns.diagnosis_date = "Biopsy"
columns.sex = { column = "Sex", codes = { f = "female", m = "male" } }
columns.age_at_diagnosis = { column = "Age (months)", unit = "months" }
columns.ibd = { constant = false }

[labs]
file = "visits.csv"
columns.patient_id = "Study no"
columns.date = "Visit"
wide = [
    { column = "ALT", analyte = "alt", unit = "U/L", uln = 40.5 },
    { column = "IgG", analyte = "igg", unit = "g/L (serum)", uln_column = "IgG limit" },
]

[measurements]
file = "visits.csv"
columns.patient_id = "Study no"
columns.date = "Visit"
wide = [{ column = "Weight", measure = "weight", unit = "kg" }]

[[events]]
file = "children.csv"
only_if_filled = ["Transplant"]
columns.patient_id = "Study no"
columns.date = "Transplant"
columns.kind = { constant = "transplant" }
"""


def write(folder, **files: str):
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def cohort(tmp_path):
    (tmp_path / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    return read_tables(write(tmp_path, children=CHILDREN, visits=VISITS), tmp_path / "mapping.toml")


def test_facts_of_the_patient_are_translated(cohort):
    patients = cohort.patients.set_index("patient_id")
    assert cohort.label == "Two children"
    assert patients["sex"].tolist() == ["female", "male"]
    assert patients.loc["1", "birth_date"] == pd.Timestamp("2008-02-03")
    assert patients.loc["1", "age_at_diagnosis"] == 8.25
    assert patients["age_at_diagnosis"].isna().tolist() == [False, True]
    assert patients["ibd"].tolist() == [False, False]


def test_wide_results_become_rows_and_blank_cells_do_not(cohort):
    columns = ["patient_id", "analyte", "value", "comparator", "raw_value", "raw_unit", "uln", "uln_source"]
    assert cohort.labs[columns].astype(object).where(cohort.labs[columns].notna(), None).to_numpy().tolist() == [
        ["1", "alt", 812.5, "=", "812,5", "U/L", 40.5, "fixed"],
        ["1", "igg", 24.1, "=", "24,1", "g/L (serum)", 16.1, "reported"],
        ["1", "alt", 5.0, "<", "<5", "U/L", 40.5, "fixed"],
        ["2", "igg", 30.0, "=", "30", "g/L (serum)", None, "none"],
    ]


def test_what_could_be_read_in_two_ways_is_set_aside(cohort):
    """1.200 is a thousand and two hundred, or a little more than one."""
    aside = cohort.set_aside[["table", "source_row", "column"]].to_numpy().tolist()
    assert aside == [["labs", 4, "value"], ["measurements", 4, "value"]]


def test_the_report_says_how_lines_became_records(cohort):
    how = cohort.load_report.set_index("table")["how_read"]
    assert how["labs"] == "3 lines; 5 filled cells in 2 columns, 1 blank"
    assert how["events"] == "2 lines; 1 of them chosen by Transplant filled"
    assert how["imaging"] == "no file"
    assert len(cohort.events) == 1


LONG = """
[upper_limits]
fixed = { alt = "0.6 ukat/L" }

[patients]
file = "patients.csv"
columns.patient_id = "id"
columns.age_at_diagnosis = "age"
columns.diagnosis_date = { constant = 2020-01-01 }

[labs]
file = "labs.csv"
columns.patient_id = "id"
columns.date = { column = "day", days_since = 2020-01-01 }
columns.analyte = { column = "test", codes = { GPT = "alt", "IgG total" = "igg", ANA = "ana" } }
columns.value = { column = "result", codes = { negative = "<1:40" } }
columns.unit = "unit"
columns.uln = "limit"
only = { test = ["GPT", "IgG total", "ANA"] }

[treatments]
file = "drugs.csv"
columns.patient_id = "id"
columns.drug = { column = "drug", codes = { Pred = "prednisolone" } }
columns.start = { column = "day", days_since = 2020-01-01 }
columns.dose = "dose"
columns.dose_unit = "per"
columns.indication = { constant = "aih" }

[measurements]
file = "weights.csv"
columns.patient_id = "id"
columns.date = { column = "day", days_since = 2020-01-01 }
columns.measure = { constant = "weight" }
columns.value = "kg"
"""
LONG_FILES = {
    "patients": "id,age\nA,7\nB,8\n",
    "labs": "id,day,test,result,unit,limit\n"
    "A,0,GPT,2,µkat/L,1\nA,1,GPT,3,ukat/l,\nA,1,IgG total,1800,mg/l,\nA,2,ANA,1:640,,\nB,2,ANA,negative,,\n"
    "B,0,Sodium,140,mmol/L,\nB,x,GPT,2,U/L,\n",
    "drugs": "id,drug,day,dose,per\nA,Pred,0,2,mg/kg/d\nB,Pred,100,1,mg/kg/day\nB,Prednisolone,0,40,mg/day\n"
    "A,Azathioprine,5,50,tablets\nA,Mycophenolate,5,,\n",
    "weights": "id,day,kg\nA,50,30\nA,-20,20\nB,39,25\n",
}


@pytest.fixture
def long(tmp_path):
    mapping = parse_mapping('[units]\nigg = { "mg/l" = "0.001 g/L" }\nana = { "" = "titre" }\n' + LONG)
    return read_tables(write(tmp_path, **LONG_FILES), mapping)


def test_results_are_converted_with_their_limits(long):
    alt = long.labs[long.labs["analyte"] == "alt"]
    assert alt["value"].tolist() == [120.0, 180.0]
    assert alt["uln"].tolist() == [60.0, 36.0]
    assert alt["uln_source"].tolist() == ["reported", "fixed"]
    assert alt["raw_unit"].tolist() == ["µkat/L", "ukat/l"]
    assert long.labs.loc[long.labs["analyte"] == "igg", "value"].tolist() == [1.8]


def test_titres_keep_their_sign_and_what_was_printed(long):
    ana = long.labs[long.labs["analyte"] == "ana"]
    assert ana[["comparator", "value", "raw_value"]].to_numpy().tolist() == [["=", 640, "1:640"], ["<", 40, "negative"]]


def test_days_become_dates_and_other_tests_are_no_records(long):
    assert long.labs["date"].min() == pd.Timestamp("2020-01-01")
    row = long.set_aside[long.set_aside["table"] == "labs"].iloc[0]
    assert (row["column"], row["rule"]) == ("date", "must be a whole number of days after a date that exists")
    report = long.load_report.set_index("table").loc["labs"]
    assert (report["n_read"], report["n_kept"], report["n_set_aside"]) == (6, 5, 1)
    assert report["how_read"].startswith("7 lines; 6 of them chosen by test")


def test_doses_per_kg_use_the_nearest_weight_within_60_days(long):
    doses = long.treatments.set_index("drug")["dose"]
    assert doses["mycophenolate"] != doses["mycophenolate"]
    kept = long.treatments[["patient_id", "dose", "raw_dose", "raw_dose_unit"]].dropna().to_numpy().tolist()
    assert kept == [["A", 40.0, "2", "mg/kg/d"], ["B", 40.0, "40", "mg/day"]]
    rules = long.set_aside.loc[long.set_aside["table"] == "treatments", "rule"].tolist()
    assert rules == [
        "a dose in mg/kg needs a weight within 60 days of its start",
        "unit of the dose must be mg/day or mg/kg/day",
    ]


def test_distinct_records_are_counted_once_and_contradictions_set_aside(tmp_path):
    mapping = parse_mapping(LONG.split("[labs]")[0].replace("columns.diag", "distinct = true\ncolumns.diag"))
    cohort = read_tables(write(tmp_path, patients="id,age\nA,7\nA,7\nB,8\nB,9\nA,7\n"), mapping)
    report = cohort.load_report.iloc[0]
    assert (report["n_read"], report["n_kept"], report["n_set_aside"]) == (3, 1, 2)
    assert report["how_read"] == "5 lines; 3 distinct records, 2 repeats of them"


def test_lines_of_wrong_length_are_counted_once_for_two_blocks_of_a_table(tmp_path):
    events = '\n[[events]]\nfile = "e.csv"\ncolumns.patient_id = "id"\ncolumns.date = { constant = 2021-01-01 }\n'
    both = "".join(f'{events}columns.kind = {{ constant = "{kind}" }}\n' for kind in ("listing", "ascites"))
    mapping = parse_mapping(LONG.split("[labs]")[0] + both)
    cohort = read_tables(write(tmp_path, patients="id,age\nA,7\n", e="id,x\nA,1\nA,1,1\n"), mapping)
    report = cohort.load_report.set_index("table").loc["events"]
    assert (report["n_read"], report["n_kept"], report["n_set_aside"]) == (3, 2, 1)


def test_wide_unit_is_checked_before_a_row_is_read():
    with pytest.raises(PlanError, match=r'translate it: units = \{ igg = \{ "grams" = "…" \} \}'):
        parse_mapping(MAPPING.replace('unit = "g/L (serum)"', 'unit = "grams"'))


def test_shipped_mapping_can_be_read(request):
    path = request.config.rootpath / "reports" / "plans" / "pbcseq-mapping.toml"
    assert read_mapping(path).label.startswith("pbcseq")


CELLS = st.sampled_from(
    ["", "x", "-1", "1e400", "nan", "99999999999", "1;2", "<5", "1,5", "mg/L", "1:40", "é", "A", '"', "a,b", "µ/L"]
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(list(LONG_FILES)), st.integers(1, 9), st.integers(0, 9), CELLS), min_size=1, max_size=6
)


@pytest.mark.slow
@settings(max_examples=15)
@given(changes=CHANGES)
def test_whatever_is_in_a_cell_every_record_is_kept_or_set_aside(tmp_path_factory, changes):
    tables = {name: [line.split(",") for line in text.splitlines()] for name, text in LONG_FILES.items()}
    for name, row, column, cell in changes:
        line = tables[name][1 + row % (len(tables[name]) - 1)]
        line[column % len(line)] = cell
    folder = tmp_path_factory.mktemp("corrupted")
    for name, rows in tables.items():
        pd.DataFrame(rows[1:], columns=rows[0]).to_csv(folder / f"{name}.csv", index=False)
    try:
        cohort = read_tables(folder, parse_mapping(LONG))
    except DataError as error:
        fault = error.what
    else:
        fault = ""
    if fault:
        assert fault.startswith("0 patients left")
        return
    report = cohort.load_report.set_index("table")
    chosen = [row for row in tables["labs"][1:] if row[2] in ("GPT", "IgG total", "ANA")]
    expected = {"labs": len(chosen), "patients": 2, "treatments": 5, "measurements": 3}
    for name, n_read in expected.items():
        n_aside = int((cohort.set_aside["table"] == name).sum())
        assert n_read == len(cohort.tables()[name]) + n_aside == report.loc[name, "n_read"]


def test_days_since_a_typed_or_partial_date(tmp_path):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write_row("A1", ["id", "age", "start", "day"])
        sheet.write_row("A2", ["A", 7, None, 10])
        sheet.write_datetime("C2", datetime(2020, 1, 1))
        sheet.write_row("A3", ["B", 8, "02/2020", 10])
        sheet.write_row("A4", ["C", 8, "03/02/2020", "x"])

    mapping = """
[reading]
date_format = "DD/MM/YYYY"
[patients]
columns.patient_id = "id"
columns.age_at_diagnosis = "age"
columns.diagnosis_date = { column = "day", days_since = "start" }
"""
    cohort = read_tables(write_xlsx(tmp_path / "p.xlsx", fill), parse_mapping(mapping))
    rows = cohort.patients[["diagnosis_date", "date_precision"]].astype(str).to_numpy().tolist()
    assert rows == [["2020-01-11", "<NA>"], ["2020-02-25", "month"]]
    assert cohort.set_aside[["source_row", "column"]].to_numpy().tolist() == [[4, "diagnosis_date"]]


def test_a_line_of_units_below_a_part_is_told_where_it_stands():
    """The line that a way out offers, pasted at the end of the file, where it would belong to the last part."""
    text = '[patients]\nfile = "a.csv"\ncolumns.patient_id = "id"\nunits = { igg = { "" = "g/L" } }\n'
    with pytest.raises(PlanError, match=r"line 4: patients\.units: is no key here; it stands above the first part"):
        parse_mapping(text)
