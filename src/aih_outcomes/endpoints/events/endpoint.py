"""What an endpoint is, said once, as data; and its application to a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import IN_WORDS, TimeZero
from aih_outcomes.endpoints.events.first_events import TREATMENT_STARTS, Placed, Source, first_seen
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines, derive_timelines
from aih_outcomes.errors import PlanError
from aih_outcomes.outcomes import CENSORED, TimeToEvent

PRESENTATION_DAYS = 28  # [P] complications up to this day belong to the presentation (clinic 19)
ENCEPHALOPATHY_GRADE = 2.0  # West Haven; grade 1 is no decompensation (Baveno VII [m])
EVENT_COLUMNS = ("patient_id", "day", "event", "because")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A time-to-event endpoint: earliest event, else the last date known event-free.

    Events and competing events are in order: of two on one day the one named first counts.

    Attributes
    ----------
    at_risk_from : first day at risk; what happened up to then is part of the presentation
    at_presentation : who had any of these up to ``at_risk_from`` is not at risk of a first one
    """

    name: str
    label: str
    events: tuple[Source, ...]
    censorings: tuple[Source, ...]
    competing: tuple[Source, ...] = ()
    at_risk_from: int = 0
    at_presentation: tuple[Source, ...] = ()
    reference: str

    @property
    def sources(self) -> tuple[Source, ...]:
        """Events, then competing events."""
        return (*self.events, *self.competing)

    @property
    def event_names(self) -> list[str]:
        """What each source is called in the outcome: beside competing events all events bear the label."""
        events = [self.label if self.competing else source.because for source in self.events]
        return [*events, *(source.because for source in self.competing)]

    def words(self) -> NDArray[np.object_]:
        """Return ``event_names``, and ``censored`` at −1, to be indexed by ``Ends.which``."""
        return np.array([*self.event_names, CENSORED], dtype=object)


def _event(kind: str, because: str, **where: tuple[str, ...]) -> Source:
    return Source(table="events", where={"kind": (kind,), **where}, because=because)


DEATH = _event("death", "Death")
LIVER_DEATH = _event("death", "Liver-related death", cause=("liver",))
OTHER_DEATH = _event("death", "Death not of the liver", cause=("non_liver",))
UNEXPLAINED_DEATH = _event("death", "Death of unknown cause", cause=("unknown", ""))
TRANSPLANT = _event("transplant", "Liver transplant")
CARCINOMA = _event("hepatocellular_carcinoma", "Hepatocellular carcinoma")
VARICES = Source(
    table="imaging", where={"modality": ("endoscopy",), "shows": ("varices",)}, because="Varices on endoscopy"
)
LAST_KNOWN_ALIVE = Source(table="follow_up", where={}, date="end", because="Last known alive")
DECOMPENSATION = (  # without jaundice (clinic 19)
    _event("ascites", "Ascites"),
    _event("variceal_bleed", "Variceal bleed"),
    Source(
        table="events",
        where={"kind": ("encephalopathy",)},
        at_least={"grade": ENCEPHALOPATHY_GRADE},
        because="Encephalopathy of grade 2 or more",
    ),
    # [P] What is written down without a grade is rarely minimal: it counts, and stands apart in the evidence.
    _event("encephalopathy", "Encephalopathy, grade not recorded", grade=("",)),
    _event("spontaneous_bacterial_peritonitis", "Spontaneous bacterial peritonitis"),
    _event("hepatorenal_syndrome", "Hepatorenal syndrome"),
)
SECOND_LINE = tuple(
    Source(table=TREATMENT_STARTS, where={}, date=kind, because=words)
    for kind, words in {
        "second_line": "Conventional second line",
        "empirical_advanced": "Empirical advanced therapy",
        "gene_matched": "Gene-matched therapy",
    }.items()
)

