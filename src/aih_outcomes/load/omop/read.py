"""``read_omop``: an OMOP database (CDM 5.3 or 5.4) to a cohort."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.cohort import Cohort
from aih_outcomes.load.collection import without_collection
from aih_outcomes.load.door import make_cohort
from aih_outcomes.load.mapping import Rules, read_rules
from aih_outcomes.load.omop.database import Database
from aih_outcomes.load.omop.drugs import read_drugs
from aih_outcomes.load.omop.events import read_deaths, read_events, read_follow_up
from aih_outcomes.load.omop.facts import read_facts
from aih_outcomes.load.omop.measurements import read_measurements
from aih_outcomes.load.omop.opening import open_database
from aih_outcomes.load.omop.patients import read_patients, read_persons
from aih_outcomes.load.omop.people import AIH, CONDITIONS, find_people
from aih_outcomes.load.omop.rows import Source, read_codes, read_facts_rows
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms
from aih_outcomes.load.records import Records
from aih_outcomes.load.values.limits import read_upper_limits
from aih_outcomes.schema import TABLES, empty_table

_WITH_ROWS_OF_THE_MODEL = ("patients", "labs", "measurements", "treatments")


@without_collection()
def read_omop(
    path: str | Path, mapping: str | Path | Rules | None = None, *, condition: str | int | Sequence[int] = AIH,
    label: str | None = None, pseudonyms: Pseudonyms | None = None,
) -> Cohort:  # fmt: skip
    """Read the persons with a condition from an OMOP database into a cohort.

    Parameters
    ----------
    path : a DuckDB file, or a folder of CSV or Parquet files named like the tables of the model
    mapping : what the codes leave open: local codes and units, upper limits (TOML), see ``Rules``
    condition : a condition of the catalogue, or concept numbers (what descends from them counts)
    label : what the data are, printed with every figure; else the label of the mapping, else ``cohort``
    pseudonyms : replaces identifiers as the rows come in

    Returns
    -------
    Cohort : of each table only rows of these persons with a code of the catalogue; ``load_report`` counts the others.
        ``source_row`` is the line of a text file, else the number that the model gives the row

    Raises
    ------
    DataError : a table is missing, cannot be read or lacks a column; nobody has the condition
    PlanError : the mapping or the condition cannot be used
    """
    rules = mapping if isinstance(mapping, Rules) else Rules() if mapping is None else read_rules(mapping)
    path = Path(path)
    with open_database(path) as database:
        records = _read_records(database, condition, rules)
    limits = read_upper_limits(rules.upper_limits, path if path.is_dir() else path.parent)
    return make_cohort(records, label=label or rules.label or "cohort", limits=limits, pseudonyms=pseudonyms)


def _read_records(database: Database, condition: str | int | Sequence[int], rules: Rules) -> list[Records]:
    people = find_people(database, condition, rules.codes)
    persons, patient_of = read_persons(database, people)
    facts = read_facts(database, people.keys)
    source = Source(database=database, people=people, facts=facts, rules=rules, persons=persons, patient_of=patient_of)
    conditions = read_codes(source, "condition_occurrence", CONDITIONS)
    records = [read_patients(source, conditions, _diagnosis(condition))]
    records += read_measurements(source) if "measurement" in database else []
    records += read_drugs(source, _weights(records)) if "drug_exposure" in database else []
    coded = [conditions]
    coded += [read_codes(source, "procedure_occurrence", CONDITIONS)] if "procedure_occurrence" in database else []
    deaths = read_deaths(source)
    records += [*read_events(coded, source), *deaths, *read_follow_up(source, deaths)]
    for table in TABLES:
        if table not in (*_WITH_ROWS_OF_THE_MODEL, "events", "follow_up"):
            records += read_facts_rows(table, pd.Series(dtype=object), source)
    return records


def _diagnosis(condition: object) -> str | None:
    """Return what the schema calls the condition that was asked for by name."""
    known = read_conditions().query("table == 'patients' and column == 'diagnosis'")
    words: dict[object, str] = dict(zip(known["condition"], known["word"], strict=True))
    return words.get(condition) if isinstance(condition, str) else None


def _weights(records: Sequence[Records]) -> pd.DataFrame:
    kept = [part.kept for part in records if part.table == "measurements"]
    measured = pd.concat(kept) if kept else empty_table("measurements")
    weights: pd.DataFrame = measured[measured["measure"] == "weight"]
    return weights
