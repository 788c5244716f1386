"""Names of persons in texts: by a title, by a common given name, or by two capitalised words that are no known term."""

import re
from functools import cache

from aih_outcomes.catalogue import read_analytes, read_conditions, read_drugs, read_genes

# Common given names of the United Kingdom, Ireland, North America and much of Europe and South Asia, from memory. Left
# out are names that are common words, months, places or surnames (Grace, Mark, June, Florence, Charlotte as a town).
_GIVEN_NAMES = """
    aaron abdul abigail adam adrian agnieszka ahmed aisha alan albert alejandro alexander alexandra alice alison amelia
    amir amy andrea andrew andrzej angela anita anna anne anthony antonio arthur ayesha barbara beatrice benjamin
    bernadette brenda brian bridget carlos carol caroline catherine cathryn cecilia chloe christine christopher claire
    clara colin connor craig daniel daniela david deborah deirdre denise dennis derek diana dimitri dmitri dominic
    donald donna dorothy douglas edward edwin eileen elaine eleanor elena elizabeth ella ellen emily emma eric erik
    erin esther ethan eva evelyn fatima felix fernando fiona francesca francisco frank frederick gareth gary gavin
    geoffrey george gerald gillian giovanni giulia graham gregory guillermo hannah harold harry hassan heather
    heinrich helen helga henry howard hugo hussain ian ibrahim igor imran ingrid irina isaac isabel isabella isla ivan
    jack jacob jacqueline jakub james jamie jane janet jasmine jason javier jean jeffrey jennifer jeremy jessica
    jill joan joanna joanne johan johanna john jonas jonathan jorge jose joseph joshua juan judith julia julian julie
    jürgen kamal karen karl katarzyna kate katherine kathleen katie keith kelly kenneth kevin khadija kirsten klaus
    krzysztof lars laura lauren leah leon leslie liam linda lisa louise lucas lucia lucy luis luke lydia magdalena
    malcolm manuel marcel marcin marco margaret maria mariam marie marina mario marta martha martin martina mary
    matteo matthew maureen megan melanie melissa mia michael michal michelle michele miguel mohammad mohammed monica
    monika muhammad nadia natalia natalie natasha neil nicholas nicola nicole nigel nikolai nina noah nora
    olga oliver olivia omar oscar owen pamela patricia patrick paul paula pauline pedro peter petra philip phoebe
    pierre piotr priya rachel rafael rahul rajesh ralph raymond rebecca richard riccardo robert roberto robin roger
    ronald rosemary rowan roy russell ruth ryan sabine sally samantha samuel sandra sanjay sara sarah sean sebastian
    sergei sharon sheila shirley siobhan sofia sonia sophia sophie stefan stephanie stephen steven stewart stuart
    susan suzanne sven svetlana sylvia tatiana teresa thomas tim timothy tom tomasz tracey tyler usha ursula valerie
    vanessa vera veronica victor vikram vincent vladimir walter wendy wilhelm william wolfgang xavier yasmin yusuf
    yvonne zachary zainab zoe
"""
_GIVEN = frozenset(_GIVEN_NAMES.split())
_ALSO_WORDS = frozenset({"frank", "harry", "jack", "robin", "rosemary"})  # frank ascites
_SAINT = re.compile(r"\b(?:st|saint|san|santa|sankt)\b\.?[ -]\s?[^\W\d_]+", re.IGNORECASE)
# MR stands for magnetic resonance, and HLA-DR for an antigen.
_TITLES = (
    r"(?:(?<!HLA[ -])DR|dr|Dr|Mr|MRS|mrs|Mrs|Ms|Miss|Master|Prof|Professor|Sister|Nurse|Herr|Frau|Mme|Signora?|Señora?)"
)
_SURNAME = r"(?:(?:van|von|der|de|di|da|la|le|el|al|bin|O'|O’|Mc|Mac)[ -]?){0,2}[^\W\d_][^\W\d_'’-]+"
_TITLED = re.compile(rf"\b{_TITLES}\b\.?\s+(?:[A-Z]\.?\s*){{0,3}}(?=[^\W\d_a-z]|van |von |de ){_SURNAME}")
_PAIR = re.compile(r"(?<![^\W\d_])([^\W\d_]{2,})(, ?|[ _.-])(?=([^\W\d_][^\W\d_'’]+))")
_WORD = re.compile(r"[^\W\d_]{4,}")
_CAPITALISED = re.compile(r"(?<![.!?;:]\s)(?<!^)\b([A-Z][a-z'’]+)\s+([A-Z][a-z'’-]+)\b")
_INSTITUTION = re.compile(
    r"\b(?:hospital|clinic|college|university|centre|center|institute|infirmary|trust|school|unit|department|royal|"
    r"klinik\w*|universit\w*|h[oô]pital|krankenhaus|ospedale|street|road|foundation|laborator\w+)\b",
    re.IGNORECASE,
)
# Words that begin or end a term of two capitalised words: eponyms, scores, guidelines, weekdays and months.
_TERMS = """
    wilson crohn budd chiari child pugh west haven ishak metavir baveno brighton mayo paris rotterdam amsterdam nancy
    king kings king's st saint san santa college hospital clinic centre center liver hepatitis disease syndrome score
    group criteria type
    class grade stage line igg iga igm alt ast ggt alp inr lkm sma ana mri mrcp ercp aih psc asc bsg easl aasld
    espghan iaihg unit ward team letter letters monday tuesday wednesday thursday friday saturday sunday january
    february march april may june july august september october november december the this she he her his no not
    normal seen after before since because from with and but also then when still child children mother father
"""


