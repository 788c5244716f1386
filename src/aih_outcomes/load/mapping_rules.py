"""What a mapping may ask for, held against the schema and the units: told before any patient's row is read."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pandas as pd

from aih_outcomes.load.values.dates import read_date
from aih_outcomes.schema import TABLES, Column
from aih_outcomes.units import (
    DRUG_DOSE_UNITS,
    TITRE_UNIT,
    accepted_units,
    canonical_units,
    compute_canonical,
    normalise_unit,
    parse_results,
)

if TYPE_CHECKING:
    from aih_outcomes.load.mapping_parts import Block, ColumnMap, WidePattern

# Columns that are mapped as printed and that loading turns into the canonical ones.
AS_PRINTED = {"labs": ("value", "unit", "uln", "uln_unit"), "treatments": ("dose", "dose_unit")}
_MADE_BY_LOADING = {
    "labs": ("raw_value", "raw_unit", "comparator"),
    "treatments": ("raw_dose", "raw_dose_unit"),
}
# The column that a cell of a wide column fills.
WIDE_FILLS = {"labs": "value", "measurements": "value", "events": "date", "adverse_events": "date"}
_WIDE_NAMES = {"labs": "analyte", "measurements": "measure", "events": "kind", "adverse_events": "kind"}
_NUMBER_UNITS = {
    ("patients", "age_at_diagnosis"): {"years": 1.0, "months": 1 / 12, "days": 1 / 365.25},
    ("measurements", "weight"): {"kg": 1.0, "g": 0.001},
    ("measurements", "height"): {"cm": 1.0, "m": 100.0},
    ("measurements", "spleen_below_costal_margin"): {"cm": 1.0, "mm": 0.1},
    ("imaging", "stiffness"): {"kPa": 1.0},
}
STEPS = ("months", "weeks", "days")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)\s+(\S.*)")


def number_factor(table: str, column: str, unit: str | None) -> float:
    """Return canonical units per ``unit`` of a plain number; raise ValueError where it is not known."""
    units = _NUMBER_UNITS.get((table, column), {})
    if unit is None:
        return 1.0
    if unit not in units:
        raise ValueError(f"{table}.{column}: unit '{unit}' is not one of {', '.join(units) or 'none'}")
    return units[unit]


def read_translation(words: str) -> tuple[float, str]:
    """Read ``"g/L"`` or ``"0.001 g/L"``: how many of which unit a laboratory's word stands for."""
    amount = _AMOUNT.fullmatch(words)
    return (float(amount.group(1)), amount.group(2)) if amount else (1.0, words.strip())


def read_amount(analyte: str, words: str) -> float:
    """Read a fixed upper limit such as ``"40 U/L"`` into the canonical unit; raise ValueError where it cannot be."""
    amount = _AMOUNT.fullmatch(words)
    limit = compute_canonical(float(amount.group(1)), analyte, amount.group(2)) if amount else math.nan
    if math.isnan(limit):
        units = ", ".join(accepted_units(analyte)) or "those of an analyte of the catalogue"
        raise ValueError(f'upper_limits.fixed.{analyte}: must be a number and a unit, as in "40 U/L"; units: {units}')
    return limit


def check_units(units: Mapping[str, Mapping[str, str]]) -> None:
    """Check that each laboratory's word is given an accepted unit of a known analyte."""
    for analyte, words in units.items():
        _check_known(f"units.{analyte}", analyte, tuple(canonical_units()), "analyte")
        for written, meant in words.items():
            factor, unit = read_translation(meant)
            if not factor > 0 or normalise_unit(unit) not in accepted_units(analyte):
                accepted = ", ".join(accepted_units(analyte))
                raise ValueError(f"units.{analyte}: '{written}' must be given as one of {accepted}")


def check_titres(titres: Mapping[str, Mapping[str, str]]) -> None:
    """Check that each word in place of a titre is given a titre of an analyte that has titres."""
    known = tuple(analyte for analyte, unit in canonical_units().items() if unit == TITRE_UNIT)
    for analyte, words in titres.items():
        _check_known(f"titres.{analyte}", analyte, known, "analyte with titres")
        read = parse_results(pd.Series(list(words.values()), dtype=object))
        for word, is_titre in zip(words, read["titre"], strict=True):
            if not is_titre:
                raise ValueError(f"titres.{analyte}: '{word}' must be given as a titre, as 1:40 or <1:20")


def check_wide_units(block: "Block", units: Mapping[str, Mapping[str, str]]) -> None:
    """Check that the unit of each wide laboratory column is accepted or translated."""
    for entry in block.wide:
        analyte, unit = str(entry.analyte), str(entry.unit)
        if unit not in units.get(analyte, {}) and normalise_unit(unit) not in accepted_units(analyte):
            accepted = ", ".join(accepted_units(analyte))
            raise ValueError(
                f"labs.wide: unit '{unit}' of '{entry.column}' is not one of {accepted}; "
                f'translate it: units = {{ {analyte} = {{ "{unit}" = "…" }} }}'
            )


def check_block(table: str, block: "Block") -> None:
    """Check the columns of a block against the schema; raise ValueError with the key that is wrong."""
    for name, column in block.columns.items():
        _check_column(table, name, column)
    if block.wide:
        _check_wide(table, block)
    if block.wide_pattern:
        _check_wide_pattern(table, block.wide_pattern)
    wide = bool(block.wide or block.wide_pattern)
    given = {*block.columns, *([WIDE_FILLS[table], _WIDE_NAMES[table]] if wide else [])}
    if wide and all(entry.date or entry.since for entry in block.wide):
        given.add("date")
    given |= {"unit"} if table == "labs" and (wide or _has_unit(block, "value")) else set()
    given |= {"dose_unit"} if _has_unit(block, "dose") else set()
    needed = [column.name for column in TABLES[table].columns if column.required]
    needed = [name for name in needed if name not in (*_MADE_BY_LOADING.get(table, ()), "uln_source")]
    needed += ["unit"] if table == "labs" else ["dose_unit"] if table == "treatments" and "dose" in given else []
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f"{table}.columns: {', '.join(missing)} must be mapped (a column, or a constant)")
    if table == "patients" and not {"birth_date", "age_at_diagnosis"} & given:
        raise ValueError("patients.columns: birth_date or age_at_diagnosis must be mapped")


