"""From a row's code to the schema's word: by its concept, what that descends from or maps to, or its source code.

A row's own word (``labs.analyte=sla``) and the mapping's ``codes`` come first. A concept number of 0 says that the
source code was not mapped: then ``Maps to`` of the source concept, its code in CONCEPT, and the source code itself are
asked, in this order. Words of unsure codes are not used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from aih_outcomes.catalogue import matches
from aih_outcomes.catalogue.codes import USED, Kind
from aih_outcomes.formats.omop import MAPS_TO, SYSTEMS, own_word
from aih_outcomes.load.omop.database import Database

_NAMED_SYSTEMS = {
    "analyte": ("loinc", "snomed", "text"), "measure": ("loinc",), "drug": ("rxnorm", "atc", "text"),
    "condition": ("icd10", "icd10cm", "snomed", "icd10pcs", "opcs4", "cpt"),
}  # fmt: skip
GIVEN = "given"  # confidence of a word that the row or the mapping says itself
_COMMONEST = 5  # codes not used that are named in the load report


@dataclass(frozen=True, slots=True)
class Asked:
    """What a table's codes may stand for.

    Attributes
    ----------
    kinds : catalogue kinds, in the order in which they are asked
    own : columns ``(table, column)`` whose word a source value may say itself
    tables : tables of the mapping's ``codes`` that are looked at
    """

    kinds: tuple[Kind, ...]
    own: tuple[tuple[str, str], ...]
    tables: tuple[str, ...]


def resolve(
    codes: pd.DataFrame, asked: Asked, database: Database, given: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """Return ``codes`` with ``word, confidence, kind``; empty where no word is known.

    Parameters
    ----------
    codes : ``concept, source_concept, source_value, n``
    given : the mapping's ``codes``: table → local code → word
    """
    found = _empty(codes.index)
    steps: tuple[Callable[[pd.DataFrame], pd.DataFrame], ...] = (
        lambda rows: _of_rules(rows, asked, given),
        lambda rows: _of_own_words(rows, asked),
        lambda rows: _of_concepts(rows["concept"], asked, database),
        lambda rows: _of_concepts(_map(_source_concept(rows), database), asked, database),
        lambda rows: _of_concepts(_source_concept(rows), asked, database),
        lambda rows: _of_source_values(rows["source_value"].where(rows["concept"] == 0, ""), asked),
    )
    for step in steps:
        rest = found["word"].isna()
        if rest.any():
            found = _first(found, step(codes[rest]).reindex(found.index))
    return codes.join(found)


def _source_concept(rows: pd.DataFrame) -> pd.Series:
    """Return the source concept of rows that were not mapped to a concept, else 0."""
    return rows["source_concept"].where(rows["concept"] == 0, 0)


def used(resolved: pd.DataFrame) -> pd.DataFrame:
    """Return the codes whose word is used."""
    return resolved[resolved["confidence"].isin([*USED, GIVEN])]


def unsure(resolved: pd.DataFrame) -> pd.DataFrame:
    """Return the codes whose word is only a guess."""
    return resolved[resolved["confidence"] == "unsure"]


def say_codes(resolved: pd.DataFrame) -> tuple[str, str]:
    """Return what the load report says: the commonest codes without a word, and how sure the others are."""
    remembered = resolved[resolved["confidence"] == "remembered"]
    said = []
    if len(remembered):
        words = ", ".join(sorted(set(remembered["word"])))
        said.append(f"{int(remembered['n'].sum()):,} row(s) through codes from memory: {words}")
    passed = resolved[resolved["word"].isna()]
    if len(passed):
        said.append(f"{int(passed['n'].sum()):,} row(s) with {len(passed):,} other code(s) passed over")
    numbers = passed[passed["concept"] != 0].groupby("concept")["n"].sum().nlargest(_COMMONEST)
    return ", ".join(f"concept {number}" for number in numbers.index), "; ".join(said)


def _empty(index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(index=index, dtype="string") for name in ("word", "confidence", "kind")})


def _first(found: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Fill the rows of ``found`` that have no word from ``other``."""
    return found.where(found["word"].notna(), other)


