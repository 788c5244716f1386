"""Prescriptions with their dose per day and reason; conditions, procedures and gene results."""

import pandas as pd
import pytest

from aih_outcomes.load.mapping import Rules

from .conftest import diagnosis, prescription, result


def how_read(cohort, table):
    return " ".join(cohort.load_report.loc[cohort.load_report["table"] == table, "how_read"])


def rules_of(cohort, table):
    return list(cohort.set_aside.loc[cohort.set_aside["table"] == table, "rule"])


class TestTreatments:
    def test_have_drug_period_reason_and_dose_per_day(self, read):
        dosage = [{
            "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 12.5, "unit": "mg"}}],
        }]  # fmt: skip
        row = read(prescription(dosage=dosage)).treatments.iloc[0]
        assert (row["drug"], row["dose"], row["raw_dose_unit"], row["indication"]) == (
            "prednisone",
            25,
            "mg/day",
            "aih",
        )
        assert pd.isna(row["stop"])

    def test_taken_weekly_have_a_seventh_per_day(self, read):
        dosage = [{
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk"}},
            "doseAndRate": [{"doseQuantity": {"value": 14, "unit": "mg"}}],
        }]  # fmt: skip
        assert list(read(prescription(dosage=dosage)).treatments["dose"]) == [2]

    @pytest.mark.parametrize("dosage", [
        {"asNeededBoolean": True, "doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}]},
        {"doseAndRate": [{"doseQuantity": {"value": 2, "unit": "{tbl}"}}]},
        {"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}]},
    ])  # fmt: skip
    def test_whose_dose_per_day_is_not_told_are_kept_without_one(self, read, dosage):
        cohort = read(prescription(dosage=[dosage]))
        assert cohort.treatments["dose"].isna().tolist() == [True]
        assert "1 without a dose in mg a day" in how_read(cohort, "treatments")

    def test_that_ended_on_an_unknown_day_are_set_aside(self, read):
        assert rules_of(read(prescription(status="completed")), "treatments") == [
            "its status says that it ended, and no last day is given"
        ]

    def test_without_a_known_reason_are_set_aside_until_a_mapping_names_it(self, read):
        cohort = read(prescription(reasonReference=[]))
        (way_out,) = cohort.set_aside["way_out"]
        assert 'codes = { indication = { "" = "aih" } }' in way_out
        mapped = read(prescription(reasonReference=[]), mapping=Rules(codes={"indication": {"": "aih"}}))
        assert list(mapped.treatments["indication"]) == ["aih"]

    def test_refer_to_a_product_in_the_files_or_inside(self, read):
        product = {"resourceType": "Medication", "id": "m", "code": {"text": "Imurek 50 mg"}}
        refer = prescription(medicationReference={"reference": "Medication/m"})
        inside = prescription(
            medicationReference={"reference": "#m"}, contained=[product | {"code": {"text": "CellCept"}}]
        )
        for one in (refer, inside):
            del one["medicationCodeableConcept"]
        assert set(read(product, refer, inside).treatments["drug"]) == {"azathioprine", "mycophenolate"}

    def test_that_are_only_planned_are_passed_over(self, read):
        plan = prescription(resourceType="MedicationRequest", intent="plan", authoredOn="2015-02-03")
        assert "planned or advised against" in how_read(read(plan), "treatments")

    def test_of_release_5_are_told(self, read):
        new = prescription(medication={"concept": {"text": "Prednisolone"}})
        del new["medicationCodeableConcept"]
        assert "FHIR R5" in rules_of(read(new), "treatments")[0]


class TestEvents:
    def test_are_conditions_and_procedures_with_a_word_in_the_schema(self, read):
        transplant = {
            "resourceType": "Procedure", "status": "completed", "subject": {"reference": "Patient/a"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "18027006"}]},
            "performedPeriod": {"start": "2019-09-09T08:00:00+02:00"},
        }  # fmt: skip
        cohort = read(transplant, diagnosis(code="389026000", onset="2018-01-01", id="ascites"))
        assert dict(zip(cohort.events["kind"], cohort.events["date"].dt.year, strict=True)) == {
            "transplant": 2019,
            "ascites": 2018,
        }

    def test_without_a_day_are_set_aside(self, read):
        transplant = {
            "resourceType": "Procedure", "status": "completed", "subject": {"reference": "Patient/a"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "18027006"}]},
        }  # fmt: skip
        assert rules_of(read(transplant), "events") == ["required value is missing"]

    def test_of_a_gene_are_variants(self, read):
        def part(code, **value):
            return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **value}

        def answer(code):
            return {"valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": code}]}}

        gene = {
            "valueCodeableConcept": {
                "coding": [{"system": "http://www.genenames.org", "code": "HGNC:11364", "display": "STAT3"}]
            }
        }
        parts = [part("48018-6", **gene), part("53037-8", **answer("LA6668-3")), part("53034-5", **answer("LA6706-1"))]
        row = read(result(None, code="69548-6", component=parts)).variants.iloc[0]
        assert (row["gene"], row["acmg_class"], row["zygosity"]) == ("STAT3", 5, "heterozygous")
