"""Columns named by a rule: ALT_m0, ALT_m3 … become dated results."""

from datetime import datetime

import pandas as pd
import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.load import read_tables
from aih_outcomes.load.mapping import parse_mapping
from tests.load.workbooks import write_xlsx

PATIENTS = """
[reading]
date_format = "DD/MM/YYYY"

[patients]
columns.patient_id = "Study no"
columns.birth_date = "Born"
columns.diagnosis_date = "Start"
"""
HEADER = ["Study no", "Born", "Start", "GPT_m0", "GPT_m3", "IgG_m0", "IgG_m12", "weight_m0", "Mood_m0"]
ROWS = [
    ["k1", "03/02/2010", "20/05/2018", "812", "<5", "24.1", "", "30", "good"],
    ["k2", "07/2011", "30/11/2018", "400", "60", "", "12", "41", "bad"],
    ["k3", "2009", "12/2018", "", "75", "", "", "", ""],
    ["k4", "04/04/2012", "5/12", "90", "", "", "", "", ""],
]


def read(tmp_path, mapping, rows=ROWS, header=HEADER):
    text = "\n".join(";".join(row) for row in [header, *rows])
    (tmp_path / "visits.csv").write_text(text, encoding="utf-8")
    return read_tables(tmp_path / "visits.csv", parse_mapping(PATIENTS + mapping))


DAY = "<NA>"
LABS = """
[labs]
columns.patient_id = "Study no"
wide_pattern = { columns = "{analyte}_m{months}", since = "Start", units = { alt = "U/L", igg = "g/L" } }

[measurements]
columns.patient_id = "Study no"
wide_pattern = { columns = "{measure}_m{months}", since = "Start", units = { weight = "kg" } }
"""


def test_later_visits_are_dated_from_the_start_and_known_to_the_month(tmp_path):
    cohort = read(tmp_path, LABS)
    columns = ["patient_id", "date", "analyte", "value", "comparator", "date_precision"]
    rows = cohort.labs[columns].sort_values(["patient_id", "analyte", "date"]).astype(str).to_numpy().tolist()
    assert rows == [
        ["k1", "2018-05-20", "alt", "812.0", "=", DAY],
        ["k1", "2018-08-20", "alt", "5.0", "<", "month"],
        ["k1", "2018-05-20", "igg", "24.1", "=", DAY],
        ["k2", "2018-11-30", "alt", "400.0", "=", DAY],
        ["k2", "2019-02-28", "alt", "60.0", "=", "month"],
        ["k2", "2019-11-30", "igg", "12.0", "=", "month"],
        ["k3", "2019-03-15", "alt", "75.0", "=", "month"],
    ]
    assert cohort.measurements["value"].tolist() == [30.0, 41.0]


def test_the_planned_day_stands_for_that_of_the_sample_where_the_mapping_says_so(tmp_path):
    planned = LABS.replace('since = "Start", units = { alt', 'since = "Start", precision = "day", units = { alt')
    labs = read(tmp_path, planned).labs.set_index("patient_id")
    assert labs.loc[["k1", "k2"], "date_precision"].isna().all()
    assert labs.loc["k3", "date_precision"] == "month"  # its start is known to the month only


def test_partial_dates_keep_their_precision_and_a_date_without_year_is_set_aside(tmp_path):
    cohort = read(tmp_path, LABS)
    patients = cohort.patients.set_index("patient_id")
    assert patients["birth_date"].astype(str).to_dict() == {"k1": "2010-02-03", "k2": "2011-07-15", "k3": "2009-07-01"}
    assert patients["date_precision"].fillna("").to_dict() == {"k1": "", "k2": "month", "k3": "year"}
    aside = cohort.set_aside[["table", "source_row", "column"]].to_numpy().tolist()
    assert aside == [["patients", 5, "diagnosis_date"], ["labs", 5, "date"]]
    assert "two-digit year is never guessed" in cohort.set_aside["rule"][0]


def test_columns_that_follow_the_pattern_with_an_unknown_name_are_listed(tmp_path):
    report = read(tmp_path, LABS).load_report.set_index("table")
    assert "Mood_m0" in report.loc["labs", "columns_not_used"]
    assert report.loc["labs", "how_read"].startswith(
        "4 lines; 8 filled cells in 4 columns, 8 blank; columns named GPT = alt"
    )


def test_a_column_with_the_date_of_each_visit(tmp_path):
    header = ["Study no", "Born", "Start", "Leber GPT v1", "Leber GPT v2", "date v1", "date v2"]
    rows = [["k1", "03/02/2010", "20/05/2018", "100", "50", "21/05/2018", ""]]
    mapping = """
[labs]
columns.patient_id = "Study no"

[labs.wide_pattern]
columns = "{analyte} v{visit}"
date = "date v{visit}"
names = { "Leber GPT" = "alt" }
units = { alt = "U/L" }
"""
    cohort = read(tmp_path, mapping, rows, header)
    assert cohort.labs["date"].astype(str).tolist() == ["2018-05-21"]
    assert cohort.labs["date_precision"].isna().all()
    assert cohort.set_aside[["table", "column", "rule"]].to_numpy().tolist() == [
        ["labs", "date", "required value is missing"]
    ]


