"""A cohort as printed, written as an OMOP database: tables of CDM 5.4 as CSV files, and the same as a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pandas as pd

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.catalogue.codes import USED, Kind
from aih_outcomes.catalogue.tables import read_table
from aih_outcomes.formats.omop import CDM, GENDERS, OPERATORS, OUTPATIENT_VISIT, ROUTES, UNITS, own_word
from aih_outcomes.simulate.exports.printed import Printed
from aih_outcomes.units import canonical_units, find_conversion, parse_results

_INDEX = "autoimmune_hepatitis"
_CONCEPT_OF_GENDER = {word: number for number, word in GENDERS.items()}
_CONCEPT_OF_OPERATOR = {sign: number for number, sign in OPERATORS.items()}
_CONCEPT_OF_ROUTE = {word: number for number, word in reversed(ROUTES.items())}
_CONCEPT_OF_UNIT = {unit: number for number, unit in reversed(UNITS.items())}
_MEASURE_UNITS = {"weight": "kg", "height": "cm", "spleen_below_costal_margin": "cm"}
_SQL_TYPES = {"key": "BIGINT", "whole": "BIGINT", "number": "DOUBLE", "date": "DATE", "text": "VARCHAR"}
# What the rows of a table say in the model itself; every other column becomes facts in OBSERVATION.
_IN_THE_MODEL = {
    "patients": ("sex", "birth_date", "diagnosis_date", "centre"),
    "labs": ("date", "analyte", "raw_value", "raw_unit", "uln", "visit"),
    "measurements": ("date", "measure", "value"),
    "treatments": ("drug", "route", "raw_dose", "raw_dose_unit", "start", "stop"),
    "events": ("date", "kind", "cause"),
    "follow_up": ("start", "end"),
}


def export_omop(printed: Printed, folder: Path | str) -> None:
    """Write ``<TABLE>.csv`` for each table of the model, and ``cdm.duckdb``.

    A row keeps what the centre printed in ``*_source_value``, and its canonical value beside it where the unit is
    known. Empty and odd cells are written as they are. What the model has no column for stands in OBSERVATION, see
    ``aih_outcomes.formats.omop``.

    Parameters
    ----------
    printed : see ``print_cohort``
    folder : is made if it does not exist; files of the same names are replaced
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    tables = _Writer(printed).write()
    for name, table in tables.items():
        table.to_csv(out / f"{name.upper()}.csv", index=False, lineterminator="\n", encoding="utf-8")
    _write_duckdb(tables, out / "cdm.duckdb")


