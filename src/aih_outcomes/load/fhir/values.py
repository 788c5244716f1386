"""Values, dates and extensions of resources as text: what was printed, for the parsers that all sources share."""

from collections.abc import Iterable

from aih_outcomes.formats.fhir import OWN, PRINTED_UNIT, UCUM
from aih_outcomes.load.fhir.datatypes import (
    Concept,
    Extension,
    Meta,
    Period,
    Quantity,
    ReferenceRange,
    Valued,
    number_text,
)

_YES_NO = {True: "yes", False: "no", None: ""}
_DAY = len("YYYY-MM-DD")
# Of https://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation.
_OFF_SCALE = ("<", ">")
_WORDS = {"NEG": "negative", "POS": "positive", "ND": "not detected"}


def day_of(moment: str | None) -> str:
    """Return the local day as it was written, whatever its time zone; other text stays as it is.

    Examples
    --------
    >>> day_of("2019-05-04T23:30:00-05:00"), day_of("2019-05"), day_of(None)
    ('2019-05-04', '2019-05', '')
    """
    if moment is None:
        return ""
    return moment[:_DAY] if moment[_DAY : _DAY + 1] == "T" else moment


def start_of(period: Period | None) -> str:
    """Return the first day of a period."""
    return day_of(period.start) if period is not None else ""


def version_of(meta: Meta | None) -> str:
    """Return when a version of a resource was made, and its number; see ``order_of``."""
    if meta is None:
        return ""
    return f"{meta.last_updated or ''} {meta.version_id or ''}"


def order_of(version: str) -> str:
    """Return a text by which versions can be put in order: numbers of versions count as numbers.

    Examples
    --------
    >>> order_of(" 9") < order_of(" 10")
    True
    """
    updated, _, number = version.partition(" ")
    return f"{updated} {number:>20}"


def concept_text(concept: Concept | None) -> str:
    """Return the words of a concept: its text, else the name of a code, else the code."""
    if concept is None:
        return ""
    if concept.text:
        return concept.text
    coding = concept.coding or []
    return next((one.display or one.code or "" for one in coding), "")


def quantity_text(quantity: Quantity) -> str:
    """Return sign and number as printed."""
    number = number_text(quantity.value)
    return f"{quantity.comparator}{number}" if quantity.comparator else number


def unit_of(quantity: Quantity | None) -> tuple[str, str]:
    """Return the unit as printed, and its UCUM code where it has one."""
    if quantity is None:
        return "", ""
    code = quantity.code or ""
    return quantity.unit or code, code if quantity.system == UCUM else ""


def printed_result(one: Valued) -> tuple[str, str, str]:
    """Return a result as printed, its unit as printed and its UCUM code; all ``""`` where there is none.

    A ratio ``1:640`` is a titre, and needs no unit.
    """
    quantity = one.value_quantity
    if quantity is not None:
        unit = quantity.unit
        code = quantity.code
        if code is not None and quantity.system != UCUM:
            return quantity_text(quantity), unit or code, ""
        return quantity_text(quantity), unit or code or "", code or ""
    if one.value_ratio is not None:
        low, high = one.value_ratio.numerator, one.value_ratio.denominator
        text = f"{quantity_text(low) if low else ''}:{quantity_text(high) if high else ''}"
        return text, "", ""
    if one.value_range is not None:
        low, high = one.value_range.low, one.value_range.high
        return f"{quantity_text(low) if low else ''}-{quantity_text(high) if high else ''}", *unit_of(low or high)
    return cell_text(one), "", ""


def with_interpretation(value: str, interpretation: Iterable[Concept]) -> str:
    """Return a result with what its interpretation adds: the sign of a number off the scale, or the word it stands for.

    Codes of HL7's ObservationInterpretation; high, low and normal say nothing that the limits do not.
    """
    codes = {coding.code for concept in interpretation for coding in concept.coding or ()}
    if not value:
        return next((word for code, word in _WORDS.items() if code in codes), "")
    sign = next((sign for sign in _OFF_SCALE if sign in codes), "")
    return sign + value if value[0].isdigit() else value


def cell_text(one: Valued) -> str:
    """Return a value of any kind as text; of a coded one the code of the first coding."""
    concept = one.value_codeable_concept
    if concept is not None:
        return concept.text or next((code.display or code.code or "" for code in concept.coding or ()), "")
    if one.value_boolean is not None:
        return _YES_NO[one.value_boolean]
    texts = (one.value_string, one.value_code, one.value_date, one.value_date_time)
    found = next((text for text in texts if text is not None), None)
    if found is not None:
        return found
    if one.value_quantity is not None:
        return quantity_text(one.value_quantity)
    return number_text(one.value_integer) or number_text(one.value_decimal)


def own_cells(extensions: Iterable[Extension] | None, table: str) -> dict[str, str]:
    """Return the cells that the project's own exporter wrote as extensions: column → text."""
    start = f"{OWN}{table}."
    return {one.url[len(start) :]: cell_text(one) for one in extensions or () if one.url and one.url.startswith(start)}


def extension_text(extensions: Iterable[Extension] | None, url: str) -> str | None:
    """Return the text of one extension, or None."""
    return next((cell_text(one) for one in extensions or () if one.url == url), None)


def printed_unit(extensions: Iterable[Extension] | None) -> str | None:
    """Return the unit that was printed with a result that is no quantity."""
    return extension_text(extensions, PRINTED_UNIT)


def upper_limit(ranges: list[ReferenceRange] | None) -> tuple[str, str]:
    """Return the upper limit of normal as printed and its unit; ``""`` where there is none, or several that differ."""
    if not ranges:
        return "", ""
    if len(ranges) == 1:
        return _limit_of(ranges[0])
    found = {limit for one in ranges if (limit := _limit_of(one))[0]}
    return found.pop() if len(found) == 1 else ("", "")


def _limit_of(one: ReferenceRange) -> tuple[str, str]:
    if one.type is not None and not _is_normal(one.type):
        return "", ""
    high = one.high
    if high is None:
        return ("" if bytes(one.low) else one.text or "", "")
    return number_text(high.value), high.code or high.unit or ""


def _is_normal(kind: Concept) -> bool:
    codes = [one.code for one in kind.coding or ()]
    return not codes or "normal" in codes
