"""MEASUREMENT: laboratory results, and weights and heights."""

import re

import numpy as np
import pandas as pd

from aih_outcomes.formats.omop import EMERGENCY_VISITS, OPERATORS, UCUM, UNITS, UNITS_REMEMBERED
from aih_outcomes.load.mapping_rules import number_factor
from aih_outcomes.load.omop.codes import Asked
from aih_outcomes.load.omop.database import fetch
from aih_outcomes.load.omop.rows import (
    CodedRows,
    Source,
    as_text,
    fill,
    find_unsure,
    make_records,
    number_distinct,
    parse_distinct,
    read_codes,
    read_facts_rows,
    repeat_problems,
    texts,
)
from aih_outcomes.load.records import Records, list_problems
from aih_outcomes.load.values.laboratory import convert_results
from aih_outcomes.units import canonical_units

_ASKED = Asked(
    kinds=("analyte", "measure"),
    own=(("labs", "analyte"), ("measurements", "measure")),
    tables=("labs", "measurements"),
)
_SIGN = re.compile(r"(<=|>=|<|>|≤|≥)")
_FROM_MEMORY = [number for number, sign in OPERATORS.items() if sign != "="]
_LOST = "lost"
_PRINTED = ("value_source_value", "value_as_number", "operator_concept_id", "unit_source_value", "range_high")
_MEASURE_UNITS = {"weight": ("kg", "g"), "height": ("cm", "m"), "spleen_below_costal_margin": ("cm", "mm")}


def read_measurements(source: Source) -> list[Records]:
    """Return results, and measurements of the body."""
    coded = read_codes(source, "measurement", _ASKED)
    said = coded.say(source)
    records = [_read_results(coded, source, said)]
    if coded.has("measurements") or "measurements" in source.facts.tables:
        records += _read_measures(coded, source, said)
    return records


def _read_results(coded: CodedRows, source: Source, said: tuple[str, str]) -> Records:
    rows = coded.of_table("labs", source)
    word, problems = find_unsure(rows["word"], "labs", "analyte")
    named, unknown = parse_distinct(pd.DataFrame({"analyte": word}), "labs")
    facts = source.facts.of_rows("labs", rows["measurement_id"])
    unit, from_memory = _units(rows, source)
    converted, unconverted = _convert(rows, named["analyte"], unit, facts, source)
    printed_unit = texts(rows["unit_source_value"])
    frame = converted.assign(
        date=rows["measurement_date"], analyte=named["analyte"], visit=_visits(rows, source),
        raw_unit=printed_unit.mask(printed_unit == "", unit).replace("", None).astype("string"),
    )  # fmt: skip
    kept = facts.drop(columns=["uln", "uln_source"], errors="ignore")
    filled, unfilled = fill(frame, kept, "labs")
    unused, how = said
    if from_memory:
        how += f"; {from_memory:,} row(s) with a unit whose concept number is from memory"
    if n_signed := int(rows["operator_concept_id"].isin(_FROM_MEMORY).sum()):
        how += f"; {n_signed:,} row(s) with a sign (<, >) whose concept number is from memory"
    return make_records(
        "labs", "measurement", filled, rows, [*problems, *unknown, *unconverted, *unfilled], source, said=(unused, how)
    )