ENDPOINTS: dict[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint(
            name="native-liver-survival",
            label="Native-liver survival",
            events=(TRANSPLANT, DEATH),  # in this order: who dies on the day of transplant was transplanted first
            censorings=(LAST_KNOWN_ALIVE,),
            reference="Alive without liver transplant; main long-term paediatric endpoint",
        ),
        Endpoint(
            name="overall-survival",
            label="Overall survival",
            events=(DEATH,),
            censorings=(LAST_KNOWN_ALIVE,),
            reference="Death of any cause, after transplant too",
        ),
        Endpoint(
            name="transplant",
            label="Liver transplant",
            events=(TRANSPLANT,),
            competing=(DEATH,),
            censorings=(LAST_KNOWN_ALIVE,),
            reference="Transplantation; death without it competes",
        ),
        Endpoint(
            name="liver-event",
            label="Transplant or liver death",
            events=(TRANSPLANT, LIVER_DEATH),
            competing=(OTHER_DEATH, UNEXPLAINED_DEATH),  # [P] a death of unknown cause is not taken for a liver death
            censorings=(LAST_KNOWN_ALIVE,),
            reference="Pape et al., Clin Gastroenterol Hepatol 2020;18:1609; other deaths compete",
        ),
        Endpoint(
            name="liver-event-unexplained-deaths-counted",
            label="Transplant, liver or unexplained death",
            events=(TRANSPLANT, LIVER_DEATH, UNEXPLAINED_DEATH),
            competing=(OTHER_DEATH,),
            censorings=(LAST_KNOWN_ALIVE,),
            reference="Sensitivity of liver-event: every death of unknown cause taken for a liver death",
        ),
        Endpoint(
            name="hepatocellular-carcinoma",
            label="Hepatocellular carcinoma",
            events=(CARCINOMA,),
            competing=(TRANSPLANT, DEATH),
            censorings=(LAST_KNOWN_ALIVE,),
            reference="By histology or imaging, as recorded; transplant and death compete",
        ),
        Endpoint(
            name="decompensation",
            label="Decompensation",
            events=DECOMPENSATION,
            competing=(TRANSPLANT, DEATH),
            censorings=(LAST_KNOWN_ALIVE,),
            at_risk_from=PRESENTATION_DAYS,
            at_presentation=DECOMPENSATION,
            reference="First of ascites, variceal bleed, encephalopathy of grade 2 or more (Baveno VII, remembered), "
            "bacterial peritonitis, hepatorenal syndrome; whoever presented with one is not at risk of a first",
        ),
        Endpoint(
            name="complicated-liver-disease",
            label="Complicated liver disease",
            events=(*DECOMPENSATION, VARICES, TRANSPLANT, DEATH),
            censorings=(LAST_KNOWN_ALIVE,),
            at_risk_from=PRESENTATION_DAYS,
            at_presentation=(*DECOMPENSATION, VARICES),
            reference="Deneau et al., Hepatology 2013;58:1392: ascites, varices, encephalopathy, transplant or death; "
            "varices on the day they were first seen",
        ),
        Endpoint(
            name="second-line",
            label="Second-line or advanced therapy",
            events=SECOND_LINE,
            competing=(TRANSPLANT, DEATH),
            censorings=(LAST_KNOWN_ALIVE,),
            reference="First start of conventional second line or of any advanced therapy, for autoimmune hepatitis",
        ),
    )
}


def read_endpoint(name: str) -> Endpoint:
    """Return the endpoint of that name.

    Raises
    ------
    PlanError : there is none
    """
    if name not in ENDPOINTS:
        raise PlanError(f"There is no endpoint {name!r}", f"Endpoints are {', '.join(ENDPOINTS)}", "Name one of them")
    return ENDPOINTS[name]


def derive_time_to_event(
    cohort: Cohort,
    endpoint: Endpoint,
    *,
    time_zero: TimeZero = "diagnosis",
    covariates: pd.DataFrame | None = None,
) -> TimeToEvent:
    """Apply ``endpoint`` to each patient, in whole days since ``time_zero``.

    A patient first seen after time zero enters then (late entry); where the endpoint begins later, nobody enters
    earlier than that day. An event counts whenever it happened, as deaths arrive by linkage; censoring is at the last
    date known alive. Who leaves on the day of entry counts half a day.

    Parameters
    ----------
    covariates : frame indexed by ``patient_id``, known at time zero; its columns are carried along

    Returns
    -------
    TimeToEvent ; ``exclusions`` counts by reason who could not enter. Where events compete, the endpoint's own event is
    the first level after ``censored``, under the endpoint's label
    """
    return find_time_to_event(derive_timelines(cohort, time_zero=time_zero), endpoint, covariates=covariates)


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """How each patient leaves an endpoint (n,): ``which`` event (position in ``event_names``, −1 censored), and when.

    ``reason`` says why a patient could not enter; empty for all others.
    """

    entry: Floats
    exit: Floats
    which: Days
    reason: NDArray[np.str_]


