"""Upper limits: reported > the laboratory's table > a table by sex and age > fixed (clinic 11, domain 4.3)."""

import time
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load import read_tables
from aih_outcomes.load.mapping import parse_mapping
from aih_outcomes.load.records import Records, describe_aside, join_problems
from aih_outcomes.load.values.laboratory_limits import read_laboratory_limits
from aih_outcomes.load.values.limits import UpperLimits, fill_upper_limits
from aih_outcomes.schema import conform

MAPPING = """
[upper_limits]
{limits}

[patients]
file = "patients.csv"
columns.patient_id = "id"
columns.birth_date = "born"
columns.sex = "sex"
columns.centre = "centre"
columns.diagnosis_date = {{ constant = 2019-01-01 }}

[labs]
file = "labs.csv"
columns.patient_id = "id"
columns.date = "day"
columns.analyte = "test"
columns.value = "result"
columns.unit = "unit"
columns.uln = "limit"
"""
PATIENTS = """
    id, born,       sex,    centre
    a,  2010-06-15, female, North
    b,  2006-01-01, male,   South
    c,  2010-01-01, ,
"""


def write(folder: Path, **tables: str) -> None:
    for name, text in tables.items():
        lines = [",".join(cell.strip() for cell in line.split(",")) for line in dedent(text).strip().splitlines()]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(folder: Path, limits: str, *, labs: str, table: str = "", patients: str = PATIENTS) -> Cohort:
    write(folder, patients=patients, labs=f"id,day,test,result,unit,limit\n{dedent(labs).strip()}", limits=table)
    return read_tables(folder, parse_mapping(MAPPING.format(limits=limits)))


def limits_of(cohort: Cohort) -> list[tuple[float | None, str]]:
    pairs = zip(cohort.labs["uln"], cohort.labs["uln_source"], strict=True)
    return [(None if np.isnan(uln) else round(uln, 9), source) for uln, source in pairs]


ALL = """
laboratory = "limits.csv"
table = ["uk-pru", "caliper"]
fixed = { alt = "40 U/L", cholesterol = "200 mg/dL" }
"""
TABLE = """
    laboratory, analyte, unit, from, until, sex, age_from_years, age_to_years, uln
    North, alt, U/L, , 2019-12-31, , , , 45
    North, alt, ukat/L, 2020-01-01, , female, , , 0.6
"""


def test_each_result_has_the_best_limit_that_there_is(tmp_path):
    cohort = read(tmp_path, ALL, table=TABLE, labs="""
        a,2020-06-01,alt,50,U/L,55
        a,2020-06-01,alt,51,U/L,
        b,2020-06-01,alt,52,U/L,
        b,2020-06-01,igg,12,g/L,
        b,2020-06-01,cholesterol,4,mmol/L,
        b,2020-06-01,prothrombin_time,12,s,
        """)  # fmt: skip
    assert limits_of(cohort) == [
        (55, "reported"),
        (36, "laboratory"),  # 0.6 µkat/L × 60
        (24, "age_sex_table"),  # a boy of 14: CALIPER, as the first table has no ALT
        (16.1, "age_sex_table"),  # 14 years: UK PRU, the first of the two that have IgG
        (5.172, "fixed"),  # 200 mg/dL × 0.02586
        (None, "none"),
    ]
    how = cohort.load_report.set_index("table")["how_read"]["labs"]
    assert "upper limits of results: 1 from the laboratory's table" in how
    assert "1 by age and sex (table uk-pru, whose figures are remembered)" in how
    assert how.endswith("1 fixed, 1 without any")


@pytest.mark.parametrize(
    ("day", "limit"),
    [("2019-12-31", 45), ("2020-01-01", 36)],  # the last day of the one period, the first of the next
)
def test_the_laboratorys_limit_is_that_of_the_day_of_the_sample(tmp_path, day, limit):
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=TABLE, labs=f"a,{day},alt,50,U/L,")
    assert limits_of(cohort) == [(limit, "laboratory")]


