"""What cannot be true of a cohort's rows, as a data manager would find it by hand."""

import pandas as pd
import pytest

from aih_outcomes.cohort import find_cohort_violations
from aih_outcomes.schema import TABLES, conform, empty_table

BEFORE_BIRTH = "date is before the patient's birth"
AFTER_DEATH = "date is after the patient's death"


def table(text: str) -> pd.DataFrame:
    lines = [[cell.strip() or None for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0])


PATIENTS = """
    patient_id | birth_date | diagnosis_date | date_precision
    a          | 2008-03-10 | 2016-01-01     |
    b          | 2010-07-01 | 2018-01-01     | year
    c          | 2010-06-15 | 2018-01-01     | month
"""


def broken(**texts: str) -> list[tuple[str, int, str, str]]:
    """Return table, row (from 1), column and rule of what is found."""
    frames = {"patients": PATIENTS, **texts}
    tables = {name: conform(table(frames[name]), name) if name in frames else empty_table(name) for name in TABLES}
    found = find_cohort_violations(tables)
    return [(row.table, int(row.row) + 1, row.column, row.rule) for row in found.itertuples()]


def events(*lines: str) -> str:
    return "\n".join(["patient_id | date | kind | date_precision", *lines])


def labs(*lines: str) -> str:
    """Lines of ``patient | date | analyte | value | raw_value | raw_unit``, at will with method and sign."""
    head = "patient_id | date | analyte | value | raw_value | raw_unit | method | comparator | unit | uln_source"
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    full = [[*row, *["", "="][len(row) - 6 :], "U/L", "none"] for row in cells]
    return "\n".join([head, *(" | ".join(row) for row in full)])


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("a | 2008-03-10 | listing |", []),  # on the day of birth
        ("a | 2008-03-09 | listing |", [BEFORE_BIRTH]),
        ("a | 2008-03-15 | listing | month", []),
        ("a | 2008-02-15 | listing | month", [BEFORE_BIRTH]),
        ("a | 2008-07-01 | listing | year", []),  # some time in 2008
        ("a | 2007-07-01 | listing | year", [BEFORE_BIRTH]),
        ("b | 2010-01-01 | listing |", []),  # born some time in 2010
        ("b | 2009-12-30 | listing |", [BEFORE_BIRTH]),
        ("c | 2010-06-01 | listing |", []),
        ("c | 2010-05-31 | listing |", [BEFORE_BIRTH]),
    ],
)
def test_before_birth_is_what_no_day_of_an_inexact_date_can_mend(line, rules):
    assert [rule for *_, rule in broken(events=events(line))] == rules


@pytest.mark.parametrize(
    ("death", "sample", "rules"),
    [
        ("2020-02-10 | death |", "2020-02-10", []),  # drawn on the day
        ("2020-02-10 | death |", "2020-02-11", [AFTER_DEATH]),
        ("2020-01-15 | death | month", "2020-01-31", []),
        ("2020-01-15 | death | month", "2020-02-01", [AFTER_DEATH]),
        ("2020-07-01 | death | year", "2020-12-31", []),
        ("2020-07-01 | death | year", "2021-01-01", [AFTER_DEATH]),
    ],
)
def test_after_death_begins_the_day_after_the_last_that_is_possible(death, sample, rules):
    found = broken(events=events(f"a | {death}"), labs=labs(f"a | {sample} | alt | 50 | 50 | U/L"))
    assert [rule for *_, rule in found] == rules


@pytest.mark.parametrize("shift", range(0, 365, 13))
def test_shifting_all_dates_of_a_patient_changes_nothing(shift):
    """Moved by the same days, a month may begin in another one, and still holds the same days."""
    moved = [f"{pd.Timestamp(day) - pd.Timedelta(days=shift):%Y-%m-%d}" for day in ("2020-01-15", "2020-01-31")]
    result = labs(f"a | {moved[1]} | alt | 50 | 50 | U/L")
    assert broken(events=events(f"a | {moved[0]} | death | month"), labs=result) == []


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("events", events("a | 2020-01-01 | death |", "a | 2020-01-02 | listing |"), "date"),
        ("biopsies", "patient_id | date\na | 2020-01-02", "date"),
        ("imaging", "patient_id | date | modality | finding\na | 2020-01-02 | mrcp | normal", "date"),
        ("measurements", "patient_id | date | measure | value\na | 2020-01-02 | weight | 20", "date"),
        ("adverse_events", "patient_id | date | kind\na | 2020-01-02 | zoster", "date"),
        ("treatments", "patient_id | drug | start | indication\na | prednisolone | 2020-01-02 | aih", "start"),
    ],
)
def test_nothing_is_done_to_the_dead(name, text, column):
    others = {"events": events("a | 2020-01-01 | death |"), name: text}
    assert [(row[0], row[2], row[3]) for row in broken(**others)] == [(name, column, AFTER_DEATH)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("variants", "patient_id | date | result\na | 2020-06-01 | variant"),  # reported later
        ("clinician_responses", "patient_id | date | endpoint | clinician_response | reason | initials\n"
         "a | 2020-06-01 | response_by_6_months | met | notes read later | QX"),
        ("treatments",
         "patient_id | drug | start | stop | indication\na | prednisolone | 2019-01-02 | 2020-01-31 | aih"),
    ],
)  # fmt: skip
def test_what_is_written_down_after_death_stays(name, text):
    assert broken(events=events("a | 2020-01-01 | death |"), **{name: text}) == []