def find_ends(timelines: Timelines, endpoint: Endpoint) -> Ends:
    """Return when each patient came to be at risk, left, and how, in days since time zero."""
    placed = Placed(timelines)
    day, which = placed.first(endpoint.sources)
    last = placed.last(endpoint.censorings)
    entry = np.fmax(first_seen(placed), endpoint.at_risk_from)
    # Whoever has no follow-up recorded is out, event or not: to keep the events alone would select on the outcome.
    exit = np.where(np.isnan(last), np.nan, np.where(which >= 0, day, last))
    before, _ = placed.first(endpoint.at_presentation)
    since = f"day {endpoint.at_risk_from}" if endpoint.at_risk_from else f"the {IN_WORDS[timelines.time_zero]}"
    reasons = {
        "No follow-up recorded": np.isnan(exit),
        f"Event part of the presentation (up to day {endpoint.at_risk_from})": before <= endpoint.at_risk_from,
        f"Event or last contact before {since}": exit < endpoint.at_risk_from,
        "Event or last contact before being first seen": exit < entry,
    }
    return Ends(entry, exit, which, np.select(list(reasons.values()), list(reasons), ""))


def find_time_to_event(
    timelines: Timelines, endpoint: Endpoint, *, covariates: pd.DataFrame | None = None
) -> TimeToEvent:
    """Return ``derive_time_to_event`` of a cohort that is on its clock already."""
    ends, zero = find_ends(timelines, endpoint), IN_WORDS[timelines.time_zero]
    kept = ends.reason == ""
    levels = list(dict.fromkeys([CENSORED, *endpoint.event_names]))
    frame = pd.DataFrame(
        {
            "patient_id": timelines.patients[kept].to_numpy(object),
            "entry": ends.entry[kept],
            "exit": ends.exit[kept],
            "event": pd.Categorical(endpoint.words()[ends.which[kept]], categories=levels),
        }
    )
    columns: list[str] = []
    if covariates is not None:
        columns = [str(column) for column in covariates.columns]
        frame = frame.merge(covariates, left_on="patient_id", right_index=True, how="left")
    without = Placed(timelines).without_zero(endpoint.sources)
    happened = ends.which >= 0
    left_out = {f"No {zero} recorded": without} | {
        name: happened[ends.reason == name] for name in sorted(set(ends.reason) - {""})
    }
    return TimeToEvent.from_frame(
        frame,
        exit="exit",
        event="event",
        entry="entry",
        patient_id="patient_id",
        covariates=columns,
        label=endpoint.label,
        time_zero=zero,
        exclusions=count_exclusions(left_out),
        competing=[source.because for source in endpoint.competing],
    )


def derive_first_events(cohort: Cohort, endpoint: Endpoint, *, time_zero: TimeZero = "diagnosis") -> pd.DataFrame:
    """Return what happened first to whom: the evidence behind an outcome. Without exclusions; for internal use.

    Returns
    -------
    frame ``patient_id, day, event, because``: days since ``time_zero``, the event's name in the outcome, and which of
    its sources it was; one row per patient who had any
    """
    timelines = derive_timelines(cohort, time_zero=time_zero)
    day, which = Placed(timelines).first(endpoint.sources)
    had = which >= 0
    names = np.array([*endpoint.event_names, ""], dtype=object)[which]
    because = np.array([*(source.because for source in endpoint.sources), ""], dtype=object)[which]
    columns = (timelines.patients[had].to_numpy(object), day[had], names[had], because[had])
    return pd.DataFrame(dict(zip(EVENT_COLUMNS, columns, strict=True)))


def count_exclusions(left_out: Mapping[str, Flags]) -> pd.DataFrame:
    """Return ``reason, n, n_event`` from whether each patient left out for a reason had an event."""
    counted = {reason: events for reason, events in sorted(left_out.items()) if len(events)}
    return pd.DataFrame(
        {
            "reason": pd.array(list(counted), dtype="string"),
            "n": pd.array([len(events) for events in counted.values()], dtype="Int64"),
            "n_event": pd.array([int(events.sum()) for events in counted.values()], dtype="Int64"),
        }
    )
