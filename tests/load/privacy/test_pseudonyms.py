"""Identifiers replaced at the door: who has no key cannot go back, who has it can; what is analysed stays the same."""

import json
from dataclasses import fields
from datetime import date
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.cohort import age_at
from aih_outcomes.errors import DataError
from aih_outcomes.load import read_tables
from aih_outcomes.load.privacy.identifiers import find_identifiers
from aih_outcomes.load.privacy.pseudonyms import Outage, Pseudonyms, list_pseudonyms, normalise_identifier
from aih_outcomes.load.sources import read_source
from aih_outcomes.schema import TABLES
from aih_outcomes.simulate import SEED, simulate_cohort
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.tables import as_text

KEY = bytes(range(32))
PSEUDONYMS = Pseudonyms(KEY)
SHIFTED = Pseudonyms(KEY, shift_dates=True)
EXPORTERS = {name: f"aih_outcomes.simulate.exports.{name}" for name in ("tables", "redcap", "fhir", "omop")}


def codes(*ids, pseudonyms=PSEUDONYMS, of="patients"):
    return list_pseudonyms(pd.Series(ids, dtype="string"), pseudonyms, of=of)["pseudonym"].to_list()


def test_a_pseudonym_is_the_keyed_digest_of_rfc_2104():
    # printf 'patients:K-0017' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1e1f
    digest = "2498a3b176f452a0a88c719ea052634f0ff175927e8e1e082aa895afad7234dc"
    assert codes("K-0017") == [f"P{digest[:16]}"]
    days = list_pseudonyms(pd.Series(["K-0017"]), SHIFTED)["days_moved"].to_list()
    assert days == [-1 - int(digest[16:32], 16) % 364]


def test_the_same_key_gives_the_same_pseudonym_and_another_key_another():
    assert codes("K-0017") == codes("K-0017")
    assert codes("K-0017") != codes("K-0017", pseudonyms=Pseudonyms(KEY[::-1]))


def test_a_health_number_is_the_same_person_however_it_is_spaced():
    assert len(set(codes("9434765919", "943 476 5919", " 943-476-5919 "))) == 1


def test_blanks_and_unicode_forms_do_not_make_two_patients_but_capitals_do():
    assert len(set(codes("K17", " K17 ", "\uff2b17"))) == 1  # a full-width K, as Japanese keyboards write
    assert len(set(codes("a1", "A1"))) == 2  # two patients in FHIR


def test_ten_digits_that_are_no_health_number_stay_as_written():
    assert normalise_identifier("943 476 5918") == "943 476 5918"


@given(st.text(min_size=1))
@example("'; DROP TABLE patients; --")
def test_any_text_is_an_identifier(text):
    (code,) = codes(text)
    assert len(code) == 17
    assert code.startswith("P")


def test_a_hundred_thousand_patients_have_a_hundred_thousand_pseudonyms():
    assert len(set(codes(*map(str, range(100_000))))) == 100_000


def test_a_patient_and_a_centre_of_one_name_have_codes_that_do_not_match():
    assert codes("A")[0][1:9] not in codes("A", of="centres")[0]


def test_days_are_drawn_evenly_from_a_year_and_are_never_none():
    days = list_pseudonyms(pd.Series(map(str, range(36_400))), SHIFTED)["days_moved"]
    assert days.between(-364, -1).all()
    counts = days.value_counts()
    assert len(counts) == 364
    assert ((counts - 100) ** 2 / 100).sum() < 490  # chi-squared of 363 degrees of freedom: P < 10⁻⁵ above it


def test_a_pseudonym_tells_nothing_of_the_days():
    drawn = list_pseudonyms(pd.Series(map(str, range(20_000))), SHIFTED)
    first = drawn["pseudonym"].str[1:5].map(lambda digits: int(digits, 16)).astype(float)
    assert abs(np.corrcoef(first, drawn["days_moved"])[0, 1]) < 4 / np.sqrt(20_000)


