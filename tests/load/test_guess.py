"""What a file's own columns let guess: filled in where the names and words are usual, a gap where nobody can know."""

import tomllib

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.catalogue.tables import read_table
from aih_outcomes.load.guesses.columns import Sheet, are_numbers, find_roles, find_spellings, has_decimal_commas
from aih_outcomes.load.guesses.mapping_text import guess_mapping
from aih_outcomes.load.guesses.pattern import GAP, GUESSED
from aih_outcomes.load.mapping import parse_mapping
from aih_outcomes.schema import TABLES
from aih_outcomes.units import DRUG_DOSE_UNITS


def sheet(name="clinic.csv", **columns):
    return Sheet({"file": name}, pd.DataFrame(columns, dtype=object))


def guess(*sheets):
    text = guess_mapping(sheets, reading={})
    return text, tomllib.loads(text)


CHILDREN = {
    "Study no": ["1", "2", "3"],
    "Sex": ["F", "boy", "w"],
    "DOB": ["03.02.2009", "14.12.2010", "01.05.2011"],
    "Date of diagnosis": ["03.02.2019", "14.12.2019", "01.05.2019"],
}


def test_a_list_of_children_in_usual_words_is_a_whole_block_of_patients():
    text, found = guess(sheet(**CHILDREN))
    (patients,) = found["patients"]
    assert patients["columns"] == {
        "patient_id": "Study no",
        "sex": {"column": "Sex", "codes": {"F": "female", "boy": "male", "w": "female"}},
        "birth_date": "DOB",
        "diagnosis_date": "Date of diagnosis",
    }
    assert found["reading"] == {"date_format": ["DD.MM.YYYY"]}
    assert GAP not in str(found)
    parse_mapping(text)


def test_every_guess_is_marked():
    text, _ = guess(sheet(**CHILDREN))
    lines = [line for line in text.splitlines() if line.startswith(("columns.", "date_format"))]
    assert len(lines) == 5
    assert all(GUESSED in line for line in lines)


def test_german_and_french_words_are_known():
    assert find_roles("Geburtsdatum")[0].column == "birth_date"
    assert find_roles("Date de naissance")[0].column == "birth_date"
    assert find_roles("unheard of") == []


def test_the_label_of_a_redcap_field_says_what_its_name_does_not():
    assert find_roles("vbw2", "Date of birth")[0].column == "birth_date"


def test_days_and_months_that_could_be_swapped_are_left_to_the_user():
    swapped = {**CHILDREN, "DOB": ["03/02/2009", "04/12/2010", "01/05/2011"], "Date of diagnosis": ["02/03/2019"] * 3}
    text, found = guess(sheet(**swapped))
    assert found["reading"]["date_format"] == [GAP]
    assert "DD/MM/YYYY or MM/DD/YYYY" in text


def test_one_date_that_cannot_be_swapped_settles_the_others():
    settled = {**CHILDREN, "DOB": ["03/02/2009", "14/12/2010", "01/05/2011"], "Date of diagnosis": ["02/03/2019"] * 3}
    _, found = guess(sheet(**settled))
    assert found["reading"]["date_format"] == ["DD/MM/YYYY"]


@pytest.mark.parametrize(
    ("words", "needed", "unsettled"),
    [
        (["2019-05-03", "03.02.2009"], ("YYYY-MM-DD", "DD.MM.YYYY"), ()),
        (["03/02/2009"], (), ("DD/MM/YYYY", "MM/DD/YYYY")),
        (["25/02/2009", "05/2019"], ("DD/MM/YYYY",), ()),
        (["yes", "no"], (), ()),
        ([], (), ()),
    ],
)
def test_spellings_of_dates(words, needed, unsettled):
    assert find_spellings(words) == (needed, unsettled)


