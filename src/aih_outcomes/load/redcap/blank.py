"""``write_redcap_template``: a blank project of the schema, to be uploaded to REDCap."""

from pathlib import Path

import pandas as pd

from aih_outcomes.formats.redcap import (
    EVENT,
    EVENTS,
    INSTANCE,
    INSTRUMENT,
    RECORD_ID,
    YES_NO,
    choice_labels,
    data_columns,
    dictionary,
    event_of,
    field_name,
    form_columns,
    form_label,
)
from aih_outcomes.schema import TABLES, Column

_EXAMPLE_RECORD = "EXAMPLE-1"
# An invented child. What is not named here is left blank, as in a form that someone has begun to fill.
_EXAMPLE: dict[str, dict[str, str]] = {
    "patients": {
        "sex": "female", "birth_date": "2008-04-02", "diagnosis_date": "2018-05-14", "first_seen_date": "2018-05-14",
        "diagnosis": "aih", "aih_type": "type_1", "asc_at_baseline": "normal", "presentation": "insidious",
        "cirrhosis_at_diagnosis": "0", "ibd": "0",
    },
    "labs": {
        "date": "2018-05-14", "analyte": "alt", "raw_value": "512", "raw_unit": "U/L", "uln": "40",
        "uln_source": "reported", "visit": "scheduled",
    },
    "treatments": {
        "drug": "prednisolone", "route": "oral", "raw_dose": "40", "raw_dose_unit": "mg/day", "start": "2018-05-15",
        "indication": "aih",
    },
    "events": {"date": "2019-03-01", "kind": "relapse_diagnosed"},
    "biopsies": {"date": "2018-05-14", "hai": "11", "ishak_fibrosis": "3", "adequate": "1"},
    "imaging": {"date": "2018-05-20", "modality": "mrcp", "finding": "normal"},
    "measurements": {"date": "2018-05-14", "measure": "weight", "value": "31.5"},
    "variants": {"date": "2018-09-03", "result": "no_variant"},
    "adverse_events": {"date": "2018-07-01", "kind": "cushingoid", "grade": "2", "serious": "0"},
    "clinician_responses": {
        "date": "2018-11-14", "endpoint": "response_by_6_months", "clinician_response": "met",
        "reason": "Transaminases and IgG normal at two visits", "initials": "AB",
    },
    "follow_up": {"start": "2018-05-14", "end": "2023-01-31", "end_reason": "ongoing", "end_source": "visit"},
}  # fmt: skip

_README = """# A blank REDCap project of the schema

1. In REDCap, make a project, then Project Setup > Online Designer > Data Dictionary: upload `dictionary.csv`.
2. Turn on "longitudinal" and make the events below, in this order, and give each its forms.
3. Turn on "repeatable instruments and events" as said below. Each centre is a data access group.
4. Export the records as CSV (raw or labels) with the data dictionary, the events and the data access groups into one
   folder, and read it with `read_redcap(folder)`.

{events}

Results, doses and units are typed as printed; reading converts them. Dates are YYYY-MM-DD. `example.csv` is an invented
child in the form of an import: nobody's record, to be deleted after the test.

# Codebook

{fields}
"""


def write_redcap_template(folder: str | Path) -> None:
    """Write the blank data dictionary of the schema, a codebook and the import of one invented child.

    Parameters
    ----------
    folder : is made if it does not exist; gets ``dictionary.csv`` (as REDCap's upload takes it), ``README.md`` with
        events and codebook, ``example.csv``
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    _write(dictionary(), out / "dictionary.csv")
    _write(pd.DataFrame(list(map(_example_row, TABLES)), columns=list(data_columns())).fillna(""), out / "example.csv")
    text = _README.format(events="\n".join(_list_events()), fields="\n\n".join(map(_describe_form, TABLES)))
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _example_row(table: str) -> dict[str, str]:
    event = event_of(table)
    row = {RECORD_ID: _EXAMPLE_RECORD, EVENT: event.name}
    if event.repeats:
        row |= {INSTANCE: "1", INSTRUMENT: table if event.repeats == "forms" else ""}
    return row | {field_name(table, name): cell for name, cell in _EXAMPLE[table].items()} | {f"{table}_complete": "2"}


def _list_events() -> list[str]:
    repeats = {"": "once", "forms": "each form repeats", "event": "the event repeats as a whole"}
    lines = ["| Event | Unique name | Forms | Repeats |", "|---|---|---|---|"]
    return lines + [
        f"| {event.label} | {event.name} | {', '.join(event.forms)} | {repeats[event.repeats]} |" for event in EVENTS
    ]


def _describe_form(table: str) -> str:
    """Return the codebook of a form: one line per field."""
    lines = [f"## {form_label(table)} (one row per {TABLES[table].one_row_per})", ""]
    lines += ["| Field | Holds | Unit | Codes |", "|---|---|---|---|"]
    lines += [
        f"| {field_name(table, column.name)} | {column.describes} | {column.unit} | {_list_codes(table, column)} |"
        for column in form_columns(table)
    ]
    return "\n".join(lines)


def _list_codes(table: str, column: Column) -> str:
    codes = YES_NO if column.kind == "yes_no" else choice_labels(table, column)
    return "; ".join(f"{code} = {label}" for code, label in codes.items())


def _write(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