def test_a_line_without_laboratory_holds_for_centres_without_a_line_of_their_own(tmp_path):
    table = "laboratory, analyte, unit, uln\n, alt, U/L, 41\nNorth, alt, U/L, 45"
    labs = "a,2020-01-01,alt,50,U/L,\nb,2020-01-01,alt,50,U/L,\nc,2020-01-01,alt,50,U/L,"
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=table, labs=labs)
    assert [limit for limit, _ in limits_of(cohort)] == [45, 41, 41]


@pytest.mark.parametrize(("day", "limit"), [("2019-12-31", 45), ("2020-01-01", 41)])
def test_a_line_without_laboratory_holds_again_where_a_centres_own_period_is_over(tmp_path, day, limit):
    table = "laboratory, analyte, unit, until, uln\n, alt, U/L, , 41\nNorth, alt, U/L, 2019-12-31, 45"
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=table, labs=f"a,{day},alt,50,U/L,")
    assert limits_of(cohort) == [(limit, "laboratory")]


@pytest.mark.parametrize(
    ("patient", "day", "limit"),
    [
        ("a", "2022-06-14", 30),  # the day before her twelfth birthday
        ("a", "2022-06-15", 35),
        ("b", "2020-06-15", 38),  # a boy of 14
        ("c", "2022-06-15", None),  # 12 years, and the sex is not known
        ("c", "2021-06-15", 30),  # below 12 there is one limit for both
    ],
)
def test_bands_begin_on_the_birthday_and_ask_for_the_sex_where_it_matters(tmp_path, patient, day, limit):
    table = """
        analyte, unit, sex, age_from_years, age_to_years, uln
        alt, U/L, , , 12, 30
        alt, U/L, female, 12, , 35
        alt, U/L, male, 12, , 38
    """
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=table, labs=f"{patient},{day},alt,50,U/L,")
    assert limits_of(cohort) == [(limit, "laboratory" if limit else "none")]


@pytest.mark.parametrize(("day", "limit"), [("2019-11", 45), ("2019", 45), ("2020-06", 36), ("2020", 36)])
def test_a_period_of_the_laboratory_is_known_for_a_month_or_year_within_it(tmp_path, day, limit):
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=TABLE, labs=f"a,{day},alt,50,U/L,")
    assert limits_of(cohort) == [(limit, "laboratory")]


def test_a_period_that_ends_within_the_month_of_the_sample_is_not_guessed(tmp_path):
    table = TABLE.replace("2019-12-31", "2019-12-09").replace("2020-01-01", "2019-12-10")
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=table, labs="a,2019-12,alt,50,U/L,")
    assert limits_of(cohort) == [(None, "none")]
    how = cohort.load_report.set_index("table")["how_read"]["labs"]
    assert how.endswith("1 without any, a source gives none where a date or age known in part leaves open which")


def test_a_table_outranks_a_fixed_limit_of_the_mapping_and_not_a_reported_one(tmp_path):
    (tmp_path / "visits.csv").write_text("id,day,ALT,IgG,IgG limit\na,2020-01-01,50,12,11\n", encoding="utf-8")
    write(tmp_path, patients=PATIENTS)
    text = (
        MAPPING.format(limits='table = "caliper"').partition("[labs]")[0]
        + """
[labs]
file = "visits.csv"
columns.patient_id = "id"
columns.date = "day"
wide = [
    { column = "ALT", analyte = "alt", unit = "U/L", uln = 40 },
    { column = "IgG", analyte = "igg", unit = "g/L", uln_column = "IgG limit" },
]
"""
    )
    assert limits_of(read_tables(tmp_path, parse_mapping(text))) == [(25, "age_sex_table"), (11, "reported")]


def test_where_no_limits_are_chosen_nothing_changes_and_nothing_is_told(tmp_path):
    cohort = read(tmp_path, "", labs="a,2020-01-01,alt,50,U/L,")
    assert limits_of(cohort) == [(None, "none")]
    assert "upper limits" not in cohort.load_report.set_index("table")["how_read"]["labs"]


