"""What a data manager checks of a FHIR export: who is in, what a result says, and what was left out and why."""

import gzip
import json
import subprocess
import sys

import pandas as pd
import pytest

from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load.fhir import read_fhir
from aih_outcomes.load.mapping import Rules

from .conftest import diagnosis, lines, patient, result


def how_read(cohort, table):
    return " ".join(cohort.load_report.loc[cohort.load_report["table"] == table, "how_read"])


def rules_of(cohort, table):
    return list(cohort.set_aside.loc[cohort.set_aside["table"] == table, "rule"])


class TestPatients:
    def test_are_those_with_the_condition(self, read):
        cohort = read(patient("b"), diagnosis("b", code="73211009"), result(name="b"))
        assert list(cohort.patients["patient_id"]) == ["a"]
        assert cohort.labs.empty
        assert "1 passed over: of patients without the condition" in how_read(cohort, "labs")

    def test_have_sex_birth_diagnosis_and_centre(self, read):
        cohort = read(
            {"resourceType": "Organization", "id": "o1", "name": "Liver unit"},
            patient("b", gender="male", managingOrganization={"reference": "Organization/o1"}),
            diagnosis("b", onset="2019-01-02"),
        )
        row = cohort.patients.set_index("patient_id").loc["b"]
        assert (row["sex"], row["centre"], row["diagnosis"]) == ("male", "Liver unit", "aih")
        assert row["diagnosis_date"] == pd.Timestamp("2019-01-02")

    def test_are_diagnosed_at_the_first_of_several_conditions(self, read):
        cohort = read(diagnosis(onset="2014-12-31T23:30:00-08:00"), diagnosis(onset="2016-01-01"))
        assert cohort.patients["diagnosis_date"].iloc[0] == pd.Timestamp("2014-12-31")  # the local day, as written

    @pytest.mark.parametrize("onset", ["", "0000-00-00", "1e5", "2014-02-30"])
    def test_are_not_lost_to_a_second_condition_without_a_day_that_exists(self, read, onset):
        cohort = read(diagnosis(onset=onset))
        assert cohort.patients["diagnosis_date"].tolist() == [pd.Timestamp("2015-02-01")]

    @pytest.mark.parametrize("status", ["refuted", "entered-in-error", "differential"])
    def test_are_not_those_whose_condition_does_not_hold(self, read, status):
        cohort = read(patient("b"), diagnosis("b", verificationStatus={"coding": [{"code": status}]}))
        assert list(cohort.patients["patient_id"]) == ["a"]

    def test_without_an_onset_have_the_day_of_recording_and_are_told(self, read):
        condition = diagnosis("b", recordedDate="2018-03-01")
        del condition["onsetDateTime"]
        cohort = read(patient("b"), condition)
        assert pd.Timestamp("2018-03-01") in set(cohort.patients["diagnosis_date"])
        assert "1 whose diagnosis is dated by the day it was recorded" in how_read(cohort, "patients")

    def test_without_any_date_of_diagnosis_are_set_aside_with_their_rows(self, read):
        condition = diagnosis("b")
        del condition["onsetDateTime"]
        cohort = read(patient("b"), condition, result(name="b"))
        assert rules_of(cohort, "patients") == ["required value is missing"]
        assert len(rules_of(cohort, "labs")) == 1

    def test_without_a_patient_resource_are_set_aside_once_though_nothing_else_is_known_of_them(self, read):
        cohort = read(diagnosis("b"), diagnosis("b", onset="2017-01-01"), diagnosis("c"), result(name="c"))
        assert rules_of(cohort, "patients") == ["has the condition, and no Patient resource"] * 2
        assert rules_of(cohort, "labs") == ["patient was set aside"]

    def test_whose_resource_cannot_be_read_are_told_where_nobody_is_left(self, read):
        with pytest.raises(DataError) as caught:
            read(patient(birthDate=2005), diagnosis(), known=False)
        assert "the first in 'export.ndjson', line 1: a field is not of FHIR R4" in caught.value.what
        assert "$.birthDate" in caught.value.what

    def test_whose_file_is_named_after_them_are_not_named_in_an_error(self, tmp_path):
        (tmp_path / "Chet_Thompson_17.json").write_bytes(b'{"resourceType": "Bundle", "entry": [')
        with pytest.raises(DataError) as caught:
            read_fhir(tmp_path / "Chet_Thompson_17.json")
        assert "Thompson" not in str(caught.value)
        assert "the first in 'file 1', line 1" in caught.value.what

    def test_known_to_the_month_keep_that_precision(self, read):
        cohort = read(patient("b", birthDate="2004-06"), diagnosis("b", onset="2012"))
        row = cohort.patients.set_index("patient_id").loc["b"]
        assert row["date_precision"] == "year"
        assert (row["birth_date"], row["diagnosis_date"]) == (pd.Timestamp("2004-06-15"), pd.Timestamp("2012-07-01"))

    def test_who_died_have_an_event_and_their_follow_up_ends_with_it(self, read):
        cohort = read(patient("b", deceasedDateTime="2020-02-03T10:00:00Z"), diagnosis("b"))
        assert cohort.events[["patient_id", "kind"]].to_numpy().tolist() == [["b", "death"]]
        row = cohort.follow_up.set_index("patient_id").loc["b"]
        assert (row["end_reason"], row["end"]) == ("death", pd.Timestamp("2020-02-03"))

    def test_who_died_on_an_unknown_day_are_told(self, read):
        assert rules_of(read(patient("b", deceasedBoolean=True), diagnosis("b")), "events") == [
            "required value is missing"
        ]

    def test_have_facts_of_conditions_that_began_by_diagnosis(self, read):
        cohort = read(
            diagnosis(code="34000006", onset="2014-05-01", id="crohn"),
            diagnosis(code="19943007", onset="2019-05-01", id="cirrhosis"),
        )
        assert bool(cohort.patients["ibd"].iloc[0])
        assert cohort.patients["cirrhosis_at_diagnosis"].isna().all()

    def test_are_followed_to_the_last_resource_and_the_report_says_so(self, read):
        cohort = read(result(effectiveDateTime="2021-07-08"), result(effectiveDateTime="2018-01-01"))
        row = cohort.follow_up.iloc[0]
        assert (row["start"], row["end"]) == (pd.Timestamp("2015-02-01"), pd.Timestamp("2021-07-08"))
        assert "made from diagnosis to the last dated resource" in how_read(cohort, "follow_up")


