"""What every table of the model has in common: who, which row, what could not be read, and the words of its codes."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.formats.omop import CDM
from aih_outcomes.load.mapping import Rules
from aih_outcomes.load.omop.codes import Asked, resolve, say_codes, unsure, used
from aih_outcomes.load.omop.database import Database, count_codes, fetch, with_words
from aih_outcomes.load.omop.facts import KEY, Facts
from aih_outcomes.load.omop.people import People
from aih_outcomes.load.records import PROBLEM_COLUMNS, Records, list_problems, split_records
from aih_outcomes.load.values.parse import parse_table

_TABLE_OF = {"analyte": "labs", "measure": "measurements", "drug": "treatments"}
_GUESSED = "?"  # before the word of an unsure code
_KIND_WORDS = {
    "date": "must be a date that exists, written YYYY-MM-DD, from 1850 to 2150", "whole": "must be a whole number",
    "number": "must be a number with decimal '.'",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The database, whose rows are read, and what the mapping and the project's own facts say."""

    database: Database
    people: People
    facts: Facts
    rules: Rules
    persons: pd.DataFrame  # PERSON, of those with the condition
    patient_of: pd.Series  # person → patient_id


@dataclass(frozen=True, slots=True, eq=False)
class CodedRows:
    """The cohort's rows of a table with codes.

    Attributes
    ----------
    rows : in the engine
    codes : ``concept, source_concept, source_value, n, word, confidence, kind, table``; ``table`` of the schema
    """

    name: str
    rows: ibis.Table
    codes: pd.DataFrame

    def has(self, table: str) -> bool:
        """Return whether any row becomes a row of ``table``."""
        return bool((self.codes["table"] == table).any())

    def of_table(self, table: str, source: Source) -> pd.DataFrame:
        """Return the rows that become rows of ``table``, with their ``word``; ``?word`` where the code is unsure."""
        chosen = self.codes[self.codes["table"] == table]
        chosen = pd.concat([used(chosen), unsure(chosen).assign(word=_GUESSED + unsure(chosen)["word"])])
        rows = with_words(self.rows, self.name, chosen).drop("source_value")
        frame = fetch(rows, source.database.source(self.name))
        if frame["source_row"].is_monotonic_increasing:  # as a rule they come as they stand, and sorting takes time
            return frame
        return frame.sort_values("source_row", kind="stable", ignore_index=True)

    def say(self, source: Source) -> tuple[str, str]:
        """Return what the load report says: codes not used, and how the rows were read."""
        unused, said = say_codes(self.codes)
        total = f"{source.database.count(self.name):,} row(s), {int(self.codes['n'].sum()):,} of them of the cohort"
        return unused, "; ".join(part for part in (total, said) if part)


def read_codes(source: Source, name: str, asked: Asked) -> CodedRows:
    """Return the cohort's rows of a table and what their codes stand for."""
    rows = source.database.of_persons(name, source.people.keys)
    resolved = resolve(count_codes(rows, name), asked, source.database, source.rules.codes)
    return CodedRows(name=name, rows=rows, codes=_with_tables(resolved))


def _with_tables(resolved: pd.DataFrame) -> pd.DataFrame:
    """Add the table of the schema that each word belongs to, and the schema's word for a condition."""
    conditions = read_conditions().set_index("condition")
    said_as_condition = resolved["kind"].isin(["events", "patients"]) & resolved["word"].isin(conditions.index)
    of_condition = (resolved["kind"] == "condition") | said_as_condition
    home = resolved["word"].map(conditions["table"]).astype("string")
    table = resolved["kind"].replace(_TABLE_OF).mask(of_condition, home)
    word = resolved["word"].map(conditions["word"]).astype("string")
    translated = of_condition & table.isin(["events", "imaging"])
    return resolved.assign(table=table, word=resolved["word"].mask(translated, word))


def texts(column: pd.Series) -> pd.Series:
    """Return text cells as plain objects without outer blanks, ``""`` where empty; each text is looked at once."""
    codes, distinct = pd.factorize(column)
    plain = np.array([*(str(text).strip() for text in distinct), ""], dtype=object)
    return pd.Series(plain[codes], index=column.index, dtype=object)


def as_text(numbers: pd.Series) -> pd.Series:
    """Return numbers in the shortest text that reads back as the same; ``""`` where there is none."""
    codes, distinct = pd.factorize(numbers)
    written = [repr(float(number)) for number in distinct]
    return pd.Series(np.array([*written, ""], dtype=object)[codes], index=numbers.index, dtype=object)


