"""The fields of FHIR R4 resources that are read; all others are passed over while the text is parsed."""

from collections.abc import Iterable

from msgspec import field

from aih_outcomes.load.fhir.datatypes import (
    NOTHING,
    UNREADABLE,
    Coding,
    Concept,
    Decoder,
    Extension,
    Identifier,
    Meta,
    Part,
    Period,
    Quantity,
    Range,
    Raw,
    Reference,
    ReferenceRange,
    Valued,
)


class Contained(Part):
    """A resource inside another one: a medication or the patient."""

    resource_type: str | None = None
    id: str | None = None
    code: Concept | None = None
    identifier: list[Identifier] | None = None


class Resource(Part):
    """What all resources share."""

    id: str | None = None
    meta: Meta | None = None
    status: str | None = None
    extension: list[Extension] | None = None
    contained: list[Raw] | None = None


class Component(Valued):
    """One of several results of an Observation."""

    code: Concept | None = None
    data_absent_reason: Concept | None = None
    interpretation: list[Concept] | None = None
    reference_range: list[ReferenceRange] | None = None


class Observation(Valued):
    """A result, or a row in the project's own code system; a struct has one parent, so what all share is repeated."""

    id: str | None = None
    meta: Meta | None = None
    status: str | None = None
    extension: list[Extension] | None = None
    contained: list[Raw] | None = None
    code: Concept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: Period | None = None
    issued: str | None = None
    data_absent_reason: Concept | None = None
    interpretation: list[Concept] | None = None
    method: Concept | None = None
    reference_range: list[ReferenceRange] | None = None
    component: list[Component] | None = None


class Patient(Resource):
    """A person."""

    identifier: list[Identifier] | None = None
    gender: str | None = None
    birth_date: str | None = None
    deceased_date_time: str | None = None
    deceased_boolean: bool | None = None
    managing_organization: Reference | None = None


class Condition(Resource):
    """A diagnosis."""

    code: Concept | None = None
    subject: Reference | None = None
    verification_status: Concept | None = None
    clinical_status: Concept | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    onset_age: Quantity | None = None
    recorded_date: str | None = None


class Repeat(Part):
    """How often a dose is taken."""

    frequency: float | None = None
    period: float | None = None
    period_unit: str | None = None
    bounds_period: Period | None = None


class Timing(Part):
    """When a dose is taken."""

    repeat: Repeat | None = None


class DoseAndRate(Part):
    """One dose."""

    dose_quantity: Quantity | None = None
    dose_range: Range | None = None


class Dosage(Part):
    """How a medication is taken."""

    text: str | None = None
    timing: Timing | None = None
    route: Concept | None = None
    as_needed_boolean: bool | None = None
    dose_and_rate: list[DoseAndRate] | None = None
    dose: Quantity | None = None  # of an administration


class Medicated(Resource):
    """What MedicationRequest, MedicationStatement and MedicationAdministration share."""

    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None
    medication: Raw = NOTHING  # of FHIR R5
    subject: Reference | None = None
    status_reason: Concept | list[Concept] | None = None
    reason_code: list[Concept] | None = None
    reason_reference: list[Reference] | None = None


class MedicationRequest(Medicated):
    """A prescription."""

    intent: str | None = None
    do_not_perform: bool | None = None
    authored_on: str | None = None
    dosage_instruction: list[Dosage] | None = None


class MedicationStatement(Medicated):
    """What a patient is said to take."""

    effective_date_time: str | None = None
    effective_period: Period | None = None
    date_asserted: str | None = None
    dosage: list[Dosage] | None = None


class MedicationAdministration(Medicated):
    """One dose that was given."""

    effective_date_time: str | None = None
    effective_period: Period | None = None
    dosage: Dosage | None = None


class DiagnosticReport(Part):
    """A report that may hold its results inside."""

    id: str | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    issued: str | None = None
    contained: list[Raw] | None = None


class Procedure(Resource):
    """An intervention."""

    code: Concept | None = None
    subject: Reference | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None


class Encounter(Resource):
    """A visit."""

    class_: Coding | None = field(name="class", default=None)
    subject: Reference | None = None
    period: Period | None = None
    appointment: list[Reference] | None = None


class Medication(Resource):
    """A product."""

    code: Concept | None = None


class Organization(Resource):
    """A hospital or department."""

    name: str | None = None


class Subject(Part):
    """Whose resource it is: all that is read of a resource of which something else cannot be read."""

    id: str | None = None
    subject: Reference | None = None


class Kind(Part):
    """What a resource is, and, of a Bundle, the resources in it."""

    resource_type: str | None = None


class Entry(Part):
    """One resource of a Bundle."""

    full_url: str | None = None
    resource: Raw = NOTHING


class Bundle(Part):
    """Several resources in one document."""

    type: str | None = None
    entry: list[Raw] | None = None


_CONTAINED = Decoder(Contained)


def find_contained(contained: Iterable[Raw] | None, name: str) -> Contained | None:
    """Return the resource of an id among those inside another one, or None."""
    for text in contained or ():
        try:
            one = _CONTAINED.decode(text)
        except UNREADABLE:
            continue  # of a kind that holds other fields by these names
        if one.id == name:
            return one
    return None
