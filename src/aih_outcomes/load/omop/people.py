"""Whose rows are read: the persons who have the condition, and since when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import pandas as pd

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.errors import DataError, refuse_unknown
from aih_outcomes.load.omop.codes import Asked, descendants_of, resolve, used
from aih_outcomes.load.omop.database import Database, count_codes, fetch, keep, with_words

CONDITIONS = Asked(kinds=("condition",), own=(("events", "kind"),), tables=("events", "patients"))
AIH = "autoimmune_hepatitis"


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The persons of the cohort.

    Attributes
    ----------
    keys : ``person_id``, in the engine
    diagnosed : ``person_id, diagnosis_date``: the first day of the condition
    n_rows : rows of CONDITION_OCCURRENCE that say so
    """

    keys: ibis.Table
    diagnosed: pd.DataFrame
    n_rows: int


def find_people(
    database: Database, condition: str | int | Sequence[int], given: Mapping[str, Mapping[str, str]]
) -> People:
    """Find who has the condition.

    Raises
    ------
    PlanError : the condition is neither one of the catalogue nor a concept number
    DataError : nobody has it
    """
    concepts = _as_concepts(condition)
    rows = database.of_persons("condition_occurrence")
    codes = count_codes(rows, "condition_occurrence")
    if concepts:
        chosen = codes[descendants_of(concepts, codes, database)].assign(word="")
    else:
        resolved = used(resolve(codes, CONDITIONS, database, given))
        chosen = resolved[resolved["word"] == condition]
    if chosen.empty:
        raise _nobody(database, codes, condition, concepts)
    having = with_words(rows, "condition_occurrence", chosen)
    first = keep(database.backend, having.group_by("person_id").agg(diagnosis_date=having.condition_start_date.min()))
    return People(
        keys=first.select("person_id"),
        diagnosed=fetch(first.order_by("person_id"), database.source("condition_occurrence")),
        n_rows=int(chosen["n"].sum()),
    )


def _as_concepts(condition: str | int | Sequence[int]) -> list[int]:
    """Return the concept numbers asked for; none where a condition of the catalogue is named."""
    if isinstance(condition, int):
        return [condition]
    if not isinstance(condition, str):
        return [int(number) for number in condition]
    words = condition.replace(",", " ").split()
    if words and all(word.isdecimal() for word in words):
        return [int(word) for word in words]
    known = read_conditions()
    refuse_unknown(condition, list(known["condition"]), "a condition of the catalogue or a concept number")
    return []


def _nobody(database: Database, codes: pd.DataFrame, condition: object, concepts: Sequence[int]) -> DataError:
    n_concepts = int(codes.loc[codes["concept"] != 0, "concept"].nunique())
    asked = f"{len(concepts)} concept number(s) and what descends from them" if concepts else f"'{condition}'"
    return DataError(
        f"0 of {database.count('person'):,} person(s) in '{database.name}' have the condition {asked}; looked for in "
        f"{int(codes['n'].sum()):,} row(s) of {database.source('condition_occurrence')} with {n_concepts:,} concept(s)",
        "A cohort is the persons with a condition: by its concepts and what descends from them, by its source codes "
        "where a concept is 0, and by 'Maps to'",
        'Name another condition of the catalogue or concept numbers (condition = "201820"), or map its local code: '
        f'codes = {{ patients = {{ "…" = "{AIH}" }} }}',
    )
