"""Prescriptions, statements and administrations → treatments, with the dose per day where it is told."""

from collections.abc import Iterable

from aih_outcomes.formats.fhir import (
    DAYS,
    ENDED,
    MG_PER_UNIT,
    NOT_ORDERED,
    OWN,
    PRINTED_DOSE,
    PRINTED_DOSE_UNIT,
)
from aih_outcomes.load.fhir.codes import name_concept, own_word
from aih_outcomes.load.fhir.datatypes import Concept, Quantity, number_text
from aih_outcomes.load.fhir.references import key_of_address
from aih_outcomes.load.fhir.resources import (
    Dosage,
    Medicated,
    MedicationAdministration,
    MedicationRequest,
    MedicationStatement,
    Repeat,
    find_contained,
)
from aih_outcomes.load.fhir.store import Origin, Refused, Store
from aih_outcomes.load.fhir.values import day_of, extension_text, own_cells, start_of, version_of
from aih_outcomes.load.values.parse import read_number
from aih_outcomes.load.ways_out import NO_INDICATION

_NO_END = (
    "its status says that it ended, and no last day is given",
    "Give the last day in the source (end of effectivePeriod, or of the dosage's boundsPeriod)",
)
_INDICATIONS = {"autoimmune_hepatitis": "aih", "ulcerative_colitis": "ibd", "crohn_disease": "ibd"}
# SNOMED CT codes of routes, from memory.
_ROUTES = {
    "26643006": "oral", "47625008": "intravenous", "34206005": "subcutaneous", "37161004": "rectal",
    "PO": "oral", "IV": "intravenous", "SC": "subcutaneous", "PR": "rectal",
}  # fmt: skip


def take_medication(store: Store, one: Medicated, patient_id: str, row: int) -> None:
    """Read one prescription, statement or administration of a patient of the cohort."""
    kind = type(one).__name__
    origin = Origin(patient_id, store.file, row, f"{kind}/{one.id}" if one.id else "", version_of(one.meta),
                    one.status or "")  # fmt: skip
    if bytes(one.medication):
        rule = "field 'medication' is of FHIR R5; R4 is read, which has medicationCodeableConcept"
        store.refused.append(Refused("treatments", patient_id, store.file, row, "drug", rule, "Export as FHIR R4"))
        return
    if isinstance(one, MedicationRequest) and (one.do_not_perform or one.intent in NOT_ORDERED):
        store.pass_over("treatments", "planned or advised against, not ordered")
        return
    concept = _medication_of(store, one)
    meaning = store.codebook.find(concept, "drug")
    if meaning is None:
        store.leave("treatments", name_concept(concept) or "(no code)")
    elif store.accept(meaning, "treatments", "drug", origin):
        _add(store, one, meaning.word, origin)


def _medication_of(store: Store, one: Medicated) -> Concept | None:
    if one.medication_codeable_concept is not None:
        return one.medication_codeable_concept
    address = one.medication_reference.reference if one.medication_reference is not None else None
    if not address:
        return None
    if address.startswith("#"):
        inside = find_contained(one.contained, address[1:])
        return inside.code if inside is not None else None
    return store.people.medications.get(key_of_address(address))


def _add(store: Store, one: Medicated, drug: str, origin: Origin) -> None:
    dosage = _dosage_of(one)
    start, stop = _period(one, dosage)
    own = own_cells(one.extension, "treatments")
    if not stop and one.status in ENDED and "start" not in own:
        store.refused.append(Refused("treatments", origin.patient_id, origin.file, origin.row, "stop", *_NO_END))
        return
    dose, unit = _daily_dose(one, dosage)
    readable = read_number(dose) is not None and unit in ("mg/day", "mg/kg/day")
    printed = extension_text(one.extension, PRINTED_DOSE)
    if printed is not None:
        dose, unit, readable = printed, extension_text(one.extension, PRINTED_DOSE_UNIT) or "", True
    if not readable and dosage is not None:
        store.tell("treatments", "without a dose in mg a day, as none is told")
    cells = {
        "drug": drug, "start": start, "stop": stop, "dose_printed": dose, "dose_unit": unit,
        "dose": dose if readable else "", "readable": "yes" if readable else "",
        "route": _route(dosage.route if dosage is not None else None),
        "indication": _indication(store, one),
        "reason_stopped": _own_of(_as_list(one.status_reason), "reason_stopped"),
    }  # fmt: skip
    if not cells["indication"] and "indication" not in own:
        store.refused.append(
            Refused("treatments", origin.patient_id, origin.file, origin.row, "indication", *NO_INDICATION)
        )
        return
    store.add("treatments", origin, cells | own)


