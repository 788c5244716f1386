"""What a column of a file probably holds, by its name and its words. Every answer is a guess for the user to check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from aih_outcomes.catalogue import find_analyte, find_drug
from aih_outcomes.catalogue.codes import text_key
from aih_outcomes.catalogue.tables import read_table
from aih_outcomes.load.values.dates import read_date, read_partial_date
from aih_outcomes.load.values.parse import read_number
from aih_outcomes.schema import TABLES, Column

ANY_TABLE = "any"
SPELLINGS = ("YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "YYYY/MM/DD", "YYYYMMDD")
_MOST_WORDS = 60  # a column with more distinct words is free text, not a category
_LONGEST_WORD = 60
_SHARE_OF_DATES = 0.7  # of the filled cells of a column that holds dates
_COMMA = re.compile(r"-?\d+,(?:\d{1,2}|\d{4,})")
_BRACKETS = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")


@dataclass(frozen=True, slots=True)
class Role:
    """What a column may hold: a column of a table, or (with ``level``) that of one kind, as in a date of transplant."""

    table: str
    column: str
    level: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One file, sheet or form as the user has it.

    Attributes
    ----------
    place : the keys that name it in a mapping, e.g. ``file`` and ``sheet``
    cells : all text, ``""`` where blank
    choices : column → code → its label, where the source keeps them (REDCap)
    labels : column → what the user reads beside it, where the source keeps it
    patient_id : the column that identifies the patient, where the source says so
    typed : the source tells numbers from text, so that those have a point however text is written
    """

    place: Mapping[str, str | int]
    cells: pd.DataFrame
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    patient_id: str = ""
    typed: bool = False


@cache
def _words_of_columns() -> dict[str, list[Role]]:
    words = read_table("column_words").fillna("")
    known: dict[str, list[Role]] = {}
    for table, column, level, word in zip(words["table"], words["column"], words["level"], words["word"], strict=True):
        known.setdefault(text_key(word), []).append(Role(table, column, level))
    for table in TABLES.values():
        for column in table.columns:
            role = Role(ANY_TABLE if column.kind == "identifier" else table.name, column.name)
            if role not in known.setdefault(text_key(column.name), []):
                known[text_key(column.name)].append(role)
    return known


@cache
def _words_of_levels() -> dict[tuple[str, str], str]:
    words = read_table("level_words")
    keys = [(column, _level_key(word)) for column, word in zip(words["column"], words["word"], strict=True)]
    return dict(zip(keys, words["level"], strict=True))


def _level_key(word: str) -> str:
    return text_key(word) or word.strip()


def find_roles(name: str, label: str = "") -> list[Role]:
    """Return what a column of this name, or else label, may hold; a unit or format in brackets does not matter."""
    known = _words_of_columns()
    words = [name, _BRACKETS.sub("", name), label, _BRACKETS.sub("", label)]
    return next((known[key] for word in words if (key := text_key(word)) in known), [])


def bracketed(name: str) -> str:
    """Return what stands in the last brackets of a column's name, often its unit."""
    found = _BRACKETS.findall(name)
    return found[-1].strip() if found else ""


@cache
def _usual_missing() -> frozenset[str]:
    return frozenset(word.casefold() for word in read_table("missing_words")["word"].astype(str))


def all_words(cells: pd.Series) -> list[str]:
    """Return the distinct words of a column that are not blank, those for missing among them."""
    return [word for word in cells.unique() if word]


def filled(cells: pd.Series) -> list[str]:
    """Return the distinct words of a column that are neither blank nor usual words for missing."""
    return [word for word in all_words(cells) if word.casefold() not in _usual_missing()]


def missing_words(columns: Iterable[pd.Series]) -> list[str]:
    """Return the usual words for missing that stand in columns of dates or numbers."""
    return sorted(
        {word for cells in columns for word in cells.unique() if word and word.casefold() in _usual_missing()}
    )


