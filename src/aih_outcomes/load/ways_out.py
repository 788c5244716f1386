"""What can be done about a row that was set aside: the line of the mapping, where one would accept it."""

import re

import pandas as pd

from aih_outcomes.cohort.violations import (
    AFTER_DEATH,
    BEFORE_BIRTH,
    CONFLICTING,
    ENDS_EARLY,
    ONE_DEATH,
    ONE_ROW,
    ORPHAN,
)
from aih_outcomes.schema import MISSING, TABLES
from aih_outcomes.units import accepted_units

# Of coded sources: rule and way out. A drug says nothing of what it was given for (an anti-TNF for a bowel disease).
NO_INDICATION = (
    "what a medication was given for is not told by a reason that is known",
    "If those without a known reason were given for autoimmune hepatitis, map it: "
    'codes = { indication = { "" = "aih" } }',
)
_CORRECT = "Correct the cell in the file"
_SWAPPED = 'if day and month were swapped, name their order: date_format = "DD/MM/YYYY"'
_WAYS_OUT = {
    "birth_date or age_at_diagnosis": 'Fill one of the two cells, or map it: columns.age_at_diagnosis = "…"',
    BEFORE_BIRTH: f"Correct this date or the date of birth; {_SWAPPED}",
    AFTER_DEATH: f"Correct this date or the day of death; {_SWAPPED}",
    ONE_ROW: "Keep the right one of the rows of this patient; if the file repeats a patient's facts on each line: "
    "distinct = true",
    ONE_DEATH: "Keep the right one of the deaths of this patient",
    **dict.fromkeys(ENDS_EARLY.values(), f"Correct start or end; {_SWAPPED}"),
    ORPHAN: "Add the patient to the table 'patients', or correct the identifier",
    "patient was set aside": "Correct the row of this patient in 'patients'",
    "repeats an earlier row": "Nothing, if the row was exported twice; else add what tells the two apart",
    CONFLICTING: "Keep the result in the right unit; where a unit was written wrongly, map what it means: "
    'units = { … = { "…" = "…" } }',
}
_PLAUSIBLE = re.compile(r"(\w+) must lie between .* to be plausible")


def name_ways_out(table: str, problems: pd.DataFrame) -> pd.DataFrame:
    """Return the problems ``row, column, rule`` of one table with their ``way_out``."""
    reasons = problems[["column", "rule"]].drop_duplicates()
    ways = {
        (column, rule): _name_way_out(table, column, rule)
        for column, rule in reasons.itertuples(index=False, name=None)
    }
    pairs = zip(problems["column"], problems["rule"], strict=True)
    return problems.assign(way_out=[ways[pair] for pair in pairs])


def _name_way_out(table: str, column: str, rule: str) -> str:
    if rule in _WAYS_OUT or rule.startswith("birth_date or age_at_diagnosis"):
        return next(way for start, way in _WAYS_OUT.items() if rule.startswith(start))
    if rule == MISSING:
        return _fill(table, column)
    if rule.startswith("must be one of"):
        return f'{_CORRECT}, or translate it: columns.{column} = {{ column = "…", codes = {{ "…" = "…" }} }}'
    analyte = _PLAUSIBLE.fullmatch(rule)
    if analyte is not None:
        name = analyte.group(1)
        return (
            f'Check it against the notes; its unit may be wrong: units = {{ {name} = {{ "…" = "…" }} }} maps what the '
            f'laboratory means, one of {", ".join(accepted_units(name))}; if it stands for missing: missing = ["…"]'
        )
    if rule.startswith("must lie between"):
        return 'Check it against the notes; its unit may be wrong; if it stands for missing: missing = ["…"]'
    return _CORRECT


def _fill(table: str, column: str) -> str:
    """Say how a required cell can be filled."""
    kind = next(one.kind for one in TABLES[table].columns if one.name == column)
    if kind == "date":
        return (
            "Fill the cell: the month or the year alone is enough (2019-05, 2019); or map the column that holds the "
            f'date: columns.{column} = "…"'
        )
    if kind == "category":
        return f'Fill the cell, or say what holds for all rows: columns.{column} = {{ constant = "…" }}'
    return "Fill the cell, or take the row out of the file"