def _indication(store: Store, one: Medicated) -> str:
    """Return what a medication was given for: by its reason, never by the drug."""
    own = _own_of(one.reason_code, "indication")
    if own:
        return own
    mapped = store.codebook.find_indication(one.reason_code)
    if mapped:
        return mapped
    addresses = [key_of_address(reason.reference) for reason in one.reason_reference or () if reason.reference]
    if store.people.conditions.intersection(addresses):
        return "aih"
    known = {meaning.word for reason in one.reason_code or () if (meaning := store.codebook.find(reason, "condition"))}
    return next((word for condition, word in _INDICATIONS.items() if condition in known), "")


def _dosage_of(one: Medicated) -> Dosage | None:
    if isinstance(one, MedicationRequest):
        return next(iter(one.dosage_instruction or ()), None)
    if isinstance(one, MedicationStatement):
        return next(iter(one.dosage or ()), None)
    return one.dosage if isinstance(one, MedicationAdministration) else None


def _period(one: Medicated, dosage: Dosage | None) -> tuple[str, str]:
    """Return first and last day; one dose that was given lasts a day."""
    repeat = _repeat_of(dosage)
    bounds = repeat.bounds_period if repeat is not None else None
    if isinstance(one, MedicationRequest):
        return start_of(bounds) or day_of(one.authored_on), day_of(bounds.end) if bounds is not None else ""
    if isinstance(one, MedicationStatement):
        period = one.effective_period or bounds
        start = start_of(period) or day_of(one.effective_date_time) or day_of(one.date_asserted)
        return start, day_of(period.end) if period is not None else ""
    if isinstance(one, MedicationAdministration):
        period = one.effective_period
        start = start_of(period) or day_of(one.effective_date_time)
        return start, (day_of(period.end) if period is not None else "") or start
    return "", ""


def _repeat_of(dosage: Dosage | None) -> Repeat | None:
    return dosage.timing.repeat if dosage is not None and dosage.timing is not None else None


def _daily_dose(one: Medicated, dosage: Dosage | None) -> tuple[str, str]:
    """Return dose and unit per day; where they cannot be told, the dose as it stands in the resource."""
    if dosage is None or dosage.as_needed_boolean:
        return "", ""
    rate = next(iter(dosage.dose_and_rate or ()), None)
    quantity: Quantity | None = dosage.dose if rate is None else rate.dose_quantity
    if quantity is None:
        return "", ""
    per_day = 1.0 if isinstance(one, MedicationAdministration) else _times_a_day(_repeat_of(dosage))
    printed = number_text(quantity.value)
    unit = quantity.code or quantity.unit or ""
    weight = unit.endswith("/kg")
    factor = MG_PER_UNIT.get(unit.removesuffix("/kg"))
    number = read_number(printed)
    if per_day is None or factor is None or number is None:
        return printed, unit
    times = per_day * factor
    dose = printed if times == 1 else repr(number * times)
    return dose, "mg/kg/day" if weight else "mg/day"


def _times_a_day(repeat: Repeat | None) -> float | None:
    """Return how often a dose is taken per day; None where it is not told."""
    if repeat is None or not repeat.frequency or not repeat.period or repeat.period_unit not in DAYS:
        return None
    return repeat.frequency / (repeat.period * DAYS[repeat.period_unit])


def _route(concept: Concept | None) -> str:
    own = own_word(concept, f"{OWN}treatments.route")
    if own is not None:
        return own
    coding = concept.coding if concept is not None else None
    return next((_ROUTES[one.code] for one in coding or () if one.code in _ROUTES), "")


def _own_of(concepts: Iterable[Concept] | None, column: str) -> str:
    found = (own_word(one, f"{OWN}treatments.{column}") for one in concepts or ())
    return next((word for word in found if word), "")


def _as_list(concepts: Concept | list[Concept] | None) -> list[Concept]:
    if concepts is None:
        return []
    return concepts if isinstance(concepts, list) else [concepts]
