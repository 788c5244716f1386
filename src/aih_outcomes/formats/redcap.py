"""How the schema is written in REDCap: forms, fields, choices, events; one project serves exporter, reader, template.

Each table is a form of its name. ``patients`` is filled once, at the event of diagnosis; the tables of facts are
repeating forms of the course; ``follow_up`` fills a repeating event. The centre is the record's data access group.
Results and doses stand there as they were printed: loading converts them.
"""

import re
from dataclasses import dataclass

import pandas as pd

from aih_outcomes.catalogue import read_analytes, read_drugs
from aih_outcomes.schema import TABLES, Column

# Header of a data dictionary as it is downloaded and uploaded, and the name of each column in the API.
HEADERS = {
    "Variable / Field Name": "field_name",
    "Form Name": "form_name",
    "Section Header": "section_header",
    "Field Type": "field_type",
    "Field Label": "field_label",
    "Choices, Calculations, OR Slider Labels": "select_choices_or_calculations",
    "Field Note": "field_note",
    "Text Validation Type OR Show Slider Number": "text_validation_type_or_show_slider_number",
    "Text Validation Min": "text_validation_min",
    "Text Validation Max": "text_validation_max",
    "Identifier?": "identifier",
    "Branching Logic (Show field only if...)": "branching_logic",
    "Required Field?": "required_field",
    "Custom Alignment": "custom_alignment",
    "Question Number (surveys only)": "question_number",
    "Matrix Group Name": "matrix_group_name",
    "Matrix Ranking?": "matrix_ranking",
    "Field Annotation": "field_annotation",
}
RECORD_ID = "patient_id"
_RECORD_LABEL = "Pseudonym of the patient; no hospital or health service number"
EVENT, INSTRUMENT, INSTANCE = "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"
GROUP = "redcap_data_access_group"
COMPLETE = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
YES_NO = {"1": "Yes", "0": "No"}
MISSING_FROM_FORMS = ("source_file", "source_row")

