"""PERSON, the first day of the condition, CARE_SITE, and what other conditions say of the day of diagnosis."""

import pandas as pd

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.formats.omop import BECOMES, GENDERS
from aih_outcomes.load.omop.database import Database, fetch
from aih_outcomes.load.omop.people import People
from aih_outcomes.load.omop.rows import CodedRows, Source, fill, make_records, texts
from aih_outcomes.load.records import Records
from aih_outcomes.schema import TABLES

AT_DIAGNOSIS_DAYS = 90  # a condition first recorded until then counts as present at diagnosis
_SEXES = next(column.levels for column in TABLES["patients"].columns if column.name == "sex")


def read_patients(source: Source, conditions: CodedRows, diagnosis: str | None) -> Records:
    """Return a row per person of the cohort.

    Parameters
    ----------
    conditions : of the cohort, with the words of their codes
    diagnosis : what the condition that was asked for is called in the schema
    """
    database, people, persons = source.database, source.people, source.persons
    birth, precision = _birth(persons)
    first = people.diagnosed.set_index("person_id")["diagnosis_date"]
    diagnosed = persons["person_id"].astype(object).map(first).astype("datetime64[s]")
    frame = pd.DataFrame(
        {
            "sex": _sex(persons),
            "birth_date": birth,
            "diagnosis_date": diagnosed,
            "centre": _centre(source, persons),
            "diagnosis": pd.Series(diagnosis, index=persons.index, dtype="string"),
            "date_precision": precision,
        }
    )
    frame = frame.join(_at_diagnosis(source, conditions, persons["person_id"], diagnosed))
    filled, problems = fill(frame, source.facts.of_rows("patients", persons["person_id"]), "patients")
    n_absent = len(people.diagnosed) - len(persons)
    said = f"{database.count('person'):,} person(s), {len(people.diagnosed):,} of them with the condition in "
    said += f"{people.n_rows:,} row(s) of {database.source('condition_occurrence')}; diagnosed on the first of them"
    if n_absent:
        said += f"; {n_absent:,} with the condition are not in {database.source('person')}, their rows are set aside"
    if n_untold := int((frame["sex"].isna() & texts(persons["gender_source_value"]).ne("")).sum()):
        said += f"; {n_untold:,} whose sex is told by no concept, and by a word of the source that is not known"
    for table in database.tables.values():
        if table.broken and table.name not in BECOMES:  # else they are set aside with the table that they would become
            said += f"; {len(table.broken):,} line(s) of {table.source} cannot be split into cells and are not used"
    return make_records("patients", "person", filled, persons, problems, source, said=("", said))


def read_persons(database: Database, people: People) -> tuple[pd.DataFrame, pd.Series]:
    """Return PERSON of those with the condition, and person → identifier: the source's own, else the number."""
    rows = database.of_persons("person", people.keys).order_by("source_row", "person_id")
    persons = fetch(rows, database.source("person"))
    number = people.diagnosed["person_id"].astype(object)
    named = persons.dropna(subset="person_source_value").drop_duplicates("person_id").set_index("person_id")
    own = number.map(named["person_source_value"].astype(object)).astype(object)
    own = own.where(own.notna(), "").str.strip()
    return persons, pd.Series(own.where(own != "", number.astype(str)).to_numpy(), index=number.to_numpy())


def _sex(persons: pd.DataFrame) -> pd.Series:
    """Return the sex by its concept, else by a source value in the schema's words; another concept is unknown."""
    concept = persons["gender_concept_id"].fillna(0)
    word = texts(persons["gender_source_value"]).str.lower()
    said = word.where(word.isin(_SEXES)).astype("string")
    sex = concept.map(GENDERS).astype("string")
    return sex.fillna(said).mask(sex.isna() & said.isna() & (concept != 0), "unknown")


def _birth(persons: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the date of birth and how exactly it is known: mid-month or mid-year where the day is not told."""
    parts = persons[["year_of_birth", "month_of_birth", "day_of_birth"]].astype("Float64")
    year, month, day = (parts[name] for name in parts)
    told = year.notna()
    given = pd.DataFrame({"year": year, "month": month.fillna(7), "day": day.where(month.notna(), 1).fillna(15)})
    built = pd.to_datetime(given.astype("float64"), errors="coerce").astype("datetime64[s]")
    birth = built.where(told, persons["birth_datetime"])
    precision = pd.Series(None, index=persons.index, dtype="string")
    precision = precision.mask(told & day.isna(), "month").mask(told & month.isna(), "year")
    return birth, precision.where(birth.notna())


def _centre(source: Source, persons: pd.DataFrame) -> pd.Series:
    """Return the name of each person's care site, or its source value."""
    if "care_site" not in source.database:
        return pd.Series(None, index=persons.index, dtype="string")
    sites = fetch(source.database.of_persons("care_site"), source.database.source("care_site"))
    sites = sites.dropna(subset=["care_site_id"]).drop_duplicates("care_site_id").set_index("care_site_id")
    name = texts(sites["care_site_name"])
    name = name.where(name != "", texts(sites["care_site_source_value"])).replace("", None)
    return persons["care_site_id"].astype(object).map(name).astype("string")


def _at_diagnosis(source: Source, conditions: CodedRows, persons: pd.Series, diagnosed: pd.Series) -> pd.DataFrame:
    """Return what the schema says of the day of diagnosis, from conditions known by then; others stay empty."""
    known = read_conditions()
    known = known[(known["table"] == "patients") & (known["column"] != "diagnosis")]
    columns: dict[str, pd.Series] = {}
    if not conditions.codes["word"].isin(known["condition"]).any():
        return pd.DataFrame(index=persons.index)
    rows = conditions.of_table("patients", source)
    for condition, column, word in zip(known["condition"], known["column"], known["word"], strict=True):
        first = rows[rows["word"] == condition].groupby("person_id", observed=True)["condition_start_date"].min()
        day = persons.astype(object).map(first).astype("datetime64[s]")
        there = (day - diagnosed).dt.days <= AT_DIAGNOSIS_DAYS
        if there.any():
            before = columns.get(column, pd.Series(None, index=persons.index, dtype=object))
            columns[column] = before.mask(there, True if word == "yes" else word)
    return pd.DataFrame(columns, index=persons.index)
