"""Files that are cut, mixed up or hostile: read with what is wrong named, or refused with file and line."""

from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import AihError, DataError
from aih_outcomes.load.redcap import read_project


class Project(Protocol):
    def __call__(self, **files: str) -> Path: ...


DICTIONARY = 'id,f,text,Record\nsex,f,radio,Sex,"0, Girl | 1, Boy"\nnote,f,notes,Remark\nday,g,text,Day,,date_ymd'
GOOD = "id,sex,note,f_complete,day,g_complete\n1,0,fine,2,2020-01-02,2\n"


def cells(folder: Path, column: str, form: str = "f") -> list[str]:
    return list(read_project(folder, keep=["note"]).forms[form].cells[column])


def test_an_empty_data_file_is_refused(project: Project) -> None:
    folder = project(dictionary=DICTIONARY)
    (folder / "data.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"'data\.csv' has no column 'id'"):
        read_project(folder)


def test_an_empty_dictionary_is_no_dictionary(project: Project) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD)
    header = (folder / "dictionary.csv").read_text(encoding="utf-8").splitlines()[0]
    (folder / "dictionary.csv").write_text(header + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="names no field"):
        read_project(folder)


def test_a_dictionary_with_a_column_twice_is_refused_and_columns_without_a_name_are_nothing(project: Project) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD)
    header, *lines = (folder / "dictionary.csv").read_text(encoding="utf-8").splitlines()
    wider = [f"{line},," for line in lines]
    (folder / "dictionary.csv").write_text("\n".join([f"{header},,", *wider]), encoding="utf-8")
    assert cells(folder, "sex") == ["0"]
    (folder / "dictionary.csv").write_text("\n".join([f"{header},,Field Label", *wider]), encoding="utf-8")
    with pytest.raises(DataError, match="has two columns 'Field Label'"):
        read_project(folder)


def test_the_dictionary_of_another_project_is_refused(project: Project) -> None:
    with pytest.raises(DataError, match="has no column 'study_no', the first field of the data dictionary"):
        read_project(project(dictionary="study_no,a,text\nx,a,text", data=GOOD))


def test_a_file_cut_in_a_cell_names_its_line(project: Project) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD + '2,1,"cut in the mid')
    with pytest.raises(DataError, match=r"Line 3 of 'data\.csv' cannot be split"):
        read_project(folder)


def test_a_file_cut_between_cells_sets_the_line_aside(project: Project) -> None:
    project_read = read_project(project(dictionary=DICTIONARY, data=GOOD + "2,1,cut"))
    assert project_read.forms["f"].uneven == (3,)
    assert project_read.forms["f"].n_lines == 2
    assert "1 line of data.csv longer or shorter than its header" in project_read.notes


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_and_windows_lines_change_nothing(project: Project, newline: str, encoding: str) -> None:
    folder = project(dictionary=DICTIONARY)
    text = (GOOD + '2,1,"Ж ""quoted""\nand a second line",2,,\n').replace("\n", newline)
    (folder / "data.csv").write_bytes(text.encode(encoding))
    assert cells(folder, "note")[1].split() == ["Ж", '"quoted"', "and", "a", "second", "line"]
    assert cells(folder, "sex") == ["0", "1"]


def test_another_encoding_is_refused_with_a_guess(project: Project) -> None:
    folder = project(dictionary=DICTIONARY)
    (folder / "data.csv").write_bytes((GOOD + "2,1,Müller und Söhne,2,,\n").encode("cp1252"))
    with pytest.raises(DataError, match="is not text in the encoding utf-8"):
        read_project(folder)


def test_the_encoding_of_the_mapping_is_that_of_files_that_are_not_in_utf8(project: Project) -> None:
    folder = project(dictionary=DICTIONARY.replace("Girl", "Mädchen"))
    (folder / "data.csv").write_bytes((GOOD + "2,1,Müller und Söhne,2,,\n").encode("cp1252"))
    read = read_project(folder, keep=["note"], encoding="cp1252")
    assert list(read.forms["f"].cells["note"]) == ["fine", "Müller und Söhne"]
    assert next(one for one in read.fields if one.name == "sex").choices["0"] == "Mädchen"
    assert "text in cp1252, as the mapping says" in read.notes


def test_a_folder_named_like_a_file_is_none(project: Project) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD)
    (folder / "archive.csv").mkdir()
    assert cells(folder, "sex") == ["0"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_of_the_export_is_found(project: Project, separator: str) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD.replace(",", separator))
    assert cells(folder, "sex") == ["0"]


def test_a_remark_of_ten_million_characters_is_refused_with_its_line(project: Project) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD + f"2,1,{'x' * 10_000_000},2,,")
    with pytest.raises(DataError, match=r"Line 3 of 'data\.csv' has a cell of more than"):
        read_project(folder)


def test_hostile_words_are_just_text(project: Project) -> None:
    words = ["'; DROP TABLE patients; --", "=HYPERLINK(1)", "../../etc/passwd", "%s%n{0}"]
    rows = "".join(f'"{word}",0,x,2,,\n' for word in words)
    assert cells(project(dictionary=DICTIONARY, data=GOOD + rows), "id") == ["1", *words]


def test_zero_bytes_are_refused(project: Project) -> None:
    folder = project(dictionary=DICTIONARY, data=GOOD)
    (folder / "data.csv").write_bytes(GOOD.encode() + b"\0\0\0")
    with pytest.raises(DataError, match="zero bytes"):
        read_project(folder)


def test_a_header_that_stands_twice_is_refused(project: Project) -> None:
    with pytest.raises(DataError, match=r"1 column\(s\) stand twice"):
        read_project(project(dictionary=DICTIONARY, data="id,sex,sex\n1,0,1"))


@pytest.mark.parametrize("path", ["nowhere", "nowhere/data.csv"])
def test_a_path_that_is_not_there_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="There is no"):
        read_project(tmp_path / path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.text(st.characters(codec="utf-8")), dictionary=st.text(st.sampled_from('idf,text|\n"_1')))
@example(data="id\n1", dictionary="id,f,text\n")
@example(data='id,"', dictionary="id,f,radio,|,|\n")
@example(data="id,id___1,id___1\n,,", dictionary="id,f,checkbox,x,1\n")
@example(data="\ufeffid\r\r\n", dictionary="")
def test_any_text_is_read_or_refused_in_three_parts(tmp_path: Path, data: str, dictionary: str) -> None:
    header = "field_name,form_name,field_type,field_label,select_choices_or_calculations\n"
    (tmp_path / "dictionary.csv").write_text(header + dictionary, encoding="utf-8")
    (tmp_path / "data.csv").write_text(data, encoding="utf-8", newline="")
    with suppress(AihError):
        assert read_project(tmp_path).forms