def holds_title(text: str) -> bool:
    """Return whether a text names a person by a title: ``Dr Smith``."""
    return _TITLED.search(text) is not None


def holds_given_name(text: str) -> bool:
    """Return whether a word of an identifier is a common given name, however written: ``smith_john``."""
    return any(word.lower() in _GIVEN for word in _WORD.findall(text))


def holds_lone_given_name(text: str) -> bool:
    """Return whether a word of free text is a given name and nothing else that a clinic writes."""
    words = {word.lower() for word in _WORD.findall(_SAINT.sub(" ", text))}
    return not _GIVEN.isdisjoint(words - _ALSO_WORDS)


def holds_person(text: str) -> bool:
    """Return whether a text names a person: by a title, or as ``John Smith``, ``Smith, John`` or ``SMITH John``."""
    if holds_title(text):
        return True
    if _INSTITUTION.search(text):
        return False
    return any(
        (first.lower() in _GIVEN and not _is_term(second))
        or (second.lower() in _GIVEN and not _is_term(first) and (mark.startswith(",") or first.isupper()))
        for first, mark, second in (match.groups() for match in _PAIR.finditer(text))
        if first[0].isupper() and second[0].isupper()
    )


def holds_name_pair(text: str) -> bool:
    """Return whether free text holds two capitalised words that are no term of medicine and begin no sentence."""
    return any(not _is_term(first) and not _is_term(second) for first, second in _CAPITALISED.findall(text))


def holds_two_names(text: str) -> bool:
    """Return whether the name of a file holds two capitalised words that are no term: ``Chet_Thompson_17.json``."""
    pairs = [(first, second) for first, _, second in (match.groups() for match in _PAIR.finditer(text))]
    return any(
        first.istitle() and second.istitle() and not _is_term(first) and not _is_term(second) for first, second in pairs
    )


def _is_term(word: str) -> bool:
    return word.lower().removesuffix("'s").removesuffix("’s") in _terms()


@cache
def _terms() -> frozenset[str]:
    words = [*read_drugs()["drug"], *read_analytes()["analyte"], *read_conditions()["condition"]]
    names = [*read_conditions()["name"], *read_genes()["disease"]]
    found = frozenset(_TERMS.split()).union(*(str(word).lower().split("_") for word in words))
    return found.union(*(re.findall(r"[^\W\d_]+", str(name).lower()) for name in names))
