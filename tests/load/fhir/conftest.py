"""Small FHIR files: each resource a line of NDJSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.load.fhir import read_fhir

Json = dict[str, Any]
Read = Callable[..., Cohort]


def patient(name: str = "a", **fields: Any) -> Json:
    return {"resourceType": "Patient", "id": name, "gender": "female", "birthDate": "2005-04-03", **fields}


def diagnosis(name: str = "a", code: str = "408335007", onset: str = "2015-02-01", **fields: Any) -> Json:
    coding = [{"system": "http://snomed.info/sct", "code": code}]
    return {
        "resourceType": "Condition", "id": f"aih-{name}", "code": {"coding": coding},
        "subject": {"reference": f"Patient/{name}"}, "onsetDateTime": onset, **fields,
    }  # fmt: skip


def result(value: Any = 41, unit: str = "U/L", *, code: str = "1742-6", name: str = "a", **fields: Any) -> Json:
    quantity = {"valueQuantity": {"value": value, "unit": unit}} if value is not None else {}
    return {
        "resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{name}"}, "effectiveDateTime": "2016-05-04", **quantity, **fields,
    }  # fmt: skip


def prescription(code: str = "8640", name: str = "a", **fields: Any) -> Json:
    coding = [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]
    return {
        "resourceType": "MedicationStatement", "status": "active", "medicationCodeableConcept": {"coding": coding},
        "subject": {"reference": f"Patient/{name}"}, "effectivePeriod": {"start": "2015-02-03"},
        "reasonReference": [{"reference": f"Condition/aih-{name}"}], **fields,
    }  # fmt: skip


def lines(*resources: Json) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in resources).encode()


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write resources, behind a patient with autoimmune hepatitis, as one file and read them."""

    def read_resources(*resources: Json, known: bool = True, **arguments: Any) -> Cohort:
        first = (patient(), diagnosis()) if known else ()
        (tmp_path / "export.ndjson").write_bytes(lines(*first, *resources))
        return read_fhir(tmp_path, **arguments)

    return read_resources
