"""The data types of FHIR R4 of which fields are read; all other fields are passed over while the text is parsed.

A number stays as it was printed (``1.20``): FHIR counts the digits of a decimal as part of it.
"""

from aih_outcomes.errors import DataError

try:
    import msgspec
except ImportError:
    raise DataError(
        "FHIR cannot be read: the package msgspec is not installed",
        "FHIR is read with msgspec, which comes with the extra 'fhir'",
        "Install it: pip install 'aih-outcomes[fhir]'",
    ) from None

Raw = msgspec.Raw
Decoder = msgspec.json.Decoder
NOTHING = Raw(b"")
# What a decoder raises on text that is no JSON, not UTF-8, nested too deeply, or of other types than R4 says.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Part(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    """A part of a resource; gc=False: none holds itself."""


class Coding(Part):
    """A code of a code system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(Part):
    """The same meaning in several codes, or as text."""

    coding: list[Coding] | None = None
    text: str | None = None


class Identifier(Part):
    """A business identifier."""

    system: str | None = None
    value: str | None = None


class Reference(Part):
    """A pointer to another resource, by address or by identifier."""

    reference: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


class Quantity(Part):
    """A number with its unit."""

    value: Raw = NOTHING
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Ratio(Part):
    """A ratio, such as a titre."""

    numerator: Quantity | None = None
    denominator: Quantity | None = None


class Range(Part):
    """A range of quantities."""

    low: Quantity | None = None
    high: Quantity | None = None


class Period(Part):
    """First and last moment."""

    start: str | None = None
    end: str | None = None


class Valued(Part):
    """What may hold a value of any kind."""

    value_quantity: Quantity | None = None
    value_string: str | None = None
    value_code: str | None = None
    value_integer: Raw = NOTHING
    value_decimal: Raw = NOTHING
    value_boolean: bool | None = None
    value_date: str | None = None
    value_date_time: str | None = None
    value_codeable_concept: Concept | None = None
    value_ratio: Ratio | None = None
    value_range: Range | None = None


class Extension(Valued):
    """A value that the resource itself has no field for."""

    url: str | None = None


class Meta(Part):
    """Version of a resource."""

    version_id: str | None = None
    last_updated: str | None = None


class ReferenceRange(Part):
    """Limits of a result."""

    low: Raw = NOTHING
    high: Quantity | None = None
    type: Concept | None = None
    text: str | None = None
    extension: list[Extension] | None = None


def is_malformed(error: BaseException) -> bool:
    """Return whether the text is no JSON at all; else a field is not of the type that R4 says."""
    return not isinstance(error, msgspec.ValidationError)


def rule_of(error: BaseException) -> str:
    """Return the rule that a resource breaks which cannot be read; the field is named, its value is not."""
    return "it is not valid JSON in UTF-8" if is_malformed(error) else f"a field is not of FHIR R4: {error}"


def number_text(raw: Raw) -> str:
    """Return a number as printed, also where it stands in quotes; ``""`` where there is none.

    Examples
    --------
    >>> number_text(Raw(b"1.20")), number_text(Raw(b'"1.20"')), number_text(Raw(b"null"))
    ('1.20', '1.20', '')
    """
    text = str(raw, "utf-8", "replace")
    return text if text[:1] not in ("n", '"') else "" if text == "null" else text.strip('"')
