"""DRUG_EXPOSURE: periods of a drug, with a daily dose where it is told without doubt."""

import pandas as pd

from aih_outcomes.formats.omop import MILLIGRAM, ROUTES
from aih_outcomes.load.omop.codes import Asked
from aih_outcomes.load.omop.rows import (
    Source,
    as_text,
    fill,
    find_unsure,
    make_records,
    parse_distinct,
    read_codes,
    read_facts_rows,
    texts,
)
from aih_outcomes.load.records import Records, list_problems
from aih_outcomes.load.values.doses import convert_doses
from aih_outcomes.load.values.parse import read_number
from aih_outcomes.load.ways_out import NO_INDICATION
from aih_outcomes.schema import TABLES

_ASKED = Asked(kinds=("drug",), own=(("treatments", "drug"),), tables=("treatments",))
_LEVELS = {column.name: column.levels for column in TABLES["treatments"].columns}


def read_drugs(source: Source, weights: pd.DataFrame) -> list[Records]:
    """Return the periods of drugs of the catalogue.

    Parameters
    ----------
    weights : ``patient_id, date, value`` in kg, for doses per kg
    """
    coded = read_codes(source, "drug_exposure", _ASKED)
    rows = coded.of_table("treatments", source)
    word, problems = find_unsure(rows["word"], "treatments", "drug")
    facts = source.facts.of_rows("treatments", rows["drug_exposure_id"])
    text = pd.DataFrame({"drug": word, "route": _routes(rows)})
    named, unknown = parse_distinct(text, "treatments")
    start, stop = rows["drug_exposure_start_date"], rows["verbatim_end_date"].fillna(rows["drug_exposure_end_date"])
    printed = _doses(rows, source)
    number = printed["dose_printed"].map(lambda cell: read_number(cell) if cell else None).astype("float64")
    patient = rows["person_id"].map(source.patient_of).astype("string")
    parsed = pd.DataFrame({"patient_id": patient, "start": start, "dose": number})
    doses, undosed = convert_doses(printed, parsed, weights)
    frame = named.assign(start=start, stop=stop, indication=pd.Series(None, index=rows.index, dtype="string")).join(
        doses
    )
    filled, unfilled = fill(frame, facts, "treatments")
    filled, untold = _with_indication(filled, facts, source)
    found = [*problems, *unknown, *undosed, *unfilled, untold]
    return [
        make_records("treatments", "drug_exposure", filled, rows, found, source, said=coded.say(source)),
        *read_facts_rows("treatments", rows["drug_exposure_id"], source),
    ]


def _with_indication(frame: pd.DataFrame, facts: pd.DataFrame, source: Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows with what they were given for (a CDM has no place for it), and those of which nothing is told."""
    blank = facts["indication"].eq("") if "indication" in facts else pd.Series(data=True, index=frame.index)
    word = source.rules.codes.get("indication", {}).get("", "")
    filled = frame.assign(indication=frame["indication"].mask(blank, word or pd.NA))
    return filled, list_problems(blank & (word == ""), "indication", *NO_INDICATION)


def _routes(rows: pd.DataFrame) -> pd.Series:
    word = texts(rows["route_source_value"]).str.lower()
    by_concept = rows["route_concept_id"].map(ROUTES).astype(object)
    return word.where(word.isin(_LEVELS["route"]), by_concept.where(by_concept.notna(), ""))


def _doses(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Return ``dose_printed, dose_unit`` as text: a number in ``sig``, else strength × quantity ÷ days."""
    sig, unit = texts(rows["sig"]), texts(rows["dose_unit_source_value"])
    is_number = sig.map(lambda cell: bool(cell) and read_number(cell) is not None)
    counted = _per_day(rows, source).where(~is_number)
    counted_text = as_text(counted)
    return pd.DataFrame(
        {
            "dose_printed": sig.where(is_number, counted_text),
            "dose_unit": unit.where(is_number, counted_text.map(lambda dose: "mg/day" if dose else "")),
        }
    )


def _per_day(rows: pd.DataFrame, source: Source) -> pd.Series:
    """Return mg a day, where the drug has one strength in mg and quantity and days are told; NaN else."""
    strengths = source.database.look_up(
        "drug_strength", "drug_concept_id", rows["drug_concept_id"].dropna().astype("int64")
    )
    single = strengths[~strengths["drug_concept_id"].duplicated(keep=False)]
    single = single[single["amount_unit_concept_id"] == MILLIGRAM]
    amount = pd.Series(single["amount_value"].to_numpy(dtype="float64"), index=single["drug_concept_id"].to_numpy())
    amount = rows["drug_concept_id"].map(amount).astype("float64")
    quantity, days = rows["quantity"].astype("float64"), rows["days_supply"].astype("float64")
    return (amount * quantity / days).where((amount > 0) & (quantity > 0) & (days > 0))
