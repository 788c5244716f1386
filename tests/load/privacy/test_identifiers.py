"""Identifiers that slipped into a cohort are found by kind and place; what looks like one and is none is left alone."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DisclosureError
from aih_outcomes.load.privacy.identifiers import (
    BIRTH,
    DATED,
    E_MAIL,
    HEALTH_NUMBER,
    PERSON,
    PHONE,
    POSTCODE,
    check_identifiers,
    find_identifiers,
    is_health_number,
    kinds_in,
    read_health_number,
)
from aih_outcomes.simulate import SEED, simulate_cohort

PATIENT = {"sex": "female", "birth_date": "2001-01-01", "diagnosis_date": "2010-01-01"}


def cohort(*ids, label="cohort", reasons=(), **patients):
    judged = pd.DataFrame(
        [
            {"patient_id": ids[0], "date": "2011-01-01", "endpoint": "response_by_6_months",
             "clinician_response": "met", "reason": reason, "initials": "QX"}
            for reason in reasons
        ]
    )  # fmt: skip
    return Cohort(
        pd.DataFrame([PATIENT | patients | {"patient_id": one} for one in ids]), clinician_responses=judged, label=label
    )


def check_digit(nine):
    """Return the check digit by the steps of the NHS Data Dictionary; None where there is none."""
    rest = sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True)) % 11
    digit = 11 - rest
    return None if digit == 10 else 0 if digit == 11 else digit


nine_digits = st.text("0123456789", min_size=9, max_size=9).filter(lambda nine: len(set(nine)) > 1)


@given(nine_digits, st.sampled_from(["{}{}{}", "{} {} {}", "{}-{}-{}", "NHS no. {} {} {}, seen", "(x){}{}{};"]))
@example("999000000", "{} {} {}")  # reserved for tests: they count, as they may stand for a real one
@example("010170123", "{}{}{}")  # CHI: begins with the date of birth
@example("320000000", "{}{}{}")  # H&C
def test_every_valid_health_number_is_found_however_it_is_spaced(nine, written):
    digit = check_digit(nine)
    if digit is not None:
        number = f"{nine}{digit}"
        text = written.format(number[:3], number[3:6], number[6:])
        assert HEALTH_NUMBER in kinds_in(text, "reason")
        assert is_health_number(number)


@given(nine_digits, st.integers(0, 9))
def test_ten_digits_with_another_check_digit_are_none(nine, digit):
    if digit != check_digit(nine):
        assert not is_health_number(f"{nine}{digit}")
        assert HEALTH_NUMBER not in kinds_in(f"{nine[:3]} {nine[3:6]} {nine[6:]}{digit}", "reason")


@given(nine_digits)
def test_digits_within_a_longer_word_are_no_health_number(nine):
    digit = check_digit(nine)
    if digit is not None:
        for text in (f"{nine}{digit}1", f"1{nine}{digit}", f"a{nine}{digit}", f"{nine}{digit}f"):
            assert HEALTH_NUMBER not in kinds_in(text, "patient_id")


@pytest.mark.parametrize(
    ("text", "digits"),
    [("943 476 5919", "9434765919"), ("943-476-5919", "9434765919"), ("9434765919", "9434765919"),
     ("9434765918", None), ("K9434765919", None), ("0000000000", None), ("", None), ("943  476 5919", None)],
)  # fmt: skip
def test_a_health_number_alone_in_a_cell_is_read_as_ten_digits(text, digits):
    assert read_health_number(text) == digits


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("lives at SE5 9RS", POSTCODE), ("se5 9rs", POSTCODE), ("EC1A 1BB", POSTCODE), ("M1 1AE", POSTCODE),
        ("SE59RS", POSTCODE), ("write to a.mother@example.org", E_MAIL), ("ring 020 7946 0000", PHONE),
        ("+44 20 7946 0018", PHONE), ("07700 900123", PHONE), ("(555) 010-0000", PHONE), ("0044 7700 900123", PHONE),
        ("seen by Dr Smith", PERSON), ("Prof. van der Berg agreed", PERSON), ("mother Jane Doe rang", PERSON),
        ("Doe, Jane", PERSON), ("DOE Jane", PERSON), ("as Siobhain Achebe wrote", PERSON),
        ("DOB 12/03/2001", BIRTH), ("born on 2001-03-12", BIRTH), ("geb. 12.03.2001", BIRTH),
        ("DOB: 12 March 2001", BIRTH), ("dob 12-Mar-01", BIRTH), ("geb. 3. März 2001", BIRTH),
        ("DR SMITH rang", PERSON), ("mrs Patel", PERSON), ("dr Smith", PERSON), ("as jane doe said", PERSON),
        ("mum of Olivia", PERSON), ("943\u00a0476\u00a05919", HEALTH_NUMBER), ("943.476.5919", HEALTH_NUMBER),
        ("943  476  5919", HEALTH_NUMBER), ("nhs9434765919", HEALTH_NUMBER), ("９４３４７６５９１９", HEALTH_NUMBER),
    ],
)  # fmt: skip
def test_what_names_or_finds_a_person_in_free_text_is_found(text, kind):
    assert kind in kinds_in(text, "reason")


@pytest.mark.parametrize(
    "text",
    [
        "Transaminases normal and stable; IgG not repeated but was falling", "Wilson Disease excluded",
        "West Haven grade 2", "Child Pugh A, MELD 12", "ALT 45 on prednisolone 5 mg",
        "Normal on Azathioprine Mercaptopurine",
        "Azathioprine stopped. Budesonide started", "letter from King's College Hospital", "1:640", "12.5", "5,4",
        "Primary Sclerosing Cholangitis", "overlap with Primary Biliary Cholangitis", "MR cholangiogram normal",
        "Frank ascites", "letter from St Thomas'", "HLA DR Antigen", "MR Elastography",
        "ALT 1234567", "ratio 0.123456789", "in 2019-2020", "STAT1 gain of function", "10*9/L",
    ],
)  # fmt: skip
def test_what_a_clinic_writes_about_the_disease_is_no_identifier(text):
    assert kinds_in(text, "reason") == ()


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("Centre D", "centre"), ("King's College Hospital", "centre"), ("Hôpital Robert Debré", "centre"),
        ("Robert Debré", "centre"), ("St Thomas'", "centre"), ("CD40LG", "gene"), ("STAT1", "gene"),
        ("c.821G>A", "hgvs"), ("NM_007315.4:c.821G>A", "hgvs"), ("AIH-0001", "patient_id"), ("17", "patient_id"),
        ("da2c7b0a-791a-4b8f-9a30-dc3d8cf1ec75", "patient_id"), ("P8b792a81686bcaa0", "patient_id"),
        ("01-02-17", "patient_id"), ("export_2024-01-31.csv", "source_file"), ("ANA titres.csv", "source_file"),
        ("First Name, Date of Birth, Post Code", "columns_not_used"), ("http://snomed.info/sct|1156716006", "how_read"),
        ("simulated cohort of 350 children", "label"), ("QX", "initials"), ("1:10,240", "raw_value"),
    ],
)  # fmt: skip
def test_names_of_places_genes_codes_and_columns_are_no_identifiers(text, column):
    assert kinds_in(text, column) == ()


@pytest.mark.parametrize(
    ("text", "column", "kind"),
    [
        ("smith_john", "patient_id", PERSON), ("John17", "patient_id", PERSON), ("JS 12/03/2001", "patient_id", DATED),
        ("2001-03-12/JS", "patient_id", DATED), ("Smith", "initials", PERSON), ("Dr Smith's list", "centre", PERSON),
        ("Tom_Goodwin_e20de9eb.json", "source_file", PERSON), ("Smith, John.xlsx", "source_file", PERSON),
        ("9434765919.json", "source_file", HEALTH_NUMBER), ("children of John Smith", "label", PERSON),
    ],
)  # fmt: skip
def test_names_are_also_found_where_they_do_not_belong(text, column, kind):
    assert kind in kinds_in(text, column)


@given(st.text())
@example("٣٤٥ ٦٧٨ ٩٠١٢")
@example("\ud800")
@example("²²²2222222")
def test_no_text_breaks_the_search(text):
    for column in ("reason", "patient_id", "centre", "source_file", "initials"):
        assert isinstance(kinds_in(text, column), tuple)
    read_health_number(text)


@pytest.mark.parametrize(
    "piece",
    ["a", "A", "1", "1 ", "Aa ", "@", "a@", "a.", "a@a.", "Dr ", "Dr A.", "SE5 ", "+1 ", "01-", "born ", " ", "né "],
)
def test_a_very_long_field_does_not_hang_the_search(piece):
    text = piece * (300_000 // len(piece))
    for column in ("reason", "patient_id", "source_file"):
        assert isinstance(kinds_in(text, column), tuple)


def test_nothing_is_found_in_the_synthetic_cohort():
    found = find_identifiers(simulate_cohort(SEED, 40))
    assert found.empty
    assert list(found.columns) == ["table", "column", "kind", "n_rows", "rows"]


def test_kinds_rows_and_places_are_told_and_no_value():
    found = find_identifiers(
        cohort("A1", "943 476 5919", "A3", label="for a.b@example.org", reasons=["fine", "rang Jane Doe"])
    )
    assert found.to_dict("records") == [
        {"table": "", "column": "label", "kind": E_MAIL, "n_rows": 1, "rows": [1]},
        {"table": "patients", "column": "patient_id", "kind": HEALTH_NUMBER, "n_rows": 1, "rows": [2]},
        {"table": "clinician_responses", "column": "reason", "kind": PERSON, "n_rows": 1, "rows": [2]},
    ]


def test_names_of_files_are_searched_too():
    one = cohort("A1", source_file="Tom_Goodwin_e20de9eb.json")
    report = replace(one).load_report.assign(source_file="Tom_Goodwin_e20de9eb.json")
    report.loc[report["table"] != "patients", ["source_file"]] = ""
    found = find_identifiers(replace(one, load_report=report))
    assert set(zip(found["table"], found["column"], found["kind"], strict=True)) == {
        ("patients", "source_file", PERSON), ("load report", "source_file", PERSON),
    }  # fmt: skip


def test_a_cohort_with_identifiers_is_refused_in_three_parts_without_a_value():
    with pytest.raises(DisclosureError) as caught:
        check_identifiers(cohort("943 476 5919", "401 023 2137", reasons=["rang Jane Doe"]))
    error = caught.value
    assert error.what == (
        "Identifiers stand in 3 place(s) of the cohort: NHS, CHI or H&C number in patients.patient_id (2 row(s)); "
        "NHS, CHI or H&C number in clinician_responses.patient_id (1 row(s)); "
        "name of a person in clinician_responses.reason (1 row(s))"
    )
    assert "aih-outcomes key" in error.way_out
    for value in ("943", "5919", "Jane", "Doe"):
        assert value not in str(error)


def test_a_clean_cohort_passes():
    check_identifiers(cohort("A1", "A2"))


def test_two_capitalised_words_name_a_file_of_one_patient_after_its_patient():
    patients = pd.DataFrame(
        [PATIENT | {"patient_id": f"A{number}", "source_file": file}
         for number, file in enumerate(["Chet_Thompson_17.json", "Liver Database.xlsx", "Liver Database.xlsx"])]
    )  # fmt: skip
    found = find_identifiers(Cohort(patients))
    assert found.to_dict("records") == [
        {"table": "patients", "column": "source_file", "kind": PERSON, "n_rows": 1, "rows": [1]}
    ]
