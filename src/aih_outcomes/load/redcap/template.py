"""The project that the schema describes: its forms are the tables, its fields the columns."""

import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.formats.redcap import GROUP, RECORD_ID, choice_codes, field_name, form_columns
from aih_outcomes.load.records import Records, split_records
from aih_outcomes.load.redcap.project import RedcapProject
from aih_outcomes.load.spreadsheets.source import Source
from aih_outcomes.load.values.doses import convert_doses
from aih_outcomes.load.values.laboratory import convert_results
from aih_outcomes.load.values.parse import parse_table
from aih_outcomes.schema import TABLES, empty_table
from aih_outcomes.units import canonical_units

_PRINTED = {
    "labs": {"raw_value": "value", "raw_unit": "unit"},
    "treatments": {"raw_dose": "dose", "raw_dose_unit": "dose_unit"},
}
_CONVERTED = {"labs": ["value", "unit", "uln", "uln_source"], "treatments": ["dose_unit"]}
_NEEDED = {"labs": ("raw_value", "raw_unit")}
_FILLED_BY_LOADING = ("uln_source",)


def template_fields() -> list[str]:
    """Return the fields of the project that the schema describes."""
    return [field_name(table, column.name) for table in TABLES for column in form_columns(table)]


def is_template(project: RedcapProject) -> bool:
    """Tell whether a project is the one that the schema describes: by its record and its required patients' fields."""
    names = {field.name for field in project.fields}
    return project.record_id == RECORD_ID and set(_required("patients")) <= names


def _required(table: str) -> list[str]:
    asked = [column for column in form_columns(table) if column.required and column.name not in _FILLED_BY_LOADING]
    return [field_name(table, name) for name in [*(column.name for column in asked), *_NEEDED.get(table, ())]]


def read_template(project: RedcapProject) -> list[Records]:
    """Return the records of each form; a form that the project does not have is a table without rows.

    Raises
    ------
    DataError : a form lacks a required field
    """
    records: list[Records] = []
    for table in sorted(TABLES, key=lambda name: name != "measurements"):  # weights come before doses per kg
        if table in project.forms:
            weights = next((part.kept for part in records if part.table == "measurements"), empty_table("measurements"))
            records.append(_read_form(project, table, weights))
    return records


def _read_form(project: RedcapProject, table: str, weights: pd.DataFrame) -> Records:
    source = project.forms[table]
    _check_fields(project, table)
    text = _name_columns(source, table)
    frame, problems = parse_table(text.drop(columns=_CONVERTED.get(table, []), errors="ignore"), table, {})
    more, further = _convert(text, frame, table, weights)
    frame = frame.drop(columns=more.columns, errors="ignore").join(more)
    return split_records(
        table, frame.assign(source_file=source.name, source_row=source.cells.index), [*problems, *further],
        source_file=source.name,
        uneven=source.uneven,
        n_read=source.n_lines,
        columns_not_used=_list_unused(project, table),
        how_read="; ".join(source.tell()),
    )  # fmt: skip


def _convert(
    text: pd.DataFrame, frame: pd.DataFrame, table: str, weights: pd.DataFrame
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Turn results and doses as printed into canonical units."""
    if table == "labs":
        canonical = frame["analyte"].map(canonical_units()).fillna("")
        printed = text.assign(printed=text["value"], uln_unit=canonical)
        return convert_results(printed, frame["analyte"], units={}, decimal=".")
    if table == "treatments" and {"dose", "dose_unit"} <= set(text):
        return convert_doses(text.assign(dose_printed=text["dose"]), frame, weights[weights["measure"] == "weight"])
    return pd.DataFrame(index=frame.index), []


def _check_fields(project: RedcapProject, table: str) -> None:
    there = {field.name for field in project.fields}
    missing = [name for name in _required(table) if name not in there]
    if table == "patients" and not {"birth_date", "age_at_diagnosis"} & there:
        missing.append("birth_date (or age_at_diagnosis)")
    if missing:
        raise DataError(
            f"The form '{table}' of '{project.data_file}' lacks {len(missing)} field(s): {', '.join(missing)}",
            "Required fields of the blank data dictionary stay in the project",
            "Add the fields, or rename the form and read the project with a mapping",
        )


def _name_columns(source: Source, table: str) -> pd.DataFrame:
    """Return the cells of a form under the names of the schema's columns, coded ones as its words."""
    cells = source.cells
    text = {RECORD_ID: cells[RECORD_ID].to_numpy()}
    for column in form_columns(table):
        field = field_name(table, column.name)
        words = {code: word for word, code in choice_codes(column).items() if code != word}
        if field in cells:
            named = _PRINTED.get(table, {}).get(column.name, column.name)
            text[named] = (cells[field].replace(words) if words else cells[field]).to_numpy()
    if table == "patients" and GROUP in cells:
        text["centre"] = cells[GROUP].to_numpy()
    return pd.DataFrame(text)


def _list_unused(project: RedcapProject, table: str) -> str:
    """Return the fields of a form that the schema does not have, and with the patients those of other forms."""
    known = {RECORD_ID, *template_fields()}
    forms = [table] if table != "patients" else [table, *(form for form in project.forms if form not in TABLES)]
    return ", ".join(field.name for field in project.fields if field.form in forms and field.name not in known)
