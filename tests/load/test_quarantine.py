"""The set-aside room: each kind of mess leaves the tables with its reason and the line that would mend it."""

import pandas as pd
import pytest

from aih_outcomes.cohort import SET_ASIDE_COLUMNS, Cohort
from aih_outcomes.load.door import make_cohort
from aih_outcomes.load.records import Records, describe_aside, join_problems
from aih_outcomes.load.set_aside_file import write_set_aside
from aih_outcomes.schema import conform

PATIENTS = """
    patient_id | birth_date | diagnosis_date
    a          | 2008-03-10 | 2016-01-01
    b          | 2010-07-01 | 2018-01-01
"""


def rows_of(text: str) -> pd.DataFrame:
    lines = [[cell.strip() or None for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0])


def load(**texts: str) -> Cohort:
    """Take text tables through the door; line 2 is the first below the header."""
    records = []
    for name, text in {"patients": PATIENTS, **texts}.items():
        frame = rows_of(text)
        kept = conform(frame.assign(source_file=f"{name}.csv", source_row=range(2, len(frame) + 2)), name)
        records.append(Records(name, f"{name}.csv", kept, describe_aside(kept, join_problems([])), len(frame)))
    return make_cohort(records, label="mess")


def labs(*lines: str) -> str:
    head = "patient_id | date | analyte | value | raw_value | raw_unit | unit | comparator | uln_source"
    return "\n".join([head, *(f"{line} | U/L | = | none" for line in lines)])


def aside(cohort: Cohort) -> list[tuple[str, int, str, str]]:
    return [(row.table, row.source_row, row.column, row.rule) for row in cohort.set_aside.itertuples()]


FINE = "a | 2016-02-01 | alt | 50 | 50 | U/L"


@pytest.mark.parametrize(
    ("texts", "found", "way_out"),
    [
        ({"labs": labs(FINE, FINE)}, [("labs", 3, "", "repeats an earlier row")], "exported twice"),
        ({"labs": labs(FINE, "a | 2016-02-01 | alt | 3000 | 50 | ukat/L")},
         [("labs", line, "raw_unit", "conflicting units: results of the same sample were printed in different units "
           "and disagree") for line in (2, 3)], 'units = { … = { "…" = "…" } }'),
        ({"labs": labs("a | 2016-02-01 | alt | 99999 | 99999 | U/L")},
         [("labs", 2, "value", "alt must lie between 1 and 20000 U/L to be plausible")],
         'units = { alt = { "…" = "…" } }'),
        ({"labs": labs("a | 2007-02-01 | alt | 50 | 50 | U/L")},
         [("labs", 2, "date", "date is before the patient's birth")], 'date_format = "DD/MM/YYYY"'),
        ({"labs": labs("a | 2017-02-02 | alt | 50 | 50 | U/L"),
          "events": "patient_id | date | kind\na|2017-02-01|death"},
         [("labs", 2, "date", "date is after the patient's death")], 'date_format = "DD/MM/YYYY"'),
        ({"events": "patient_id | date | kind\na | | transplant"},
         [("events", 2, "date", "required value is missing")], 'columns.date = "…"'),
        ({"treatments": "patient_id | drug | start | stop | indication\n"
          "a | prednisolone | 2016-02-01 | 2016-01-01 | aih"},
         [("treatments", 2, "stop", "treatment stops before it starts")], 'date_format = "DD/MM/YYYY"'),
        ({"treatments": "patient_id | drug | start | indication\na | prednisolone | 2016-02-01 |"},
         [("treatments", 2, "indication", "required value is missing")], 'columns.indication = { constant = "…" }'),
        ({"events": "patient_id | date | kind\nz | 2017-01-01 | listing"},
         [("events", 2, "patient_id", "patient is not in the table 'patients'")], "correct the identifier"),
        ({"events": "patient_id | date | kind\na | 2017-01-01 | operation"},
         [("events", 2, "kind", "must be one of transplant, death, listing, ascites, variceal_bleed, encephalopathy, "
           "hepatocellular_carcinoma, spontaneous_bacterial_peritonitis, hepatorenal_syndrome, dialysis, "
           "non_adherence, relapse_diagnosed, transfer")],
         'columns.kind = { column = "…", codes = { "…" = "…" } }'),
        ({"measurements": "patient_id | date | measure | value\na | 2017-01-01 | weight | 2600"},
         [("measurements", 2, "value", "must lie between 0 and 260")], 'missing = ["…"]'),
    ],
)  # fmt: skip
def test_each_kind_of_mess_is_found_and_names_what_mends_it(texts, found, way_out):
    cohort = load(**texts)
    assert aside(cohort) == found
    assert cohort.set_aside["way_out"].str.contains(way_out, regex=False).all()
    report = cohort.load_report
    assert (report["n_read"] == report["n_kept"] + report["n_set_aside"]).all()


