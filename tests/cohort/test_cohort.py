"""A cohort refuses what breaks a rule, counts what was read, and looks at its follow-up."""

from dataclasses import replace

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort, age_at, check_follow_up
from aih_outcomes.errors import DataError


def table(text: str) -> pd.DataFrame:
    lines = [[cell.strip() or None for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0])


PATIENTS = table("""
    patient_id | birth_date | diagnosis_date
    a          | 2008-01-01 | 2016-01-01
    b          | 2010-01-01 | 2018-01-01
""")


def make(**texts: str) -> Cohort:
    return Cohort(patients=PATIENTS, **{name: table(text) for name, text in texts.items()})


def found(cohort: Cohort) -> dict[str, list[int]]:
    """Checks that found rows, and which."""
    report = check_follow_up(cohort)
    quiet = {"patient without any result", "patient without follow-up"}
    return {row.check: row.rows for row in report.itertuples() if row.n_rows and row.check not in quiet}


def follow_up(*periods: str) -> str:
    rows = "\n".join(f"{period} | visit" for period in periods)
    return f"patient_id | start | end | end_reason | end_source\n{rows}"


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        (("a | 2016-01-01 | 2017-01-01 | transfer", "a | 2017-01-01 | 2018-01-01 | ongoing"), {}),
        (("a | 2016-01-01 | 2017-01-01 | transfer", "a | 2017-01-02 | 2018-01-01 | ongoing"), {}),
        (
            ("a | 2016-06-01 | 2018-01-01 | ongoing", "a | 2016-01-01 | 2017-01-01 | transfer"),
            {"follow-up periods of a patient overlap": [1]},
        ),
        (
            ("a | 2016-01-01 | 2017-01-01 | transfer", "a | 2017-01-03 | 2018-01-01 | ongoing"),
            {"gap between follow-up periods of a patient": [2]},
        ),
        (  # two short periods inside a long one overlap with it and leave no gap
            ("a | 2016-01-01 | 2019-01-01 | ongoing", "a | 2016-02-01 | 2016-03-01 | lost",
             "a | 2017-01-01 | 2017-02-01 | lost"),
            {"follow-up periods of a patient overlap": [2, 3]},
        ),
        (("a | 2016-01-01 | 2017-01-01 | ongoing", "b | 2016-06-01 | 2016-07-01 | ongoing"), {}),
    ],
)  # fmt: skip
def test_overlaps_and_gaps_of_follow_up_are_found(periods, expected):
    assert found(make(follow_up=follow_up(*periods))) == expected


def test_events_and_results_after_the_end_are_found():
    cohort = make(
        follow_up=follow_up("a | 2016-01-01 | 2017-01-01 | death", "b | 2018-01-01 | 2020-01-01 | ongoing"),
        events="patient_id | date | kind\na | 2017-06-01 | listing\nb | 2019-01-01 | death",
        labs="""
            patient_id | date       | analyte | value | unit | comparator | uln_source
            a          | 2016-02-01 | alt     | 50    | U/L  | =          | none
            a          | 2018-02-01 | alt     | 50    | U/L  | =          | none
        """,
    )
    assert found(cohort) == {
        "event after the end of follow-up": [1],
        "death while follow-up goes on to a later day": [2],
        "follow-up ends with death, but no death in 'events'": [1],
        "result after the end of follow-up": [2],
        "more than 548 days without any result": [2],
    }


def test_treatments_that_overlap_are_found():
    cohort = make(
        treatments="""
            patient_id | drug         | start      | stop       | indication
            a          | azathioprine | 2016-02-01 |            | aih
            a          | azathioprine | 2017-02-01 | 2018-01-01 | aih
            b          | prednisolone | 2018-02-01 | 2018-03-01 | aih
            b          | prednisolone | 2018-03-01 | 2018-04-01 | aih
        """
    )
    assert found(cohort) == {"same drug given twice at the same time": [2]}


def test_a_treatment_that_may_have_stopped_before_it_started_is_found():
    """Stopped some time in 2016, which is written as 1 July: perhaps later than August, perhaps not."""
    cohort = make(
        treatments="""
            patient_id | drug         | start      | stop       | indication | date_precision
            a          | prednisolone | 2016-08-01 | 2016-07-01 | aih        | year
        """
    )
    assert found(cohort) == {
        "treatment stops before it starts": [1],
        "date known to the month or year only in 'treatments'": [1],
    }


