"""References to one key: relative, absolute, ``urn:uuid:``, contained, or by identifier."""

from collections.abc import Iterable

from aih_outcomes.formats.fhir import OWN_PATIENT
from aih_outcomes.load.fhir.datatypes import Identifier, Raw, Reference
from aih_outcomes.load.fhir.resources import find_contained

_URN = ("urn:uuid:", "urn:oid:")


def key_of_address(address: str) -> str:
    """Return the id at the end of an address.

    Examples
    --------
    >>> key_of_address("Patient/a1"), key_of_address("https://server/fhir/Patient/a1/_history/3")
    ('a1', 'a1')
    >>> key_of_address("urn:uuid:61ebe359")
    '61ebe359'
    """
    for start in _URN:
        if address.startswith(start):
            return address[len(start) :]
    return address.partition("/_history/")[0].rpartition("/")[2]


def identifier_keys(identifiers: Iterable[Identifier] | None) -> list[str]:
    """Return ``system|value`` of each identifier."""
    return [f"{one.system or ''}|{one.value}" for one in identifiers or () if one.value]


def own_patient_id(identifiers: Iterable[Identifier] | None) -> str:
    """Return the ``patient_id`` that the project's own exporter wrote as an identifier."""
    return next((one.value for one in identifiers or () if one.system == OWN_PATIENT and one.value), "")


def find_patient(reference: Reference | None, contained: Iterable[Raw] | None, known: dict[str, str]) -> str | None:
    """Return the key of the patient referred to; ``""`` where none is named, None where it is no patient.

    Parameters
    ----------
    known : other keys of patients (``fullUrl``, ``system|value``) → their key
    """
    if reference is None:
        return ""
    address = reference.reference
    if not address:
        named = [reference.identifier] if reference.identifier is not None else []
        found = next(iter(identifier_keys(named)), "")
        return known.get(found) or own_patient_id(named) or found
    if address.startswith("Patient/"):
        key = address[8:].partition("/")[0]
    elif address[0] == "#":
        return _find_contained(address[1:], contained, known)
    elif address.startswith("Patient?identifier="):
        key = address.removeprefix("Patient?identifier=")
    elif "/" in address and "Patient/" not in address:
        return None
    else:
        key = key_of_address(address)
    return known.get(key, key)


def _find_contained(name: str, contained: Iterable[Raw] | None, known: dict[str, str]) -> str | None:
    one = find_contained(contained, name)
    if one is None or one.resource_type != "Patient":
        return ""
    return next((known[key] for key in identifier_keys(one.identifier) if key in known), own_patient_id(one.identifier))