def test_two_rows_of_a_patient_take_all_of_the_patient_along():
    cohort = load(
        patients=PATIENTS + "    a | 2008-03-11 | 2016-01-01", labs=labs(FINE, "b | 2019-01-01 | alt | 50 | 50 | U/L")
    )
    assert aside(cohort) == [
        ("patients", 2, "patient_id", "one row per patient; this identifier is repeated"),
        ("patients", 4, "patient_id", "one row per patient; this identifier is repeated"),
        ("labs", 2, "patient_id", "patient was set aside"),
    ]
    assert cohort.set_aside["way_out"].tolist()[0].endswith("distinct = true")
    assert len(cohort.labs) == 1


def test_the_same_day_in_the_same_unit_is_a_repeat_and_both_are_kept():
    assert len(load(labs=labs(FINE, "a | 2016-02-01 | alt | 500 | 500 | U/L")).labs) == 2


def test_a_row_with_another_line_and_file_is_still_the_same_row():
    """Rows are compared by what they say: also those with the same dates and numbers, and other words."""
    cohort = load(
        events="patient_id | date | kind\na | 2017-01-01 | listing\na | 2017-01-01 | ascites\na | 2017-01-01 | listing"
    )
    assert aside(cohort) == [("events", 4, "", "repeats an earlier row")]


def test_what_was_set_aside_because_of_a_wrong_death_comes_back():
    cohort = load(events="patient_id | date | kind\na | 2005-01-01 | death", labs=labs(FINE))
    assert aside(cohort) == [("events", 2, "date", "date is before the patient's birth")]
    assert len(cohort.labs) == 1


def test_the_file_of_rows_set_aside_holds_places_and_reasons_and_no_patient(tmp_path):
    cohort = load(labs=labs(FINE, FINE, "kid-4711 | 2016-02-01 | alt | 50 | 50 | U/L"))
    path = write_set_aside(cohort, tmp_path / "aside.csv")
    assert path.read_bytes().startswith(
        b"\xef\xbb\xbftable,source_file,source_row,column,rule,way_out\nlabs,labs.csv,3,,"
    )
    written = pd.read_csv(path, encoding="utf-8-sig")
    assert written.columns.tolist() == list(SET_ASIDE_COLUMNS)
    assert len(written) == 2
    assert "4711" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["=cmd|calc.csv", "+1.csv", "-1.csv", "@home.csv", "\ttab.csv"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_text(tmp_path, name):
    cohort = load(labs=labs(FINE, FINE))
    named = cohort.set_aside.assign(source_file=pd.array([name], dtype="string"))
    report = cohort.load_report
    path = write_set_aside(Cohort(**cohort.tables(), set_aside=named, load_report=report), tmp_path / "aside.csv")
    assert pd.read_csv(path, encoding="utf-8-sig")["source_file"].tolist() == [f"'{name}"]


def test_nothing_set_aside_is_a_file_with_a_header(tmp_path):
    path = write_set_aside(load(), tmp_path / "aside.csv")
    assert path.read_text(encoding="utf-8-sig") == "table,source_file,source_row,column,rule,way_out\n"
