"""Files that were cut off, packed to do harm, or written by another program: told with file and line, and read on."""

import gzip
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import AihError, DataError
from aih_outcomes.load.fhir import read_fhir, stream
from aih_outcomes.load.fhir.stream import Fault, find_files, read_resources

from .conftest import diagnosis, lines, patient, result


@pytest.fixture
def written(tmp_path):
    """Write a file behind one that holds a patient of the cohort, and read both."""

    def write_and_read(name, content, **arguments):
        (tmp_path / "a.ndjson").write_bytes(lines(patient(), diagnosis()))
        (tmp_path / name).write_bytes(content)
        cohort = read_fhir(tmp_path, **arguments)
        report = cohort.load_report
        assert (report["n_read"] == report["n_kept"] + report["n_set_aside"]).all()
        return cohort

    return write_and_read


def aside(cohort):
    return cohort.set_aside[["table", "source_file", "source_row", "rule"]].to_numpy().tolist()


def test_one_broken_line_is_set_aside_and_the_rest_is_read(written):
    content = lines(result(1)) + b'{"resourceType":"Observation","status":"fin\n' + lines(result(3))
    cohort = written("o.ndjson", content)
    assert list(cohort.labs["value"]) == [1, 3]
    assert aside(cohort) == [["labs", "o.ndjson", 2, "it is not valid JSON in UTF-8"]]


def test_a_packed_file_that_was_cut_off_is_read_as_far_as_it_goes(written):
    packed = gzip.compress(b"".join(lines(result(n)) for n in range(1, 2000)))
    cohort = written("o.ndjson.gz", packed[: len(packed) * 2 // 3])
    assert 0 < len(cohort.labs) < 1999
    assert any("cut off" in rule for rule in cohort.set_aside["rule"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_another_encoding_is_read_or_told(written, encoding):
    text = json.dumps(result(7, note=[{"text": "Müller"}]), ensure_ascii=False) + "\n"
    cohort = written("o.ndjson", text.encode(encoding))
    assert len(cohort.labs) + len(cohort.set_aside) == 1
    assert (len(cohort.labs) == 1) == (encoding != "utf-16")  # a text that is not read may be in any encoding


def test_a_line_beyond_the_limit_is_set_aside_and_not_held(written, monkeypatch):
    monkeypatch.setattr(stream, "LONGEST_LINE", 4096)
    content = lines(result(1)) + b'{"resourceType":"Observation","x":"' + b"a" * 10_000 + b'"}\n' + lines(result(3))
    cohort = written("o.ndjson.gz", gzip.compress(content))
    assert list(cohort.labs["value"]) == [1, 3]
    assert aside(cohort)[0][2] == 2


def test_a_line_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "LONGEST_LINE", 4096)
    monkeypatch.setattr(stream, "_GIVEN_UP", 2**21)
    (tmp_path / "bomb.ndjson.gz").write_bytes(gzip.compress(b"0" * 2**24))
    found = list(read_resources(tmp_path / "bomb.ndjson.gz"))
    assert [one.row for one in found] == [1, 2]
    assert "not read beyond" in found[-1].rule


def test_a_document_beyond_the_limit_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "LARGEST_DOCUMENT", 1000)
    (tmp_path / "b.json").write_text(
        json.dumps({"resourceType": "Bundle", "entry": [{"resource": result()}] * 20}, indent=1)
    )
    (fault,) = read_resources(tmp_path / "b.json")
    assert "NDJSON" in fault.way_out


def test_a_field_of_ten_million_characters_is_a_result_that_cannot_be_read(written):
    cohort = written("o.ndjson", lines(result(None, valueString="9" * 10_000_000)))
    assert len(cohort.set_aside) == 1
    assert cohort.set_aside["rule"].str.len().max() < 500


@pytest.mark.parametrize(
    "line",
    [
        b'{"resourceType":"Observation","code":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"resourceType":"Observation","status":7,"subject":{"reference":"Patient/a"}}',
        b'{"resourceType":"Observation","subject":"Patient/a"}',
        b"[1,2]",
        b"7",
    ],
    ids=["nested", "number for a code", "text for a reference", "array", "number"],
)
def test_a_resource_of_another_form_is_set_aside(written, line):
    assert len(written("o.ndjson", line + b"\n").set_aside) == 1


@pytest.mark.parametrize("value", [b"1e999", b"-5", b"123456789012345678901234567890", b'"12 mg"'])
def test_a_number_that_no_laboratory_prints_is_set_aside(written, value):
    cohort = written("o.ndjson", lines(result(7777)).replace(b"7777", value))
    assert len(cohort.set_aside) == 1
    assert cohort.labs.empty


def test_a_number_in_quotes_is_read(written):
    assert list(written("o.ndjson", lines(result("12.5"))).labs["value"]) == [12.5]


def test_of_a_key_that_stands_twice_the_last_one_counts(written):
    twice = lines(result(5)).replace(b'"status": "final"', b'"status": "final", "status": "cancelled"')
    assert written("o.ndjson", twice).labs.empty


def test_an_identifier_may_hold_anything(tmp_path):
    name = "x'; DROP TABLE labs; --"
    subject = {"reference": f"Patient/{name}"}
    (tmp_path / "a.ndjson").write_bytes(lines(patient(name), diagnosis(subject=subject), result(subject=subject)))
    assert list(read_fhir(tmp_path).labs["patient_id"]) == [name]


def test_resources_of_the_former_release_are_told(written):
    old = diagnosis("b", clinicalStatus="active")
    assert "a field is not of FHIR R4: Expected" in aside(written("c.ndjson", lines(old)))[0][3]


def test_broken_resources_of_patients_without_the_condition_are_passed_over(written):
    content = lines(patient("b"), diagnosis("b", code="73211009"), result(name="b", status=7))
    assert written("b.ndjson", content).set_aside.empty


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("all.json", json.dumps([result(1), result(2)]), [1, 2]),
        ("one.json", json.dumps(result(1), indent=2), [1]),
        ("bulk.json", lines(result(1), result(2)).decode(), [1, 2]),
        ("bundle.ndjson", json.dumps({"resourceType": "Bundle", "entry": [{"resource": result(1)}, {}]}), [1]),
        ("empty.ndjson", "", []),
        ("empty.json", "", []),
        ("blank.ndjson", "\n\n" + lines(result(1)).decode() + "\n", [1]),
    ],
)
def test_the_same_resources_come_in_files_of_several_forms(written, name, content, values):
    cohort = written(name, content.encode())
    assert sorted(cohort.labs["value"]) == values
    assert cohort.set_aside.empty


