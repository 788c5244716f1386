"""The rows of a cohort as FHIR R4 resources: each cell is written as it stands, right or wrong."""

import re
from typing import Any

from aih_outcomes.formats.fhir import (
    GENDERS,
    LOINC,
    OWN,
    OWN_PATIENT,
    OWN_TABLE,
    PRINTED_DOSE,
    PRINTED_DOSE_UNIT,
    PRINTED_UNIT,
    SNOMED,
    UCUM,
    VARIANT,
    column_system,
)
from aih_outcomes.schema import TABLES, Kind
from aih_outcomes.simulate.exports.fhir_codes import analyte_coding, drug_codings, event_codes, measure_coding
from aih_outcomes.units import accepted_units, canonical_units, normalise_unit

Json = dict[str, Any]
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_RESULT = re.compile(rf"(<=|>=|<|>)?({_NUMBER.pattern})")
_TITRE = re.compile(r"1:([1-9]\d*)")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_PRECISE = {"month": re.compile(r"\d{4}-\d{2}(?=-15$)"), "year": re.compile(r"\d{4}(?=-07-01$)")}
_UNITS = {"weight": "kg", "height": "cm", "spleen_below_costal_margin": "cm"}
_SNOMED_AIH = "408335007"


def _number(text: str) -> str:
    """Mark a number so that it is written digit by digit as printed (``1.20``), which a float would not keep."""
    return f"\0{text}\0"


def _extension(url: str, text: str) -> Json:
    return {"url": url, "valueString": text}


def _list_cells(row: dict[str, str], table: str, *columns: str) -> list[Json]:
    """Return the filled cells of columns that a resource has no field for."""
    return [_extension(column_system(table, column), row[column]) for column in columns if row.get(column)]


def _subject(row: dict[str, str]) -> Json:
    patient_id = row["patient_id"]
    if not patient_id:
        return {}
    if _ID.fullmatch(patient_id):
        return {"subject": {"reference": f"Patient/{patient_id}"}}
    return {"subject": {"identifier": {"system": OWN_PATIENT, "value": patient_id}}}


def _date(row: dict[str, str], column: str) -> tuple[str, str]:
    """Return a date as precisely as it is known, and what the date itself does not say of its precision."""
    told = row.get("date_precision", "")
    short = _PRECISE[told].match(row[column]) if told in _PRECISE else None
    return (short.group(), "") if short else (row[column], told)


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _filled(**fields: object) -> Json:
    return {name: value for name, value in fields.items() if value not in ("", None, [], {})}


def patient_resource(row: dict[str, str], *, death: dict[str, str] | None, repeated: bool) -> Json:
    """Return a Patient; one who is written twice keeps the facts of each row, which one Condition cannot."""
    in_fields = ("patient_id", "sex", "birth_date", "diagnosis_date", "diagnosis", "centre")
    extensions = _list_cells(row, "patients", *(column for column in row if column not in in_fields))
    if repeated:
        extensions += [
            _extension(column_system("patients", name), row[name]) for name in ("diagnosis_date", "diagnosis")
        ]
    coded = GENDERS.get(row["sex"]) == row["sex"]
    extensions += [] if coded else _list_cells(row, "patients", "sex")
    extensions += _list_cells(death, "events", "cause", "grade", "date_precision") if death is not None else []
    patient_id = row["patient_id"]
    return {
        "resourceType": "Patient",
        **_filled(
            id=patient_id if _ID.fullmatch(patient_id) else "",
            extension=extensions,
            identifier=[{"system": OWN_PATIENT, "value": patient_id}] if patient_id else [],
            gender=row["sex"] if coded else "",
            birthDate=row["birth_date"],
            deceasedDateTime=death["date"] if death is not None else "",
            managingOrganization=_filled(display=row["centre"]),
        ),
    }


