"""The blank dictionary is one that REDCap takes, and it holds every column of the schema."""

import re

import pandas as pd

from aih_outcomes.formats.redcap import (
    EVENTS,
    HEADERS,
    choice_codes,
    choice_labels,
    data_columns,
    dictionary,
    field_name,
    form_columns,
)
from aih_outcomes.schema import TABLES

NAME, FORM, KIND = "Variable / Field Name", "Form Name", "Field Type"
CHOICES, VALIDATION = "Choices, Calculations, OR Slider Labels", "Text Validation Type OR Show Slider Number"
BRANCHING = "Branching Logic (Show field only if...)"


def codes_of(row: pd.Series) -> list[str]:
    if row[KIND] == "yesno":
        return ["0", "1"]
    return [choice.partition(",")[0].strip() for choice in row[CHOICES].split("|")]


def test_has_the_eighteen_columns_of_a_dictionary_in_their_order() -> None:
    assert list(dictionary().columns) == list(HEADERS)
    assert len(HEADERS) == 18


def test_field_names_are_such_as_redcap_takes() -> None:
    names = dictionary()[NAME]
    assert names.is_unique
    assert names.str.fullmatch(r"[a-z][a-z0-9_]{0,25}").all()  # at most 26 characters
    assert not names.str.contains("__").any()  # reserved for the choices of a checkbox


def test_the_first_field_identifies_the_record_and_each_form_stands_together() -> None:
    frame = dictionary()
    assert frame[NAME].iloc[0] == "patient_id"
    assert (frame[FORM] != frame[FORM].shift()).sum() == frame[FORM].nunique() == len(TABLES)


def test_types_validations_and_limits_are_such_as_redcap_knows() -> None:
    frame = dictionary()
    assert set(frame[KIND]) == {"text", "dropdown", "yesno"}
    assert set(frame[VALIDATION]) == {"", "date_ymd", "number", "integer"}
    limited = frame[frame["Text Validation Min"].ne("")]
    assert limited[VALIDATION].isin(["number", "integer"]).all()
    assert (limited["Text Validation Min"].astype(float) < limited["Text Validation Max"].astype(float)).all()


def test_choices_have_a_code_and_a_label_of_their_own() -> None:
    coded = dictionary().query(f"`{KIND}` == 'dropdown'")
    for text in coded[CHOICES]:
        pairs = [choice.partition(",") for choice in text.split("|")]
        codes, labels = [code.strip() for code, _, _ in pairs], [label.strip() for _, _, label in pairs]
        assert len(set(codes)) == len(codes) == len(set(labels))
        assert all(re.fullmatch(r"\w+", code, re.ASCII) for code in codes)
        assert all(labels)


def test_every_word_of_the_schema_has_a_code() -> None:
    for table in TABLES:
        for column in form_columns(table):
            assert set(choice_codes(column)) == set(column.levels)
            assert len(choice_labels(table, column)) == len(column.levels)


def test_branching_names_fields_and_codes_that_exist() -> None:
    frame = dictionary().set_index(NAME)
    asked = frame[BRANCHING][frame[BRANCHING].ne("")]
    assert len(asked) > 0
    for text in asked:
        for field, code in re.findall(r"\[(\w+)\] (?:=|<>) '(\w*)'", text):
            assert code == "" or code in codes_of(frame.loc[field])


def test_every_column_of_the_schema_is_asked_for_but_what_reading_makes() -> None:
    asked = {(table, column.name) for table in TABLES for column in form_columns(table)}
    schema = {(name, column.name) for name, table in TABLES.items() for column in table.columns}
    made = {
        *((name, column) for name in TABLES for column in ("patient_id", "source_file", "source_row")),
        ("patients", "centre"),  # the data access group
        *(("labs", name) for name in ("value", "unit", "comparator")),  # of what was printed
        ("treatments", "dose"),
    }
    assert schema - asked == made


def test_only_the_date_of_birth_is_marked_as_identifying() -> None:
    frame = dictionary()
    assert frame[NAME][frame["Identifier?"] == "y"].tolist() == ["birth_date"]


def test_each_form_is_filled_at_one_event() -> None:
    assert sorted(form for event in EVENTS for form in event.forms) == sorted(TABLES)
    assert all(re.fullmatch(r"\w+_arm_1", event.name) for event in EVENTS)


def test_an_export_holds_every_field_and_the_state_of_each_form() -> None:
    columns = data_columns()
    assert set(dictionary()[NAME]) | {f"{name}_complete" for name in TABLES} <= set(columns)
    assert next(iter(columns)) == field_name("patients", "patient_id")