def find_spellings(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the spellings in which a column's words are dates, and those between which nobody can choose.

    Returns
    -------
    needed : each reads a word that no other spelling reads; with ``open`` empty too, the words are no dates
    open : spellings that read the same words, none of them needed elsewhere in the column, as in ``03/02/2019``
    """
    ways = [_ways_to_read(word) for word in words]
    if not words or sum(map(bool, ways)) < _SHARE_OF_DATES * len(words):
        return (), ()
    complete = [way for word, way in zip(words, ways, strict=True) if any(read_date(word, (one,)) for one in way)]
    partial = [way[:1] for way in ways if way and way not in complete]  # a month is the same in each of them
    needed = tuple(dict.fromkeys(way[0] for way in [*complete, *partial] if len(way) == 1))
    unsettled = [way for way in complete if len(way) > 1 and not set(way) & set(needed)]
    return needed, unsettled[0] if unsettled else ()


@cache
def _ways_to_read(word: str) -> tuple[str, ...]:
    if not word[:1].isdigit():
        return ()
    return tuple(way for way in SPELLINGS if read_partial_date(word, (way,)) is not None)


def are_dates(words: Sequence[str]) -> bool:
    """Return whether most of these words are dates in one spelling or another."""
    return any(find_spellings(words))


def has_decimal_commas(words: Sequence[str], *, typed: bool = False) -> bool:
    """Return whether numbers are written with commas, and none with a point, which ``typed`` numbers have anyway.

    A comma before three digits may stand between thousands, and says nothing.
    """
    commas = [word for word in words if _COMMA.fullmatch(word.lstrip("<>=≤≥ "))]
    points = [word for word in words if "." in word and read_number(word.lstrip("<>=≤≥ ")) is not None]
    return bool(commas) and (typed or not points)


def has_decimal_points(words: Sequence[str]) -> bool:
    """Return whether numbers, and not dates, are written with points."""
    return not are_dates(words) and any(re.fullmatch(r"[<>=≤≥ ]*-?\d+\.\d+", word) for word in words)


def are_numbers(words: Sequence[str]) -> bool:
    """Return whether most of these words begin with a number, a sign and a number, or a titre."""
    return bool(words) and sum(bool(re.match(r"[<>=≤≥ ]*\d", word)) for word in words) >= _SHARE_OF_DATES * len(words)


def find_codes(column: Column, words: Sequence[str], labels: Mapping[str, str]) -> dict[str, str | None]:
    """Return word → level of a column of the schema: ``""`` where the word means missing, None where it is not known.

    Nothing is returned where the words are free text, or the levels themselves.

    Parameters
    ----------
    words : the distinct words of the file's column
    labels : code → label, where the source keeps them: the label is then what is looked up, also of codes that no
        record has yet
    """
    levels = ("yes", "no") if column.kind == "yes_no" else column.levels
    known = {"yes", "no", "true", "false", "1", "0"} if column.kind == "yes_no" else set(levels)
    free_text = len(words) > _MOST_WORDS or any(len(word) > _LONGEST_WORD for word in words)
    if not levels or free_text or all(word.lower() in known and word not in labels for word in words):
        return {}
    found = {word: _find_code(column, labels.get(word, word)) for word in sorted({*words, *labels})}
    return {word: level for word, level in found.items() if level is not None or word in words}


def _find_code(column: Column, word: str) -> str | None:
    level = find_level(column, word)
    return level or ("" if word.casefold() in _usual_missing() else None)


def find_level(column: Column, word: str) -> str:
    """Return the level of a column that a word stands for, or ``""``."""
    levels = ("yes", "no") if column.kind == "yes_no" else column.levels
    by_key = {text_key(level): level for level in levels}
    if text_key(word) in by_key:
        return by_key[text_key(word)]
    if column.name in ("analyte", "drug"):
        match = find_analyte(word) if column.name == "analyte" else find_drug(word)
        return match.word if match is not None else ""
    name = "yes_no" if column.kind == "yes_no" else column.name
    return _words_of_levels().get((name, _level_key(word)), "")
