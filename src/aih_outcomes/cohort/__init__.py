"""Who was followed, from when, in canonical units, and what was left out and why."""

from aih_outcomes.cohort.cohort import (
    LOAD_COLUMNS,
    SET_ASIDE_COLUMNS,
    Cohort,
    empty_exclusions,
    empty_set_aside,
)
from aih_outcomes.cohort.follow_up import DAYS_PER_YEAR, age_at, check_follow_up
from aih_outcomes.cohort.violations import date_span, dated_to_the_day, find_cohort_violations

__all__ = [
    "DAYS_PER_YEAR",
    "LOAD_COLUMNS",
    "SET_ASIDE_COLUMNS",
    "Cohort",
    "age_at",
    "check_follow_up",
    "date_span",
    "dated_to_the_day",
    "empty_exclusions",
    "empty_set_aside",
    "find_cohort_violations",
]
