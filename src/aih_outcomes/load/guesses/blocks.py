"""One block of a mapping per sheet and table that the sheet seems to hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from aih_outcomes.load.guesses.columns import (
    ANY_TABLE,
    Role,
    all_words,
    are_dates,
    are_numbers,
    bracketed,
    find_codes,
    find_roles,
)
from aih_outcomes.load.guesses.known import Known
from aih_outcomes.load.guesses.pattern import (
    FILL,
    GAP,
    GUESSED,
    Pattern,
    baseline_of,
    find_pattern,
    quote,
    stem_of,
)
from aih_outcomes.load.mapping_rules import AS_PRINTED
from aih_outcomes.schema import TABLES, Column
from aih_outcomes.units import DRUG_DOSE_UNITS, accepted_units

# What must be known of a row before its block is worth a guess: each of these roles, beside the patient.
_NEEDED = {
    "labs": ("analyte", "value"),
    "treatments": ("drug", "start"),
    "biopsies": ("hai", "date"),
    "follow_up": ("end",),
}
_FEWEST_FACTS = 2  # columns beside the identifier that make a sheet one of patients
_CONSTANTS = {("treatments", "indication"): "aih", ("follow_up", "end_source"): "visit"}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The text of one block, the table that it fills and the sheet that it reads."""

    table: str
    known: Known
    text: str


def guess_blocks(known: Known) -> Iterator[Block]:
    """Yield the blocks for one sheet."""
    facts = [c.name for c in TABLES["patients"].columns if c.kind != "identifier" and known.pick("patients", c.name)]
    if len(facts) >= _FEWEST_FACTS:
        yield _write_block("patients", known)
    drugs = known.pick("treatments", "drug") is not None  # whose end is that of a drug, not of follow-up
    for table, needed in _NEEDED.items():
        if all(known.pick(table, column) for column in needed) and not (drugs and table == "follow_up"):
            yield _write_block(table, known)
    if not all(known.pick("labs", column) for column in _NEEDED["labs"]):
        yield from _guess_wide(known)


def guess_first_treatment(known: Known) -> Iterator[Block]:
    """Yield the block of a list of patients that tells when treatment began, and not with what."""
    if known.pick("treatments", "start") is not None and known.pick("patients", "diagnosis_date") is not None:
        yield _write_block("treatments", known)


def _guess_wide(known: Known) -> Iterator[Block]:
    """Yield blocks whose columns each hold one kind of fact: a test, a measurement, the date of an event."""
    pattern = find_columns_by_visit(known)
    at_start = _find_baselines(known, pattern)
    labs = [
        _wide_lab(known, name, match.word)
        for name in known.roles
        if name not in pattern.columns and (match := known.analyte(name)) and are_numbers(known.words(name))
    ]
    measured = [(name, level) for name, level in known.of_kind("measurements") if are_numbers(known.words(name))]
    dated = [(name, level) for name, level in known.of_kind("events") if _may_hold_dates(known, name)]
    if pattern.columns:
        starts = ["wide = [", *at_start, "]"] if at_start else []
        yield _write_block("labs", known, [*starts, *pattern.write()], dated=True)
    if labs:
        yield _write_block("labs", known, ["wide = [", *labs, "]"])
    if measured:
        entries = [_entry(GUESSED, column=name, measure=level) for name, level in measured]
        yield _write_block("measurements", known, ["wide = [", *entries, "]"])
    if dated:
        entries = [_entry(GUESSED, column=name, kind=level) for name, level in dated]
        yield _write_block("events", known, ["wide = [", *entries, "]"])


def _may_hold_dates(known: Known, name: str) -> bool:
    """Return whether a column holds dates, or nothing yet: as long as nobody has died."""
    words = known.words(name)
    return not words or are_dates(words)


def _entry(mark: str, **keys: str | int) -> str:
    written = ", ".join(f"{key} = {quote(value) if isinstance(value, str) else value}" for key, value in keys.items())
    return f"    {{ {written} }},  {mark}"


def _wide_lab(known: Known, name: str, analyte: str, **when: str | int) -> str:
    unit = known.unit(name, analyte)
    mark = GUESSED if unit else f"{FILL} the unit: {' or '.join(accepted_units(analyte))}"
    return _entry(mark, column=name, analyte=analyte, unit=unit or GAP, **when)


def _find_baselines(known: Known, pattern: Pattern) -> list[str]:
    """Return entries for the columns *at baseline* beside those of a pattern that counts from a start."""
    if pattern.date:
        return []
    found = {name: match for name in known.roles if (match := known.analyte(baseline_of(name)))}
    return [_wide_lab(known, name, match.word, since=pattern.since, months=0) for name, match in found.items()]