class _Writer:
    """Gives every row a number of its own, and gathers the rows of each table of the model."""

    def __init__(self, printed: Printed) -> None:
        self.printed = printed
        self.parts: dict[str, list[pd.DataFrame]] = {name: [] for name in CDM}
        self.numbers: Iterator[int] = count(1)
        named = [table["patient_id"] for table in printed.values()]
        everyone = pd.concat(named, ignore_index=True).drop_duplicates()
        rows = printed["patients"]["patient_id"]
        # Two rows of one patient are two persons who bear the same name; the patient's other rows are the first's.
        self.person_of_row = pd.Series(range(1, len(rows) + 1), index=rows.index)
        known = dict(zip(rows[::-1], self.person_of_row[::-1], strict=True))
        others = everyone[~everyone.isin(rows) & (everyone != "")]
        self.persons = {**known, **{name: len(rows) + place for place, name in enumerate(others, start=1)}}
        self.unlisted = others

    def write(self) -> dict[str, pd.DataFrame]:
        self._write_patients()
        self._write_labs()
        self._write_measurements()
        self._write_treatments()
        self._write_events()
        self._write_follow_up()
        for name, table in self.printed.items():
            if name not in _IN_THE_MODEL:
                self._add_facts(name, table, self._person(table), pd.Series(self._number(table), index=table.index))
        return {name: self._join(name) for name in CDM if self.parts[name] or name == "concept"}

    def _join(self, name: str) -> pd.DataFrame:
        if name == "concept":
            return _concepts(self.parts)
        return pd.concat(self.parts[name], ignore_index=True)

    def _number(self, table: pd.DataFrame) -> list[int]:
        return [next(self.numbers) for _ in range(len(table))]

    def _person(self, table: pd.DataFrame) -> pd.Series:
        return table["patient_id"].map(self.persons).astype("Int64").astype("string").fillna("").astype(object)

    def _add(self, name: str, **columns: object) -> None:
        part = pd.DataFrame(columns).reindex(columns=list(CDM[name].columns))
        self.parts[name].append(part.astype("string").fillna("").astype(object))

    def _add_facts(self, table: str, rows: pd.DataFrame, person: pd.Series, key: pd.Series) -> None:
        """Write every filled cell as a row of OBSERVATION that points at the row it belongs to."""
        cells = rows.drop(columns="patient_id").rename_axis("row").reset_index().melt("row", var_name="column")
        cells = cells[cells["value"] != ""].sort_values("row", kind="stable")
        date = next((rows[name] for name in ("date", "start") if name in rows), pd.Series("", index=rows.index))
        self._add(
            "observation",
            observation_id=self._number(cells), person_id=person.loc[cells["row"]].to_numpy(),
            observation_concept_id=0, observation_date=date.loc[cells["row"]].to_numpy(),
            value_as_string=cells["value"].to_numpy(),
            observation_source_value=(table + "." + cells["column"]).to_numpy(),
            observation_source_concept_id=0, observation_event_id=key.loc[cells["row"]].to_numpy(),
        )  # fmt: skip

    def _add_rest(self, table: str, rows: pd.DataFrame, person: pd.Series, key: pd.Series) -> None:
        self._add_facts(table, rows.drop(columns=list(_IN_THE_MODEL[table])), person, key)

    def _write_patients(self) -> None:
        rows = self.printed["patients"]
        born = rows["birth_date"].str.extract(r"^(\d{4})-(\d{2})-(\d{2})$").fillna("")
        sites = [name for name in rows["centre"].unique() if name]
        self._add(
            "care_site", care_site_id=range(1, len(sites) + 1), care_site_name=sites, care_site_source_value=sites
        )
        self._add(
            "person",
            person_id=self.person_of_row, gender_concept_id=rows["sex"].map(_CONCEPT_OF_GENDER).fillna(0).astype(int),
            year_of_birth=born[0], month_of_birth=born[1], day_of_birth=born[2], birth_datetime=rows["birth_date"],
            care_site_id=rows["centre"].map({name: place for place, name in enumerate(sites, start=1)}).astype("Int64"),
            person_source_value=rows["patient_id"], gender_source_value=rows["sex"],
        )  # fmt: skip
        person = self.person_of_row
        self._add_condition(_INDEX, person, rows["diagnosis_date"], pd.Series(self._number(rows), index=rows.index))
        self._add_rest("patients", rows, person, person)
        # Patients without a row of their own have the condition too, else nobody would look for their rows.
        unlisted = self.unlisted.map(self.persons)
        self._add_condition(_INDEX, unlisted, "", self._number(pd.DataFrame(index=unlisted.index)))

    def _add_condition(self, condition: str, person: pd.Series, date: object, number: object) -> None:
        self._add(
            "condition_occurrence",
            condition_occurrence_id=number, person_id=person, condition_start_date=date, condition_end_date="",
            condition_concept_id=_concept_of("condition").get(condition, 0), condition_source_value=condition,
            condition_source_concept_id=0,
        )  # fmt: skip

    def _write_labs(self) -> None:
        rows, key = (
            self.printed["labs"],
            pd.Series(self._number(self.printed["labs"]), index=self.printed["labs"].index),
        )
        result = parse_results(rows["raw_value"])
        known = [find_conversion(*pair) for pair in zip(rows["analyte"], rows["raw_unit"], strict=True)]
        factor = pd.Series([one.factor if one else None for one in known], rows.index, dtype="float64")
        offset = pd.Series([one.offset if one else None for one in known], rows.index, dtype="float64")
        concept = rows["analyte"].map(canonical_units()).map(_CONCEPT_OF_UNIT)
        converted = factor.notna() & concept.notna()  # else the number stays in the printed unit
        value = result["number"].where(~converted, factor * result["number"] + offset)
        in_range = converted | (factor.eq(1) & offset.eq(0))
        self._add(
            "measurement",
            measurement_id=key, person_id=self._person(rows), measurement_date=rows["date"],
            **self._code("labs", "analyte", "analyte", "measurement", rows["analyte"]),
            operator_concept_id=result["comparator"].map(_CONCEPT_OF_OPERATOR).fillna(0).astype(int),
            value_as_number=value.map(_shortest), unit_concept_id=concept.where(converted, 0).astype(int),
            range_high=rows["uln"].where(in_range, ""), visit_occurrence_id=self._write_visits(rows),
            unit_source_value=rows["raw_unit"], value_source_value=rows["raw_value"],
        )  # fmt: skip
        plain = rows["uln"].eq("").map({True: "none", False: "reported"})  # needs no fact of its own
        rest = rows.assign(uln_source=rows["uln_source"].mask(rows["uln_source"] == plain, ""))
        rest["uln"] = rows["uln"].mask(in_range, "")
        self._add_facts("labs", rest.drop(columns=["date", "analyte", "raw_value", "raw_unit", "visit"]),
                        self._person(rows), key)  # fmt: skip

    def _write_visits(self, rows: pd.DataFrame) -> pd.Series:
        """Write a visit for each patient, day and kind, and return which of them each row belongs to."""
        known = rows["visit"] != ""
        by = [rows.loc[known, name] for name in ("patient_id", "date", "visit")]
        first = rows[known].drop_duplicates(["patient_id", "date", "visit"])
        number = pd.Series(self._number(first), index=first.index)
        self._add(
            "visit_occurrence",
            visit_occurrence_id=number, person_id=self._person(first), visit_concept_id=OUTPATIENT_VISIT,
            visit_start_date=first["date"], visit_end_date=first["date"], visit_source_value=first["visit"],
            visit_source_concept_id=0,
        )  # fmt: skip
        place = rows[known].groupby(by, sort=False).ngroup()
        return pd.Series(number.to_numpy()[place], index=place.index).reindex(rows.index).astype("Int64")

    def _write_measurements(self) -> None:
        rows = self.printed["measurements"]
        key, unit = pd.Series(self._number(rows), index=rows.index), rows["measure"].map(_MEASURE_UNITS)
        self._add(
            "measurement",
            measurement_id=key, person_id=self._person(rows), measurement_date=rows["date"],
            **self._code("measurements", "measure", "measure", "measurement", rows["measure"]),
            operator_concept_id=0, value_as_number=rows["value"], unit_source_value=unit,
            unit_concept_id=unit.map(_CONCEPT_OF_UNIT).fillna(0).astype(int), value_source_value=rows["value"],
        )  # fmt: skip
        self._add_rest("measurements", rows, self._person(rows), key)

    def _write_treatments(self) -> None:
        rows = self.printed["treatments"]
        key = pd.Series(self._number(rows), index=rows.index)
        self._add(
            "drug_exposure",
            drug_exposure_id=key, person_id=self._person(rows), drug_exposure_start_date=rows["start"],
            drug_exposure_end_date=rows["stop"], verbatim_end_date=rows["stop"], sig=rows["raw_dose"],
            **self._code("treatments", "drug", "drug", "drug", rows["drug"]), route_source_value=rows["route"],
            route_concept_id=rows["route"].map(_CONCEPT_OF_ROUTE).fillna(0).astype(int),
            dose_unit_source_value=rows["raw_dose_unit"],
        )  # fmt: skip
        self._add_rest("treatments", rows, self._person(rows), key)

    def _write_events(self) -> None:
        """Write deaths into DEATH, what has a concept as condition or procedure, and all else as facts."""
        rows = self.printed["events"]
        key = pd.Series(self._number(rows), index=rows.index)
        plain = rows["kind"].eq("death") & rows["date_precision"].eq("") & rows["grade"].eq("")
        deaths = rows[plain]
        self._add("death", person_id=self._person(deaths), death_date=deaths["date"], cause_concept_id=0,
                  cause_source_value=deaths["cause"], cause_source_concept_id=0)  # fmt: skip
        known = read_conditions().query("table == 'events' and word != 'death'")
        known = known[known["condition"].isin(_concept_of("condition"))]
        for condition, word, kind in zip(known["condition"], known["word"], known["kind"], strict=True):
            some = rows[rows["kind"].eq(word) & rows["cause"].eq("")]
            number, person = key[some.index], self._person(some)
            if kind == "procedure":
                self._add(
                    "procedure_occurrence",
                    procedure_occurrence_id=number, person_id=person, procedure_date=some["date"],
                    procedure_concept_id=_concept_of("condition")[condition], procedure_source_concept_id=0,
                    procedure_source_value=condition,
                )  # fmt: skip
            else:
                self._add_condition(condition, person, some["date"], number)
            self._add_rest("events", some, person, number)
        rest = rows[~plain & ~(rows["kind"].isin(known["word"]) & rows["cause"].eq(""))]
        self._add_facts("events", rest, self._person(rest), key[rest.index])

    def _write_follow_up(self) -> None:
        rows = self.printed["follow_up"]
        key = pd.Series(self._number(rows), index=rows.index)
        self._add("observation_period", observation_period_id=key, person_id=self._person(rows),
                  observation_period_start_date=rows["start"], observation_period_end_date=rows["end"])  # fmt: skip
        self._add_rest("follow_up", rows, self._person(rows), key)

    def _code(self, table: str, column: str, kind: Kind, code: str, words: pd.Series) -> dict[str, pd.Series]:
        """Return the concept of each word, or the word itself as a source value where it has none."""
        concept = words.map(_concept_of(kind)).fillna(0).astype(int)
        own = words.map(lambda word: own_word(table, column, word))
        return {
            f"{code}_concept_id": concept, f"{code}_source_concept_id": pd.Series(0, index=words.index),
            f"{code}_source_value": words.where(concept != 0, own),
        }  # fmt: skip