def diagnosis_resource(row: dict[str, str], place: int, *, repeated: bool) -> Json:
    """Return the Condition that makes a patient one of the cohort, by whatever name the centre gave it."""
    standard = row["diagnosis"] == "aih" and not repeated
    code = (
        _concept(SNOMED, _SNOMED_AIH)
        if standard
        else _concept(column_system("patients", "diagnosis"), row["diagnosis"] or "unstated")
    )
    return {
        "resourceType": "Condition", "id": f"diagnosis-{place}", "code": code, **_subject(row),
        **_filled(onsetDateTime=row["diagnosis_date"]),
    }  # fmt: skip


def _quantity(sign: str, number: str, unit: str, code: str) -> Json:
    coded = {"system": UCUM, "code": code} if code else {}
    return {"value": _number(number), **_filled(comparator=sign, unit=unit), **coded}


def _ucum(analyte: str, unit: str) -> str:
    code = normalise_unit(unit) if unit else ""
    return code if code in accepted_units(analyte) else ""


def result_resource(row: dict[str, str], place: int) -> Json:
    """Return an Observation of a laboratory result: a quantity, a ratio for a titre, else the text."""
    date, precision = _date(row, "date")
    extensions = _list_cells(row | {"date_precision": precision}, "labs", "visit", "date_precision")
    value = _value(row["raw_value"], row["raw_unit"], _ucum(row["analyte"], row["raw_unit"]))
    if row["raw_unit"] and "valueQuantity" not in value:
        extensions = [*extensions, _extension(PRINTED_UNIT, row["raw_unit"])]
    method = _concept(column_system("labs", "method"), row["method"]) if row["method"] else {}
    return {
        "resourceType": "Observation", "id": f"labs-{place}", "status": "final",
        **_filled(extension=extensions),
        "category": [_concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
        **_filled(code=_analyte_code(row)), **_subject(row),
        **_filled(effectiveDateTime=date), **value, **_filled(method=method, referenceRange=_range(row)),
    }  # fmt: skip


def _value(text: str, unit: str, code: str) -> Json:
    """Return a result in the type that holds it as printed."""
    if result := _RESULT.fullmatch(text):
        return {"valueQuantity": _quantity(result[1] or "", result[2], unit, code)}
    if titre := _TITRE.fullmatch(text):
        return {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": _number(titre[1])}}}
    return _filled(valueString=text)


def _range(row: dict[str, str]) -> list[Json]:
    told = _list_cells(row, "labs", "uln_source") if row["uln"] or row["uln_source"] not in ("", "none") else []
    extension = _filled(extension=told)
    unit = canonical_units().get(row["analyte"], "")
    if _NUMBER.fullmatch(row["uln"]):
        return [{**extension, "high": _quantity("", row["uln"], unit, unit)}]
    return [{**extension, **_filled(text=row["uln"])}] if row["uln"] or extension else []


def _analyte_code(row: dict[str, str]) -> Json:
    return _concept(*analyte_coding(row["analyte"], row["raw_unit"])) if row["analyte"] else {}


def treatment_resource(row: dict[str, str], place: int) -> Json:
    """Return a MedicationStatement, its dose per day where mg are told."""
    own = _list_cells(row, "treatments", "date_precision")
    dose, unit = row["raw_dose"], row["raw_dose_unit"]
    per_day = {"mg/day": "mg", "mg/kg/day": "mg/kg"}.get(unit)
    dosage: Json = _filled(route=_concept(column_system("treatments", "route"), row["route"]) if row["route"] else {})
    if _NUMBER.fullmatch(dose) and per_day:
        dosage["timing"] = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
        dosage["doseAndRate"] = [{"doseQuantity": _quantity("", dose, per_day, per_day)}]
    elif dose or unit:
        own = [*own, _extension(PRINTED_DOSE, dose), _extension(PRINTED_DOSE_UNIT, unit)]
    if not row["indication"]:
        own = [*own, _extension(column_system("treatments", "indication"), "")]
    reason = {name: _concept(column_system("treatments", name), row[name]) if row[name] else {}
              for name in ("indication", "reason_stopped")}  # fmt: skip
    return {
        "resourceType": "MedicationStatement", "id": f"treatments-{place}",
        "status": "stopped" if row["stop"] else "active", **_filled(extension=own),
        **_filled(statusReason=[reason["reason_stopped"]] if reason["reason_stopped"] else []),
        **_filled(medicationCodeableConcept=_drug_code(row["drug"])), **_subject(row),
        **_filled(effectivePeriod=_filled(start=row["start"], end=row["stop"])),
        **_filled(reasonCode=[reason["indication"]] if reason["indication"] else [], dosage=[dosage] if dosage else []),
    }  # fmt: skip


def _drug_code(drug: str) -> Json:
    coding = [{"system": system, "code": code} for system, code in drug_codings().get(drug, ())]
    own = [{"system": column_system("treatments", "drug"), "code": drug}] if drug and not coding else []
    return _filled(coding=coding or own)


def measurement_resource(row: dict[str, str], place: int) -> Json:
    """Return an Observation of a measurement."""
    date, precision = _date(row, "date")
    extensions = _list_cells({"date_precision": precision}, "measurements", "date_precision")
    unit = _UNITS.get(row["measure"], "")
    value = _value(row["value"], unit, unit)
    if unit and "valueQuantity" not in value:
        extensions = [*extensions, _extension(PRINTED_UNIT, unit)]
    code = _concept(*measure_coding(row["measure"])) if row["measure"] else {}
    return {
        "resourceType": "Observation", "id": f"measurements-{place}", "status": "final",
        **_filled(extension=extensions, code=code), **_subject(row), **_filled(effectiveDateTime=date), **value,
    }  # fmt: skip


def event_resource(row: dict[str, str], place: int) -> Json:
    """Return a Procedure or Condition where the event has a code, else a row of the project's own."""
    coded = event_codes().get(row["kind"])
    if coded is None:
        return own_row_resource(row, "events", place)
    date, precision = _date(row, "date")
    cells = _list_cells(row | {"date_precision": precision}, "events", "cause", "grade", "date_precision")
    shared = {"id": f"events-{place}", **_filled(extension=cells), "code": _concept(SNOMED, coded), **_subject(row)}
    if row["kind"] == "transplant":
        return {"resourceType": "Procedure", "status": "completed", **shared, **_filled(performedDateTime=date)}
    return {"resourceType": "Condition", **shared, **_filled(onsetDateTime=date)}


def own_row_resource(row: dict[str, str], table: str, place: int) -> Json:
    """Return a row as an Observation with a component per filled cell."""
    dated = "date" in row
    date, precision = _date(row, "date") if dated else ("", row["date_precision"])
    cells = {name: text for name, text in (row | {"date_precision": precision}).items()
             if text and name not in ("patient_id", "date")}  # fmt: skip
    kinds = {column.name: column.kind for column in TABLES[table].columns}
    coding = [{"system": OWN_TABLE, "code": table}]
    if table == "variants":
        coding.append({"system": LOINC, "code": VARIANT})
    components = [{"code": _concept(f"{OWN}{table}", name), **_cell(text, kinds[name])} for name, text in cells.items()]
    return {
        "resourceType": "Observation", "id": f"{table.replace('_', '-')}-{place}", "status": "final",
        "code": {"coding": coding}, **_subject(row), **_filled(effectiveDateTime=date), **_filled(component=components),
    }  # fmt: skip


def _cell(text: str, kind: Kind) -> Json:
    """Return a cell in the type of its column, as text where it is none."""
    if kind in ("number", "integer") and _NUMBER.fullmatch(text):
        return {"valueQuantity": {"value": _number(text)}}
    if kind == "yes_no" and text in ("yes", "no"):
        return {"valueBoolean": text == "yes"}
    if kind == "date":
        return {"valueDateTime": text}
    return {"valueString": text}