def test_tests_in_columns_are_known_by_their_names_and_units_in_brackets():
    visits = sheet(
        **{"Study no": ["1", "2"], "Visit": ["2020-01-01"] * 2, "ALAT (U/L)": ["30", "<5"], "IgG": ["12", "n/a"]}
    )
    text, found = guess(visits)
    (labs,) = found["labs"]
    assert labs["wide"] == [
        {"column": "ALAT (U/L)", "analyte": "alt", "unit": "U/L"},
        {"column": "IgG", "analyte": "igg", "unit": GAP},
    ]
    assert "fill in the unit: g/L or mg/dL" in text
    assert found["reading"]["missing"] == ["n/a"]


def test_a_unit_is_never_guessed():
    _, found = guess(sheet(**{"Study no": ["1", "2"], "Visit": ["2020-01-01"] * 2, "IgG": ["12.1", "13.4"]}))
    assert found["labs"][0]["wide"][0]["unit"] == GAP


def test_months_in_the_names_of_columns_become_a_rule():
    columns = {"Study no": ["1"], "Diagnosed": ["2020-01-01"], "ALT_m0": ["30"], "ALT_m3": ["20"], "IgG_m3": ["12"]}
    _, found = guess(sheet(**columns))
    assert found["labs"][0]["wide_pattern"] == {
        "columns": "{analyte}_m{months}", "since": "Diagnosed", "units": {"alt": GAP, "igg": GAP},
    }  # fmt: skip


def test_classes_of_a_test_are_no_visits():
    names = ["IgG1", "IgG2", "IgG3", "IgG4", "C3", "C4"]
    _, found = guess(sheet(**{"Study no": ["1"], "Diagnosed": ["2020-01-01"], **{name: ["5.1"] for name in names}}))
    assert "labs" not in found


def test_bare_numbers_behind_a_test_are_visits_whose_step_only_a_person_knows():
    names = {"alt0": ["300"], "alt3": ["80"], "alt6": ["30"]}
    text, found = guess(sheet(**{"Study no": ["1"], "Diagnosed": ["2020-01-01"], **names}))
    assert found["labs"][0]["wide_pattern"]["columns"] == "{analyte}{…}"
    assert "fill in the units: alt U/L or [IU]/L or ukat/L or nkat/L; months, weeks, days or visit in braces" in text


def test_months_in_front_of_their_word_and_a_baseline_are_visits_too():
    names = {"ALT (U/L) | baseline": ["300"], "ALT (U/L) | 3 months": ["80"], "ALT (U/L) | 6 months": ["30"]}
    _, found = guess(sheet(**{"Study no": ["1"], "Treatment start": ["2020-01-01"], **names}))
    (labs,) = found["labs"]
    assert labs["wide_pattern"] == {
        "columns": "{analyte} | {months} months", "since": "Treatment start", "units": {"alt": "U/L"},
    }  # fmt: skip
    entry = {"column": "ALT (U/L) | baseline", "analyte": "alt", "unit": "U/L"}
    assert labs["wide"] == [{**entry, "since": "Treatment start", "months": 0}]


def test_the_end_of_a_drug_is_no_end_of_follow_up():
    drugs = {"Study no": ["1"], "Drug": ["MMF"], "Start": ["2020-01-01"], "End": ["2021-01-01"], "Units": ["mg daily"]}
    _, found = guess(sheet(**drugs, Dose=["500"]))
    assert "follow_up" not in found
    assert found["treatments"][0]["columns"]["stop"] == "End"
    assert found["treatments"][0]["columns"]["dose_unit"] == {"column": "Units", "codes": {"mg daily": "mg/day"}}


def test_a_start_of_treatment_without_drugs_asks_for_the_drug():
    text, found = guess(sheet(**CHILDREN, **{"Treatment start": ["01.02.2020"] * 3}))
    assert found["treatments"][0]["columns"]["start"] == "Treatment start"
    assert found["treatments"][0]["columns"]["drug"] == {"constant": GAP}
    assert "fill in: the drug that was begun" in text


