"""What a laboratory result of an Observation says, and which results are left out."""

import pandas as pd
import pytest

from aih_outcomes.load.fhir import read_fhir
from aih_outcomes.load.mapping import Rules

from .conftest import diagnosis, lines, patient, result

LOINC_FROM_MEMORY = "61151-7"  # albumin, and 35194-0 bilirubin: the catalogue says how sure it is of each
UNSURE_LOINC = "35194-0"


def how_read(cohort, table):
    return " ".join(cohort.load_report.loc[cohort.load_report["table"] == table, "how_read"])


def rules_of(cohort, table):
    return list(cohort.set_aside.loc[cohort.set_aside["table"] == table, "rule"])


class TestResults:
    def test_keep_what_was_printed_and_convert_by_the_ucum_code(self, read):
        quantity = {"value": "PLACE", "unit": "IE pro Liter", "system": "http://unitsofmeasure.org", "code": "U/L"}
        row = read(result(None, valueQuantity=quantity | {"value": 41.5})).labs.iloc[0]
        assert (row["value"], row["unit"], row["raw_value"], row["raw_unit"]) == (41.5, "U/L", "41.5", "IE pro Liter")

    def test_keep_the_digits_of_a_decimal(self, tmp_path):
        text = lines(patient(), diagnosis(), result(7777)).replace(b"7777", b"1.20")
        (tmp_path / "all.ndjson").write_bytes(text)
        assert list(read_fhir(tmp_path).labs["raw_value"]) == ["1.20"]

    def test_have_the_sign_of_the_quantity(self, read):
        row = read(result(None, valueQuantity={"value": 5, "comparator": "<", "unit": "U/L"})).labs.iloc[0]
        assert (row["comparator"], row["value"], row["raw_value"]) == ("<", 5, "<5")

    def test_have_the_upper_limit_of_the_normal_range_in_its_own_unit(self, read):
        ranges = [
            {"type": {"coding": [{"code": "therapeutic"}]}, "high": {"value": 99, "unit": "g/L"}},
            {"low": {"value": 540, "unit": "mg/dL"}, "high": {"value": 1610, "unit": "mg/dL"}},
        ]
        row = read(result(20, "g/L", code="2465-3", referenceRange=ranges)).labs.iloc[0]
        assert row["uln"] == pytest.approx(16.1)
        assert row["uln_source"] == "reported"

    def test_have_no_upper_limit_where_several_differ(self, read):
        ranges = [{"high": {"value": 40, "unit": "U/L"}}, {"high": {"value": 50, "unit": "U/L"}}]
        assert read(result(referenceRange=ranges)).labs["uln"].isna().all()

    def test_have_the_upper_limit_of_a_range_in_words(self, read):
        assert list(read(result(referenceRange=[{"text": "5-40"}])).labs["uln"]) == [40]

    def test_that_are_ratios_are_titres(self, read):
        ratio = {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 640}}}
        row = read(result(None, code="5048-4", **ratio)).labs.iloc[0]
        assert (row["analyte"], row["value"], row["raw_value"]) == ("ana", 640, "1:640")

    def test_of_a_panel_are_its_components(self, read):
        parts = [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "valueQuantity": {"value": n, "unit": "U/L"},
            }
            for code, n in (("1742-6", 30), ("1920-8", 31), ("9999-9", 1))
        ]  # fmt: skip
        cohort = read(result(None, code="24325-3", component=parts))
        assert dict(zip(cohort.labs["analyte"], cohort.labs["value"], strict=True)) == {"alt": 30, "ast": 31}

    @pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "unknown", "registered"])
    def test_that_do_not_hold_are_out_and_counted(self, read, status):
        cohort = read(result(status=status))
        assert cohort.labs.empty
        assert "1 passed over: entered in error, cancelled, or not held" in how_read(cohort, "labs")

    def test_without_a_value_for_a_stated_reason_are_passed_over(self, read):
        cohort = read(result(None, dataAbsentReason={"text": "not performed"}))
        assert "without a result (dataAbsentReason)" in how_read(cohort, "labs")

    @pytest.mark.parametrize(("code", "comparator"), [("<", "<"), (">", ">"), ("H", "=")])
    def test_off_the_scale_get_their_sign_from_the_interpretation(self, read, code, comparator):
        row = read(result(41, interpretation=[{"coding": [{"code": code}]}])).labs.iloc[0]
        assert (row["comparator"], row["value"]) == (comparator, 41)

    def test_of_an_antibody_may_be_told_by_the_interpretation_alone(self, read):
        ana = result(None, code="5048-4", interpretation=[{"coding": [{"code": "NEG"}]}])
        (row,) = read(ana, mapping=Rules(titres={"ana": {"negative": "<1:20"}})).labs.itertuples()
        assert (row.comparator, row.value, row.raw_value) == ("<", 20, "negative")

    def test_without_a_unit_are_set_aside_with_the_line_that_accepts_them(self, read):
        (way_out,) = read(result(41, "")).set_aside["way_out"]
        assert 'units = { alt = { ""' in way_out

    def test_whose_unit_contradicts_its_code_are_set_aside(self, read):
        quantity = {"value": 12, "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "mg/dL"}
        (rule,) = rules_of(read(result(None, code="2465-3", valueQuantity=quantity)), "labs")
        assert "conflicting units" in rule

    def test_are_of_the_last_version(self, read):
        def version(value, number, status):
            return result(
                value, id="o1", status=status, meta={"versionId": number, "lastUpdated": f"2016-05-0{number}"}
            )

        cohort = read(version(41, "2", "final"), version(50, "1", "final"), version(44, "3", "amended"))
        assert list(cohort.labs["value"]) == [44]
        assert "2 passed over: earlier versions of a resource" in how_read(cohort, "labs")

    def test_that_were_withdrawn_later_are_out(self, read):
        meta = [{"versionId": "1"}, {"versionId": "2"}]
        cohort = read(result(id="o1", meta=meta[0]), result(id="o1", meta=meta[1], status="entered-in-error"))
        assert cohort.labs.empty

    def test_inside_a_report_have_its_patient_and_date(self, read):
        inside = result(45)
        del inside["effectiveDateTime"], inside["subject"]
        report = {
            "resourceType": "DiagnosticReport", "id": "r1", "status": "final", "subject": {"reference": "Patient/a"},
            "effectiveDateTime": "2017-03-04", "contained": [inside, {"resourceType": "Specimen", "status": "x"}],
        }  # fmt: skip
        row = read(report).labs.iloc[0]
        assert (row["value"], row["date"]) == (45, pd.Timestamp("2017-03-04"))

    def test_at_an_emergency_are_unscheduled(self, read):
        encounter = {
            "resourceType": "Encounter",
            "id": "e1",
            "class": {"code": "EMER"},
            "subject": {"reference": "Patient/a"},
        }
        cohort = read(result(encounter={"reference": "Encounter/e1"}), result(40), encounter)
        assert cohort.labs.set_index("value")["visit"].fillna("").to_dict() == {41: "unscheduled", 40: ""}

    def test_of_unknown_codes_are_counted_and_named(self, read):
        cohort = read(result(code="2339-0"), result(code="2339-0"))
        report = cohort.load_report.set_index("table").loc["labs"]
        assert report["columns_not_used"] == "http://loinc.org|2339-0 (2)"
        assert "2 passed over: codes without a word in the schema" in report["how_read"]

    def test_through_codes_from_memory_are_told(self, read):
        cohort = read(result(42, "g/L", code=LOINC_FROM_MEMORY))
        assert (
            f"1 through the code http://loinc.org|{LOINC_FROM_MEMORY}, which the catalogue has from memory"
            in how_read(cohort, "labs")
        )

    def test_through_unsure_codes_are_set_aside_until_a_mapping_accepts_them(self, read):
        cohort = read(result(10, "umol/L", code=UNSURE_LOINC))
        assert cohort.labs.empty
        (way_out,) = cohort.set_aside["way_out"]
        assert f'codes = {{ labs = {{ "http://loinc.org|{UNSURE_LOINC}" = "bilirubin" }} }}' in way_out
        rules = Rules(codes={"labs": {f"http://loinc.org|{UNSURE_LOINC}": "bilirubin"}})
        assert list(read(result(10, "umol/L", code=UNSURE_LOINC), mapping=rules).labs["analyte"]) == ["bilirubin"]

    def test_of_local_codes_are_found_by_name_or_mapping(self, read):
        def local(code, **concept):
            return result(code="x") | {"code": {"coding": [{"system": "urn:lab", "code": code}], **concept}}

        cohort = read(local("7", text="GPT (ALAT)"), local("8"), mapping=Rules(codes={"labs": {"urn:lab|8": "ast"}}))
        assert set(cohort.labs["analyte"]) == {"alt", "ast"}

    def test_of_weight_and_height_are_measurements(self, read):
        cohort = read(
            result(31500, "g", code="29463-7"), result(140, "cm", code="8302-2"), result(70, "[lb_av]", code="29463-7")
        )
        assert dict(zip(cohort.measurements["measure"], cohort.measurements["value"], strict=True)) == {
            "weight": 31.5, "height": 140,
        }  # fmt: skip
        assert rules_of(cohort, "measurements") == ["unit of a weight must be kg or g, of a height cm or m"]
