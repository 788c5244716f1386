"""Patients, their conditions and procedures → patients and events."""

from functools import cache

import pandas as pd

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.formats.fhir import GENDERS, OWN
from aih_outcomes.load.fhir.codes import name_concept, own_word
from aih_outcomes.load.fhir.datatypes import Concept, Reference
from aih_outcomes.load.fhir.people import DIAGNOSIS, Onset, is_refuted, onset_day, patient_key
from aih_outcomes.load.fhir.references import key_of_address
from aih_outcomes.load.fhir.resources import Condition, Encounter, Patient, Procedure
from aih_outcomes.load.fhir.store import Origin, Row, Store
from aih_outcomes.load.fhir.values import day_of, own_cells, start_of, version_of
from aih_outcomes.load.values.dates import read_partial_date

_KIND = f"{OWN}events.kind"
_CENTURIES = ("19", "20")  # another text is no day on which someone was seen
_EMERGENCY = ("EMER", "ACUTE")  # HL7 v3 ActCode of an Encounter's class


def take_patient(store: Store, one: Patient, row: int, address: str) -> None:
    """Read one patient of the cohort, with the day of diagnosis that the first pass found."""
    key = patient_key(one, address)
    origin = Origin(key, store.file, row, one.id or "", version_of(one.meta), "")
    own = own_cells(one.extension, "patients")
    onset = _earliest(store, key)
    cells = {
        "sex": GENDERS.get(one.gender or "", one.gender or ""), "birth_date": one.birth_date or "",
        "diagnosis_date": onset.day, "diagnosis": _diagnosis(store, onset), "centre": _centre(store, one),
    }  # fmt: skip
    if not cells["birth_date"]:
        cells["age_at_diagnosis"] = onset.age
    if onset.recorded_only and "diagnosis_date" not in own:
        store.tell("patients", "whose diagnosis is dated by the day it was recorded, as no onset is given")
    store.add("patients", origin, cells | own)
    if one.deceased_date_time is not None:
        death = {"kind": "death", "date": day_of(one.deceased_date_time)} | own_cells(one.extension, "events")
        store.add("events", origin, death)
    elif one.deceased_boolean:
        store.add("events", origin, {"kind": "death", "date": ""})


def _earliest(store: Store, key: str) -> Onset:
    onsets = store.people.onsets.get(key, ())
    return min(onsets, key=lambda onset: (read_partial_date(onset.day) is None, onset.day), default=Onset())


def _diagnosis(store: Store, onset: Onset) -> str:
    return store.diagnosis if onset.own_diagnosis is None else onset.own_diagnosis.removeprefix("unstated")


def _centre(store: Store, one: Patient) -> str:
    place: Reference | None = one.managing_organization
    if place is None:
        return ""
    known = store.people.organisations.get(key_of_address(place.reference), "") if place.reference else ""
    return known or place.display or ""


def take_condition(store: Store, one: Condition, patient_id: str, row: int) -> None:
    """Read one condition of a patient of the cohort: an event, or a fact at diagnosis."""
    if own_word(one.code, DIAGNOSIS) is not None:
        return
    if is_refuted(one):
        store.pass_over("events", "conditions that were refuted, entered in error or only considered")
        return
    origin = Origin(patient_id, store.file, row, f"Condition/{one.id}" if one.id else "", version_of(one.meta), "")
    _take_event(store, one.code, onset_day(one), origin, own_cells(one.extension, "events"))


def take_procedure(store: Store, one: Procedure, patient_id: str, row: int) -> None:
    """Read one procedure of a patient of the cohort."""
    key = f"Procedure/{one.id}" if one.id else ""
    origin = Origin(patient_id, store.file, row, key, version_of(one.meta), one.status or "")
    day = day_of(one.performed_date_time) or start_of(one.performed_period)
    _take_event(store, one.code, day, origin, own_cells(one.extension, "events"))


def _take_event(store: Store, concept: Concept | None, day: str, origin: Origin, own: dict[str, str]) -> None:
    word = own_word(concept, _KIND)
    if word is not None:
        store.add("events", origin, {"kind": word, "date": day} | own)
        return
    meaning = store.codebook.find(concept, "condition")
    if meaning is None:
        store.leave("events", name_concept(concept) or "(no code)")
        return
    table, column, known = _place_of(meaning.word)
    if table not in ("events", "patients"):
        store.leave("events", meaning.code)
    elif store.accept(meaning, table, column, origin):
        if table == "events":
            store.add("events", origin, {"kind": known, "date": day} | own)
        elif column != "diagnosis":  # which the first pass has found
            store.facts.append((origin, column, known, day))


@cache
def _place_of(condition: str) -> tuple[str, str, str]:
    """Return table, column and word of the schema for a condition of the catalogue; a mapping may name an event."""
    conditions = read_conditions().set_index("condition")
    if condition not in conditions.index:
        return "events", "kind", condition
    row = conditions.loc[condition]
    table, column, word = (str(row[name]) if pd.notna(row[name]) else "" for name in ("table", "column", "word"))
    return table, column, word


def add_facts(store: Store) -> None:
    """Fill the columns of 'patients' that hold at diagnosis, from conditions that began by then."""
    patients: dict[str, list[Row]] = {}
    for row in store.rows.get("patients", ()):
        patients.setdefault(row.origin.patient_id, []).append(row)
    for origin, column, word, day in store.facts:
        for row in patients.get(origin.patient_id, ()):
            diagnosed = row.cells.get("diagnosis_date", "")
            if day and diagnosed and day <= diagnosed:
                row.cells[column] = row.cells.get(column) or word
            else:
                words = "conditions that hold at diagnosis only, and began later or on an unknown day"
                store.passed["patients", origin.file, words] += 1


def take_encounter(store: Store, one: Encounter, row: int, address: str) -> None:
    """Remember whether a visit was planned: an emergency is not, one with an appointment is."""
    kind = one.class_.code if one.class_ is not None else ""
    visit = "unscheduled" if kind in _EMERGENCY else "scheduled" if one.appointment else ""
    if visit:
        keys = (one.id or "", key_of_address(address))
        store.encounters |= {key: visit for key in keys if key}


def see(store: Store, patient_id: str, day: str) -> None:
    """Remember the last day on which a patient was seen alive."""
    if day > store.last_seen.get(patient_id, "") and day[:2] in _CENTURIES:
        store.last_seen[patient_id] = day


def add_follow_up(store: Store) -> None:
    """Follow each patient from diagnosis to the last resource, where the source has no periods of its own."""
    if "follow_up" in store.rows:
        return
    died = {row.origin.patient_id: row.cells["date"] for row in store.rows.get("events", ()) if _is_death(row)}
    for row in store.rows.get("patients", ()):
        patient_id = row.origin.patient_id
        start = row.cells.get("diagnosis_date", "")
        if start[:2] not in _CENTURIES:  # such a patient is set aside
            continue
        end = died.get(patient_id) or max(start, store.last_seen.get(patient_id, ""))
        reason = "death" if patient_id in died else "ongoing"
        cells = {"start": start, "end": end, "end_reason": reason, "end_source": "visit"}
        store.add("follow_up", row.origin._replace(status=""), cells)
        words = "made from diagnosis to the last dated resource or death, as FHIR holds no follow-up"
        store.told["follow_up", row.origin.file, words] += 1


def _is_death(row: Row) -> bool:
    return row.cells.get("kind") == "death" and bool(row.cells.get("date"))