def test_a_dose_per_kg_is_not_taken_for_one_a_day():
    _, found = guess(sheet(**{"Study no": ["1"], "Drug": ["MMF"], "Start": ["2020-01-01"], "Dose (mg/kg)": ["20"]}))
    assert found["treatments"][0]["columns"]["dose"] == {"column": "Dose (mg/kg)", "unit": "mg/kg/day"}


def test_the_reason_why_follow_up_ended_is_read_where_a_column_holds_it():
    _, found = guess(sheet(**CHILDREN, **{"Last seen": ["01.02.2021"] * 3, "Status": ["ongoing", "LTFU", "moved"]}))
    assert found["follow_up"][0]["columns"]["end_reason"] == {
        "column": "Status",
        "codes": {"LTFU": "lost", "ongoing": "ongoing"},
    }


def test_a_word_for_missing_among_categories_is_missing_and_no_fault():
    _, found = guess(sheet(**CHILDREN, Cirrhosis=["Y", "N", "?"]))
    (patients,) = found["patients"]
    assert patients["columns"]["cirrhosis_at_diagnosis"]["codes"] == {"?": "", "N": "no", "Y": "yes"}


def test_patients_are_found_by_their_identifiers_where_the_header_has_no_known_word():
    drugs = Sheet(
        {"file": "drugs.csv"},
        pd.DataFrame({"Wer": ["1", "2", "3"], "Drug": ["MMF"] * 3, "Start": ["2020-01-01"] * 3}, dtype=object),
    )
    _, found = guess(sheet(**CHILDREN), drugs)
    assert found["treatments"][0]["columns"]["patient_id"] == "Wer"


def test_a_second_list_of_the_same_patients_is_a_comment():
    second = Sheet({"file": "second.csv"}, sheet(**CHILDREN).cells)
    text, found = guess(sheet(**CHILDREN), second)
    assert len(found["patients"]) == 1
    assert '# file = "second.csv"' in text


def test_the_only_unknown_dates_beside_results_are_theirs():
    visits = {"Study no": ["1", "2"], "Kontrolle": ["2020-01-01"] * 2, "ALAT (U/L)": ["30", "31"]}
    _, found = guess(sheet(**visits))
    assert found["labs"][0]["columns"]["date"] == "Kontrolle"


def test_months_are_counted_from_the_list_of_patients_where_the_results_have_no_date():
    results = Sheet({"file": "results.csv"}, sheet(**{"Study no": ["1"], "ALT_m0": ["30"], "ALT_m3": ["20"]}).cells)
    _, found = guess(sheet(**CHILDREN), results)
    assert found["labs"][0]["wide_pattern"]["since"] == "Date of diagnosis"


def test_results_one_below_the_other_keep_their_units_as_written():
    long = {"Study no": ["1"], "Date": ["2020-01-01"], "Test": ["GPT"], "Result": ["<5"], "Unit": ["E/l"]}
    _, found = guess(sheet(**long))
    assert found["labs"][0]["columns"]["analyte"] == {"column": "Test", "codes": {"GPT": "alt"}}
    assert found["labs"][0]["columns"]["unit"] == "Unit"


def test_a_drug_that_nobody_knows_is_named_and_not_guessed():
    drugs = {
        "Study no": ["1", "2"],
        "Drug": ["Imurek", "powder no. 9"],
        "Dose": ["50", "1"],
        "Started": ["2020-01-01"] * 2,
    }
    text, found = guess(sheet(**drugs))
    assert found["treatments"][0]["columns"]["drug"]["codes"] == {"Imurek": "azathioprine"}
    assert 'not recognised, and set aside unless you add it to codes: "powder no. 9"' in text


def test_what_is_required_and_not_there_is_a_gap_that_says_what_belongs_there():
    text, found = guess(sheet(**{"Study no": ["1"], "Sex": ["F"], "DOB": ["2009-02-03"]}))
    assert found["patients"][0]["columns"]["diagnosis_date"] == GAP
    assert "fill in: the column with: Diagnosis (usually the biopsy)" in text