@pytest.mark.parametrize("content", ["{", '{"resourceType":"Bundle","entry":7}', '{"resourceType":"Bundle","entry":[{'])
def test_a_broken_document_is_set_aside_with_its_name(written, content):
    cohort = written("b.json", content.encode())
    assert aside(cohort)[0][1] == "b.json"


def test_a_patient_far_down_in_a_file_of_results_is_found(written):
    cohort = written("o.ndjson", lines(result(1), result(2, name="b"), patient("b"), diagnosis("b"), result(3)))
    assert sorted(cohort.patients["patient_id"]) == ["a", "b"]
    assert sorted(cohort.labs["value"]) == [1, 2, 3]
    assert cohort.set_aside.empty


def test_a_broken_file_alone_says_why(tmp_path):
    (tmp_path / "b.json").write_text('{"resourceType":"Bundle","entry":[{')
    with pytest.raises(DataError, match=r"1 line\(s\) or file\(s\) could not be read, .* not valid JSON"):
        read_fhir(tmp_path)


def test_files_below_the_folder_bear_their_path(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "o.ndjson").write_bytes(b"")
    (tmp_path / "readme.txt").write_text("x")
    assert [name for name, _ in find_files(tmp_path)] == ["part/o.ndjson"]


# Any JSON value in any field that is read: the file loads, or fails with a reason.
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.dictionaries(
    st.sampled_from([
        "id", "meta", "code", "subject", "valueQuantity", "valueString", "valueRatio", "referenceRange", "component",
        "effectiveDateTime", "effectivePeriod", "extension", "contained", "status", "dosage", "dosageInstruction",
        "statusReason", "birthDate", "identifier", "onsetDateTime", "class", "entry",
    ]),
    _JSON | st.just({"value": 5, "unit": "U/L"}) | st.just([{"high": {"value": 4}}]) | st.just("2019-13-45T"),
    max_size=4,
)  # fmt: skip
_KINDS = st.sampled_from([
    "Patient", "Condition", "Observation", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
    "Procedure", "Encounter", "Medication", "Organization", "Bundle", "Claim",
])  # fmt: skip


@settings(max_examples=12)  # each holds up to twelve resources
@given(st.lists(st.tuples(_KINDS, _FIELDS), min_size=4, max_size=12))
@example([("Observation", {"subject": {"reference": ""}}), ("Patient", {"id": ""})])
@example([("Bundle", {"entry": [{"resource": {"resourceType": "Bundle", "entry": []}}]})])
def test_no_resource_stops_the_reading_of_others(tmp_path_factory, resources):
    folder = tmp_path_factory.mktemp("fhir")
    broken = [{"resourceType": kind, "subject": {"reference": "Patient/a"}, **fields} for kind, fields in resources]
    (folder / "all.ndjson").write_bytes(lines(patient(), diagnosis(), *broken))
    report = read_fhir(folder).load_report
    assert (report["n_read"] == report["n_kept"] + report["n_set_aside"]).all()


@given(st.binary(max_size=200), st.sampled_from(["x.ndjson", "x.json", "x.ndjson.gz"]))
@example(b"\x1f\x8b\x08", "x.ndjson.gz")
@example(b"\xff\xfe{\x00", "x.json")
@example(b'{"resourceType":"Bundle","entry":[{"resource":7}]}', "x.json")
def test_any_bytes_are_resources_or_faults(tmp_path_factory, content, name):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    for one in read_resources(path):
        assert one.row >= 1
        assert isinstance(one, Fault) or isinstance(one.kind, str)
    with pytest.raises(AihError, match="0 patients"):
        read_fhir(path)


def test_one_broken_entry_of_a_bundle_is_set_aside_and_the_rest_is_read(written):
    entries = [{"resource": result(1)}, None, {"fullUrl": 5, "resource": result(2)}, 7, {"resource": result(3)}]
    cohort = written("b.json", json.dumps({"resourceType": "Bundle", "entry": entries}).encode())
    assert list(cohort.labs["value"]) == [1, 3]
    assert sorted(row[1:3] for row in aside(cohort)) == [["b.json", 2], ["b.json", 3], ["b.json", 4]]