def test_weeks_and_units_in_the_header(tmp_path):
    header = ["Study no", "Born", "Start", "ALT (ukat/L) w4", "ALT (nonsense) w8"]
    rows = [["k1", "03/02/2010", "20/05/2018", "2", "3"]]
    mapping = """
[labs]
columns.patient_id = "Study no"
wide_pattern = { columns = "{analyte} ({unit}) w{weeks}", since = "Start" }
"""
    cohort = read(tmp_path, mapping, rows, header)
    assert cohort.labs[["value", "raw_unit"]].to_numpy().tolist() == [[120.0, "ukat/L"]]
    assert cohort.labs["date"].astype(str).tolist() == ["2018-06-17"]
    assert cohort.labs["date_precision"].isna().all()
    assert cohort.set_aside["column"].tolist() == ["unit"]


def test_merged_headers_of_a_workbook(tmp_path):
    def fill(book):
        sheet = book.add_worksheet("Labs")
        sheet.write_row("A1", ["Study no", "Born", "Start"])
        sheet.merge_range("D1:E1", "ALT")
        sheet.write_row("D2", ["m0", "m3"])
        sheet.write_row("A3", ["k1", "03/02/2010", None, 100, 50])
        sheet.write_datetime("C3", datetime(2018, 5, 20))

    mapping = (
        PATIENTS.replace("[patients]", "[patients]\nheader_rows = 2")
        + """
[labs]
header_rows = 2
columns.patient_id = "Study no"
wide_pattern = { columns = "{analyte} | m{months}", since = "Start", units = { alt = "U/L" } }
"""
    )
    cohort = read_tables(write_xlsx(tmp_path / "w.xlsx", fill), parse_mapping(mapping))
    assert cohort.labs[["value", "source_row"]].to_numpy().tolist() == [[100.0, 3], [50.0, 3]]
    assert cohort.labs["date"].tolist() == [pd.Timestamp("2018-05-20"), pd.Timestamp("2018-08-20")]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ('{ columns = "{analyte}_m", since = "Start" }', "must hold {analyte} or {measure}, and one of"),
        ('{ columns = "{test}_m{months}", since = "Start" }', "{test} is no placeholder"),
        ('{ columns = "{analyte}_m{months}" }', "give either since"),
        ('{ columns = "{analyte}_{visit}", since = "Start" }', "{visit} is no number"),
        ('{ columns = "{analyte}_m{months}", date = "date" }', "must hold {months} as columns does"),
        ('{ columns = "{measure}_m{months}", since = "Start" }', "{analyte} in labs"),
        ('{ columns = "{analyte}_m{months}", since = "Start", names = { GPT = "alat" } }', "perhaps 'alt' is meant"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_before_a_row_is_read(pattern, says):
    with pytest.raises(PlanError) as caught:
        parse_mapping(f'{PATIENTS}\n[labs]\ncolumns.patient_id = "Study no"\nwide_pattern = {pattern}\n')
    assert says in caught.value.what


def test_a_pattern_that_finds_no_column_is_refused(tmp_path):
    with pytest.raises(PlanError) as caught:
        read(tmp_path, LABS.replace("{analyte}_m{months}", "{analyte}-m{months}"))
    assert caught.value.what.startswith("0 of 9 columns of 'visits.csv' follow the pattern")


TWO_SHEETS = """
[reading]
decimal = ","

[patients]
sheet = "Children"
columns.patient_id = "Study no"
columns.birth_date = "Born"
columns.diagnosis_date = "Start"

[labs]
sheet = "Bloods"
columns.patient_id = "No"
wide_pattern = { columns = "{analyte}_m{months}", since = "Start", units = { alt = "U/L" } }
"""


def two_sheets(tmp_path, children):
    def fill(book):
        listed, bloods = book.add_worksheet("Children"), book.add_worksheet("Bloods")
        for row, cells in enumerate([["Study no", "Born", "Start"], *children]):
            listed.write_row(row, 0, cells)
        for row, cells in enumerate([["No", "ALT_m3"], ["k1", 61.5], ["k2", "61,5"], ["k3", 70]]):
            bloods.write_row(row, 0, cells)

    return read_tables(write_xlsx(tmp_path / "two.xlsx", fill), parse_mapping(TWO_SHEETS))


CHILDREN = [[f"k{n}", "2010-02-03", "2018-05-20"] for n in (1, 2, 3)]


def test_months_are_counted_from_a_date_in_the_list_of_patients(tmp_path):
    cohort = two_sheets(tmp_path, CHILDREN)
    assert cohort.labs["date"].astype(str).tolist() == ["2018-08-20"] * 3
    assert "Start from two.xlsx:Children" in cohort.load_report.set_index("table").loc["labs", "how_read"]


def test_numbers_typed_in_a_workbook_and_numbers_as_text_are_read_alike(tmp_path):
    cohort = two_sheets(tmp_path, CHILDREN)
    assert cohort.labs["value"].tolist() == [61.5, 61.5, 70.0]
    assert cohort.labs["raw_value"].tolist() == ["61,5", "61,5", "70"]


def test_a_patient_with_two_starts_in_the_list_has_none(tmp_path):
    cohort = two_sheets(tmp_path, [*CHILDREN, ["k3", "2010-02-03", "2019-05-20"]])
    aside = cohort.set_aside.query("table == 'labs'")
    assert aside["source_row"].tolist() == [4]
    assert "date" in aside["column"].iloc[0]
