"""Response criteria as data: shipped files and a user's own are read the same way."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from aih_outcomes.catalogue import definition_files, read_analytes, read_drugs
from aih_outcomes.errors import PlanError, describe_invalid
from aih_outcomes.units import accepted_units, compute_factor

Confidence = Literal["checked", "remembered", "unsure", "user"]
DAYS_PER_MONTH = 365.25 / 12
ABBREVIATIONS = {name: name.upper() for name in ("alt", "ast", "ggt", "alp", "inr", "ana", "sma")} | {
    "igg": "IgG",
    "lkm1": "LKM-1",
}


def analyte_in_words(analyte: str) -> str:
    """Return the analyte as a reader would write it: ``igg`` → ``IgG``."""
    return ABBREVIATIONS.get(analyte, analyte.replace("_", " "))


def months_in_words(day: int) -> str:
    """Return a number of days in whole months: 182 → ``6 months``."""
    months = round(day / DAYS_PER_MONTH)
    return f"{months} month{'' if months == 1 else 's'}"


def _known_analyte(name: str) -> str:
    known = list(read_analytes()["analyte"])
    if name not in known:
        raise ValueError(f"analyte {name!r} is not in the catalogue ({', '.join(known)})")
    return name


def _known_class(name: str) -> str:
    known = sorted(set(read_drugs()["drug_class"]))
    if name not in known:
        raise ValueError(f"drug_class {name!r} is not in the catalogue ({', '.join(known)})")
    return name


def _in_order(window: tuple[int, int]) -> tuple[int, int]:
    if window[0] > window[1]:
        raise ValueError(f"a window is [first day, last day], not {list(window)}")
    return window


def _before_treatment(window: tuple[int, int]) -> tuple[int, int]:
    if window[1] > 0:
        raise ValueError("a value before treatment is one of day 0 or earlier")
    return window


def _after_start(window: tuple[int, int]) -> tuple[int, int]:
    if window[0] < 1:
        raise ValueError("response is judged from day 1 on; earlier results are baseline")
    return window


Analyte = Annotated[str, AfterValidator(_known_analyte)]
Window = Annotated[tuple[int, int], AfterValidator(_in_order)]
LaterWindow = Annotated[Window, AfterValidator(_after_start)]
BaselineWindow = Annotated[Window, AfterValidator(_before_treatment)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Criterion(_Part):
    """One analyte and the most it may be: a multiple of ULN, or a value in a unit."""

    analyte: Analyte
    at_most_xuln: Annotated[float, Field(gt=0)] | None = None
    at_most: Annotated[float, Field(gt=0)] | None = None
    unit: str = ""

    @model_validator(mode="after")
    def _one_limit(self) -> Criterion:
        if (self.at_most_xuln is None) == (self.at_most is None):
            raise ValueError(f"{self.analyte}: give either at_most_xuln, or at_most with its unit")
        if self.at_most is None and self.unit:
            raise ValueError(f"{self.analyte}: at_most_xuln has no unit; leave unit out")
        if self.at_most is not None and not compute_factor(self.analyte, self.unit) > 0:
            accepted = ", ".join(accepted_units(self.analyte))
            raise ValueError(f"{self.analyte}: unit {self.unit!r} has no exact conversion; expected one of {accepted}")
        return self

    @property
    def limit(self) -> float:
        """The most it may be: multiples of ULN, or canonical units."""
        if self.at_most is not None:
            return self.at_most * compute_factor(self.analyte, self.unit)
        return self.at_most_xuln if self.at_most_xuln is not None else float("nan")

    def in_words(self) -> str:
        """Return the criterion as a reader would write it."""
        size = f"{self.at_most_xuln:g} × ULN" if self.at_most is None else f"{self.at_most:g} {self.unit}"
        return f"{analyte_in_words(self.analyte)} ≤ {size}"


class ResponseRule(_Part):
    """What counts as response, and which samples make one evaluation."""

    term: str
    short: str
    insufficient: str = "Insufficient response"
    same_evaluation_days: Annotated[int, Field(ge=0, le=60)] = 14
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_analyte_once(self) -> ResponseRule:
        if len({c.analyte for c in self.criteria}) < len(self.criteria):
            raise ValueError("an analyte appears twice in the criteria")
        return self


class Windows(_Part):
    """Days since time zero, both ends included."""

    by: LaterWindow = (1, 182)
    at: LaterWindow = (150, 182)
    at_tolerant: LaterWindow = (121, 240)
    judged_from: Annotated[int, Field(ge=1)] = 121

    @model_validator(mode="after")
    def _judged_within(self) -> Windows:
        if self.judged_from > self.by[1]:
            raise ValueError(f"judged_from ({self.judged_from}) lies after the last day of by ({self.by[1]})")
        return self


class Baseline(_Part):
    """Where the value before treatment is looked for."""

    window: BaselineWindow = (-14, 0)
    fallback: BaselineWindow = (-30, -15)


class NonResponseRule(_Part):
    """Too small a fall within weeks."""

    term: str
    analytes: Annotated[tuple[Analyte, ...], Field(min_length=1)]
    fall_percent: Annotated[float, Field(gt=0, lt=100)]
    by_day: Annotated[int, Field(ge=1)]
    window: LaterWindow
    less_fall_in: Literal["any", "all"] = "any"

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        names = " and ".join(analyte_in_words(a) for a in self.analytes)
        where = f"{self.less_fall_in} of " if len(self.analytes) > 1 else ""
        fall = f"{self.fall_percent:g} %"
        return (
            f"{self.term}: fall from baseline of less than {fall} in {where}{names} on days "
            f"{self.window[0]}–{self.window[1]}, without a fall of {fall} in {names} by day {self.by_day}."
        )


class NotInterpretable(_Part):
    """A drug after which an analyte says nothing about the disease."""

    analyte: Analyte
    drug_class: Annotated[str, AfterValidator(_known_class)]
    days: Annotated[int, Field(gt=0)]

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        drug = self.drug_class.replace("_", " ")
        return f"{analyte_in_words(self.analyte)} is not interpreted during and for {self.days} days after {drug}."


class Definition(_Part):
    """Response criteria: analytes, limits, windows, source, and how sure the source is."""

    name: str
    version: str
    title: str
    reference: str
    confidence: Confidence = "user"
    unsure: str = ""
    response: ResponseRule
    windows: Windows = Windows()
    baseline: Baseline = Baseline()
    non_response: NonResponseRule | None = None
    not_interpretable: tuple[NotInterpretable, ...] = ()

    @property
    def analytes(self) -> tuple[str, ...]:
        """Analytes that decide response."""
        return tuple(c.analyte for c in self.response.criteria)

    def without(self, analyte: str) -> Definition:
        """Return the same criteria without one analyte; unchanged where nothing else would be left."""
        rule = self.response
        criteria = tuple(c for c in rule.criteria if c.analyte != analyte)
        if criteria in ((), rule.criteria):
            return self
        title = f"{self.title} without {analyte_in_words(analyte)}"
        return self.model_copy(update={"title": title, "response": rule.model_copy(update={"criteria": criteria})})

    def describe(self) -> str:
        """Return the criteria in words fit for a methods section, uncertainty included."""
        rule, windows = self.response, self.windows
        months = months_in_words(windows.by[1])
        parts = [
            f"{rule.term} ({rule.short}; {self.title}, version {self.version}: {self.reference}): "
            + " and ".join(c.in_words() for c in rule.criteria)
            + (f", drawn within {rule.same_evaluation_days} days of each other" if len(rule.criteria) > 1 else "")
            + f"; by {months} = any day {windows.by[0]}–{windows.by[1]}"
            + f", at {months} = days {windows.at[0]}–{windows.at[1]}"
            + f" (tolerant {windows.at_tolerant[0]}–{windows.at_tolerant[1]}).",
            f"{rule.insufficient} needs an evaluation from day {windows.judged_from} on; else not evaluable.",
        ]
        if self.non_response:
            start, other = self.baseline.window, self.baseline.fallback
            parts += [
                self.non_response.in_words(),
                f"Baseline: last value on days {start[0]} to {start[1]}, else {other[0]} to {other[1]} (flagged).",
            ]
        parts += [rule.in_words() for rule in self.not_interpretable]
        if self.confidence != "checked" or self.unsure:
            parts.append(f"Confidence: {self.confidence}. {self.unsure}".strip())
        return " ".join(parts)


def read_definition(name_or_path: str | Path) -> Definition:
    """Read response criteria by the name of a shipped preset or from a user's own TOML file.

    Raises
    ------
    PlanError : no such preset or file, not TOML, or a key breaks the schema (each named)
    """
    presets = definition_files()
    path = presets.get(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        raise PlanError(
            f"There are no response criteria {str(name_or_path)!r}",
            f"Shipped presets are {', '.join(presets)}",
            "Name one of them, or the path of your own .toml file",
        )
    try:
        return Definition.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(
            f"{path.name} is not valid TOML: {error}", "Response criteria are a TOML file in UTF-8", "Correct that line"
        ) from error
    except ValidationError as error:
        raise PlanError(*describe_invalid(path.name, error)) from error


def definitions() -> list[str]:
    """Return the names of the shipped response criteria."""
    return list(definition_files())
