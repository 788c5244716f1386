"""Response criteria as data: shipped files and a user's own are read the same way."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, ValidationInfo, field_validator

from aih_outcomes.catalogue import definition_files, read_analytes
from aih_outcomes.endpoints.rules import (
    Baseline,
    FailureRule,
    NonResponseRule,
    NotInterpretable,
    Part,
    ResponseRule,
    TreatmentRule,
    Windows,
    Words,
    Worsening,
    analyte_in_words,
)
from aih_outcomes.errors import PlanError, describe_invalid, refuse_unknown

Confidence = Literal["checked", "remembered", "unsure", "user"]
CONFIDENCE_WORDS = {
    "checked": "checked against an abstract or the paper",
    "remembered": "remembered, not checked against the paper",
    "unsure": "low: do not publish without checking the paper",
    "user": "stated by the user",
}
CHOICES = (
    "same_evaluation_days", "transaminases", "missing_igg", "carried_days", "confirmed_after_days", "rescue",
    "transplant_or_death",
)  # fmt: skip
EXAMPLE = "catalogue/definitions/iaihg-2022.toml"


class Definition(Part):
    """Response criteria: analytes, limits, windows, source, and how sure the source is."""

    name: Words
    version: str
    title: Words
    reference: str
    confidence: Confidence = "user"
    unsure: str = ""
    response: ResponseRule
    windows: Windows = Windows()
    baseline: Baseline = Baseline()
    non_response: NonResponseRule | None = None
    not_interpretable: tuple[NotInterpretable, ...] = ()
    loss: Worsening | None = None
    flare: Worsening | None = None
    treatment: TreatmentRule = TreatmentRule()
    failure: FailureRule | None = None

    @field_validator("loss", "flare")
    @classmethod
    def _not_within_response(cls, rule: Worsening | None, info: ValidationInfo) -> Worsening | None:
        response = info.data.get("response")
        if rule is None or response is None:
            return rule
        allowed = {c.analyte: c.at_most_xuln for c in response.criteria if c.at_most_xuln is not None}
        for analyte, limit in rule.limits():
            if limit < allowed.get(analyte, limit):
                raise ValueError(
                    f"{analyte_in_words(analyte)} above {limit:g} × ULN is a loss, but up to {allowed[analyte]:g} × "
                    "ULN a response"
                )
        return rule

    @property
    def analytes(self) -> tuple[str, ...]:
        """Analytes that decide response."""
        return tuple(c.analyte for c in self.response.criteria)

    def without(self, analyte: str) -> Definition:
        """Return the same criteria without one analyte; unchanged where they do not ask it, or ask nothing else.

        Raises
        ------
        PlanError : there is no such analyte
        """
        refuse_unknown(analyte, list(read_analytes()["analyte"]), "an analyte")
        rule = self.response
        criteria = tuple(c for c in rule.criteria if c.analyte != analyte)
        if criteria in ((), rule.criteria):
            return self
        title = f"{self.title} without {analyte_in_words(analyte)}"
        return self.model_copy(update={"title": title, "response": rule.model_copy(update={"criteria": criteria})})

    def choosing(self, **choices: Any) -> Definition:  # keys of a pydantic model, checked below
        """Return the same criteria with other choices where papers are silent, e.g. ``rescue="failure"``.

        The title names what changed; choices as they are change nothing.

        Raises
        ------
        PlanError : a key that is not among ``CHOICES``, or a value that it does not take
        """
        for key in choices:
            refuse_unknown(key, CHOICES, "a choice of response criteria")
        try:
            rule = ResponseRule.model_validate(self.response.model_dump() | choices)
        except ValidationError as error:
            raise PlanError(*describe_invalid(self.title, error)) from error
        changed = [key for key in choices if getattr(rule, key) != getattr(self.response, key)]
        if not changed:
            return self
        words = ", ".join(f"{key}: {getattr(rule, key)}".replace("_", " ") for key in changed)
        return self.model_copy(update={"title": f"{self.title} ({words})", "response": rule})

    def describe(self) -> str:
        """Return the criteria in words fit for a methods section, uncertainty included."""
        rule, windows = self.response, self.windows
        months = windows.name
        together = f", drawn within {rule.same_evaluation_days} days of each other" if len(rule.criteria) > 1 else ""
        parts = [
            f"{rule.term} ({rule.short}; {self.title}, version {self.version}: {self.reference}): "
            + " and ".join(c.in_words() for c in rule.criteria)
            + together
            + f"; by {months} = any day {windows.by[0]}–{windows.by[1]}"
            + f", at {months} = days {windows.at[0]}–{windows.at[1]}"
            + f" (tolerant {windows.at_tolerant[0]}–{windows.at_tolerant[1]}).",
            f"{rule.insufficient} needs an evaluation from day {windows.judged_from} on; else not evaluable.",
            *rule.choices(),
        ]
        if self.non_response:
            parts.append(self.non_response.in_words())
        if self.non_response or self.failure or any(c.fall_percent for c in rule.criteria):
            start, other = self.baseline.window, self.baseline.fallback
            parts.append(
                f"Baseline: last value on days {start[0]} to {start[1]}, else {other[0]} to {other[1]} (flagged)."
            )
        rules = (*self.not_interpretable, self.loss, self.flare, self.failure, self.treatment)
        parts += [rule.in_words() for rule in rules if rule is not None]
        parts.append(f"Confidence in these criteria: {CONFIDENCE_WORDS[self.confidence]}. {self.unsure}".strip())
        return " ".join(parts)


def read_definition(name_or_path: str | Path) -> Definition:
    """Read response criteria by the name of a shipped preset or from a user's own TOML file.

    Raises
    ------
    PlanError : no such preset or file, not TOML, a key breaks the schema (each named, with its line), or the title is
        that of a shipped preset with other criteria
    """
    presets = definition_files()
    path = presets.get(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        raise PlanError(
            f"There are no response criteria {str(name_or_path)!r}",
            f"Shipped presets are {', '.join(presets)}",
            "Name one of them, or the path of your own .toml file",
        )
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = Definition.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(
            f"{path.name} is not valid TOML: {error}", "Response criteria are a TOML file in UTF-8", "Correct that line"
        ) from error
    except ValidationError as error:
        raise PlanError(*describe_invalid(path.name, error, text=text, schema=Definition, example=EXAMPLE)) from error
    if path not in presets.values():
        _refuse_borrowed_title(found, path.name)
    return found


def _refuse_borrowed_title(definition: Definition, file: str) -> None:
    """Refuse other criteria under the title of shipped ones: in a report nobody could tell them apart.

    Raises
    ------
    PlanError
    """
    for name in definitions():
        shipped = read_definition(name)
        if definition.title.strip().casefold() == shipped.title.casefold() and definition != shipped:
            raise PlanError(
                f"{file} has the title of the shipped {name}, and other criteria",
                "Criteria are told apart by their title",
                f"Give them a title of their own, or use {name!r}",
            )


def definitions() -> list[str]:
    """Return the names of the shipped response criteria."""
    return list(definition_files())
