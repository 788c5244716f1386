"""The plan bound to its data, the one door through which results leave, and where they are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.disclosure import apply_policy, pass_with_consent
from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.endpoints.events.endpoint import Endpoint, derive_time_to_event, read_endpoint
from aih_outcomes.endpoints.groups.groups import (
    NOT_EVALUABLE_LABEL,
    attained_by,
    attained_or_insufficient,
    derive_groups,
)
from aih_outcomes.endpoints.patients.baseline import BASELINE_WORDS, KNOWN_LATER, derive_baseline, in_words
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.endpoints.treatment.treatment import derive_treatment_starts
from aih_outcomes.errors import PlanError
from aih_outcomes.load.privacy.keys import read_key
from aih_outcomes.load.privacy.pseudonyms import Outage, Pseudonyms
from aih_outcomes.load.sources import read_source
from aih_outcomes.models.description import describe_baseline
from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.rates import ResponseRates
from aih_outcomes.models.result import DAYS_PER_YEAR
from aih_outcomes.models.survival.designs.comparison import GroupComparison, compare_groups
from aih_outcomes.models.survival.designs.landmark import incident_only, landmark
from aih_outcomes.outcomes import Groups, TimeToEvent
from aih_outcomes.study.choices import derive_specifications
from aih_outcomes.study.consent import check_consent
from aih_outcomes.study.definitions import DefinitionComparison, compare_definitions
from aih_outcomes.study.output import DRAFT, record, write_shown
from aih_outcomes.study.plan import StudyPlan, read_plan
from aih_outcomes.study.rates import estimate_response_rates
from aih_outcomes.study.specification import describe_flow
from aih_outcomes.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aih_outcomes.models.result import Result

EXCLUSION_WORDS = {
    "giant_cell_hepatitis_aiha": "Giant-cell hepatitis with haemolytic anaemia",
    "de_novo_aih": "De novo autoimmune hepatitis after transplant",
    "drug_induced_aih_like": "Drug-induced hepatitis",
    "other_liver_disease": "Other liver disease",
    "in_response_at_baseline": "Response criteria already met at time zero",
}
SYNTHETIC = "Synthetic; effects set by us"
TREATMENT_WORDS = {
    "induction": "Induction steroid",
    "second_line": "Second line (conventional)",
    "empirical_advanced": "Empirical advanced therapy",
    "gene_matched": "Gene-matched therapy",
}
_in_use: dict[str, Path] = {}


def use(*, plan: str | Path, out: str | Path, data: str | Path | None = None) -> None:
    """Make every ``open_study(...)`` of this process return that plan and save to that folder; a report does this."""
    _in_use.update(plan=Path(plan), out=Path(out))
    if data is not None:
        _in_use["data"] = Path(data)


def open_study(plan: str | Path) -> Study:
    """Open a plan by its name (``synthetic``) or path.

    A name is looked for in ``reports/plans/`` of the nearest parent folder that has one; results then go to
    ``reports/output/<plan>/draft``.

    Raises
    ------
    PlanError : there is no such plan, or it cannot be used
    """
    if _in_use:
        return Study(read_plan(_in_use["plan"]), _in_use["plan"], _in_use["out"], _in_use.get("data"))
    path = Path(plan)
    if path.suffix != ".toml":
        path = _plans_folder() / f"{plan}.toml"
    return Study(read_plan(path), path, path.parent.parent / "output" / path.stem / DRAFT)


def _plans_folder() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "reports" / "plans").is_dir():
            return folder / "reports" / "plans"
    raise PlanError(
        "No folder reports/plans was found here or above",
        "A plan is looked for in reports/plans/",
        "Start in the project's folder, or give the path of a .toml file",
    )


@dataclass(frozen=True, eq=False)
class Study:
    """A plan and its data. It composes the other rooms and computes nothing.

    Attributes
    ----------
    plan, path : the plan and the file it was read from
    out : folder that ``save`` writes to
    data : folder that takes the place of the plan's
    """

    plan: StudyPlan
    path: Path
    out: Path
    data: Path | None = None

    @property
    def data_folder(self) -> Path:
        """The folder of the cohort's files, or the one file that holds them."""
        return self.data if self.data is not None else (self.path.parent / self.plan.data.folder).resolve()

    @cached_property
    def source(self) -> Cohort:
        """Every patient that was read, before exclusions."""
        said = self.plan.data
        mapping = self.path.parent / said.mapping if said.mapping else None
        return read_source(
            self.data_folder, mapping, source=said.source, label=said.label, pseudonyms=self._pseudonyms()
        )

    def _pseudonyms(self) -> Pseudonyms | None:
        said = self.plan.data
        if not said.key:
            return None
        outages = tuple(Outage(name=one.name, start=one.start, end=one.end) for one in said.outages)
        key = read_key(self.path.parent / said.key, data=self.data_folder)
        return Pseudonyms(key, shift_dates=said.shift_dates, outages=outages)

    @cached_property
    def cohort(self) -> Cohort:
        """The patients of the study: the source without the exclusions of the plan."""
        cohort = self.source
        for name in self.plan.cohort.exclude:
            if name == "in_response_at_baseline":
                response = derive_response(cohort, self.definition, time_zero=self.plan.endpoint.time_zero)
                leaving = response.in_response_at_baseline()
            else:
                leaving = cohort.patients.loc[cohort.patients["diagnosis"] == name, "patient_id"]
            cohort = cohort.exclude(leaving, step="Eligibility", reason=EXCLUSION_WORDS[name])
        return cohort

    @cached_property
    def definition(self) -> Definition:
        """The response criteria of the plan."""
        return self._read_definition(self.plan.response.definition)

    def _read_definition(self, named: str) -> Definition:
        return read_definition(self.path.parent / named if named.endswith(".toml") else named)

    @property
    def _compared(self) -> list[Definition]:
        """The plan's criteria, then those that they are laid beside."""
        others = [name for name in self.plan.comparison.definitions if name != self.plan.response.definition]
        return [self.definition, *map(self._read_definition, others)]

    def compare_definitions(self) -> DefinitionComparison:
        """Judge the patients by the plan's criteria and those it is laid beside, with each source of upper limits."""
        return compare_definitions(
            self.cohort, self._compared, upper_limits=self.plan.comparison.upper_limits, day=self.landmark_day,
            time_zero=self.plan.endpoint.time_zero,
        )  # fmt: skip

    def specifications(self) -> pd.DataFrame:
        """Return the main hazard ratio under every combination of the plan's choices; the first row is the plan's."""
        chosen = self.plan.comparison
        return derive_specifications(
            self.cohort, self._compared, upper_limits=chosen.upper_limits, rescue=chosen.rescue,
            landmark_days=self.plan.survival.landmark_days, covariates=self.plan.survival.covariates,
            endpoint=self.plan.endpoint.name, time_zero=self.plan.endpoint.time_zero,
        )  # fmt: skip

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of the plan."""
        return read_endpoint(self.plan.endpoint.name)

    @cached_property
    def response(self) -> Response:
        """Response of every patient by the plan's criteria and clock."""
        return derive_response(self.cohort, self.definition, time_zero=self.plan.endpoint.time_zero)

    def rates(self) -> ResponseRates:
        """Return the response rates, as seen and corrected for missing results (imputed with the plan's seed)."""
        return estimate_response_rates(self.response, rng=np.random.default_rng(self.plan.seed))

    def groups(self, day: int | None = None) -> Groups:
        """Return the plan's groups at ``day`` (the plan's first landmark by default)."""
        day = self.plan.survival.landmark_days[0] if day is None else day
        if self.plan.groups.rule == "response_and_treatment":
            return derive_groups(self.response, day=day)
        rule = attained_by if self.plan.groups.rule == "attained_by" else attained_or_insufficient
        return rule(self.response, day)

    @property
    def landmark_day(self) -> int:
        """The primary landmark, in days since time zero."""
        return self.plan.survival.landmark_days[0]

    @property
    def horizon(self) -> float:
        """The horizon of absolute differences, in days."""
        return self.plan.survival.horizon_years * DAYS_PER_YEAR

    @cached_property
    def outcome(self) -> TimeToEvent:
        """The plan's endpoint on the plan's clock, with what was known at time zero."""
        start = derive_baseline(self.response).drop(columns=list(KNOWN_LATER))
        return derive_time_to_event(
            self.cohort, self.endpoint, time_zero=self.plan.endpoint.time_zero, covariates=start
        )

    def landmarks(self) -> list[GroupComparison]:
        """Return the comparison at each landmark of the plan, adjusted for the plan's covariates.

        The last one is that at the first landmark without patients referred late, the sensitivity always printed.
        """
        covariates = self.plan.survival.covariates
        starts = [landmark(self.outcome, self.groups(day), day=day) for day in self.plan.survival.landmark_days]
        starts.append(landmark(incident_only(self.outcome), self.groups(), day=self.landmark_day))
        return [
            compare_groups(start, by=GROUP, covariates=covariates, horizon=self.horizon, missing="exclude")
            for start in starts
        ]

    def flow(self, outcome: TimeToEvent) -> pd.DataFrame:
        """Return the frame of the flow chart that ends with ``outcome``."""
        return describe_flow(self.source, self.cohort, outcome)

    def table_one(self, *, by: Literal["group", "aih_type"], day: int = 0) -> pd.DataFrame:
        """Return the numbers of Table 1 on ``day``, by the groups at the first landmark or by type of disease."""
        start = derive_baseline(self.response, day=day)
        table = in_words(start)
        variables = list(table.columns)
        if by == "group":
            groups = self.groups()
            known = groups.at(self.landmark_day)
            if day >= self.landmark_day:  # who is compared from then on, not who had died or left
                followed = landmark(self.outcome, groups, day=day).frame.drop_duplicates("patient_id")
                table = table[table.index.isin(followed["patient_id"])]
            labels = known.reindex(table.index)
            table = table[labels.notna()].assign(
                **{GROUP: pd.Categorical(labels.dropna(), categories=list(groups.levels))}
            )
        else:
            table[GROUP] = start["aih_type"].fillna("unknown").str.replace("_", " ")
            variables = [variable for variable in variables if variable != BASELINE_WORDS["aih_type"]]
        compared = (
            None if by == "aih_type" else [level for level in self.groups().levels if level != NOT_EVALUABLE_LABEL]
        )
        return describe_baseline(table, by=GROUP, variables=variables, compared=compared)

    def table_treatments(self) -> pd.DataFrame:
        """Return how many ever began each kind of treatment, in the shape of Table 1."""
        starts = derive_treatment_starts(self.cohort).set_index("patient_id")
        begun = {
            words: starts[column].notna().map({True: "yes", False: "no"}) for column, words in TREATMENT_WORDS.items()
        }
        return describe_baseline(pd.DataFrame(begun), variables=list(begun))

    def figure(
        self, width: Literal["single", "one_and_half", "double"] = "single", *, height_mm: float = 100
    ) -> Figure:
        """Return an empty figure of the plan's journal, at final size."""
        from aih_outcomes.figures import open_figure

        return open_figure(journal=self.plan.journal, width=width, height_mm=height_mm)

    def axes(self, width: Literal["single", "one_and_half", "double"] = "single", *, height_mm: float = 100) -> Axes:
        """Return the axes of a new figure of the plan's journal, at final size."""
        return self.figure(width, height_mm=height_mm).add_subplot()

    def disclose(self, result: Result | pd.DataFrame) -> pd.DataFrame:
        """Return the tidy frame under the plan's small-number rule: the only door out of a study.

        Rows of one patient (``patient_id``) pass with that patient's consent in the plan; the pseudonym stays behind.

        Raises
        ------
        DisclosureError : rows of a patient without consent
        """
        frame = result if isinstance(result, pd.DataFrame) else result.tidy()
        if "patient_id" in frame and self.plan.disclosure != "none":
            of_gene = (
                frame.get("kind", pd.Series(dtype=object)).eq("gene").any()
                or frame.get("matched", pd.Series()).any()
                or "gene" in str(frame.attrs.get("switch", ""))
            )
            shows = ["case_report", "genetic"] if of_gene else ["case_report"]
            check_consent(self.plan.consent, frame["patient_id"].unique(), shows=shows)
            return pass_with_consent(frame, self.plan.disclosure)
        return apply_policy(frame, self.plan.disclosure)

    def case(self, patient_id: str, *, shows: tuple[str, ...] = ("case_report",)) -> Cohort:
        """Return the cohort of one patient whose consent covers being shown.

        Raises
        ------
        DisclosureError : consent does not cover it, is for someone else, or was withdrawn
        """
        check_consent(self.plan.consent, [patient_id], shows=shows)
        case = self.source.select(patient_id)
        if "genetic" not in self.plan.consent.covers:
            case = Cohort(**{**case.tables(), "variants": case.variants.iloc[:0]}, label=case.label)
        return case

    def describe(self) -> str:
        """Return what every caption ends with: whose data, by which criteria, under which small-number rule."""
        parts = [f"Data: {self.plan.data.label}."]
        if self.plan.data.synthetic:
            parts.append(f"{SYNTHETIC}.")
        parts.append(f"Criteria: {self.definition.title}. Time zero: {IN_WORDS[self.plan.endpoint.time_zero]}.")
        rule = self.plan.disclosure
        parts.append("No small-number rule." if rule == "none" else f"Small-number rule: {rule}; counts are rounded.")
        return " ".join(parts)

    def save(self, shown: Axes | Figure | Table, name: str, caption: str, *, alt: str = "", story: str = "") -> None:
        """Write a figure (PDF, SVG, PNG and its data) or a table (CSV and HTML) with its caption.

        Parameters
        ----------
        name : file name without ending; unique in a report
        caption : sentences: what, who, how; ``describe()`` is added
        alt : words for a reader who cannot see the figure; the caption where not given
        story : a sentence of the five-minute story that this figure tells; empty where it is no part of it

        Raises
        ------
        DisclosureError : its numbers did not come from ``disclose`` under the plan's rule
        """
        stamp = SYNTHETIC if self.plan.data.synthetic else ""
        kind = write_shown(shown, name, out=self.out, policy=self.plan.disclosure, stamp=stamp)
        caption = f"{caption} {self.describe()}"
        record(self.out, {"kind": kind, "name": name, "caption": caption, "alt": alt or caption, "story": story})