def test_a_death_that_is_itself_wrong_ends_nothing():
    twice = events("a | 2017-01-01 | death |", "a | 2018-01-01 | death |", "b | 2005-01-01 | death |")
    found = broken(
        events=twice, labs=labs("a | 2019-01-01 | alt | 50 | 50 | U/L", "b | 2019-01-01 | alt | 5 | 5 | U/L")
    )
    several = "a patient dies once; this patient has several deaths"
    assert found == [
        ("events", 3, "date", BEFORE_BIRTH), ("events", 1, "kind", several), ("events", 2, "kind", several),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (("a | 2020-01-01 | igg | 18 | 18 | g/L", "a | 2020-01-01 | igg | 0.18 | 18 | mg/dL"), [1, 2]),  # 18 of what?
        (("a | 2020-01-01 | igg | 18 | 18 | g/L", "a | 2020-01-01 | igg | 18.1 | 1810 | mg/dL"), []),
        (("a | 2020-01-01 | igg | 18 | 18 | g/L", "a | 2020-01-01 | igg | 4 | 400 | mg/dL"), [1, 2]),
        (("a | 2020-01-01 | igg | 18 | 18 | g/L", "a | 2020-01-01 | igg | 6 | 600 | mg/dL"), []),  # threefold
        (("a | 2020-01-01 | alt | 30 | 30 | U/L", "a | 2020-01-01 | alt | 300 | 300 | U/L"), []),  # a repeat
        (("a | 2020-01-01 | alt | 30 | 30 | U/L", "a | 2020-01-01 | alt | 300 | 300 | IU/L"), []),  # the same unit
        (("a | 2020-01-01 | alt | 30 | 30 | U/L", "a | 2020-01-02 | alt | 1800 | 30 | ukat/L"), []),  # another day
        (("a | 2020-01-01 | alt | 30 | 30 | U/L", "b | 2020-01-01 | alt | 1800 | 30 | ukat/L"), []),
        (("a | 2020-01-01 | alt | 30 | 30 | U/L", "a | 2020-01-01 | ast | 1800 | 30 | ukat/L"), []),
        (("a | 2020-01-01 | alt | 30 | 30 |", "a | 2020-01-01 | alt | 1800 | 30 |"), []),  # no unit: said elsewhere
        (("a | 2020-01-01 | ana | 80 | 80 | titre | iif_hep2", "a | 2020-01-01 | ana | 20 | 80 | U/mL | elisa"), []),
        (("a | 2020-01-01 | alt | 20 | <20 | U/L | | <", "a | 2020-01-01 | alt | 6 | 0.1 | ukat/L"), []),
        (
            ("a | 2020-01-01 | alt | 30 | 30 | U/L", "a | 2020-01-01 | alt | 31 | 31 | U/L",
             "a | 2020-01-01 | alt | 1800 | 30 | ukat/L", "a | 2020-01-01 | ast | 31 | 31 | U/L"),
            [1, 2, 3],
        ),
    ],
)  # fmt: skip
def test_one_sample_in_two_units_that_cannot_both_be_right(lines, rows):
    units = {"igg": "g/L", "ana": "{titer}"}
    text = labs(*lines)
    for analyte, unit in units.items():
        text = "\n".join(line.replace("| U/L | none", f"| {unit} | none") if analyte in line else line
                         for line in text.splitlines())  # fmt: skip
    found = broken(labs=text)
    assert [(row, column, rule.partition(":")[0]) for _, row, column, rule in found] == [
        (row, "raw_unit", "conflicting units") for row in rows
    ]


def test_rows_of_tables_that_are_not_asked_for_are_not_checked():
    tables = {name: empty_table(name) for name in TABLES}
    tables["events"] = conform(table("patient_id | date | kind\nz | 2020-01-01 | listing"), "events")
    assert len(find_cohort_violations(tables)) == 1
    assert find_cohort_violations(tables, ("patients", "labs")).empty