_PREFIXES = {
    "patients": "",
    "labs": "lab_",
    "treatments": "drug_",
    "events": "event_",
    "biopsies": "biopsy_",
    "imaging": "imaging_",
    "measurements": "measured_",
    "variants": "gene_",
    "adverse_events": "adverse_",
    "clinician_responses": "judged_",
    "follow_up": "followed_",
}
_CONVERTED = {"labs": ("value", "unit", "comparator"), "treatments": ("dose",)}  # made of what was printed
_FIELD_TYPES = {"category": "dropdown", "yes_no": "yesno"}
_VALIDATIONS = {"date": "date_ymd", "number": "number", "integer": "integer"}
_BRANCHING = {
    ("patients", "age_at_diagnosis"): "[birth_date] = ''",
    ("treatments", "reason_stopped"): "[drug_stop] <> ''",
    ("events", "cause"): "[event_kind] = 'death'",
    ("events", "grade"): "[event_kind] = 'encephalopathy' or [event_kind] = 'ascites'",
    ("imaging", "shows"): "[imaging_finding] = 'abnormal'",
    ("imaging", "stiffness"): "[imaging_modality] = 'elastography'",
} | {
    ("variants", column): "[gene_result] = 'variant'"
    for column in ("gene", "mechanism", "zygosity", "acmg_class", "mechanism_confirmed", "hgvs")
}
_IDENTIFYING = {("patients", "birth_date")}
_REQUIRED = {("labs", "raw_value"), ("labs", "raw_unit")}
_OPTIONAL = {("labs", "uln_source")}  # loading says "reported" where a limit is given, and completes it where not
_NOTES = {
    ("labs", "raw_value"): "As printed: 35, <5, 1:640",
    ("labs", "raw_unit"): "As printed: U/L, mg/dL, g/L",
    ("labs", "uln"): "In the canonical unit of the analyte; see the codebook",
    ("treatments", "raw_dose"): "Per day, as recorded",
    ("treatments", "raw_dose_unit"): "mg/day or mg/kg/day",
    ("measurements", "value"): "weight in kg, height in cm, spleen in cm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the project: its label, unique name, day since diagnosis, forms, and what of it repeats."""

    label: str
    name: str
    day: int
    forms: tuple[str, ...]
    repeats: str = ""


DIAGNOSIS = Event(label="Diagnosis", name="diagnosis_arm_1", day=0, forms=("patients",))
COURSE = Event(
    label="Course", name="course_arm_1", day=1, repeats="forms",
    forms=tuple(name for name in TABLES if name not in ("patients", "follow_up")),
)  # fmt: skip
OBSERVATION = Event(
    label="Period under observation", name="observation_arm_1", day=2, repeats="event", forms=("follow_up",)
)
EVENTS = (DIAGNOSIS, COURSE, OBSERVATION)


def form_columns(table: str) -> list[Column]:
    """Return the columns of a table that its form asks for; the centre is the data access group."""
    left_out = {*MISSING_FROM_FORMS, *_CONVERTED.get(table, ()), RECORD_ID}
    left_out |= {"centre"} if table == "patients" else set()
    return [column for column in TABLES[table].columns if column.name not in left_out]


def field_name(table: str, column: str) -> str:
    """Return the field that holds a column.

    Examples
    --------
    >>> field_name("labs", "analyte"), field_name("patients", "sex"), field_name("labs", "patient_id")
    ('lab_analyte', 'sex', 'patient_id')
    """
    return column if column == RECORD_ID else _PREFIXES[table] + column


def choice_codes(column: Column) -> dict[str, str]:
    """Return word of the schema → code; a code holds letters, digits and underscores only."""
    return {level: re.sub(r"\W", "_", level) for level in column.levels}


def choice_labels(table: str, column: Column) -> dict[str, str]:
    """Return code → label of a choice."""
    codes = choice_codes(column)
    full = _full_names(column.name)
    return {code: full.get(level, level.replace("_", " ").capitalize()) for level, code in codes.items()}


def _full_names(column: str) -> dict[str, str]:
    """Return the names of analytes and drugs as the catalogue has them."""
    if column == "analyte":
        catalogue, key = read_analytes(), "analyte"
    elif column in ("drug", "related_drug"):
        catalogue, key = read_drugs(), "drug"
    else:
        return {}
    return dict(zip(catalogue[key], catalogue["name"].str.replace("|", "/", regex=False), strict=True))


def write_choices(choices: dict[str, str]) -> str:
    """Return choices as a dictionary holds them: ``1, Yes | 0, No``."""
    return " | ".join(f"{code}, {label}" for code, label in choices.items())


def dictionary() -> pd.DataFrame:
    """Return the blank data dictionary of the schema: one row per field, REDCap's eighteen columns in its order."""
    record = _row("patients", RECORD_ID, "text", _RECORD_LABEL)
    rows = [record, *(_describe(table, column) for table in TABLES for column in form_columns(table))]
    return pd.DataFrame(rows, columns=list(HEADERS)).fillna("")


def _row(form: str, field: str, kind: str, label: str) -> dict[str, str]:
    return {"Variable / Field Name": field, "Form Name": form, "Field Type": kind, "Field Label": label}


def _describe(table: str, column: Column) -> dict[str, str]:
    """Return the row of the dictionary for one column."""
    key = (table, column.name)
    row = _row(table, field_name(table, column.name), _FIELD_TYPES.get(column.kind, "text"), column.describes)
    row["Field Note"] = _NOTES.get(key, column.unit)
    row["Branching Logic (Show field only if...)"] = _BRANCHING.get(key, "")
    row["Identifier?"] = "y" if key in _IDENTIFYING else ""
    row["Required Field?"] = "y" if key in _REQUIRED or (column.required and key not in _OPTIONAL) else ""
    row["Text Validation Type OR Show Slider Number"] = _VALIDATIONS.get(column.kind, "")
    if column.levels:
        row["Choices, Calculations, OR Slider Labels"] = write_choices(choice_labels(table, column))
    if column.at_least is not None and column.at_most is not None:
        row["Text Validation Min"], row["Text Validation Max"] = f"{column.at_least:.10g}", f"{column.at_most:.10g}"
    if column.kind == "date":
        row["Field Note"] = "YYYY-MM-DD"
    return row


def form_label(table: str) -> str:
    """Return the label of a form: ``Adverse events``."""
    return table.replace("_", " ").capitalize()


def event_of(table: str) -> Event:
    """Return the event at which the form of a table is filled."""
    return next(event for event in EVENTS if table in event.forms)


def data_columns() -> dict[str, str]:
    """Return the columns of an export of the project, in its order, and the label of each."""
    columns = {RECORD_ID: _RECORD_LABEL, EVENT: "Event Name", INSTRUMENT: "Repeat Instrument"}
    columns |= {INSTANCE: "Repeat Instance", GROUP: "Data Access Group"}
    for table in TABLES:
        columns |= {field_name(table, column.name): column.describes for column in form_columns(table)}
        columns[f"{table}_complete"] = "Complete?"
    return columns
