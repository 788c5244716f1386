"""The analysis plan: what is analysed, how, with which seed, small-number rule and journal style."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.patients.measures import Scale
from aih_outcomes.endpoints.response.limits import UPPER_LIMITS
from aih_outcomes.errors import PlanError, describe_invalid

Exclusion = Literal[
    "giant_cell_hepatitis_aiha",
    "de_novo_aih",
    "drug_induced_aih_like",
    "other_liver_disease",
    "in_response_at_baseline",
]
GroupRule = Literal["attained_by", "attained_or_insufficient", "response_and_treatment"]
PolicyName = Literal["none", "lt5", "lt10", "hes7", "tre10"]


def _known_limits(source: str) -> str:
    if source not in UPPER_LIMITS:
        raise ValueError(f"{source!r} is no source of upper limits ({', '.join(UPPER_LIMITS)})")
    return source


UpperLimits = Annotated[str, AfterValidator(_known_limits)]
Journal = Literal["jhep", "nejm", "hepatology", "jpgn", "slide"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutagePart(_Part):
    """Days, first and last, in which a laboratory was out of order."""

    name: str
    start: dt.date = Field(alias="from")
    end: dt.date = Field(alias="until")

    @model_validator(mode="after")
    def _in_order(self) -> OutagePart:
        if self.end < self.start:
            raise ValueError("until must not lie before from")
        return self


class DataPart(_Part):
    """Where the data are; paths are relative to the plan.

    Attributes
    ----------
    source : format of the data
    folder : folder or file that is read
    mapping : says which column, unit or local code holds what
    key : file with the key of the pseudonyms, outside of ``folder``; empty leaves identifiers as they are. With a key,
        patients of the plan (``[consent]``) are named by their pseudonyms
    shift_dates : move each patient's dates by days of their own; intervals stay
    outages : ``{ name = "…", from = 2024-06-03, until = 2024-10-31 }``, marked in ``follow_up`` before dates are moved
    """

    source: Literal["tables", "redcap", "fhir", "omop"] = "tables"
    folder: str
    mapping: str = ""
    key: str = ""
    shift_dates: bool = False
    outages: tuple[OutagePart, ...] = ()
    label: str = "cohort"
    synthetic: bool = False

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> DataPart:
        if self.shift_dates and not self.key:
            raise ValueError("shift_dates needs key: the days of each patient are drawn by it")
        if self.outages and not self.shift_dates:
            raise ValueError("outages are noted before dates are moved: they need shift_dates = true")
        return self


class CohortPart(_Part):
    """Who is left out on purpose, in this order."""

    exclude: tuple[Exclusion, ...] = ()


class ResponsePart(_Part):
    """Response criteria: a shipped preset, or a file relative to the plan."""

    definition: str = "iaihg-2022"


class EndpointPart(_Part):
    """What is counted, and from when."""

    name: str = "native-liver-survival"
    time_zero: TimeZero = "induction"


class GroupsPart(_Part):
    """How groups are made at a landmark."""

    rule: GroupRule = "attained_or_insufficient"


class SurvivalPart(_Part):
    """Landmarks (the first is the primary one) and what is adjusted for; fixed before the fit."""

    landmark_days: Annotated[tuple[int, ...], Field(min_length=1)] = (182,)
    covariates: tuple[str, ...] = ()
    horizon_years: Annotated[float, Field(gt=0)] = 5.0


class ComparisonPart(_Part):
    """What the result is laid beside: other response criteria, upper limits, and ways to count rescue treatment."""

    definitions: tuple[str, ...] = ()
    upper_limits: Annotated[tuple[UpperLimits, ...], Field(min_length=1)] = ("as_recorded",)
    rescue: Annotated[tuple[Literal["ignored", "failure"], ...], Field(min_length=1)] = ("ignored",)


class TrajectoryPart(_Part):
    """What is followed over time."""

    analyte: str = "alt"
    scale: Scale = "xuln"


class ConsentPart(_Part):
    """Consent of a patient shown alone; the form itself stays outside the project."""

    patient_id: str = ""
    form: str = ""
    version: str = ""
    date: dt.date | None = None
    given_by: str = ""
    child_assent: bool = False
    covers: tuple[Literal["case_report", "genetic", "images", "open_data"], ...] = ()
    withdrawn_on: dt.date | None = None
    reconsent_at_16: dt.date | None = None


class GovernancePart(_Part):
    """What permits the study; lines left empty are printed on page one."""

    approval: str = ""
    legal_basis: str = ""
    opt_out_applied_on: str = ""
    centre_sign_off: str = ""

    def unfilled(self) -> list[str]:
        """Return the lines that are still empty, in words."""
        return [name.replace("_", " ") for name, value in self.model_dump().items() if not value]


class StudyPlan(_Part):
    """A plan as read from TOML; unknown keys are errors."""

    title: str
    heading: str = ""
    seed: int = 0
    disclosure: PolicyName = "lt5"
    journal: Journal = "jhep"
    notebooks: Annotated[tuple[str, ...], Field(min_length=1)]
    data: DataPart
    cohort: CohortPart = CohortPart()
    response: ResponsePart = ResponsePart()
    endpoint: EndpointPart = EndpointPart()
    groups: GroupsPart = GroupsPart()
    survival: SurvivalPart = SurvivalPart()
    comparison: ComparisonPart = ComparisonPart()
    trajectory: TrajectoryPart = TrajectoryPart()
    consent: ConsentPart = ConsentPart()
    governance: GovernancePart = GovernancePart()


def read_plan(path: Path) -> StudyPlan:
    """Read a plan.

    Raises
    ------
    PlanError : no such file, not TOML, or a key that is unknown or does not fit (each named)
    """
    if not path.is_file():
        raise PlanError(
            f"There is no plan {path.name!r} in {path.parent.name!r}",
            "A plan is a .toml file, usually in reports/plans/",
            "Check the path",
        )
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return StudyPlan.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(
            f"{path.name} is not valid TOML: {error}", "A plan is a TOML file in UTF-8", "Correct that line"
        ) from error
    except ValidationError as error:
        raise PlanError(*describe_invalid(path.name, error, text=text, schema=StudyPlan)) from error
