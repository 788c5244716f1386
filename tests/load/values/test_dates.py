"""Dates as clinics write them: complete, in part, as serial numbers; what could be two dates is none."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.load.values.dates import FIRST_YEAR, LAST_YEAR, least_certain, read_dates, read_partial_date

GERMAN, ENGLISH, AMERICAN = "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY"


@pytest.mark.parametrize(
    ("cell", "spelling", "day", "precision"),
    [
        ("2019-05-03", "YYYY-MM-DD", date(2019, 5, 3), "day"),
        ("2019-05-03 10:15:00", "YYYY-MM-DD", date(2019, 5, 3), "day"),
        ("3.5.2019", GERMAN, date(2019, 5, 3), "day"),
        ("2019-05", "YYYY-MM-DD", date(2019, 5, 15), "month"),
        ("05/2019", ENGLISH, date(2019, 5, 15), "month"),
        ("05.2019", GERMAN, date(2019, 5, 15), "month"),
        ("201905", "YYYYMMDD", date(2019, 5, 15), "month"),
        ("2019", ENGLISH, date(2019, 7, 1), "year"),
        # Excel shows serial number 61 as 1 March 1900, 43588 as 3 May 2019; in the 1904 calendar 42126 is that day.
        ("43588", "excel", date(2019, 5, 3), "day"),
        ("43588.75", "excel", date(2019, 5, 3), "day"),
        ("61", "excel", date(1900, 3, 1), "day"),
        ("42126", "excel-1904", date(2019, 5, 3), "day"),
    ],
)
def test_a_date_is_read_with_its_precision(cell, spelling, day, precision):
    assert read_partial_date(cell, (spelling,)) == (day, precision)


@pytest.mark.parametrize(
    ("cell", "spellings"),
    [
        ("5/12", (ENGLISH,)),  # 5 December, 12 May, or May 2012
        ("03/04/19", (ENGLISH,)),
        ("May 2019", (ENGLISH,)),
        ("03/04/2019", (ENGLISH, AMERICAN)),
        ("30/02/2019", (ENGLISH,)),
        ("13/2019", (ENGLISH,)),
        ("0019-05-03", ("YYYY-MM-DD",)),
        ("2190", ("YYYY-MM-DD",)),
        ("60", ("excel",)),  # Excel's 29 February 1900, which there was not
        ("43588", (GERMAN,)),  # a serial number counts only where the mapping says so
        ("2019", (GERMAN, "excel")),  # a year, or a day of July 1905
    ],
)
def test_what_could_be_two_dates_or_lacks_its_year_is_none(cell, spellings):
    assert read_partial_date(cell, spellings) is None


def test_the_row_is_as_uncertain_as_its_least_certain_date():
    dates, precision = read_dates(pd.Series(["2019-05", "2019", "2019-05-03", "", "x"], dtype=object))
    assert precision.tolist() == ["month", "year", pd.NA, pd.NA, pd.NA]
    assert dates.isna().tolist() == [False, False, False, True, True]
    other = pd.Series([pd.NA, "month", "day", pd.NA, "year"], dtype="string")
    assert least_certain([precision, other]).tolist() == ["month", "year", "day", pd.NA, "year"]


@given(day=st.dates(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)), spelling=st.sampled_from([GERMAN, AMERICAN]))
def test_a_complete_date_comes_back(day, spelling):
    written = spelling.replace("YYYY", f"{day:%Y}").replace("MM", f"{day:%m}").replace("DD", f"{day:%d}")
    assert read_partial_date(written, (spelling,)) == (day, "day")


@given(cell=st.text(alphabet="0123456789-/. :TZ+x", max_size=20) | st.text(max_size=12))
@example(cell="0000")
@example(cell="2019-00-00")
@example(cell="٢٠١٩-٠٥-٠٣")
@example(cell="99999999999999999999")
@example(cell="2019-05-03T99:99")
@example(cell="1e400")
@example(cell="²⁰¹⁹")
def test_no_text_breaks_the_reader_of_dates(cell):
    for spelling in (GERMAN, "YYYYMMDD", "YYYY-MM-DD", "excel", "excel-1904"):
        found = read_partial_date(cell, (spelling,))
        assert found is None or FIRST_YEAR <= found[0].year <= LAST_YEAR
