"""The parts of response criteria, each a rule that a clinician can read; [P] marks this project's choices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from aih_outcomes.catalogue import read_analytes, read_drugs
from aih_outcomes.units import accepted_units, canonical_units, compute_canonical, find_conversion

DAYS_PER_MONTH = 365.25 / 12
TRANSAMINASES = ("alt", "ast")
TITER = "{titer}"
ABBREVIATIONS = {name: name.upper() for name in ("alt", "ast", "ggt", "alp", "inr", "ana", "sma", "cd19")} | {
    "igg": "IgG",
    "lkm1": "LKM-1",
}
_CLASSES = {"anti_cd20": "anti-CD20 antibody", "anti_tnf": "anti-TNF", "mtor_inhibitor": "mTOR inhibitor"} | {
    "jak_inhibitor": "JAK inhibitor", "ctla4_ig": "CTLA4-Ig", "anti_il6r": "anti-IL-6 receptor",
    "pi3kd_inhibitor": "PI3Kδ inhibitor", "anti_baff": "anti-BAFF",
}  # fmt: skip
METHODS = {"iif_rodent": "immunofluorescence on rodent tissue", "iif_hep2": "HEp-2 cells", "elisa": "ELISA"}


def analyte_in_words(analyte: str) -> str:
    """Return the analyte as a reader would write it: ``igg`` → ``IgG``."""
    return ABBREVIATIONS.get(analyte, analyte.replace("_", " "))


def months_in_words(day: int) -> str:
    """Return a number of days in whole months: 182 → ``6 months``."""
    months = round(day / DAYS_PER_MONTH)
    return f"{months} month{'' if months == 1 else 's'}"


def drug_class_in_words(drug_class: str) -> str:
    """Return a class of drugs as a reader would write it: ``anti_cd20`` → ``anti-CD20 antibody``."""
    return _CLASSES.get(drug_class, drug_class.replace("_", " "))


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


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _in_percent(number: float) -> float:
    if number < 1:
        raise ValueError(f"is in per cent: {100 * number:g}, not {number:g}")
    return number


Words = Annotated[str, AfterValidator(_said)]
Analyte = Annotated[str, AfterValidator(_known_analyte)]
Day = Annotated[int, Field(strict=True)]  # strict: true is not 1
Window = Annotated[tuple[Day, Day], AfterValidator(_in_order)]
LaterWindow = Annotated[Window, AfterValidator(_after_start)]
BaselineWindow = Annotated[Window, AfterValidator(_before_treatment)]
Positive = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Rise = Annotated[Positive, AfterValidator(_in_percent)]
Fall = Annotated[Rise, Field(lt=100)]
SomeDays = Annotated[Day, Field(ge=0, le=3660)]
OneDayOrMore = Annotated[Day, Field(ge=1)]


class Part(BaseModel):
    """A part of a file: unknown keys are errors, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Criterion(Part):
    """One analyte and what it must be: a multiple of ULN, a value in a unit, or a fall from baseline."""

    analyte: Analyte
    at_most_xuln: Positive | None = None
    at_most: Positive | None = None
    below: Positive | None = None
    unit: str = ""
    fall_percent: Fall | None = None  # at least so much below the baseline value
    method: Literal["iif_rodent", "iif_hep2", "elisa", "blot"] | None = None  # results of no other method count
    asked: Literal["always", "if_positive_at_baseline"] = "always"
    within_days: Annotated[Day, Field(ge=0, le=400)] | None = None  # in place of same_evaluation_days

    @model_validator(mode="after")
    def _one_limit(self) -> Criterion:
        limits = [self.at_most_xuln, self.at_most, self.below, self.fall_percent]
        if sum(limit is not None for limit in limits) != 1:
            raise ValueError(f"{self.analyte}: give one of at_most_xuln, at_most or below with its unit, fall_percent")
        if not self.in_unit and self.unit:
            raise ValueError(f"{self.analyte}: unit belongs to at_most or below; leave it out")
        if self.in_unit and find_conversion(self.analyte, self.unit) is None:
            accepted = ", ".join(accepted_units(self.analyte))
            raise ValueError(f"{self.analyte}: unit {self.unit!r} has no exact conversion; expected one of {accepted}")
        if self.method and canonical_units()[self.analyte] != TITER:
            raise ValueError(f"{self.analyte}: method belongs to titres of antibodies; leave it out")
        return self

    @property
    def in_unit(self) -> bool:
        """Whether the limit is a value in a unit."""
        return self.at_most is not None or self.below is not None

    @property
    def limit(self) -> float:
        """The limit itself: multiples of ULN, canonical units, or the share of baseline that may be left."""
        if self.fall_percent is not None:
            return 1 - self.fall_percent / 100
        if self.at_most_xuln is not None:
            return self.at_most_xuln
        return compute_canonical(self.at_most or self.below or 0.0, self.analyte, self.unit)

    def in_words(self) -> str:
        """Return the criterion as a reader would write it."""
        name = analyte_in_words(self.analyte)
        if self.fall_percent is not None:
            return f"fall of {name} by at least {self.fall_percent:g} % from baseline"
        if self.at_most_xuln is not None:
            words = f"{name} ≤ {self.at_most_xuln:g} × ULN"
        else:
            number = self.at_most or self.below or 0.0
            size = f"1:{number:g}" if self.unit == TITER else f"{number:g} {self.unit}"
            words = f"{name} {'<' if self.below else '≤'} {size}"
        words += f" by {METHODS.get(self.method, self.method)}" if self.method else ""
        notes = [f"drawn within {self.within_days} days"] if self.within_days is not None else []
        notes += ["asked if above this at baseline"] if self.asked == "if_positive_at_baseline" else []
        return words + (f" ({'; '.join(notes)})" if notes else "")


