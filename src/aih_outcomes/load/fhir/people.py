"""First pass over the files: who is of the cohort, since when, and which products and places are referred to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.errors import refuse_unknown
from aih_outcomes.formats.fhir import NOT_HELD, OWN, SYSTEMS
from aih_outcomes.load.fhir.codes import Codebook, own_word
from aih_outcomes.load.fhir.datatypes import UNREADABLE, Concept, Decoder, number_text, rule_of
from aih_outcomes.load.fhir.references import find_patient, identifier_keys, key_of_address, own_patient_id
from aih_outcomes.load.fhir.resources import Condition, Medication, Organization, Patient
from aih_outcomes.load.fhir.stream import Fault, Found, first_kind, read_resources
from aih_outcomes.load.fhir.values import day_of, start_of

DIAGNOSIS = f"{OWN}patients.diagnosis"
_PATIENT, _CONDITION = Decoder(Patient), Decoder(Condition)
_MEDICATION, _ORGANIZATION = Decoder(Medication), Decoder(Organization)


class Onset(NamedTuple):
    """When the condition of the cohort was diagnosed, what the project's own exporter called it, and its place."""

    day: str = ""
    recorded_only: bool = False
    own_diagnosis: str | None = None
    age: str = ""
    file: int = 0
    row: int = 0


class FileFault(NamedTuple):
    """A line or file that cannot be read."""

    file: int
    fault: Fault


@dataclass(slots=True)
class People:
    """What the first pass found.

    Attributes
    ----------
    patients : keys of all patients of the files; about 100 bytes each, the only part that grows with them
    known : other keys of patients (``fullUrl``, ``system|value``) → their key
    onsets : patient of the cohort → when the condition was diagnosed
    conditions : keys of the conditions that make the cohort, to which a prescription may refer as its reason
    medications, organisations : key → what it is
    n_resources : resources by kind
    left_out : files that were not read, as they seem to hold other kinds
    n_conditions : conditions by what became of them
    """

    patients: set[str] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    onsets: dict[str, list[Onset]] = field(default_factory=dict)
    conditions: set[str] = field(default_factory=set)
    medications: dict[str, Concept | None] = field(default_factory=dict)
    organisations: dict[str, str] = field(default_factory=dict)
    n_resources: Counter[str] = field(default_factory=Counter)
    left_out: set[int] = field(default_factory=set)
    faults: list[FileFault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which condition makes a patient one of the cohort.

    Attributes
    ----------
    condition : of the catalogue, or ``""``
    code : ``system|code``, or ``""``
    """

    condition: str
    code: str

    def is_meant(self, concept: Concept | None, codebook: Codebook) -> bool:
        """Return whether a concept is the condition of the cohort."""
        if concept is None:
            return False
        if self.code:
            return any(f"{one.system}|{one.code}" == self.code for one in concept.coding or ())
        meaning = codebook.find(concept, "condition")
        return meaning is not None and meaning.word == self.condition and meaning.confidence != "unsure"


def read_wanted(condition: str) -> Wanted:
    """Read the argument ``condition``: of the catalogue, or ``system|code``.

    Raises
    ------
    PlanError : it is neither
    """
    if "|" in condition:
        system, _, code = condition.partition("|")
        named = {short: address for address, short in reversed(SYSTEMS.items())}
        return Wanted("", f"{named.get(system, system)}|{code}")
    refuse_unknown(condition, list(read_conditions()["condition"]), "a condition of the catalogue, nor system|code")
    return Wanted(condition, "")


def find_people(
    files: Iterable[tuple[str, Path]], wanted: Wanted, codebook: Codebook, *, thorough: bool = False
) -> People:
    """Read patients, conditions, products and places.

    Parameters
    ----------
    thorough : read every file; else those that begin with another kind of resource are left out, as a bulk export has
        a file per kind
    """
    people = People()
    waiting: list[tuple[Condition, Onset]] = []
    for place, (_, path) in enumerate(files):
        if not thorough and first_kind(path) not in ("", "Bundle", *SURVEYED):
            people.left_out.add(place)
            continue
        for found in read_resources(path):
            if isinstance(found, Fault):
                people.faults.append(FileFault(place, found))
                continue
            people.n_resources[found.kind] += 1
            if found.kind in SURVEYED:
                _take(people, waiting, place, found, wanted, codebook)
    for condition, onset in waiting:  # a condition may stand before its patient, whose other keys are known now
        key = find_patient(condition.subject, condition.contained, people.known)
        if key:
            people.onsets.setdefault(key, []).append(onset)
    return people


def _take(
    people: People, waiting: list[tuple[Condition, Onset]], file: int, found: Found, wanted: Wanted, codebook: Codebook
) -> None:
    try:
        if found.kind == "Patient":
            _take_patient(people, _PATIENT.decode(found.text), found.address)
        elif found.kind == "Condition":
            condition = _CONDITION.decode(found.text)
            own = own_word(condition.code, DIAGNOSIS)
            if (own is not None or wanted.is_meant(condition.code, codebook)) and not is_refuted(condition):
                waiting.append((condition, _read_onset(condition, own, file, found.row)))
                people.conditions.update(_keys(condition.id, found.address))
        elif found.kind == "Medication":
            medication = _MEDICATION.decode(found.text)
            people.medications |= dict.fromkeys(_keys(medication.id, found.address), medication.code)
        else:
            organization = _ORGANIZATION.decode(found.text)
            people.organisations |= dict.fromkeys(_keys(organization.id, found.address), organization.name or "")
    except UNREADABLE as error:  # the second pass sets it aside, if there is one
        people.faults.append(FileFault(file, Fault(found.row, found.kind, rule_of(error))))


SURVEYED = {"Patient", "Condition", "Medication", "Organization"}


def patient_key(patient: Patient, address: str) -> str:
    """Return the key of a patient; ``""`` where the resource has none."""
    return own_patient_id(patient.identifier) or patient.id or key_of_address(address)


def _take_patient(people: People, patient: Patient, address: str) -> None:
    key = patient_key(patient, address)
    if not key:
        return
    people.patients.add(key)
    others = [*_keys(patient.id, address), *identifier_keys(patient.identifier)]
    people.known |= {other: key for other in others if other != key}


def _keys(name: str | None, address: str) -> list[str]:
    return [key for key in dict.fromkeys((name or "", key_of_address(address))) if key]


def is_refuted(condition: Condition) -> bool:
    """Return whether a condition was refuted, entered in error, or only considered."""
    coding = condition.verification_status.coding if condition.verification_status is not None else None
    return any(one.code in NOT_HELD["Condition"] for one in coding or ())


def onset_day(condition: Condition) -> str:
    """Return the first day of a condition, else the day on which it was recorded."""
    return day_of(condition.onset_date_time) or start_of(condition.onset_period) or day_of(condition.recorded_date)


def _read_onset(condition: Condition, own: str | None, file: int, row: int) -> Onset:
    told = bool(condition.onset_date_time) or bool(start_of(condition.onset_period))
    age = condition.onset_age
    years = number_text(age.value) if age is not None and age.code in (None, "a") else ""
    return Onset(onset_day(condition), not told and bool(condition.recorded_date), own, years, file, row)
