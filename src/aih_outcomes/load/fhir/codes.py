"""What the codes of a resource mean: by the mapping, the project's own codes, the catalogue, or the name of a test."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, TypeAlias

import pandas as pd

from aih_outcomes.catalogue import Match, analyte_by_code, drug_by_code, find_analyte, find_drug, matches
from aih_outcomes.formats.fhir import OWN, RXNORM, SYSTEMS
from aih_outcomes.load.fhir.datatypes import Coding, Concept
from aih_outcomes.load.mapping import Rules

Kind: TypeAlias = Literal["analyte", "measure", "drug", "condition"]

_TABLES: dict[Kind, str] = {"analyte": "labs", "measure": "measurements", "drug": "treatments", "condition": "events"}
_OWN_COLUMNS: dict[Kind, str] = {
    "analyte": f"{OWN}labs.analyte", "measure": f"{OWN}measurements.measure", "drug": f"{OWN}treatments.drug",
    "condition": f"{OWN}events.kind",
}  # fmt: skip
_BY_NAME: dict[Kind, Callable[[str], Match | None]] = {"analyte": find_analyte, "drug": find_drug}
_MAY_BE_NAMED = re.compile(r"[A-Za-z0-9][\w.\-/]{0,19}")  # a code; a sentence or a name that slipped in is not shown
_IS_ADDRESS = re.compile(r"(https?://|urn:)[\w.:/\-]{1,100}")
_MOST_REMEMBERED = 100_000  # distinct codes


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means.

    Attributes
    ----------
    kind : of the catalogue, or ``own`` where the project's own exporter wrote the word itself
    word : of the catalogue, or of the schema where ``mapped``
    confidence : as of the catalogue; ``unsure`` is not used
    code : what it was known by, as it may be shown and mapped
    """

    kind: Kind
    word: str
    confidence: str
    code: str
    mapped: bool = False

    @property
    def rule(self) -> str:
        """Why an unsure meaning is not used."""
        return f"it is not sure that the code {self.code} means {self.word}"

    @property
    def way_out(self) -> str:
        """The line of a mapping that accepts an unsure meaning."""
        word = self.word.split(" or ")[0]
        return f'If it does, map it: codes = {{ {_TABLES[self.kind]} = {{ "{self.code}" = "{word}" }} }}'


class Codebook:
    """Meanings of concepts; each distinct one is looked up once."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: dict[tuple[object, ...], Meaning | None] = {}

    def find(self, concept: Concept | None, *kinds: Kind) -> Meaning | None:
        """Return what a concept means as the first of ``kinds`` that knows it, or None."""
        if concept is None:
            return None
        coding = concept.coding or ()
        key: tuple[object, ...]
        if len(coding) == 1:  # as most have, and there are millions of them
            key = (kinds, concept.text, coding[0].system, coding[0].code, coding[0].display)
        else:
            key = (kinds, concept.text, *((one.system, one.code, one.display) for one in coding))
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
            return self._known.setdefault(key, self._look_up(concept, kinds))

    def find_indication(self, reasons: Iterable[Concept] | None) -> str:
        """Return what the mapping says a medication was given for; its word ``""`` stands for reasons not known."""
        codes = self._rules.codes.get("indication", {})
        written = [spelling for one in reasons or () for spelling in _spellings(one)]
        return next((codes[one] for one in [*written, ""] if one in codes), "")

    def _look_up(self, concept: Concept, kinds: tuple[Kind, ...]) -> Meaning | None:
        looks = (self._find_mapped, self._find_own, self._find_code, self._find_name)
        found = (look(concept, kind) for look in looks for kind in kinds)
        return next((one for one in found if one is not None), None)

    def _find_mapped(self, concept: Concept, kind: Kind) -> Meaning | None:
        codes = self._rules.codes.get(_TABLES[kind], {})
        written = next((one for one in _spellings(concept) if one in codes), None)
        return None if written is None else Meaning(kind, codes[written], "exact", written, mapped=True)

    def _find_own(self, concept: Concept, kind: Kind) -> Meaning | None:
        word = own_word(concept, _OWN_COLUMNS[kind])
        return None if word is None else Meaning(kind, word, "exact", "", mapped=True)

    def _find_code(self, concept: Concept, kind: Kind) -> Meaning | None:
        found: dict[str, Meaning] = {}
        for one in concept.coding or ():
            match = find_coding(one, kind)
            if match is not None:
                found.setdefault(match.word, Meaning(kind, match.word, match.confidence, name_coding(one)))
        if len(found) > 1:
            return Meaning(kind, " or ".join(found), "unsure", next(iter(found.values())).code)
        return next(iter(found.values()), None)

    def _find_name(self, concept: Concept, kind: Kind) -> Meaning | None:
        """Find by name what has no code of a known system; of RxNorm the catalogue knows ingredients only."""
        known = {one.system for one in concept.coding or () if one.system in SYSTEMS}
        if kind not in _BY_NAME or known - ({RXNORM} if kind == "drug" else set()):
            return None
        for text in (concept.text, *(one.display for one in concept.coding or ())):
            match = _BY_NAME[kind](text) if text else None
            if match is not None:
                return Meaning(kind, match.word, match.confidence, name_concept(concept) or "of this name")
        return None


def find_coding(coding: Coding, kind: Kind) -> Match | None:
    """Return the catalogue's word for one code."""
    system = SYSTEMS.get(coding.system or "")
    if system is None or not coding.code:
        return None
    if kind in ("analyte", "drug"):  # no code of theirs is narrower by its first letters
        return _exact_codes(kind, system).get(coding.code.strip().upper())
    return _match(coding.code, kind, system)


@cache
def _exact_codes(kind: Kind, system: str) -> dict[str, Match]:
    return analyte_by_code(system) if kind == "analyte" else drug_by_code(system)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _match(code: str, kind: Kind, system: str) -> Match | None:
    found = matches(pd.Series([code]), kind, system).iloc[0]
    return None if pd.isna(found["word"]) else Match(str(found["word"]), str(found["confidence"]))


def own_word(concept: Concept | None, system: str) -> str | None:
    """Return the code that stands in one of the project's own code systems."""
    coding = concept.coding if concept is not None else None
    return next((one.code or "" for one in coding or () if one.system == system), None)


def name_concept(concept: Concept | None) -> str:
    """Return the first code as it may be shown: ``system|code``; ``""`` where it has none."""
    coding = (concept.coding if concept is not None else None) or ()
    return next((name_coding(one) for one in coding if one.code), "")


def name_coding(coding: Coding) -> str:
    """Return ``system|code``; a code that does not look like one is not shown."""
    code = coding.code if _MAY_BE_NAMED.fullmatch(coding.code or "") else "…"
    return f"{coding.system}|{code}" if _IS_ADDRESS.fullmatch(coding.system or "") else f"{code}"


def _spellings(concept: Concept) -> Iterator[str]:
    """Yield the ways in which a mapping may name a concept."""
    for one in concept.coding or ():
        if one.code:
            yield f"{one.system}|{one.code}"
            yield one.code
        if one.display:
            yield one.display
    if concept.text:
        yield concept.text
