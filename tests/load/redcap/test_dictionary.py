"""Data dictionaries: downloaded or from the API, choices, faults."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.errors import DataError
from aih_outcomes.formats.redcap import HEADERS, write_choices
from aih_outcomes.load.redcap.columns import checkbox_name
from aih_outcomes.load.redcap.dictionary import Field, infer_fields, parse_choices, read_fields, without_markup
from aih_outcomes.load.spreadsheets.separated import read_separated


def read(tmp_path: Path, text: str) -> tuple[list[Field], list[tuple[str, int | None, str]]]:
    (tmp_path / "dictionary.csv").write_text(text, encoding="utf-8")
    fields, problems = read_fields(read_separated(tmp_path / "dictionary.csv", "dictionary.csv"))
    return fields, [(one.field, one.row, one.rule) for one in problems]


SHORT = "field_name,form_name,field_type,select_choices_or_calculations\n"


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("1, Yes | 2, No, never", {"1": "Yes", "2": "No, never"}),
        ("1, one|2, two|3, three", {"1": "one", "2": "two", "3": "three"}),
        ("-1, Refused | 999, Unknown", {"-1": "Refused", "999": "Unknown"}),
        ("A1, first | b_2, second", {"A1": "first", "b_2": "second"}),
        ("1, | 2, two", {"1": "", "2": "two"}),
        ("yes | no", {"yes": "yes", "no": "no"}),
        ("0, Нет | 1, Да", {"0": "Нет", "1": "Да"}),
        ("", {}),
        (" | ", {}),
    ],
)
def test_choices_are_read(text: str, choices: dict[str, str]) -> None:
    assert parse_choices(text) == choices


CODE = st.text(st.characters(codec="utf-8", categories=["L", "N"], include_characters="-_."), min_size=1)
LABEL = st.text(st.characters(codec="utf-8", exclude_characters="|\n\\", exclude_categories=["Z", "C"]))


@given(st.dictionaries(CODE, LABEL))
@example({"1": "No, never", "-1": ",", "0": ""})
def test_choices_that_were_written_are_read_back(choices: dict[str, str]) -> None:
    assert parse_choices(write_choices(choices)) == choices


@given(st.text())
@example("|,|,,|\\n")
@example("1, a | 1, b")
def test_any_text_is_read_as_choices(text: str) -> None:
    assert all(code == code.strip() for code in parse_choices(text))


@given(st.text(), st.text())
@example("race", "-1")
def test_the_column_of_a_choice_is_written_as_redcap_writes_it(field: str, code: str) -> None:
    name = checkbox_name(field, code)
    assert name.startswith(f"{field}___")
    assert "-" not in name.removeprefix(field)


def test_reads_both_headers(tmp_path: Path) -> None:
    row = 'id,form,,radio,Sex,"0, Female | 1, Male",,,,,y,,,,,,,\n'
    downloaded = read(tmp_path, ",".join(f'"{name}"' for name in HEADERS) + "\n" + row)
    from_api = read(tmp_path, ",".join(HEADERS.values()) + "\n" + row)
    assert downloaded == from_api
    (field,), problems = downloaded
    assert (field.name, field.form, field.kind, field.label) == ("id", "form", "radio", "Sex")
    assert field.choices == {"0": "Female", "1": "Male"}
    assert field.identifier
    assert problems == []


def test_empty_cells_written_by_r_as_na_are_empty(tmp_path: Path) -> None:
    (field,), _ = read(tmp_path, ",".join(HEADERS.values()) + "\nid,form,NA,text,ID" + ",NA" * 13 + "\n")
    assert (field.validation, field.low, field.identifier) == ("", "", False)


def test_yes_no_and_true_false_have_the_codes_of_redcap(tmp_path: Path) -> None:
    fields, problems = read(tmp_path, SHORT + "a,f,yesno,\nb,f,truefalse,\n")
    assert [field.choices for field in fields] == [{"1": "Yes", "0": "No"}, {"1": "True", "0": "False"}]
    assert problems == []


def test_names_field_and_row_of_what_cannot_be_read(tmp_path: Path) -> None:
    _, problems = read(tmp_path, SHORT + 'a,f,text,\nb,f,radio,\nc,f,magic,\nd,f,dropdown,"1, x | 1, y"\n')
    assert [(field, row) for field, row, _ in problems] == [("b", 3), ("c", 4), ("d", 5)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("a,f,text,\na,f,text,\n", "line 3, column 'Variable / Field Name' names a field for the second time"),
        ("a,,text,\n", "line 2, column 'Form Name' is empty"),
        (",f,text,\n", "line 2, column 'Variable / Field Name' is empty"),
        ("a,f,text,\nb,f,te\n", "line 3 has more or fewer cells than the header"),
    ],
)
def test_refuses_a_dictionary_that_is_cut_or_repeats_itself(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(tmp_path, SHORT + body)
    assert "'dictionary.csv'" in error.value.what


def test_without_dictionary_a_form_ends_with_its_state() -> None:
    fields = infer_fields(
        ["id", "redcap_event_name", "dob", "race___1", "race___2", "person_complete", "alt", "x_complete"]
    )
    assert [(field.name, field.form) for field in fields] == [
        ("id", "person"), ("dob", "person"), ("race", "person"), ("alt", "x"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "plain"),
    [("<b>Weight</b> (kg)", "Weight (kg)"), ("<5 to >10", "<5 to >10"), ("Line\n  break", "Line break"), ("", "")],
)
def test_labels_lose_their_markup_alone(label: str, plain: str) -> None:
    assert without_markup(label) == plain