def test_a_result_of_an_unknown_patient_has_no_age_and_is_set_aside(tmp_path):
    cohort = read(tmp_path, 'table = "uk-pru"', labs="a,2020-01-01,igg,12,g/L,\nz,2020-01-01,igg,12,g/L,")
    assert limits_of(cohort) == [(16.1, "age_sex_table")]
    assert cohort.set_aside["rule"].tolist() == ["patient is not in the table 'patients'"]


HEAD = "laboratory, analyte, unit, from, until, sex, age_from_years, age_to_years, uln\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (", alt, U/L, , , , , , 40\n, alt, U/L, , , , , , 45", "2 of 2 line(s) of 'limits.csv' overlap: line(s) 2, 3"),
        (", alt, U/L, , 2020-01-01, , , , 40\n, alt, U/L, 2020-01-01, , , , , 45", "overlap: line(s) 2, 3"),
        (", alt, U/L, , , female, , , 40\n, alt, U/L, , , , , , 45", "overlap: line(s) 2, 3"),
        (", alt, U/L, , , , , 12, 40\n, alt, U/L, , , , 11, , 45", "overlap: line(s) 2, 3"),
        (", alt, U/L, , , , , , 40\n, GPT, U/L, , , , , , 45", "column 'analyte', line(s) 3"),
        (", alt, g/L, , , , , , 40", "column 'unit', line(s) 2"),
        (", alt, U/L, , , , , , many", "column 'uln', line(s) 2"),
        (", alt, U/L, , , , , , 0", "column 'uln', line(s) 2"),
        (", alt, U/L, , , , , , ", "column 'uln', line(s) 2"),
        (", alt, U/L, 1.1.2020, , , , , 40", "column 'from', line(s) 2"),
        (", alt, U/L, 2020, , , , , 40", "column 'from', line(s) 2"),  # on which day?
        (", alt, U/L, 2020-02-01, 2020-01-01, , , , 40", "column 'until', line(s) 2"),
        (", alt, U/L, , , boys, , , 40", "column 'sex', line(s) 2"),
        (", alt, U/L, , , , 12, 12, 40", "column 'age_to_years', line(s) 2"),
        (", alt, U/L, , , , 12, 40", "column 'all', line(s) 2"),
    ],
)
def test_a_table_with_a_faulty_line_is_refused_by_line_and_column(tmp_path, lines, said):
    with pytest.raises(DataError) as caught:
        read(tmp_path, 'laboratory = "limits.csv"', table=HEAD + lines, labs="a,2020-01-01,alt,50,U/L,")
    assert said in caught.value.what


@pytest.mark.parametrize(
    "lines",
    [
        ", alt, U/L, , 2019-12-31, , , , 40\n, alt, U/L, 2020-01-01, , , , , 45",
        ", alt, U/L, , , female, , , 40\n, alt, U/L, , , male, , , 45",
        ", alt, U/L, , , , , 12, 40\n, alt, U/L, , , , 12, , 45",
        ", alt, U/L, , , , , , 40\n, ast, U/L, , , , , , 45",
        "North, alt, U/L, , , , , , 40\nSouth, alt, U/L, , , , , , 45",
    ],
)
def test_lines_that_meet_without_overlapping_are_accepted(tmp_path, lines):
    cohort = read(tmp_path, 'laboratory = "limits.csv"', table=HEAD + lines, labs="a,2019-12-31,alt,50,U/L,")
    assert limits_of(cohort) == [(40, "laboratory")]


@pytest.mark.parametrize(
    ("head", "said"),
    [("analyte, unit, limit\nalt, U/L, 40", "lacks 1 column(s) of a table of upper limits (uln) and has 1"),
     ("analyte, unit, uln, age_from\nalt, U/L, 40, 12", "Perhaps 'age_from_years' is meant")],
)  # fmt: skip
def test_a_column_that_would_not_be_read_is_refused(tmp_path, head, said):
    with pytest.raises(DataError) as caught:
        read(tmp_path, 'laboratory = "limits.csv"', table=head, labs="a,2020-01-01,alt,50,U/L,")
    assert said in str(caught.value)