def test_a_drug_that_goes_on_after_death_and_a_rare_result_are_found():
    cohort = make(
        treatments="""
            patient_id | drug         | start      | stop       | indication
            a          | prednisolone | 2016-08-01 | 2017-07-01 | aih
        """,
        events="patient_id | date | kind\na | 2017-06-01 | death",
        labs="""
            patient_id | date       | analyte   | value | unit   | comparator | uln_source | date_precision
            a          | 2016-02-01 | bilirubin | 850   | umol/L | =          | none       |
            a          | 2017-01-15 | bilirubin | 20    | umol/L | =          | none       | month
        """,
    )
    assert found(cohort) == {
        "treatment stops after the patient's death": [1],
        "result possible but rarely seen: is its unit right?": [1],
        "date known to the month or year only in 'labs'; not used for windows": [2],
    }


def test_every_check_is_listed_even_where_it_found_nothing():
    report = check_follow_up(make())
    assert report["n_rows"].tolist().count(0) == len(report) - 2
    assert report.columns.tolist() == ["check", "table", "n_rows", "n_patients", "rows"]


@pytest.mark.parametrize(
    ("table_name", "text", "rule"),
    [
        ("events", "patient_id | date | kind\nz | 2020-01-01 | death", "Patient is not in the table 'patients'"),
        ("events", "patient_id | date | kind\na | 2007-01-01 | listing", "Date is before the patient's birth"),
        ("follow_up", follow_up("a | 2018-01-01 | 2017-01-01 | ongoing"), "Follow-up ends before it starts"),
        ("measurements", "patient_id | date | measure | value\na | 2018-01-01 | weight | 999",
         "Must lie between 0 and 260"),
        ("treatments",
         "patient_id | drug | start | stop | indication\na | prednisolone | 2016-02-01 | 2016-01-01 | aih",
         "Treatment stops before it starts"),
    ],
)  # fmt: skip
def test_a_row_that_breaks_a_rule_is_refused_by_place_not_by_name(table_name, text, rule):
    with pytest.raises(DataError) as caught:
        make(**{table_name: text})
    assert caught.value.rule == rule
    assert caught.value.what.startswith(f"1 row(s) of '{table_name}' break a rule in column ")
    assert caught.value.what.endswith("rows 1")


def test_a_table_that_cannot_be_read_is_refused_by_table_and_column():
    labs = pd.DataFrame({"patient_id": ["a"], "value": ["9SECRET"]})
    with pytest.raises(DataError, match="1 of 1 rows of 'labs' hold no number in column 'value'") as caught:
        Cohort(PATIENTS, labs)
    assert "SECRET" not in str(caught.value)
    with pytest.raises(DataError, match="'labs' is no table"):
        Cohort(PATIENTS, None)
    with pytest.raises(DataError, match="of 'patients' hold no date in column 'birth_date'"):
        Cohort(PATIENTS.assign(birth_date="02/03/2010"))


def test_accounting_that_does_not_add_up_is_refused():
    cohort = make()
    with pytest.raises(DataError, match="do not add up"):
        replace(cohort, load_report=cohort.load_report.assign(n_read=99))


def test_excluded_patients_are_counted_with_all_their_rows():
    cohort = make(events="patient_id | date | kind\na | 2020-01-01 | death\nb | 2020-01-01 | listing")
    fewer = cohort.exclude(pd.Series(["a", "not there"]), step="second", reason="another disease")
    assert (fewer.n_patients, len(fewer.events), len(fewer.set_aside)) == (1, 1, 2)
    assert fewer.exclusions.to_numpy().tolist() == [["second", "another disease", 1]]
    report = fewer.load_report.set_index("table")
    assert report.loc["events", ["n_read", "n_kept", "n_set_aside"]].tolist() == [2, 1, 1]
    assert cohort.n_patients == 2


def test_age_comes_from_birth_or_else_from_the_age_at_diagnosis():
    patients = table("""
        patient_id | birth_date | age_at_diagnosis | diagnosis_date
        a          | 2010-01-01 |                  | 2016-01-01
        b          |            | 7.5              | 2016-01-01
    """)
    cohort = Cohort(patients=patients)
    dates = pd.Series(pd.to_datetime(["2018-01-01", "2018-01-01", "2018-01-01"]))
    ages = age_at(cohort, pd.Series(["a", "b", "c"], dtype="string"), dates)
    assert ages.tolist()[:2] == [2922 / 365.25, 7.5 + 731 / 365.25]
    assert ages.isna().tolist() == [False, False, True]
