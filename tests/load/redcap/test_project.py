"""Exports of any project: forms, events, repeats, labels, types; nothing is lost, and faults are named."""

from pathlib import Path
from typing import Protocol

import pytest

from aih_outcomes.errors import DataError
from aih_outcomes.load.redcap import RedcapProject, read_project


class Project(Protocol):
    def __call__(self, **files: str) -> Path: ...


def faults(project: RedcapProject) -> list[tuple[str, int | None, str]]:
    found = project.problems
    rows = [None if row is None else int(row) for row in found["row"].astype(object)]
    return list(zip(found["file"], rows, found["field"], strict=True))


def cells(project: RedcapProject, form: str, column: str) -> dict[int, str]:
    frame = project.forms[form].cells
    return dict(zip(frame.index.tolist(), frame[column], strict=True))


LONGITUDINAL = """
    id,person,text,Record
    sex,person,radio,Sex,"0, Female | 1, Male"
    alt,labs,text,ALT,,number
    drug,treatment,dropdown,Drug,"p, Prednisolone | a, Azathioprine"
"""


def test_repeating_forms_and_events_become_tables_of_their_own(project: Project) -> None:
    read = read_project(project(
        dictionary=LONGITUDINAL,
        data="""
            id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,sex,person_complete,alt,labs_complete,drug,treatment_complete
            1,start_arm_1,,,0,2,,,,
            1,course_arm_1,labs,1,,,40,2,,
            1,course_arm_1,labs,2,,,50,2,,
            1,visit_arm_1,,1,,,60,2,p,2
            1,visit_arm_1,,2,,,70,2,a,2
        """,
    ))  # fmt: skip
    assert cells(read, "person", "sex") == {2: "0"}
    assert cells(read, "labs", "alt") == {3: "40", 4: "50", 5: "60", 6: "70"}
    assert cells(read, "treatment", "drug") == {5: "p", 6: "a"}
    assert cells(read, "labs", "redcap_repeat_instance") == {3: "1", 4: "2", 5: "1", 6: "2"}
    assert faults(read) == []


def test_events_bring_their_label_arm_and_day(project: Project) -> None:
    read = read_project(project(
        dictionary="id,person,text\nalt,labs,text",
        events="""
            event_name,arm_num,unique_event_name,day_offset
            Visit,1,visit_arm_1,90
            Visit,2,visit_arm_2,95
        """,
        arms="arm_num,name\n1,Drug A\n2,Drug B",
        data="""
            id,redcap_event_name,alt,labs_complete
            1,visit_arm_1,40,2
            2,Visit (Arm 2: Drug B),41,2
            3,another_arm_1,42,2
        """,
    ))  # fmt: skip
    assert cells(read, "labs", "redcap_event_name") == {2: "visit_arm_1", 3: "visit_arm_2", 4: "another_arm_1"}
    assert cells(read, "labs", "redcap_event_label") == {2: "Visit", 3: "Visit", 4: ""}
    assert cells(read, "labs", "redcap_arm") == {2: "1", 3: "2", 4: ""}
    assert cells(read, "labs", "redcap_day_offset") == {2: "90", 3: "95", 4: ""}
    assert ("data.csv", 4, "redcap_event_name") in faults(read)


def test_data_access_groups_bring_their_name(project: Project) -> None:
    read = read_project(project(
        dictionary="id,person,text\nage,person,text",
        data_access_groups="data_access_group_name,unique_group_name\nKing's College,kings_college",
        data="id,redcap_data_access_group,age\n1,kings_college,8\n2,,9",
    ))  # fmt: skip
    assert cells(read, "person", "redcap_data_access_group") == {2: "King's College", 3: ""}


def test_a_form_that_was_never_opened_is_no_row(project: Project) -> None:
    read = read_project(project(
        dictionary='id,person,text\nage,person,text\nrace,other,checkbox,Race,"1, a | 2, b"',
        data="""
            id,age,person_complete,race___1,race___2,other_complete
            1,8,2,0,0,0
            2,,0,1,0,0
            3,,0,0,0,0
            4,,2,0,0,
        """,
    ))  # fmt: skip
    assert cells(read, "person", "age") == {2: "8", 5: ""}
    assert cells(read, "other", "race___1") == {3: "1"}
    assert "1 line of data.csv with nothing filled in passed over" in read.notes


def test_cells_outside_of_the_named_form_are_not_lost(project: Project) -> None:
    read = read_project(project(
        dictionary=LONGITUDINAL,
        data="""
            id,redcap_repeat_instrument,redcap_repeat_instance,sex,alt,drug
            1,labs,1,,40,p
            2,Labs,1,,41,
            3,vitals,1,,42,
        """,
    ))  # fmt: skip
    assert cells(read, "labs", "alt") == {2: "40", 3: "41", 4: "42"}
    assert cells(read, "treatment", "drug") == {2: "p"}
    assert faults(read) == [("data.csv", 4, "redcap_repeat_instrument")]