def _convert(
    rows: pd.DataFrame, analyte: pd.Series, unit: pd.Series, facts: pd.DataFrame, source: Source
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert each distinct result once: in a large database most of them stand there many times."""
    said = facts[[name for name in ("uln", "uln_source") if name in facts]]
    place, first = number_distinct([*(rows[name] for name in _PRINTED), analyte, unit, *(said[name] for name in said)])
    text = _as_printed(rows.iloc[first], analyte.iloc[first], unit.iloc[first], said.iloc[first])
    converted, problems = convert_results(
        text.reset_index(drop=True), analyte.iloc[first].reset_index(drop=True), units=source.rules.units,
        titres=source.rules.titres, decimal=".",
    )  # fmt: skip
    return converted.take(place).set_axis(rows.index), repeat_problems(problems, place)


def _as_printed(rows: pd.DataFrame, analyte: pd.Series, unit: pd.Series, facts: pd.DataFrame) -> pd.DataFrame:
    """Return ``value, printed, unit, uln`` as text: the number where there is one, else what was printed."""
    printed = texts(rows["value_source_value"])
    number = as_text(rows["value_as_number"])
    sign = _signs(rows["operator_concept_id"], printed)
    bare = (number == "") | ((unit == "") & (printed != ""))  # what was printed says more: a titre needs no unit
    signed = sign != ""
    value = number.mask(signed, sign[signed] + number[signed]).mask(bare, printed)
    source_unit = texts(rows["unit_source_value"])
    unit = unit.mask(bare & (source_unit != ""), source_unit)  # what was printed is in the unit that was printed
    text = pd.DataFrame({"value": value, "printed": printed.mask(printed == "", value), "unit": unit})
    text["uln"] = as_text(rows["range_high"])
    if "uln_source" in facts:
        text["uln_source"] = facts["uln_source"]
    if "uln" in facts:  # in the canonical unit, where the row's own unit could not carry it
        own = facts["uln"].ne("")
        text["uln_unit"] = analyte.map(canonical_units()).astype(object).where(own & analyte.notna(), "")
        text["uln"] = facts["uln"].where(own, text["uln"])
    return text


def _signs(operators: pd.Series, printed: pd.Series) -> pd.Series:
    """Return the sign of each result, or the one in front of what was printed where its operator was lost."""
    codes, distinct = pd.factorize(operators)
    told = np.array([*(OPERATORS.get(one, _LOST) for one in distinct), _LOST], dtype=object)[codes]
    codes, distinct = pd.factorize(printed)
    seen = [_SIGN.match(text) for text in distinct]
    in_front = np.array([*(found.group(1) if found else "" for found in seen), ""], dtype=object)[codes]
    signs = np.where(told == _LOST, in_front, told)
    return pd.Series(np.where(signs == "=", "", signs), index=printed.index, dtype=object)


def _units(rows: pd.DataFrame, source: Source) -> tuple[pd.Series, int]:
    """Return the unit that the number is in: that of its concept, else as the source wrote it; and rows from memory."""
    concept = rows["unit_concept_id"].fillna(0)
    numbers = pd.Series(concept[concept != 0].unique()).astype("int64")
    told = source.database.look_up("concept", "concept_id", numbers)
    told = told[told["vocabulary_id"] == UCUM]
    looked_up = dict(zip(told["concept_id"], told["concept_code"].astype(str), strict=True))
    known = concept.map({**UNITS_REMEMBERED, **UNITS, **looked_up}).astype(object)
    remembered = concept.isin(set(UNITS_REMEMBERED) - set(looked_up))
    return known.where(known.notna(), texts(rows["unit_source_value"])), int(remembered.sum())


def _visits(rows: pd.DataFrame, source: Source) -> pd.Series:
    """Return whether the visit was planned: where its source says so in the schema's word, or it was an emergency."""
    nothing = pd.Series(None, index=rows.index, dtype="string")
    if "visit_occurrence" not in source.database or rows["visit_occurrence_id"].isna().all():
        return nothing
    visits = fetch(
        source.database.of_persons("visit_occurrence", source.people.keys).select(
            "visit_occurrence_id", "visit_concept_id", "visit_source_value"
        ),
        source.database.source("visit_occurrence"),
    )
    word = visits["visit_source_value"].astype("string")
    kind = word.where(word.isin(["scheduled", "unscheduled"]))
    kind = kind.mask(kind.isna() & visits["visit_concept_id"].isin(EMERGENCY_VISITS), "unscheduled")
    by_visit = dict(zip(visits["visit_occurrence_id"].astype(object), kind, strict=True))
    found = rows["visit_occurrence_id"].map(by_visit)
    return found.astype("string")


def _read_measures(coded: CodedRows, source: Source, said: tuple[str, str]) -> list[Records]:
    rows = coded.of_table("measurements", source)
    word, problems = find_unsure(rows["word"], "measurements", "measure")
    named, unknown = parse_distinct(pd.DataFrame({"measure": word}), "measurements")
    unit, _ = _units(rows, source)
    factor, of_units = _measure_factors(named["measure"], unit)
    number = rows["value_as_number"]
    frame = pd.DataFrame({"date": rows["measurement_date"], "measure": named["measure"], "value": number * factor})
    facts = source.facts.of_rows("measurements", rows["measurement_id"])
    filled, unfilled = fill(frame, facts, "measurements")
    found = [*problems, *unknown, *of_units, *unfilled]
    return [
        make_records("measurements", "measurement", filled, rows, found, source, said=("", said[1]), with_broken=False),
        *read_facts_rows("measurements", rows["measurement_id"], source),
    ]


def _measure_factors(measure: pd.Series, unit: pd.Series) -> tuple[pd.Series, list[pd.DataFrame]]:
    known = {
        (name, one): number_factor("measurements", name, one) for name, units in _MEASURE_UNITS.items() for one in units
    }
    factor = pd.Series([known.get(pair) for pair in zip(measure, unit, strict=True)], index=unit.index, dtype="float64")
    problems = [
        list_problems(
            (measure == name) & factor.isna(), "value", f"unit of {name} must be {' or '.join(units)}",
            "Give its unit in unit_concept_id, or as one of these in unit_source_value",
        )
        for name, units in _MEASURE_UNITS.items()
    ]  # fmt: skip
    return factor, problems