def _concept_of(kind: Kind) -> dict[str, int]:
    """Return word → its first concept that reading uses."""
    codes = read_table(f"{kind}_codes")
    used = codes[(codes["system"] == "omop") & codes["confidence"].isin(USED)].drop_duplicates(kind)
    return {word: int(code) for word, code in zip(used[kind], used["code"], strict=True)}


def _concepts(parts: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """Return the concepts that were written, under our own words for them; no text of a vocabulary is copied."""
    named = {
        number: word
        for kind in ("analyte", "measure", "drug", "condition")
        for word, number in _concept_of(kind).items()
    }
    used: set[int] = set()
    for name, tables in parts.items():
        code = f"{CDM[name].code}_concept_id"
        used |= {int(number) for table in tables for number in pd.unique(table.get(code, pd.Series(dtype=object)))}
    rows = [{"concept_id": str(number), "concept_name": named[number]} for number in sorted(used & set(named))]
    return pd.DataFrame(rows, columns=list(CDM["concept"].columns)).fillna("")


def _shortest(number: float) -> str:
    """Return the shortest text that reads back as the same number; ``""`` where there is none."""
    return "" if number != number else repr(float(number))


def _write_duckdb(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Write the tables with the model's types; a column with a cell that is not of its type stays text."""
    import duckdb

    path.unlink(missing_ok=True)
    with duckdb.connect(path) as base:
        for name, table in tables.items():
            text = table.astype("string").astype(object)
            base.register("written", text)
            columns = []
            for column, kind in CDM[name].columns.items():
                cast = f"TRY_CAST(NULLIF({column}, '') AS {_SQL_TYPES[kind]})"
                odd = base.execute(f"SELECT 1 FROM written WHERE {column} <> '' AND {cast} IS NULL LIMIT 1").fetchone()
                columns.append(f"{column if odd else cast} AS {column}")
            base.execute(f"CREATE TABLE {name} AS SELECT {', '.join(columns)} FROM written")
            base.unregister("written")