def _has_unit(block: "Block", name: str) -> bool:
    return name in block.columns and block.columns[name].unit is not None


def _check_column(table: str, name: str, column: "ColumnMap") -> None:
    key = f"{table}.columns.{name}"
    names = [known for known in TABLES[table].column_names() if known not in ("source_file", "source_row")]
    mappable = [known for known in names if known not in _MADE_BY_LOADING.get(table, ())]
    _check_known(key, name, (*mappable, *AS_PRINTED.get(table, ())), f"column of '{table}' to map")
    declared = next((known for known in TABLES[table].columns if known.name == name), None)
    if column.days_since is not None and (declared is None or declared.kind != "date"):
        raise ValueError(f"{key}: days_since belongs to a date")
    if declared is not None:
        _check_words(key, declared, column)
    if table == "treatments" and name == "dose":
        if column.unit is not None:
            _check_known(key, column.unit, DRUG_DOSE_UNITS, "unit of a dose")
    elif (table, name) != ("labs", "value"):
        if table == "measurements" and column.unit is not None:
            raise ValueError(f"{key}: give the unit of a measurement in wide, beside its measure")
        number_factor(table, name, column.unit)


def _check_words(key: str, declared: Column, column: "ColumnMap") -> None:
    """Check that the words a mapping gives itself, in codes or as a constant, are accepted."""
    constant = column.constant
    if declared.kind == "date" and constant is not None and read_date(constant) is None:
        raise ValueError(f"{key}: the constant must be a date written YYYY-MM-DD")
    if declared.levels:
        given = column.codes.values() if column.codes else [] if constant is None else [constant]
        for word in given:
            if word and word.lower() not in declared.levels:
                _check_known(key, word, declared.levels, "word accepted here")


def _check_wide(table: str, block: "Block") -> None:
    if table not in WIDE_FILLS:
        raise ValueError(f"{table}.wide: only {', '.join(WIDE_FILLS)} can be wide")
    named, key = _WIDE_NAMES[table], f"{table}.wide"
    levels = {column.name: column.levels for column in TABLES[table].columns}[named]
    for entry in block.wide:
        value = getattr(entry, named)
        if value is None:
            raise ValueError(f"{key}: '{entry.column}' needs {named}")
        _check_known(f"{key}.{named}", value, levels, named)
        extra = {"analyte", "measure", "kind"} - {named} | (set() if table == "labs" else {"uln", "uln_column"})
        extra |= {"unit", "date", "since"} if WIDE_FILLS[table] == "date" else set()
        wrong = sorted(name for name in extra if getattr(entry, name) is not None)
        if wrong:
            raise ValueError(f"{key}: {', '.join(wrong)} has no meaning for '{entry.column}'")
        if table == "labs" and entry.unit is None:
            raise ValueError(f"{key}: '{entry.column}' needs its unit, one of {', '.join(accepted_units(value))}")
        if table == "measurements":
            number_factor(table, value, entry.unit)


def check_pattern(columns: str, since: str | None, date: str | None) -> None:
    """Check that a rule for columns names what was measured and when; raise ValueError."""
    places = PLACEHOLDER.findall(columns)
    unknown = sorted({*places} - {"analyte", "measure", "unit", *STEPS, "visit"})
    if unknown:
        raise ValueError(f"columns: {{{unknown[0]}}} is no placeholder; known: analyte, measure, unit, months, visit …")
    when = [place for place in places if place in (*STEPS, "visit")]
    if len(when) != 1 or sum(place in ("analyte", "measure") for place in places) != 1 or len({*places}) < len(places):
        raise ValueError(
            "columns: must hold {analyte} or {measure}, and one of {months}, {weeks}, {days}, {visit}, as in "
            '"{analyte}_m{months}"'
        )
    if (since is None) == (date is None):
        raise ValueError("give either since (a column with a date) or date (a rule for the columns with dates)")
    if date is not None and PLACEHOLDER.findall(date) != when:
        raise ValueError(f'date: must hold {{{when[0]}}} as columns does, as in "date_m{{{when[0]}}}"')
    if since is not None and when == ["visit"]:
        raise ValueError("since: {visit} is no number of months, weeks or days; give date instead")


def _check_wide_pattern(table: str, pattern: "WidePattern") -> None:
    key, named = f"{table}.wide_pattern", {"labs": "analyte", "measurements": "measure"}.get(table)
    if named is None or f"{{{named}}}" not in pattern.columns:
        raise ValueError(f"{key}: columns holds {{analyte}} in labs and {{measure}} in measurements, and nowhere else")
    levels = {column.name: column.levels for column in TABLES[table].columns}[named]
    for word in (*pattern.names.values(), *pattern.units):
        _check_known(key, word, levels, named)
    if table == "measurements":
        for measure, unit in pattern.units.items():
            number_factor(table, measure, unit)


def _check_known(key: str, name: str, known: tuple[str, ...], what: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"perhaps '{near[0]}' is meant" if near else f"known: {', '.join(dict.fromkeys(known))}"
        raise ValueError(f"{key}: '{name}' is no {what}; {hint}")