class ResponseRule(Part):
    """What counts as response, which samples make one evaluation, and what papers leave out."""

    term: Words
    short: Words
    insufficient: Words = "Insufficient response"
    same_evaluation_days: Annotated[Day, Field(ge=0, le=60)] = 14
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    transaminases: Literal["both", "one_suffices"] = "both"
    missing_igg: Literal["not_evaluable", "carried_forward", "worst_case"] = "not_evaluable"
    carried_days: Annotated[Day, Field(ge=1, le=400)] = 90
    confirmed_after_days: SomeDays = 0  # 0: one evaluation suffices
    rescue: Literal["ignored", "failure"] = "ignored"
    transplant_or_death: Literal["failure", "not_evaluable"] = "failure"

    @model_validator(mode="after")
    def _each_analyte_once(self) -> ResponseRule:
        if len({c.analyte for c in self.criteria}) < len(self.criteria):
            raise ValueError("an analyte appears twice in the criteria")
        return self

    def choices(self) -> list[str]:
        """Return, as sentences, what was chosen where papers are silent."""
        said = {
            "one_suffices": "One transaminase suffices where the other is missing (marked).",
            "carried_forward": f"A missing IgG is carried forward for up to {self.carried_days} days if it was normal "
            "and the steroid dose unchanged.",
            "worst_case": "A missing IgG counts as abnormal.",
        }
        found = [said[choice] for choice in (self.transaminases, self.missing_igg) if choice in said]
        if self.confirmed_after_days:
            found.append(
                f"Response is confirmed by the next evaluations over at least {self.confirmed_after_days} days, dated "
                "at the first and known at the confirming one."
            )
        found.append(
            "Rescue treatment (second line or advanced therapy) counts as failure; a response attained before it "
            "stands by a day, not at one."
            if self.rescue == "failure"
            else "Rescue treatment is ignored (treatment policy)."
        )
        failed = "counts as failure" if self.transplant_or_death == "failure" else "is not evaluable"
        return [
            *found,
            f"Transplant or death by the end of a window {failed} in rates; a response attained before it stands in a "
            "rate by a day, not in one at a day.",
        ]


# [P] of windows that a file leaves out, from the last day of ``by``: 182 gives 150–182, 121–240 and 121.
AT_DAYS, JUDGED_DAYS, TOLERATED_DAYS = 32, 61, 58
SAME_TIME_DAYS = 45  # [P] at most so far from the last day of ``by`` may ``at`` end


def _before_end(given: dict[str, Any], days: int) -> int:
    """Return the day so many days before the last of ``by``, within ``by``."""
    first, last = given["by"]
    return int(max(last - days, first))


def _at(given: dict[str, Any]) -> tuple[int, int]:
    return _before_end(given, AT_DAYS), given["by"][1]