def test_a_column_that_no_line_uses_is_named():
    text, _ = guess(sheet(**CHILDREN, Shoes=["1", "2", "3"]))
    assert '#   clinic.csv: "Shoes"' in text


def test_free_text_is_not_copied_into_the_mapping():
    letters = [
        f"a long letter about child number {number}, who lives in the little house by the sea" for number in range(3)
    ]
    text, _ = guess(sheet(**{**CHILDREN, "Sex": letters}))
    assert "little house" not in text


def test_the_label_of_a_field_tells_its_unit():
    labelled = Sheet(
        {"file": "labs"},
        pd.DataFrame({"id": ["1"], "lab_date": ["2020-01-01"], "alt": ["30"]}, dtype=object),
        labels={"alt": "ALT (U/L)"},
    )
    _, found = guess(labelled)
    assert found["labs"][0]["wide"] == [{"column": "alt", "analyte": "alt", "unit": "U/L"}]


def test_a_unit_behind_the_name_is_the_column_s():
    visits = {"Study no": ["1"], "Date": ["2020-01-01"], "IgG g/l": ["12.1"], "ALT_U/L": ["30"], "AST 2": ["30"]}
    _, found = guess(sheet(**visits))
    assert [entry["unit"] for entry in found["labs"][0]["wide"]] == ["g/l", "U/L"]


def test_codes_of_the_dictionary_that_no_record_has_yet_are_written_too():
    form = Sheet(
        {"file": "demog"},
        pd.DataFrame({"id": ["1"], "dob": ["2009-02-03"], "dx_date": ["2019-02-03"], "aih_type": ["1"]}, dtype=object),
        choices={"aih_type": {"1": "Type 1", "9": "Seronegative", "8": "to be seen"}},
    )
    _, found = guess(form)
    assert found["patients"][0]["columns"]["aih_type"]["codes"] == {"1": "type_1", "9": "seronegative"}


def test_commas_and_points_in_one_file_are_left_to_the_user():
    both = {"Study no": ["1", "2"], "Date": ["2020-01-01"] * 2, "ALT": ["30,5", "31"], "IgG": ["12.1", "13"]}
    _, found = guess(sheet(**both))
    assert found["reading"]["decimal"] == GAP
    assert guess(sheet(**{**both, "IgG": ["12", "13"]}))[1]["reading"]["decimal"] == ","


def test_decimal_commas_are_seen_where_no_point_contradicts_them():
    assert has_decimal_commas(["1,5", "2"])
    assert has_decimal_commas(["1,5", "2.5"], typed=True)  # a workbook writes its own numbers with a point
    assert not has_decimal_commas(["1,500", "2,000"], typed=True)
    assert not has_decimal_commas(["1,5", "2.5"])
    assert are_numbers(["<5", "1:40", "7.5"])
    assert not are_numbers(["see note"])


words = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=12)


@given(st.dictionaries(words, st.lists(words, min_size=2, max_size=2), min_size=1, max_size=6))
@example({'"': ["\\", "\x7f"], "ALT": ["1", "2"], "Study no": ["a", "b"]})
@example({"Drug": ["\u2028", '"'], "Started": ["2020-01-01"] * 2})
def test_whatever_the_columns_are_called_the_template_is_toml(columns):
    text, found = guess(sheet(**columns))
    assert found["patients"]
    assert text.startswith("# How the columns")


def test_every_word_that_is_known_stands_for_a_column_or_level_of_the_schema():
    columns = {(name, column.name): column for name, table in TABLES.items() for column in table.columns}
    columns |= {("any", "patient_id"): None, ("treatments", "dose_unit"): None}
    for word in read_table("column_words").fillna("").itertuples():
        assert (word.table, word.column) in columns
        assert not word.level or word.level in columns[word.table, word.column].levels
    levels = {column.name: column.levels for column in columns.values() if column}
    levels |= {"yes_no": ("yes", "no"), "dose_unit": DRUG_DOSE_UNITS}
    for word in read_table("level_words").itertuples():
        assert word.level in levels[word.column]