def test_odd_codes_of_checkboxes_are_found(project: Project) -> None:
    read = read_project(project(
        dictionary='id,f,text\nc,f,checkbox,C,"-1, no | A, a | 2.5, b"',
        data="id,c____1,c___a,c___2_5,c___unk\n1,1,0,0,0\n2,0,1,0,1",
    ))  # fmt: skip
    assert list(read.forms["f"].cells) == ["id", "c____1", "c___a", "c___2_5", "c___unk"]
    assert faults(read) == []


LABELLED = """
    id,person,text,Record
    sex,person,radio,Sex,"0, Female | 1, Male"
    ill,person,yesno,Ill
    race,person,checkbox,Race,"1, a | 2, b"
    day,labs,text,Day,,date_dmy
    drug_day,drugs,text,Day,,date_dmy
"""


def test_labels_become_codes_and_labels_of_fields_their_names(project: Project) -> None:
    read = read_project(project(
        dictionary=LABELLED,
        data="""
            Record,Event Name,Sex,Ill,Race (choice=a),Race (choice=b),Complete?,Day,Complete?,Day,Complete?
            1,Start,Male,Yes,Checked,Unchecked,Complete,2020-01-02,Incomplete,2021-01-02,Unverified
        """,
    ))  # fmt: skip
    person = read.forms["person"].cells[["sex", "ill", "race___1", "race___2", "person_complete"]]
    assert person.to_numpy().tolist() == [["1", "1", "1", "0", "2"]]
    assert cells(read, "labs", "day") == {2: "2020-01-02"}
    assert cells(read, "drugs", "drug_day") == {2: "2021-01-02"}
    assert faults(read) == []


def test_labels_under_field_names_become_codes(project: Project) -> None:
    read = read_project(project(dictionary=LABELLED, data="id,sex,ill,day,drug_day\n1,Female,No,2020-01-02,2021-01-02"))
    assert cells(read, "person", "sex") == {2: "0"}
    assert cells(read, "person", "ill") == {2: "0"}


def test_a_label_of_two_fields_is_not_guessed_where_one_of_them_is_missing(project: Project) -> None:
    read = read_project(project(dictionary=LABELLED, data="Record,Sex,Day\n1,Male,2020-01-02"))
    assert "day" not in read.forms["labs"].cells
    assert ("data.csv", 1, "column 3") in faults(read)


def test_a_label_of_two_codes_is_refused(project: Project) -> None:
    read = read_project(project(
        dictionary='id,f,text\nx,f,radio,X,"1, same | 2, same | 3, other"\ny,f,yesno,Y',
        data="id,x,y\n1,same,Yes\n2,other,No",
    ))  # fmt: skip
    assert cells(read, "f", "x") == {2: "same", 3: "3"}
    assert faults(read) == [("data.csv", 2, "x")]


TYPES = [
    ("date_dmy", "2020-02-29", "29-02-2020"),
    ("date_mdy", "2020-02-29", "2021-02-29"),
    ("datetime_ymd", "2020-02-29 13:45", "2020-02-29 25:00"),
    ("datetime_seconds_dmy", "2020-02-29 13:45:01", "2020-02-29 13:45"),
    ("time", "08:30", "24:30"),
    ("time_hh_mm_ss", "08:30:01", "08:30"),
    ("time_mm_ss", "59:30", "61:30"),
    ("integer", "-12", "1.5"),
    ("number", "1.5e-3", "1,5"),
    ("number_1dp", "1.5", "1.55"),
    ("number_2dp_comma_decimal", "1,55", "1.55"),
    ("number_comma_decimal", "1,5", "1.5"),
    ("email", "nobody@example.org", "nobody at example"),
    ("phone", "(405) 321-1111", "none"),
    ("phone_australia", "(02) 5550 1234", "x"),
    ("zipcode", "12345-6789", "1234"),
    ("postalcode_canada", "K1A 0B1", "!"),
    ("postalcode_germany", "01067", "1"),
    ("ssn", "123-45-6789", "12-345"),
    ("mrn_10d", "0123456789", "123"),
    ("mrn_generic", "AB-12", "A B"),
    ("vmrn", "000123", "A1"),
    ("alpha_only", "abc", "a1"),
]


@pytest.mark.parametrize(("kind", "good", "bad"), TYPES)
def test_values_are_held_against_their_validation_type(project: Project, kind: str, good: str, bad: str) -> None:
    read = read_project(project(dictionary=f"id,f,text\nx,f,text,X,,{kind}", data=f'id,x\n1,"{good}"\n2,"{bad}"'))
    assert faults(read) == [("data.csv", 3, "x")]