def find_columns_by_visit(known: Known) -> Pattern:
    """Return the rule by which columns are named after a test and a month, week, day or visit."""
    words = {
        name: match.word for name in known.roles if not known.analyte(name) and (match := known.analyte(stem_of(name)))
    }
    units = {name: known.unit(name, word) for name, word in words.items()}
    dates = [name for name in known.roles if Role("labs", "date") in find_roles(stem_of(name))]
    return find_pattern(words, units, dates, known.since() or known.listed_since or GAP)


def _write_block(table: str, known: Known, wide: Sequence[str] = (), *, dated: bool = False) -> Block:
    """Write a block; ``wide`` are the lines of columns that each hold one kind of fact, ``dated`` by themselves."""
    lines = [f"{key} = {value if isinstance(value, int) else quote(value)}" for key, value in known.sheet.place.items()]
    name = known.pick(ANY_TABLE, "patient_id")
    if table == "patients" and name is not None and _repeats(known.sheet.cells[name]):
        lines.append(f"distinct = true  {GUESSED}; one record per patient, where a file repeats the facts on each line")
    columns = [column for column in _mappable(table, wide=bool(wide)) if not (dated and column.name == "date")]
    lines += [*(line for column in columns if (line := _column_line(table, column, known))), *wide]
    return Block(table, known, f"[[{table}]]\n" + "".join(f"{line}\n" for line in lines))


def _repeats(cells: pd.Series) -> bool:
    return bool(cells[cells != ""].duplicated().any())


def _mappable(table: str, *, wide: bool) -> list[Column]:
    made = {
        "raw_value",
        "raw_unit",
        "comparator",
        "uln_source",
        "raw_dose",
        "raw_dose_unit",
        "date_precision",
        "source_file",
        "source_row",
    }
    by_wide = {
        "labs": {"analyte", "value", "unit", "uln"},
        "measurements": {"measure", "value"},
        "events": {"kind", "date"},
    }
    left_out = made | (by_wide[table] if wide else set())
    columns = [column for column in TABLES[table].columns if column.name not in left_out]
    known = {column.name for column in columns} | left_out
    printed = [name for name in AS_PRINTED.get(table, ()) if name not in known]
    levels = {"dose_unit": DRUG_DOSE_UNITS}
    return columns + [Column(name=name, kind="text", levels=levels.get(name, ()), describes="") for name in printed]


def _column_line(table: str, column: Column, known: Known) -> str:
    name = known.pick(table, column.name)
    key = f"columns.{column.name}"
    if name is None:
        return _gap_line(table, column, known)
    if (table, column.name) == ("treatments", "dose") and known.pick(table, "dose_unit") is None:
        unit = "mg/kg/day" if "/kg" in bracketed(name) + bracketed(known.sheet.labels.get(name, "")) else "mg/day"
        return f'{key} = {{ column = {quote(name)}, unit = "{unit}" }}  {GUESSED}'
    labels = known.sheet.choices.get(name, {})
    codes = find_codes(column, all_words(known.sheet.cells[name]), labels)
    if not codes:
        return f"{key} = {quote(name)}  {GUESSED}"
    written = ", ".join(f"{quote(word)} = {quote(level)}" for word, level in codes.items() if level is not None)
    unknown = [word for word, level in codes.items() if level is None]
    shown = ", ".join(quote(word) + (f" ({labels[word]})" if word in labels else "") for word in unknown)
    mark = f"{GUESSED}; not recognised, and set aside unless you add it to codes: {shown}" if unknown else GUESSED
    return f"{key} = {{ column = {quote(name)}, codes = {{ {written} }} }}  {mark}"


def _gap_line(table: str, column: Column, known: Known) -> str:
    """Return the line of a column that nothing in the file seems to hold; none where it may be left out."""
    key = f"columns.{column.name}"
    if (table, column.name) in _CONSTANTS:
        return f'{key} = {{ constant = "{_CONSTANTS[table, column.name]}" }}  {GUESSED}'
    if (table, column.name) == ("follow_up", "start") and (name := known.pick("patients", "diagnosis_date")):
        return f"{key} = {quote(name)}  {GUESSED}"
    if (table, column.name) == ("measurements", "date") and (name := known.pick("labs", "date")):
        return f"{key} = {quote(name)}  {GUESSED}"
    one_of_two = column.name == "birth_date" and known.pick("patients", "age_at_diagnosis") is None
    if not (column.required or one_of_two or (table, column.name) == ("labs", "unit")):
        return ""
    if column.name == "drug":
        return f'{key} = {{ constant = "{GAP}" }}  {FILL}: the drug that was begun, as prednisolone'
    if column.levels:
        return f'{key} = {{ constant = "{GAP}" }}  {FILL}: one of {", ".join(column.levels)}'
    return f'{key} = "{GAP}"  {FILL}: the column with: {column.describes or column.name}'