def test_the_key_is_not_part_of_what_is_printed():
    assert "key" not in repr(PSEUDONYMS)


# ----------------------------------------------------------------------------------------------------- reading


IDS = [f"SECRET-{number:04d}" for number in range(24)]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folder of a centre of 24 children whose identifiers, names and remarks must not come in."""
    original = simulate_cohort(SEED, 24)
    names = dict(zip(original.patients["patient_id"], IDS, strict=True))
    written = {
        name: as_text(table.assign(patient_id=table["patient_id"].map(names)), name)
        for name, table in original.tables().items()
    }
    written["patients"]["centre"] = "Kingsbury Clinic"
    for row, remark in enumerate(["rang Jane Doe", "12.03.2001", "943 476 5919", "<1:20"]):
        written["labs"].loc[row, "raw_value"] = remark
    stranger = written["labs"].head(1).assign(patient_id="SECRET-9999")  # who is not in 'patients'
    written["labs"] = pd.concat([written["labs"], stranger])
    judged = {
        "patient_id": IDS[0], "date": "2015-01-01", "endpoint": "response_by_6_months", "clinician_response": "met",
        "reason": "Mother Jane Doe rang about SECRET-0000", "initials": "QXZ",
    }  # fmt: skip
    written["clinician_responses"] = pd.DataFrame([judged])
    folder = tmp_path_factory.mktemp("told")
    for name, table in written.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def plain(told):
    return read_tables(told)


@pytest.fixture(scope="module")
def moved(told):
    outage = Outage("laboratory down", date(2024, 6, 3), date(2024, 10, 31))
    return read_tables(told, pseudonyms=Pseudonyms(KEY, shift_dates=True, outages=(outage,)))


def everything(cohort):
    """Return all that a cohort holds as one text."""
    texts = [repr(cohort)]
    for part in fields(cohort):
        value = getattr(cohort, part.name)
        texts.append(value.to_csv() if isinstance(value, pd.DataFrame) else str(value))
    return "\n".join(texts)


def test_nothing_of_the_original_is_left_anywhere_in_the_cohort(plain, moved):
    said, before = everything(moved), everything(plain)
    for word in ("SECRET", "Jane", "Doe", "QXZ", "Kingsbury", "5919", "12.03.2001"):
        assert word in before, "else this test could not fail"
        assert word not in said


def test_what_is_kept_and_set_aside_does_not_change(plain, moved):
    numbers = ["table", "source_file", "n_read", "n_kept", "n_set_aside"]
    pd.testing.assert_frame_equal(moved.load_report[numbers], plain.load_report[numbers])
    pd.testing.assert_frame_equal(moved.set_aside, plain.set_aside)
    assert (plain.set_aside["rule"] == "patient is not in the table 'patients'").any()


def test_identifiers_are_found_before_and_not_after(plain, moved):
    assert set(find_identifiers(plain)["column"]) == {"reason", "raw_value"}
    assert find_identifiers(moved).empty


def test_the_same_patient_has_one_pseudonym_in_every_table(plain, moved):
    way = dict(zip(plain.patients["patient_id"], moved.patients["patient_id"], strict=True))
    for name, table in plain.tables().items():
        assert table["patient_id"].map(way).to_list() == moved.tables()[name]["patient_id"].to_list()


def test_the_secure_side_goes_back_from_pseudonym_to_child(plain, moved):
    listed = (
        list_pseudonyms(plain.patients["patient_id"], SHIFTED).set_index("pseudonym").loc[moved.patients["patient_id"]]
    )
    assert listed["patient_id"].to_list() == plain.patients["patient_id"].to_list()
    back = moved.patients["diagnosis_date"].to_numpy() - pd.to_timedelta(listed["days_moved"], unit="D").to_numpy()
    assert list(back) == list(plain.patients["diagnosis_date"].to_numpy())


def test_every_date_of_a_patient_moves_by_the_same_days(plain, moved):
    by_patient = {}
    for name, table in plain.tables().items():
        for column in (one.name for one in TABLES[name].columns if one.kind == "date"):
            days = (moved.tables()[name][column] - table[column]).dt.days
            assert days.isna().equals(table[column].isna())
            for patient, number in zip(table["patient_id"], days, strict=True):
                if not pd.isna(number):
                    by_patient.setdefault(patient, set()).add(int(number))
    assert len(by_patient) == 24
    assert all(len(days) == 1 for days in by_patient.values())
    assert all(-364 <= min(days) <= -1 for days in by_patient.values())
    assert len(set.union(*by_patient.values())) > 12


def test_age_at_each_sample_is_unchanged(plain, moved):
    ages = [age_at(cohort, cohort.labs["patient_id"], cohort.labs["date"]) for cohort in (plain, moved)]
    pd.testing.assert_series_equal(*ages, check_exact=True)


def test_the_five_years_of_diagnosis_are_those_before_dates_moved(plain, moved):
    years = plain.patients["diagnosis_date"].dt.year
    first = [2000 + (year - 2000) // 5 * 5 for year in years]
    assert moved.patients["diagnosis_era"].to_list() == [f"{year}-{year + 4}" for year in first]
    assert plain.patients["diagnosis_era"].isna().all()


def test_centres_and_judges_stay_apart_but_not_by_name(moved):
    assert moved.patients["centre"].nunique() == 1
    assert moved.patients["centre"].str.fullmatch("Centre [0-9a-f]{8}").all()
    assert moved.clinician_responses["initials"].str.fullmatch("J[0-9a-f]{8}").all()
    assert moved.clinician_responses["reason"].to_list() == ["(withheld)"]


def test_printed_results_stay_and_remarks_in_their_place_do_not(plain, moved):
    assert plain.labs["raw_value"].head(4).to_list() == ["rang Jane Doe", "12.03.2001", "943 476 5919", "<1:20"]
    assert moved.labs["raw_value"].head(4).isna().to_list() == [True, True, True, False]
    for column in ("raw_value", "raw_unit", "value", "unit"):
        pd.testing.assert_series_equal(moved.labs[column].iloc[4:], plain.labs[column].iloc[4:])
    for column in ("raw_dose", "raw_dose_unit"):
        pd.testing.assert_series_equal(moved.treatments[column], plain.treatments[column])


def test_what_was_withheld_is_told(moved):
    told = moved.load_report.set_index("table")["how_read"]
    assert "4 raw value(s) withheld" in told["labs"]  # one of them on the line of the stranger
    assert "1 reason(s) withheld" in told["clinician_responses"]
    assert told.str.contains("dates moved per patient").all()


# ------------------------------------------------------------------------------------- small cases, by hand


def test_without_the_shift_dates_stay(folder):
    read = read_tables(
        folder(patients="patient_id,birth_date,diagnosis_date\nA1,2001-01-01,2010-01-01"), pseudonyms=PSEUDONYMS
    )
    assert read.patients["birth_date"].to_list() == [pd.Timestamp("2001-01-01")]
    assert read.patients["diagnosis_era"].isna().all()


def test_an_era_that_the_source_gave_is_kept_as_its_dates_were_moved_before(folder):
    text = "patient_id,birth_date,diagnosis_date,diagnosis_era\nA1,2001-01-01,2010-01-01,2015-2019"
    assert read_tables(folder(patients=text), pseudonyms=SHIFTED).patients["diagnosis_era"].to_list() == ["2015-2019"]


def test_periods_with_an_outage_are_marked_by_the_days_before_they_moved(folder):
    path = folder(
        patients="""
        patient_id, birth_date, diagnosis_date
        A1, 2001-01-01, 2010-01-01
        """,
        follow_up="""
        patient_id, start,      end,        end_reason, end_source, laboratory_outage
        A1,         2010-01-01, 2024-06-02, transfer,   visit,
        A1,         2024-06-03, 2024-06-03, transfer,   visit,
        A1,         2024-10-31, 2025-01-01, transfer,   visit,
        A1,         2024-11-01, 2025-02-01, transfer,   visit,
        A1,         2025-02-02, 2025-03-01, ongoing,    visit,      yes
        """,
    )
    outage = Outage("cyber attack", date(2024, 6, 3), date(2024, 10, 31))
    read = read_tables(path, pseudonyms=Pseudonyms(KEY, shift_dates=True, outages=(outage,)))
    assert read.follow_up["laboratory_outage"].to_list() == [False, True, True, False, True]
    told = read.load_report.set_index("table")["how_read"]["follow_up"]
    assert told == "2 period(s) with the outage 'cyber attack'; dates moved per patient"


def test_two_spellings_of_one_health_number_are_one_patient_with_two_rows(folder):
    text = """
    patient_id,   birth_date, diagnosis_date
    9434765919,   2001-01-01, 2010-01-01
    943 476 5919, 2001-01-01, 2010-01-02
    A2,           2001-01-01, 2010-01-01
    """
    read = read_tables(folder(patients=text), pseudonyms=PSEUDONYMS)
    assert read.n_patients == 1
    assert read.set_aside["rule"].str.contains("one row per patient").all()
    assert read.set_aside["source_row"].to_list() == [2, 3]


def test_a_row_without_a_patient_is_set_aside_for_that_alone(folder):
    read = read_tables(
        folder(
            patients="patient_id,birth_date,diagnosis_date\nA1,2001-01-01,2010-01-01",
            events="patient_id,date,kind\n,2011-01-01,transplant\nA1,2011-01-01,transplant",
        ),
        pseudonyms=SHIFTED,
    )
    assert read.set_aside[["table", "source_row", "column"]].to_numpy().tolist() == [["events", 2, "patient_id"]]


def test_the_reason_why_nobody_is_left_names_no_one(folder):
    path = folder(patients="patient_id,birth_date,diagnosis_date\n943 476 5919,2001-01-01,")
    with pytest.raises(DataError) as caught:
        read_tables(path, pseudonyms=SHIFTED)
    assert "943" not in str(caught.value) + repr(caught.value.args)


def test_a_file_named_after_a_patient_loses_its_name(tmp_path):
    (tmp_path / "Goodwin-4711.csv").write_text(
        "id,born,biopsy,Tom Goodwin\nGoodwin-4711,2001-01-01,2010-01-01,x\n", encoding="utf-8"
    )
    (tmp_path / "mapping.toml").write_text(
        '[patients]\nfile = "Goodwin-4711.csv"\ncolumns.patient_id = "id"\ncolumns.birth_date = "born"\n'
        'columns.diagnosis_date = "biopsy"\n', encoding="utf-8",
    )  # fmt: skip
    read = read_tables(tmp_path, tmp_path / "mapping.toml", pseudonyms=PSEUDONYMS)
    assert read.patients["source_file"].str.fullmatch(r"file-[0-9a-f]{8}\.csv").all()
    assert "4711" not in everything(read)
    assert read.load_report["n_kept"].sum() == 1


def test_a_short_identifier_does_not_hide_the_words_of_the_report(folder):
    read = read_tables(folder(patients="patient_id,birth_date,diagnosis_date\n2,2001-01-01,2010-01-01\n\n"),
                       pseudonyms=PSEUDONYMS)  # fmt: skip
    assert read.load_report["source_file"].to_list()[0] == "patients.csv"


@pytest.mark.parametrize(
    ("table", "column", "kept", "withheld"),
    [
        ("variants", "gene", ["STAT1", "C9orf72", "HLA-DRB1"], ["Smith's gene", "see letter"]),
        ("variants", "hgvs", ["c.821G>A", "NM_007315.4:c.821G>A", "p.(Arg274Gln)", "c.1A>G; c.2T>C"],
         ["letter of Dr Smith", "a.b@example.org"]),
    ],
)  # fmt: skip
def test_genes_and_variants_stay_and_remarks_in_their_place_do_not(folder, table, column, kept, withheld):
    rows = "\n".join(f'A1,2011-01-{day:02d},variant,"{text}"' for day, text in enumerate([*kept, *withheld], start=1))
    path = folder(patients="patient_id,birth_date,diagnosis_date\nA1,2001-01-01,2010-01-01")
    (path / f"{table}.csv").write_text(f"patient_id,date,result,{column}\n{rows}\n", encoding="utf-8")
    read = read_tables(path, pseudonyms=PSEUDONYMS).tables()[table][column]
    assert read.dropna().to_list() == kept
    assert read.isna().sum() == len(withheld)


def test_identifiers_in_names_of_columns_are_hidden_and_counts_are_not(folder):
    path = folder(patients="patient_id,birth_date,diagnosis_date,wbc K1787,600300\n" + "".join(
        f"{one},2001-01-01,2010-01-01,x,y\n" for one in ("K1787", "600300", "A3")))  # fmt: skip
    (told,) = read_tables(path, pseudonyms=PSEUDONYMS).load_report["columns_not_used"].head(1)
    assert told == "wbc …, …"


def test_real_bundles_named_after_their_patients_lose_names_and_identifiers(shared_inputs):
    code = "http://snomed.info/sct|444814009"
    read = read_source(shared_inputs / "fhir", condition=code, pseudonyms=SHIFTED)
    said = everything(read)
    assert read.n_patients > 1
    for path in (shared_inputs / "fhir").glob("*.json"):
        given, family, number = path.stem.split("_")
        patient = json.loads(path.read_text(encoding="utf-8"))["entry"][0]["resource"]["id"]
        for word in (given, family, number, patient):
            assert word not in said
    assert find_identifiers(read).empty


@pytest.mark.parametrize("source", ["tables", "redcap", "fhir", "omop"])
def test_a_child_has_the_same_pseudonym_and_days_in_every_source(tmp_path, source):
    original = simulate_cohort(SEED, 6)
    exporter = import_module(EXPORTERS[source])
    getattr(exporter, f"export_{source}")(print_cohort(original), tmp_path)
    read = read_source(tmp_path, source=source, pseudonyms=SHIFTED)
    listed = list_pseudonyms(original.patients["patient_id"], SHIFTED)
    days = pd.to_timedelta(listed["days_moved"], unit="D")
    expected = dict(zip(listed["pseudonym"], original.patients["diagnosis_date"] + days, strict=True))
    assert dict(zip(read.patients["patient_id"], read.patients["diagnosis_date"], strict=True)) == expected
    said = everything(read)
    assert not any(text in said for text in original.patients["patient_id"])


HOSTILE = {
    "labs": ("raw_value", "raw_unit", "method", "uln", "date", "analyte"),
    "treatments": ("raw_dose", "raw_dose_unit", "drug", "indication", "start"),
    "events": ("kind", "cause"), "patients": ("sex", "centre"), "imaging": ("finding",), "variants": ("hgvs", "gene"),
}  # fmt: skip


@pytest.mark.parametrize("source", ["tables", "redcap", "fhir", "omop"])
def test_a_name_in_any_cell_of_any_source_is_told_nowhere(tmp_path, source):
    """With the key it is in no table; without it, still in no reason of a row set aside or line of the report."""
    printed = print_cohort(simulate_cohort(SEED, 16))
    for name, columns in HOSTILE.items():
        for row, column in enumerate(columns):
            if row < len(printed[name]):
                printed[name].loc[printed[name].index[row], column] = "Janet Doeson"
    getattr(import_module(EXPORTERS[source]), f"export_{source}")(printed, tmp_path)
    open_cohort, keyed = (read_source(tmp_path, source=source, pseudonyms=one) for one in (None, SHIFTED))
    assert len(keyed.set_aside) == len(open_cohort.set_aside) > 5
    told = open_cohort.set_aside.to_csv() + open_cohort.load_report.to_csv()
    for word in ("Janet", "Doeson"):
        assert word in everything(open_cohort), "else this test could not fail"
        assert word not in told
        assert word not in everything(keyed)