def find_unsure(words: pd.Series, table: str, column: str) -> tuple[pd.Series, list[pd.DataFrame]]:
    """Return the words without the mark of an unsure one, and those rows as problems that a mapping line mends."""
    codes, distinct = pd.factorize(words)
    marked = [str(word) for word in distinct]
    problems = [
        list_problems(
            pd.Series(codes == place), column, f"the code is known from an unsure source only, as '{word[1:]}'",
            f'Accept it in a mapping: codes = {{ {table} = {{ "…" = "{word[1:]}" }} }}, where … is its concept number',
        )
        for place, word in enumerate(marked) if word.startswith(_GUESSED)
    ]  # fmt: skip
    plain = np.array([word.removeprefix(_GUESSED) for word in marked], dtype=object)
    return pd.Series(plain[codes], index=words.index, dtype=object), problems


def find_unread(frame: pd.DataFrame, name: str) -> list[pd.DataFrame]:
    """Return the rows with a cell that is not of its column's kind."""
    unread = texts(frame["unread"])
    if set(pd.unique(unread)) <= {""}:
        return []
    return [
        list_problems(
            unread.str.contains(rf"\b{column}\b"), column, _KIND_WORDS[kind],
            "Correct the cell, or the type of the column in the export",
        )
        for column, kind in CDM[name].columns.items() if kind in _KIND_WORDS
    ]  # fmt: skip


def parse_distinct(text: pd.DataFrame, table: str) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Do what ``parse_table`` does, each distinct text once."""
    columns, problems = {}, []
    for name in text:
        codes, distinct = pd.factorize(text[name])
        cells, found = parse_table(pd.DataFrame({name: pd.Series(distinct, dtype=object)}), table, {})
        if name not in cells:
            continue
        columns[name] = cells[name].take(codes).set_axis(text.index)
        for problem in found:
            for row in problem.itertuples(index=False):
                rows = np.flatnonzero(codes == row.row)
                problems.append(problem.iloc[[0] * len(rows)].assign(row=rows)[list(PROBLEM_COLUMNS)])
    return pd.DataFrame(columns, index=text.index), problems


def number_distinct(columns: Sequence[pd.Series]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which distinct row each row is, and where each distinct row stands first."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        codes, distinct = pd.factorize(column)
        number, _ = pd.factorize(number * (len(distinct) + 1) + codes + 1)
    return number, np.flatnonzero(~pd.Series(number).duplicated().to_numpy())


def repeat_problems(problems: Sequence[pd.DataFrame], place: NDArray[np.int64]) -> list[pd.DataFrame]:
    """Return the problems of distinct rows as those of every row; ``place`` says which distinct row each row is."""
    rows = pd.DataFrame({"row": np.arange(len(place)), "place": place})
    return [
        rows.merge(found.rename(columns={"row": "place"}), on="place")[list(PROBLEM_COLUMNS)]
        for found in problems if len(found)
    ]  # fmt: skip


def make_records(
    table: str, name: str, frame: pd.DataFrame, rows: pd.DataFrame, problems: Sequence[pd.DataFrame], source: Source, *,
    said: tuple[str, str] = ("", ""), with_broken: bool = True,
) -> Records:  # fmt: skip
    """Return the records of a table: ``frame`` in the schema's columns, ``rows`` as fetched, in the same order."""
    broken = source.database.tables[name].broken if with_broken else ()
    placed = frame.assign(
        patient_id=rows["person_id"].map(source.patient_of).astype("string"),
        source_file=source.database.source(name),
        source_row=rows["source_row"],
    )
    return split_records(
        table, placed, [*problems, *find_unread(rows, name)],
        source_file=source.database.source(name), uneven=broken, n_read=len(frame) + len(broken),
        columns_not_used=said[0], how_read=said[1],
    )  # fmt: skip


def fill(frame: pd.DataFrame, facts: pd.DataFrame, table: str) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Fill the columns of ``frame`` from the project's own facts of the same rows; what these say counts."""
    if facts.columns.empty:
        return frame, []
    said, problems = parse_distinct(facts, table)
    filled = frame.copy()
    for name in said:
        filled[name] = said[name].where(said[name].notna(), frame[name]) if name in frame else said[name]
    return filled, problems


def read_facts_rows(table: str, keys: pd.Series, source: Source) -> list[Records]:
    """Return the rows of a table that consist of the project's own facts alone: those of no row among ``keys``."""
    rows = source.facts.of_others(table, keys)
    if rows.empty:
        return []
    frame, problems = parse_distinct(rows.drop(columns=[KEY, "person_id", "source_row"]), table)
    said = f"{source.facts.n_cells:,} row(s) of {source.database.source('observation')} say them cell by cell"
    rows = rows.assign(unread="")
    return [make_records(table, "observation", frame, rows, problems, source, said=("", said), with_broken=False)]
