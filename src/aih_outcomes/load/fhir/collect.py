"""Second pass over the files: the resources of the cohort's patients become rows; all others are counted."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aih_outcomes.load.fhir.datatypes import UNREADABLE, Decoder, rule_of
from aih_outcomes.load.fhir.diagnoses import (
    add_facts,
    see,
    take_condition,
    take_encounter,
    take_patient,
    take_procedure,
)
from aih_outcomes.load.fhir.medications import take_medication
from aih_outcomes.load.fhir.observations import date_of, take_observation
from aih_outcomes.load.fhir.people import SURVEYED, patient_key
from aih_outcomes.load.fhir.references import find_patient
from aih_outcomes.load.fhir.resources import (
    Condition,
    DiagnosticReport,
    Encounter,
    Kind,
    MedicationAdministration,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
    Procedure,
    Subject,
)
from aih_outcomes.load.fhir.store import Refused, Store
from aih_outcomes.load.fhir.stream import Fault, Found, read_resources
from aih_outcomes.load.fhir.values import day_of, start_of

_DECODERS = {
    kind.__name__: Decoder(kind)
    for kind in (
        Patient, Condition, Observation, Procedure, Encounter, MedicationRequest, MedicationStatement,
        MedicationAdministration, DiagnosticReport,
    )
}  # fmt: skip
# Where a resource of each kind would have stood, had it been readable.
TABLE_OF = {
    "Patient": "patients", "Condition": "events", "Procedure": "events", "Observation": "labs", "Encounter": "labs",
    "MedicationRequest": "treatments", "MedicationStatement": "treatments", "MedicationAdministration": "treatments",
    "Medication": "treatments", "DiagnosticReport": "labs",
}  # fmt: skip
_SUBJECT, _KIND, _OBSERVATION = Decoder(Subject), Decoder(Kind), Decoder(Observation)
_LONGEST_KIND = 40
_NOT_OF_COHORT = "of patients without the condition"
_NO_PATIENT = "of something that is no patient"
_NO_RESOURCE = (
    "has the condition, and no Patient resource",
    "Export the Patient resources too, and lay their file in the same folder",
)
_EXPORT_R4 = "Export as FHIR R4 (4.0.1), or correct the resource"


def collect(files: Iterable[tuple[str, Path]], store: Store) -> bool:
    """Read every resource of the cohort's patients into the store.

    Returns
    -------
    False where a file that the first pass left out holds what it looked for; the store is then of no use
    """
    for place, (_, path) in enumerate(files):
        store.file = place
        left_out = place in store.people.left_out
        for found in read_resources(path):
            if isinstance(found, Fault):
                _refuse_fault(store, found)
                continue
            if left_out and found.kind in SURVEYED:
                return False
            decoder = _DECODERS.get(found.kind)
            if decoder is None:
                _pass_kind(store, found.kind)
                continue
            try:
                one = decoder.decode(found.text)
            except UNREADABLE as error:
                _refuse_fields(store, found, error)
                continue
            _take(store, found, one)
    add_facts(store)
    _refuse_strangers(store)
    return True


def _take(store: Store, found: Found, one: Any) -> None:
    kind = found.kind
    if kind == "Patient":
        key = patient_key(one, found.address)
        if not key or key in store.people.onsets:
            take_patient(store, one, found.row, found.address)
        else:
            store.pass_over("patients", _NOT_OF_COHORT)
        return
    patient_id = find_patient(one.subject, one.contained, store.people.known)
    if patient_id not in store.people.onsets and not _is_wanted(store, patient_id, TABLE_OF[kind]):
        return
    assert patient_id is not None  # else it would not be wanted
    if kind == "Observation":
        day = date_of(one)
        if day > store.last_seen.get(patient_id, "") and one.status != "entered-in-error":
            see(store, patient_id, day)
        take_observation(store, one, patient_id, found.row, day)
    elif kind == "DiagnosticReport":
        _take_report(store, found, one, patient_id)
    elif kind == "Encounter":
        take_encounter(store, one, found.row, found.address)
        see(store, patient_id, start_of(one.period))
    else:
        _TAKERS[kind](store, one, patient_id, found.row)
        see(store, patient_id, _day_of(one))


_TAKERS: dict[str, Callable[[Store, Any, str, int], None]] = {
    "Condition": take_condition, "Procedure": take_procedure, "MedicationRequest": take_medication,
    "MedicationStatement": take_medication, "MedicationAdministration": take_medication,
}  # fmt: skip


def _take_report(store: Store, found: Found, report: DiagnosticReport, patient_id: str) -> None:
    """Read the results inside a report; those outside are resources of their own, and are read as such."""
    for text in report.contained or ():
        try:
            if _KIND.decode(text).resource_type != "Observation":
                continue
            one = _OBSERVATION.decode(text)
        except UNREADABLE as error:
            _refuse_fields(store, found, error)
            continue
        one.id = f"{report.id}#{one.id}"
        if not date_of(one):
            one.effective_date_time, one.effective_period = report.effective_date_time, report.effective_period
            one.issued = report.issued
        take_observation(store, one, patient_id, found.row, date_of(one))


def _is_wanted(store: Store, patient_id: str | None, table: str) -> bool:
    """Return whether a resource is of the cohort, or of nobody who is known and so to be checked."""
    if patient_id is None:
        store.pass_over(table, _NO_PATIENT)
        return False
    people = store.people
    if patient_id in people.onsets or patient_id not in people.patients:
        return True
    store.pass_over(table, _NOT_OF_COHORT)
    return False


def _day_of(one: Any) -> str:
    """Return the day of a resource that shows a patient alive."""
    if isinstance(one, Condition):
        return day_of(one.recorded_date)
    if isinstance(one, Procedure):
        return day_of(one.performed_date_time) or start_of(one.performed_period)
    if isinstance(one, MedicationRequest):
        return day_of(one.authored_on)
    return day_of(one.effective_date_time) or start_of(one.effective_period)


def _pass_kind(store: Store, kind: str) -> None:
    """Count a resource of a kind that is not read, or text that is none."""
    if not kind:
        store.pass_over("patients", "without a resourceType")
    elif kind not in ("Medication", "Organization"):
        store.leave("patients", kind if kind.isalpha() and len(kind) < _LONGEST_KIND else "…")


def _refuse_fault(store: Store, fault: Fault) -> None:
    table = TABLE_OF.get(fault.kind, "patients")
    store.refused.append(Refused(table, "", store.file, fault.row, "", fault.rule, fault.way_out))


def _refuse_fields(store: Store, found: Found, error: BaseException) -> None:
    """Set aside a resource with a field that is not of R4, unless it is of a patient without the condition."""
    table = TABLE_OF[found.kind]
    patient_id = ""
    try:
        subject = _SUBJECT.decode(found.text)
    except UNREADABLE:
        subject = None
    if subject is not None and found.kind != "Patient":
        key = find_patient(subject.subject, None, store.people.known)
        if not _is_wanted(store, key, table):
            return
        patient_id = key or ""
    if subject is not None and found.kind == "Patient":
        patient_id = subject.id or ""
    store.refused.append(Refused(table, patient_id, store.file, found.row, "", rule_of(error), _EXPORT_R4))


def _refuse_strangers(store: Store) -> None:
    """Set aside, once each, who has the condition and no Patient resource, not even one that cannot be read."""
    told = store.people.patients.union(one.patient_id for one in store.refused if one.table == "patients")
    for patient_id, (onset, *_) in store.people.onsets.items():
        if patient_id not in told:
            place = Refused("patients", patient_id, onset.file, onset.row, "patient_id", *_NO_RESOURCE)
            store.refused.append(place)