def test_unknown_validation_types_sliders_and_calculations_are_read(project: Project) -> None:
    read = read_project(project(
        dictionary="""
            id,f,text
            a,f,text,A,,our_own_type
            b,f,slider,B,low | high,,0,100
            c,f,calc,C,3+4
            d,f,descriptive
        """,
        data="id,a,b,c\n1,x,50,7\n2,y,101,",
    ))  # fmt: skip
    assert faults(read) == [("data.csv", 3, "b")]


def test_values_beyond_the_limits_are_told_and_kept(project: Project) -> None:
    read = read_project(project(
        dictionary='id,f,text\nh,f,text,H,,number_comma_decimal,"0,5","2,5"', data='id,h\n1,"1,54"\n2,"7,25"'
    ))  # fmt: skip
    assert cells(read, "f", "h") == {2: "1.54", 3: "7.25"}
    assert faults(read) == [("data.csv", 3, "h")]


def test_codes_for_missing_data_are_blank(project: Project) -> None:
    read = read_project(
        project(
            dictionary='id,f,text\na,f,text,A,,integer\nb,f,radio,B,"1, x"',
            project_info='project_id,project_title,missing_data_codes\n1,Trial,"-999, Unknown | NASK, Not asked"',
            data="id,a,b\n1,-999,NASK\n2,-888,1",
        ),
        missing=["-888"],
    )
    assert cells(read, "f", "a") == {2: "", 3: ""}
    assert cells(read, "f", "b") == {2: "", 3: "1"}
    assert faults(read) == []


def test_what_identifies_a_person_is_withheld_unless_asked_for(project: Project) -> None:
    folder = project(
        dictionary="""
            id,f,text
            name,f,text,Name,,,,,y
            mail,f,text,Mail,,email
            remark,f,notes
            photo,f,file
            age,f,text
        """,
        data="id,name,mail,remark,photo,age\n1,Nutmeg,a@b.org,nice,x.jpg,8",
    )
    read = read_project(folder)
    assert list(read.forms["f"].cells) == ["id", "age"]
    assert read.withheld == ("mail", "name", "photo", "remark")
    assert any("name" in note for note in read.forms["f"].notes)
    assert list(read_project(folder, keep=["name"]).forms["f"].cells) == ["id", "name", "age"]


def test_fields_without_column_and_columns_without_field_are_named(project: Project) -> None:
    read = read_project(project(dictionary="id,f,text\na,f,text\nb,f,text", data="id,a,other\n1,2,3"))
    assert faults(read) == [("data.csv", 1, "other"), ("dictionary.csv", 4, "b")]


def test_lines_of_the_same_record_event_and_instance_are_named_and_kept(project: Project) -> None:
    read = read_project(project(dictionary="id,f,text\na,f,text", data="id,a\n1,2\n1,3\n,4"))
    assert cells(read, "f", "a") == {2: "2", 3: "3", 4: "4"}
    assert faults(read) == [("data.csv", 3, "id"), ("data.csv", 4, "id")]


def test_no_message_holds_a_cell(project: Project) -> None:
    read = read_project(project(
        dictionary='id,f,text\nsex,f,radio,Sex,"0, Female"\nday,f,text,Day,,date_ymd',
        data="id,sex,day\nSECRET1,SECRET2,SECRET3\nSECRET1,SECRET4,",
    ))  # fmt: skip
    said = " ".join([*read.problems.astype(str).to_numpy().ravel(), *read.notes, *read.forms["f"].notes])
    assert "SECRET" not in said


def test_a_folder_without_records_says_so(project: Project) -> None:
    with pytest.raises(DataError, match=r"holds the dictionary 'dictionary\.csv' alone"):
        read_project(project(dictionary="id,f,text"))


def test_several_files_of_records_are_not_guessed_and_one_can_be_named(project: Project) -> None:
    folder = project(dictionary="id,f,text\na,f,text", raw="id,a,f_complete\n1,2,2", old="id,a,f_complete\n1,3,2")
    with pytest.raises(DataError, match="2 files that may be the records"):
        read_project(folder)
    assert cells(read_project(folder / "raw.csv"), "f", "a") == {2: "2"}


def test_of_two_dictionaries_the_one_that_describes_the_data_counts(project: Project) -> None:
    folder = project(dictionary="id,f,text\nb,f,text", data="id,a\n1,2")
    other = (folder / "dictionary.csv").read_text(encoding="utf-8").replace("\nb,", "\na,")
    (folder / "metadata.csv").write_text(other, encoding="utf-8")
    read = read_project(folder)
    assert [field.name for field in read.fields] == ["id", "a"]
    assert "files not read: dictionary.csv" in read.notes