def _of_rules(codes: pd.DataFrame, asked: Asked, given: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    found = _empty(codes.index)
    for table in asked.tables:
        words = given.get(table)
        if not words:
            continue
        for written in (codes["concept"].astype(str), codes["source_concept"].astype(str), codes["source_value"]):
            found = _first(found, _given(written.map(words).astype("string"), table))
    return found


def _given(word: pd.Series, table: str) -> pd.DataFrame:
    """Return words of the schema that the row or the mapping says itself; ``kind`` is then their table."""
    return pd.DataFrame({"word": word, "confidence": GIVEN, "kind": table}).where(word.notna())


def _of_own_words(codes: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    found = _empty(codes.index)
    for table, column in asked.own:
        prefix = own_word(table, column, "")
        own = codes["source_value"].astype("string")
        word = own.where(own.str.startswith(prefix)).str.removeprefix(prefix)
        found = _first(found, _given(word, table))
    return found


def _of_concepts(concepts: pd.Series, asked: Asked, database: Database) -> pd.DataFrame:
    """Ask the catalogue for each concept, then for its code in CONCEPT, then for the nearest that it descends from."""
    numbers = pd.Series(concepts[concepts != 0].unique(), dtype="int64")
    found = _empty(numbers.index)
    if numbers.empty:
        return _empty(concepts.index)
    for kind in asked.kinds:
        found = _first(found, _ask(numbers.astype(str), kind, "omop"))
    for look in (_of_vocabulary, _of_ancestors):
        rest = numbers[found["word"].isna()]
        if len(rest):
            found = _first(found, look(rest, asked.kinds, database).reindex(found.index))
    at = pd.Series(numbers.index, index=numbers).reindex(concepts.to_numpy())
    return found.reindex(at.to_numpy()).set_axis(concepts.index)


def _of_vocabulary(numbers: pd.Series, kinds: Sequence[Kind], database: Database) -> pd.DataFrame:
    """Return the words of concepts by their vocabulary and code."""
    rows = database.look_up("concept", "concept_id", numbers)
    rows = rows.assign(system=rows["vocabulary_id"].astype(object).map(SYSTEMS)).drop_duplicates("concept_id")
    found = _empty(rows.index)
    for system in rows["system"].dropna().unique():
        codes = rows["concept_code"].astype(object).where(rows["system"] == system)
        for kind in kinds:
            found = _first(found, _ask(codes, kind, system))
    return found.set_axis(rows["concept_id"]).reindex(numbers.to_numpy()).set_axis(numbers.index)


def _of_ancestors(numbers: pd.Series, kinds: Sequence[Kind], database: Database) -> pd.DataFrame:
    """Return the words of the nearest ancestors; a drug's ingredients are also told by its strengths."""
    rows = database.look_up("concept_ancestor", "descendant_concept_id", numbers)
    if "drug" in kinds and rows.empty:
        rows = database.look_up("drug_strength", "drug_concept_id", numbers).rename(
            columns={"drug_concept_id": "descendant_concept_id", "ingredient_concept_id": "ancestor_concept_id"}
        )
        rows = rows.assign(min_levels_of_separation=1)
    words = _empty(rows.index)
    for kind in kinds:
        words = _first(words, _ask(rows["ancestor_concept_id"].astype(str), kind, "omop"))
    known = rows.join(words).dropna(subset=["word"])
    nearest = known.groupby("descendant_concept_id")["min_levels_of_separation"].transform("min")
    known = known[known["min_levels_of_separation"].isna() | (known["min_levels_of_separation"] == nearest)]
    single = known.groupby("descendant_concept_id")["word"].transform("nunique") == 1  # a mixture is no one drug
    known = known[single].drop_duplicates("descendant_concept_id").set_index("descendant_concept_id")
    return known[["word", "confidence", "kind"]].reindex(numbers.to_numpy()).set_axis(numbers.index)


def _of_source_values(values: pd.Series, asked: Asked) -> pd.DataFrame:
    found = _empty(values.index)
    written = values.astype("string").where(values != "")
    if written.isna().all():
        return found
    for kind in asked.kinds:
        for system in _NAMED_SYSTEMS[kind]:
            found = _first(found, _ask(written, kind, system))
    return found


def _ask(codes: pd.Series, kind: Kind, system: str) -> pd.DataFrame:
    words = matches(codes, kind, system)
    return words.assign(kind=pd.Series(kind, index=words.index, dtype="string").where(words["word"].notna()))


def _map(source_concepts: pd.Series, database: Database) -> pd.Series:
    """Return the concept that each source concept maps to; 0 where none, or several, are told."""
    rows = database.look_up("concept_relationship", "concept_id_1", source_concepts[source_concepts != 0])
    rows = rows[(rows["relationship_id"].astype(object) == MAPS_TO)]
    rows = rows[~rows["concept_id_1"].duplicated(keep=False)]
    target = pd.Series(rows["concept_id_2"].to_numpy(), index=rows["concept_id_1"].to_numpy(), dtype="float64")
    return source_concepts.map(target).fillna(0).astype("int64")


def descendants_of(concepts: Sequence[int], codes: pd.DataFrame, database: Database) -> pd.Series:
    """Return which codes are one of these concepts or descend from one of them."""
    wanted = set(concepts)
    numbers = pd.concat([codes["concept"], codes["source_concept"]])
    rows = database.look_up("concept_ancestor", "descendant_concept_id", numbers[numbers != 0])
    below = set(rows.loc[rows["ancestor_concept_id"].isin(wanted), "descendant_concept_id"])
    return codes["concept"].isin(wanted | below) | codes["source_concept"].isin(wanted | below)