class TestReferences:
    @pytest.mark.parametrize(
        "subject",
        [
            {"reference": "Patient/a"},
            {"reference": "urn:uuid:a"},
            {"reference": "https://server.example/fhir/Patient/a"},
            {"reference": "https://server.example/fhir/Patient/a/_history/3"},
            {"reference": "Patient/a/_history/3"},
            {"reference": "Patient?identifier=urn:mrn|77"},
            {"identifier": {"system": "urn:mrn", "value": "77"}},
        ],
    )
    def test_of_every_form_lead_to_the_patient(self, read, subject):
        first = patient(identifier=[{"system": "urn:mrn", "value": "77"}])
        cohort = read(first, diagnosis(), result(subject=subject), known=False)
        assert list(cohort.labs["patient_id"]) == ["a"]

    def test_to_a_contained_patient_are_followed_by_its_identifier(self, read):
        number = [{"system": "urn:mrn", "value": "77"}]
        held = [{"resourceType": "Patient", "id": "p", "identifier": number}]
        cohort = read(
            patient(identifier=number), diagnosis(), result(subject={"reference": "#p"}, contained=held), known=False
        )
        assert list(cohort.labs["patient_id"]) == ["a"]

    def test_of_a_bundle_lead_from_full_url_to_the_patient(self, tmp_path):
        entries = [("urn:uuid:1-2", patient()), ("urn:uuid:3-4", diagnosis(subject={"reference": "urn:uuid:1-2"}))]
        entries.append(("urn:uuid:5-6", result(subject={"reference": "urn:uuid:1-2"})))
        bundle = {"resourceType": "Bundle", "type": "transaction",
                  "entry": [{"fullUrl": url, "resource": one} for url, one in entries]}  # fmt: skip
        (tmp_path / "bundle.json").write_text(json.dumps(bundle, indent=1))
        cohort = read_fhir(tmp_path / "bundle.json")
        assert list(cohort.labs["patient_id"]) == ["a"]
        assert list(cohort.labs["source_row"]) == [3]  # the place in its Bundle

    def test_to_nobody_in_the_files_are_set_aside(self, read):
        assert rules_of(read(result(name="x")), "labs") == ["patient is not in the table 'patients'"]

    def test_to_a_group_are_passed_over(self, read):
        cohort = read(result(subject={"reference": "Group/g1"}))
        assert "1 passed over: of something that is no patient" in how_read(cohort, "labs")