def _at_tolerant(given: dict[str, Any]) -> tuple[int, int]:
    """Return a window around ``at`` too; where that is not valid, nobody reads it."""
    at = given.get("at", given["by"])
    return min(_before_end(given, JUDGED_DAYS), at[0]), max(given["by"][1] + TOLERATED_DAYS, at[1])


def _judged_from(given: dict[str, Any]) -> int:
    return _before_end(given, JUDGED_DAYS)


class Windows(Part):
    """Days since time zero, both ends included; what is left out follows from ``by``."""

    called: str = ""  # what the time is called, where it is not whole months
    by: LaterWindow = (1, 182)
    at: LaterWindow = Field(default_factory=_at)
    at_tolerant: LaterWindow = Field(default_factory=_at_tolerant)
    judged_from: OneDayOrMore = Field(default_factory=_judged_from)

    @field_validator("at")
    @classmethod
    def _at_the_end(cls, at: tuple[int, int], info: ValidationInfo) -> tuple[int, int]:
        if "by" in info.data and abs(at[1] - info.data["by"][1]) > SAME_TIME_DAYS:
            end = info.data["by"][1]
            raise ValueError(f"ends on day {at[1]}, more than {SAME_TIME_DAYS} days from the last day of by ({end})")
        return at

    @field_validator("at_tolerant")
    @classmethod
    def _holds_at(cls, tolerant: tuple[int, int], info: ValidationInfo) -> tuple[int, int]:
        at = info.data.get("at", tolerant)
        if tolerant[0] > at[0] or tolerant[1] < at[1]:
            raise ValueError(f"does not hold at ({list(at)}), which follows from by where it is not given")
        return tolerant

    @field_validator("judged_from")
    @classmethod
    def _judged_within(cls, day: int, info: ValidationInfo) -> int:
        if "by" in info.data and day > info.data["by"][1]:
            raise ValueError(f"judged_from ({day}) lies after the last day of by ({info.data['by'][1]})")
        return day

    @property
    def name(self) -> str:
        """What the time is called: ``6 months``."""
        return self.called or months_in_words(self.by[1])


class Baseline(Part):
    """Where the value before treatment is looked for; antibody titres, which are rarely repeated, further back."""

    window: BaselineWindow = (-14, 0)
    fallback: BaselineWindow = (-30, -15)
    titre_window: BaselineWindow = (-180, 0)


NON_RESPONSE_DAYS = 14  # [P] at most so long after ``by_day`` may the window end


class NonResponseRule(Part):
    """Too small a fall within weeks."""

    term: Words
    analytes: Annotated[tuple[Analyte, ...], Field(min_length=1)]
    fall_percent: Fall
    by_day: OneDayOrMore
    window: LaterWindow
    less_fall_in: Literal["any", "all"] = "any"
    normal_xuln: Positive | None = None  # at most so much has fallen enough; who began there is not evaluable

    @field_validator("window")
    @classmethod
    def _ends_after_the_fall_is_asked(cls, window: tuple[int, int], info: ValidationInfo) -> tuple[int, int]:
        by_day = info.data.get("by_day", window[1])
        if not by_day <= window[1] <= by_day + NON_RESPONSE_DAYS:
            raise ValueError(
                f"ends on day {window[1]}: by_day ({by_day}) to {NON_RESPONSE_DAYS} days after it is when too small a "
                "fall is known"
            )
        return window

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        names = " and ".join(analyte_in_words(a) for a in self.analytes)
        where = f"{self.less_fall_in} of " if len(self.analytes) > 1 else ""
        fall = f"{self.fall_percent:g} %"
        return (
            f"{self.term}: fall from baseline of less than {fall} in {where}{names} on days "
            f"{self.window[0]}–{self.window[1]}, without a fall of {fall} in {names} by day {self.by_day}."
            + (
                f" A value of at most {self.normal_xuln:g} × ULN counts as fallen; whoever had only such values before "
                "treatment is not evaluable."
                if self.normal_xuln is not None
                else ""
            )
        )


class Recovered(Part):
    """A later result that ends the time in which an analyte says nothing."""

    analyte: Analyte
    at_least: Positive
    unit: str

    @model_validator(mode="after")
    def _known_unit(self) -> Recovered:
        if find_conversion(self.analyte, self.unit) is None:
            accepted = ", ".join(accepted_units(self.analyte))
            raise ValueError(f"{self.analyte}: unit {self.unit!r} has no exact conversion; expected one of {accepted}")
        return self

    @property
    def limit(self) -> float:
        """The least it must be, in canonical units."""
        return compute_canonical(self.at_least, self.analyte, self.unit)