def test_the_table_is_written_as_the_other_files_are(tmp_path):
    write(tmp_path, patients=PATIENTS, labs="id,day,test,result,unit,limit\na,2020-01-01,alt,50,U/L,")
    for name in ("patients", "labs"):
        path = tmp_path / f"{name}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    (tmp_path / "limits.csv").write_text("analyte;unit;from;uln\nalt;U/L;31.12.2019;40,5\n", encoding="utf-8")
    reading = '[reading]\nseparator = ";"\ndecimal = ","\ndate_format = ["YYYY-MM-DD", "DD.MM.YYYY"]\n'
    text = reading + MAPPING.format(limits='laboratory = "limits.csv"')
    assert limits_of(read_tables(tmp_path, parse_mapping(text))) == [(40.5, "laboratory")]


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no file 'ours\.csv' beside the data"):
        read(tmp_path, 'laboratory = "ours.csv"', labs="a,2020-01-01,alt,50,U/L,")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ('table = ["uk-pro"]', "'uk-pro' is no table of limits; known: uk-pru, caliper"),
        ('fixed = { alt = "40" }', 'must be a number and a unit, as in "40 U/L"'),
        ('fixed = { alt = "40 g/L" }', "units: U/L"),
        ("tables = []", "is no key here"),
    ],
)
def test_a_fault_in_the_mapping_is_told_before_a_row_is_read(limits, said):
    with pytest.raises(PlanError) as caught:
        parse_mapping(MAPPING.format(limits=limits))
    assert said in str(caught.value)
    assert "line 3" in str(caught.value)


CELLS = st.sampled_from(
    ["", " ", "alt", "igg", "U/L", "g/L", "=1+1", "1e400", "nan", "-1", "0", "40", "40,5", "inf", "2020-01-01", "2020",
     "2020-02-30", "female", "any", "North", "0" * 400, "é", "ALT"],
)  # fmt: skip


@example(line=["", "alt", "U/L", "", "", "", "", "", "1e400"])
@example(line=["", "alt", "U/L", "", "", "", "nan", "", "40"])
@example(line=["", "alt", "U/L", "2020", "", "", "", "", "40"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.lists(CELLS, min_size=9, max_size=9))
def test_whatever_is_in_a_cell_the_table_is_used_or_refused(tmp_path, line):
    (tmp_path / "limits.csv").write_text(f"{HEAD.replace(' ', '')}{','.join(line)}\n", encoding="utf-8")
    try:
        bands = read_laboratory_limits(tmp_path, "limits.csv")
    except DataError as error:
        said = error.what
    else:
        said = "limits.csv"
        assert (np.isfinite(bands["upper"]) & (bands["upper"] > 0)).all()
        assert (bands["age_from_years"] < bands["age_to_years"]).all()
        assert (bands["since"] <= bands["until"]).all()
    assert "limits.csv" in said


def test_52_000_results_take_less_than_a_tenth_of_a_second():
    rng = np.random.default_rng(1)
    n, ids = 52_000, [f"p{i}" for i in range(350)]
    born = pd.Timestamp("2005-01-01") + pd.to_timedelta(rng.integers(0, 3000, 350), unit="D")
    patients = conform(pd.DataFrame({"patient_id": ids, "sex": "female", "birth_date": born}), "patients")
    labs = pd.DataFrame({
        "patient_id": rng.choice(ids, n), "analyte": rng.choice(["alt", "ast", "igg", "ggt", "albumin"], n),
        "date": pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, n), unit="D"),
        "value": 10.0, "uln_source": "none",
    })  # fmt: skip
    nothing = describe_aside(labs, join_problems([]))
    records = [Records("patients", "p.csv", patients, nothing, 350), Records("labs", "l.csv", conform(labs, "labs"),
                                                                             nothing, n)]  # fmt: skip
    limits = UpperLimits(tables=("uk-pru", "caliper"), fixed={"ggt": 40.0})
    taken = []
    for _ in range(3):  # the best of three: others use the machine too
        start = time.process_time()
        filled = fill_upper_limits(records, limits)
        taken.append(time.process_time() - start)
    assert filled[1].kept["uln_source"].isin(["age_sex_table", "fixed"]).mean() > 0.5
    assert min(taken) < 0.1
