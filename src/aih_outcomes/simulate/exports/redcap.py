"""Write a printed cohort as the export of a REDCap project: data, dictionary, events, forms, data access groups."""

import re
from pathlib import Path
from typing import Literal

import pandas as pd

from aih_outcomes.formats.redcap import (
    COMPLETE,
    EVENT,
    EVENTS,
    GROUP,
    INSTANCE,
    INSTRUMENT,
    RECORD_ID,
    YES_NO,
    Event,
    choice_codes,
    choice_labels,
    data_columns,
    dictionary,
    event_of,
    field_name,
    form_columns,
    form_label,
)
from aih_outcomes.schema import TABLES, Column
from aih_outcomes.simulate.exports.printed import Printed

Values = Literal["codes", "labels"]
_LONGEST_GROUP = 18  # characters of the unique name of a data access group


def export_redcap(printed: Printed, folder: str | Path, *, values: Values = "codes") -> None:
    """Write the files that REDCap exports of a longitudinal project with repeating forms and a repeating event.

    Parameters
    ----------
    printed : table → its cells as text; what is no word of the schema is written as it stands
    folder : is made if it does not exist; gets data.csv, dictionary.csv, arms.csv, events.csv, instruments.csv,
        event_forms.csv, repeating.csv, data_access_groups.csv
    values : whether the data hold codes under field names, or labels under the labels of the fields
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    groups = _name_groups(printed["patients"]["centre"])
    labelled = values == "labels"
    columns = data_columns()
    data = _join_forms(printed, groups, labelled=labelled)
    _write(data, out / "data.csv", list(columns.values()) if labelled else list(columns))
    _write(dictionary(), out / "dictionary.csv")
    _write(pd.DataFrame({"arm_num": [1], "name": ["Children"]}), out / "arms.csv")
    _write(_list_events(), out / "events.csv")
    forms = pd.DataFrame({"instrument_name": list(TABLES), "instrument_label": [form_label(name) for name in TABLES]})
    _write(forms, out / "instruments.csv")
    mapped = [(1, event.name, form) for event in EVENTS for form in event.forms]
    _write(pd.DataFrame(mapped, columns=["arm_num", "unique_event_name", "form"]), out / "event_forms.csv")
    repeating = [(event.name, form, "") for event in EVENTS if event.repeats for form in _repeated(event)]
    _write(pd.DataFrame(repeating, columns=["event_name", "form_name", "custom_form_label"]), out / "repeating.csv")
    named = pd.DataFrame({"data_access_group_name": list(groups), "unique_group_name": list(groups.values())})
    _write(named, out / "data_access_groups.csv")


def _repeated(event: Event) -> tuple[str, ...]:
    """Return the forms that repeat one by one; of an event that repeats as a whole, a blank one stands for all."""
    return event.forms if event.repeats == "forms" else ("",)


def _name_groups(centres: pd.Series) -> dict[str, str]:
    """Return centre → unique name of its data access group."""
    names: dict[str, str] = {}
    for centre in dict.fromkeys(filter(None, centres)):
        plain = re.sub(r"[^a-z0-9]+", "_", centre.lower()).strip("_")[:_LONGEST_GROUP] or "group"
        taken = sum(name == plain or re.fullmatch(rf"{plain}_\d+", name) is not None for name in names.values())
        names[centre] = f"{plain}_{taken + 1}" if taken else plain
    return names


def _list_events() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "event_name": event.label, "arm_num": 1, "unique_event_name": event.name, "day_offset": event.day,
                "custom_event_label": "", "event_id": number,
            }
            for number, event in enumerate(EVENTS, start=1)
        ]
    )  # fmt: skip


def _join_forms(printed: Printed, groups: dict[str, str], *, labelled: bool) -> pd.DataFrame:
    """Return all rows, record by record, with the columns of the export."""
    parts = [_write_form(printed[name], name, labelled=labelled) for name in TABLES]
    data = pd.concat(parts, ignore_index=True).reindex(columns=list(data_columns())).fillna("")
    patients = printed["patients"].drop_duplicates("patient_id").set_index("patient_id")["centre"]
    centre = data[RECORD_ID].map(patients).fillna("").to_numpy()
    centre[: len(printed["patients"])] = printed["patients"]["centre"]  # two rows of one patient may differ
    data[GROUP] = [name if labelled else groups.get(name, "") for name in centre]
    order = pd.factorize(data[RECORD_ID])[0]
    return data.iloc[order.argsort(kind="stable")]


def _write_form(table: pd.DataFrame, name: str, *, labelled: bool) -> pd.DataFrame:
    """Return one row per row of the table under the names of its fields."""
    event = event_of(name)
    form = pd.DataFrame({RECORD_ID: table["patient_id"].to_numpy()}, index=range(len(table)))
    form[EVENT] = event.label if labelled else event.name
    form[INSTRUMENT] = (form_label(name) if labelled else name) if event.repeats == "forms" else ""
    counted = (form.groupby(RECORD_ID).cumcount() + 1).astype(str)
    form[INSTANCE] = counted if event.repeats else ""
    for column in form_columns(name):
        words = _words(name, column, labelled=labelled)
        cells = table[column.name]
        form[field_name(name, column.name)] = [words.get(cell, cell) for cell in cells] if words else cells.to_numpy()
    form[f"{name}_complete"] = COMPLETE["2"] if labelled else "2"
    return form


def _words(table: str, column: Column, *, labelled: bool) -> dict[str, str]:
    """Return word of the schema → what the export writes for it."""
    if column.kind == "yes_no":
        return {"yes": YES_NO["1"], "no": YES_NO["0"]} if labelled else {"yes": "1", "no": "0"}
    labels = choice_labels(table, column)
    return {word: labels[code] if labelled else code for word, code in choice_codes(column).items()}


def _write(frame: pd.DataFrame, path: Path, header: list[str] | None = None) -> None:
    frame.to_csv(path, index=False, header=header or True, lineterminator="\n", encoding="utf-8")