class TestErrors:
    def test_nobody_with_the_condition_says_what_was_read_and_what_to_name(self, read):
        with pytest.raises(DataError) as caught:
            read(patient(), diagnosis(code="73211009"), known=False)
        assert "1 patient(s) and 1 condition(s)" in str(caught.value)
        assert "SNOMED CT" in caught.value.rule
        assert "condition = " in caught.value.way_out

    def test_a_condition_may_be_a_code(self, read):
        cohort = read(diagnosis(code="73211009"), patient(), condition="snomed|73211009", known=False)
        assert cohort.n_patients == 1
        assert cohort.patients["diagnosis"].isna().all()

    def test_a_local_code_of_the_condition_is_mapped(self, read):
        own = diagnosis()
        own["code"] = {"coding": [{"system": "urn:clinic", "code": "AIH"}]}
        rules = Rules(codes={"events": {"urn:clinic|AIH": "autoimmune_hepatitis"}})
        cohort = read(patient(), own, mapping=rules, known=False)
        assert list(cohort.patients["diagnosis"]) == ["aih"]
        assert cohort.events.empty

    def test_a_condition_found_through_a_code_from_memory_is_told(self, read):
        own = diagnosis()
        own["code"] = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "K75.4"}]}
        told = how_read(read(patient(), own, known=False), "patients")
        assert "1 through the code http://hl7.org/fhir/sid/icd-10|K75.4, which the catalogue has from memory" in told

    def test_conditions_without_their_patients_are_told(self, read):
        with pytest.raises(DataError, match=r"1 patient\(s\) with the condition, and a Patient resource of none"):
            read(diagnosis(), known=False)

    def test_an_unknown_condition_is_refused(self, read):
        with pytest.raises(PlanError, match="autoimmune_hepatitis"):
            read(condition="autoimune_hepatitis")

    def test_a_folder_without_resources_is_told(self, tmp_path):
        with pytest.raises(DataError, match="holds no file of resources"):
            read_fhir(tmp_path)

    def test_a_patients_identifier_is_in_no_message(self, read):
        cohort = read(patient("SECRET"), diagnosis("SECRET", onset="x"), result("SECRET", name="SECRET"))
        assert "SECRET" not in cohort.set_aside.to_csv() + cohort.load_report.to_csv()


def test_packed_files_are_read(tmp_path):
    (tmp_path / "all.ndjson.gz").write_bytes(gzip.compress(lines(patient(), diagnosis(), result())))
    assert len(read_fhir(tmp_path).labs) == 1


@pytest.mark.parametrize(("code", "n_patients"), [("snomed|444814009", 3), ("http://snomed.info/sct|64859006", 1)])
def test_bundles_of_others_load_where_the_condition_is_theirs(shared_inputs, code, n_patients):
    """Five transaction Bundles of synthetic patients; viral sinusitis was counted in the files by hand (grep)."""
    cohort = read_fhir(shared_inputs / "fhir", condition=code)
    assert cohort.n_patients == n_patients
    assert (cohort.load_report["n_read"] == cohort.load_report["n_kept"] + cohort.load_report["n_set_aside"]).all()


def test_bundles_of_others_have_nobody_with_autoimmune_hepatitis(shared_inputs):
    with pytest.raises(DataError, match=r"5 file\(s\) with 5 patient\(s\) and 23 condition\(s\)"):
        read_fhir(shared_inputs / "fhir")


def test_without_its_package_the_extra_is_named():
    script = "import sys; sys.modules['msgspec'] = None\nimport aih_outcomes.load.fhir"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'aih-outcomes[fhir]'" in done.stderr
