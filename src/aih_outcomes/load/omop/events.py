"""Events from CONDITION_OCCURRENCE, PROCEDURE_OCCURRENCE and DEATH; follow-up from OBSERVATION_PERIOD."""

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.formats.omop import CDM
from aih_outcomes.load.omop.database import fetch
from aih_outcomes.load.omop.rows import (
    CodedRows,
    Source,
    fill,
    find_unsure,
    make_records,
    parse_distinct,
    read_facts_rows,
    texts,
)
from aih_outcomes.load.records import Records
from aih_outcomes.schema import TABLES, empty_table

CAUSES = next(column.levels for column in TABLES["events"].columns if column.name == "cause")
_FINDING = {"varices": ("endoscopy", "abnormal")}  # what a condition that only an examination shows says of it


def read_events(coded: Sequence[CodedRows], source: Source) -> list[Records]:
    """Return the events, and examinations, that codes stand for, and events that consist of facts alone.

    Deaths come from DEATH.
    """
    found, keys = [], [pd.Series(dtype=object)]
    for one in coded:
        rows = one.of_table("events", source)
        rows = rows[rows["word"].ne("death")].reset_index(drop=True)
        word, problems = find_unsure(rows["word"], "events", "kind")
        named, unknown = parse_distinct(pd.DataFrame({"kind": word}), "events")
        date, key = _date_and_key(one, rows)
        filled, unfilled = fill(named.assign(date=date), source.facts.of_rows("events", key), "events")
        problems += [*unknown, *unfilled]
        found.append(make_records("events", one.name, filled, rows, problems, source, said=one.say(source)))
        keys.append(key.astype(object))
        if one.has("imaging"):
            found.append(_read_findings(one, source))
    return [*found, *read_facts_rows("events", pd.concat(keys), source)]


def _read_findings(coded: CodedRows, source: Source) -> Records:
    """Return conditions that only an examination shows as that examination."""
    rows = coded.of_table("imaging", source)
    word, problems = find_unsure(rows["word"], "imaging", "shows")
    date, _ = _date_and_key(coded, rows)
    modality, finding = zip(*word.map(_FINDING), strict=True)
    frame = pd.DataFrame({"date": date, "modality": modality, "finding": finding, "shows": word})
    return make_records("imaging", coded.name, frame, rows, problems, source, with_broken=False)


def _date_and_key(coded: CodedRows, rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    table = CDM[coded.name]
    return rows[next(name for name, kind in table.columns.items() if kind == "date")], rows[table.number]


def read_deaths(source: Source) -> list[Records]:
    """Return deaths; the cause only where the source says it in the schema's words."""
    if "death" not in source.database:
        return []
    deaths = source.database.of_persons("death", source.people.keys).order_by("source_row", "person_id", "death_date")
    rows = fetch(deaths, source.database.source("death"))
    cause = texts(rows["cause_source_value"])
    told = cause.isin(CAUSES)
    frame = pd.DataFrame({"date": rows["death_date"], "kind": "death", "cause": cause.where(told)})
    untold = int((~told & (cause != "")).sum())
    said = f"{source.database.count('death'):,} row(s), {len(rows):,} of them of the cohort"
    said += f"; {untold:,} with a cause in other words, which is left empty" if untold else ""
    return [make_records("events", "death", frame, rows, [], source, said=("", said))]


def read_follow_up(source: Source, deaths: Sequence[Records]) -> list[Records]:
    """Return the observation periods; why one ended is not in the model: by a death of that day, else it goes on."""
    if "observation_period" not in source.database:
        return []
    periods = source.database.of_persons("observation_period", source.people.keys).order_by("source_row")
    rows = fetch(periods, source.database.source("observation_period"))
    start, end = rows["observation_period_start_date"], rows["observation_period_end_date"]
    patient = rows["person_id"].map(source.patient_of).astype("string")
    died = deaths[0].kept if deaths else empty_table("events")
    day = patient.map(died.groupby("patient_id")["date"].min()).astype("datetime64[s]")
    reason = pd.Series("ongoing", index=rows.index, dtype="string").mask(day <= end, "death")
    frame = pd.DataFrame({"start": start, "end": end, "end_reason": reason, "end_source": "visit"})
    facts = source.facts.of_rows("follow_up", rows["observation_period_id"])
    filled, problems = fill(frame, facts, "follow_up")
    told = facts["end_reason"].ne("") if "end_reason" in facts else pd.Series(data=False, index=rows.index)
    said = f"{len(rows):,} row(s) of the cohort"
    if not told.all():
        said += (
            f"; why it ended is not recorded in {int((~told).sum()):,} row(s): taken as death where the patient died "
            "by then, else as ongoing, known from visits"
        )
    return [make_records("follow_up", "observation_period", filled, rows, problems, source, said=("", said))]