class NotInterpretable(Part):
    """A drug after which an analyte says nothing about the disease."""

    analyte: Analyte
    drug_class: Annotated[str, AfterValidator(_known_class)]
    days: OneDayOrMore
    recovered: Recovered | None = None

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        drug = drug_class_in_words(self.drug_class)
        later = ""
        if self.recovered is not None:
            name = analyte_in_words(self.recovered.analyte)
            later = f", and on while the last {name} lies below {self.recovered.at_least:g} {self.recovered.unit}"
        return (
            f"{analyte_in_words(self.analyte)} is not interpreted during and for {self.days} days after {drug}{later}."
        )


class Worsening(Part):
    """When disease in response is active again: limits in multiples of ULN, any analyte being enough."""

    term: Words
    above_xuln: dict[Analyte, Positive] = {}  # one sample suffices
    confirmed_above_xuln: dict[Analyte, Positive] = {}  # two samples, or one and treatment stepped up
    days_apart: Annotated[Day, Field(ge=1, le=365)] = 7
    escalation_within_days: SomeDays = 28  # 0: treatment stepped up says nothing
    treatment: Literal["any", "on", "off"] = "any"  # before or after all immunosuppression was withdrawn

    @model_validator(mode="after")
    def _some_limit(self) -> Worsening:
        if not self.above_xuln and not self.confirmed_above_xuln:
            raise ValueError("give limits in above_xuln (one sample) or confirmed_above_xuln (two samples)")
        return self

    @property
    def analytes(self) -> tuple[str, ...]:
        """Analytes that can show it."""
        return tuple(dict.fromkeys([*self.above_xuln, *self.confirmed_above_xuln]))

    def limits(self) -> list[tuple[str, float]]:
        """Return every analyte with its limits."""
        return [*self.above_xuln.items(), *self.confirmed_above_xuln.items()]

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        ways = []
        if self.above_xuln:
            ways.append(_any_above(self.above_xuln))
        if self.confirmed_above_xuln:
            or_stepped_up = (
                f", or once with treatment stepped up within {self.escalation_within_days} days"
                if self.escalation_within_days
                else ""
            )
            ways.append(
                f"{_any_above(self.confirmed_above_xuln)} on two samples at least {self.days_apart} days apart"
                + or_stepped_up
            )
        when = {"any": "", "on": ", on treatment", "off": ", after withdrawal of all immunosuppression"}[self.treatment]
        return f"{self.term}: after response, {'; or '.join(ways)}{when}."


def _any_above(limits: dict[str, float]) -> str:
    return " or ".join(f"{analyte_in_words(name)} > {limit:g} × ULN" for name, limit in limits.items())


class TreatmentRule(Part):
    """Steroid-free, low dose, withdrawn, sustained: how long and how much (clinic 16; all [P])."""

    steroid_free_days: OneDayOrMore = 90
    low_dose_mg_per_kg: Positive = 0.2
    low_dose_mg_per_day: Positive = 5.0
    replacement_mg_per_m2: Positive = 12.0  # hydrocortisone up to here replaces what the body lacks
    withdrawal_days: OneDayOrMore = 30
    sustained_days: OneDayOrMore = 365

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        return (
            f"Steroid-free: no systemic steroid for AIH on at least {self.steroid_free_days} days in a row "
            f"(hydrocortisone up to {self.replacement_mg_per_m2:g} mg/m²/day as replacement does not count); low dose: "
            f"at most {self.low_dose_mg_per_kg:g} mg/kg/day and {self.low_dose_mg_per_day:g} mg/day of prednisolone; "
            f"withdrawal: all immunosuppression stopped for at least {self.withdrawal_days} days; sustained: for at "
            f"least {self.sustained_days} days."
        )


class FailureRule(Part):
    """Worsening despite treatment (Czaja's rule, remembered)."""

    rise_percent: Rise = 67.0
    analytes: Annotated[tuple[Analyte, ...], Field(min_length=1)] = ("alt", "ast", "bilirubin")

    def in_words(self) -> str:
        """Return the rule as a sentence for the methods section."""
        names = " or ".join(analyte_in_words(name) for name in self.analytes)
        return f"Treatment failure: {names} at least {self.rise_percent:g} % above the value before treatment."
