"""What an endpoint is, said once, as data; and its application to a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import IN_WORDS, TimeZero, days_since, find_time_zero
from aih_outcomes.errors import PlanError
from aih_outcomes.outcomes import CENSORED, TimeToEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a date comes from: the rows of one cohort table that count."""

    table: str
    where: Mapping[str, tuple[str, ...]]  # column -> accepted values; data, never an expression to evaluate
    date: str = "date"
    because: str  # the name of the event, or the reason of censoring

    def rows(self, cohort: Cohort) -> pd.DataFrame:
        """Return ``patient_id, date`` of the rows that count."""
        table = cohort.tables()[self.table]
        for column, accepted in self.where.items():
            table = table[table[column].isin(accepted)]
        return table[["patient_id", self.date]].rename(columns={self.date: "date"}).dropna()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A time-to-event endpoint: earliest event, else the last date known event-free."""

    name: str
    label: str
    events: tuple[Source, ...]
    censorings: tuple[Source, ...]
    competing: tuple[Source, ...] = ()
    reference: str


DEATH = Source(table="events", where={"kind": ("death",)}, because="Death")
TRANSPLANT = Source(table="events", where={"kind": ("transplant",)}, because="Liver transplant")
LAST_KNOWN_ALIVE = Source(table="follow_up", where={}, date="end", because="Last known alive")

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

    A patient first seen after time zero enters then (late entry). An event counts whenever it happened, as deaths
    arrive by linkage; censoring is at the last date known alive. Who leaves on the day of entry counts half a day.

    Parameters
    ----------
    covariates : frame indexed by ``patient_id``, known at time zero; its columns are carried along

    Returns
    -------
    TimeToEvent ; ``exclusions`` counts by reason who could not enter
    """
    zero = find_time_zero(cohort, time_zero)
    table = _spells(cohort, endpoint, zero)
    reason = _reasons(table, ~table["patient_id"].isin(zero.index).to_numpy(bool), IN_WORDS[time_zero])
    kept = table[reason == ""].astype({"entry": float, "exit": float})
    names: list[str] = []
    if covariates is not None:
        names = [str(column) for column in covariates.columns]
        kept = kept.merge(covariates, left_on="patient_id", right_index=True, how="left")
    kinds = [source.because for source in (*endpoint.events, *endpoint.competing)]
    return TimeToEvent.from_frame(
        kept.assign(event=pd.Categorical(kept["event"], categories=[CENSORED, *kinds])),
        exit="exit",
        event="event",
        entry="entry",
        patient_id="patient_id",
        covariates=names,
        label=endpoint.label,
        time_zero=IN_WORDS[time_zero],
        exclusions=_count_reasons(table, reason),
    )


def _spells(cohort: Cohort, endpoint: Endpoint, zero: pd.Series) -> pd.DataFrame:
    """Entry, exit and event of every patient, before anyone is excluded: ``patient_id, entry, exit, event``."""
    table = pd.DataFrame({"patient_id": cohort.patients["patient_id"].sort_values(ignore_index=True)})
    ids = table["patient_id"]
    dated = [source.rows(cohort).assign(kind=source.because) for source in (*endpoint.events, *endpoint.competing)]
    first = pd.concat(dated, ignore_index=True).sort_values(["patient_id", "date"], kind="stable")
    first = first.drop_duplicates("patient_id").set_index("patient_id")
    alive = pd.concat([source.rows(cohort) for source in endpoint.censorings], ignore_index=True)
    last = pd.to_datetime(ids.map(alive.groupby("patient_id")["date"].max()))
    happened = pd.to_datetime(ids.map(first["date"]))
    seen = pd.to_datetime(ids.map(cohort.patients.set_index("patient_id")["first_seen_date"]))
    followed = pd.to_datetime(ids.map(cohort.follow_up.groupby("patient_id")["start"].min()))
    table["entry"] = days_since(zero, ids, seen.fillna(followed)).clip(lower=0).fillna(0)
    # Whoever has no follow-up recorded is out, event or not: to keep the events alone would select on the outcome.
    table["exit"] = days_since(zero, ids, happened.fillna(last)).mask(last.isna())
    table["event"] = ids.map(first["kind"]).astype(object).where(happened.notna(), CENSORED)
    return table


def _reasons(table: pd.DataFrame, without_zero: NDArray[np.bool_], zero_in_words: str) -> NDArray[np.str_]:
    until = table["exit"].to_numpy(float, na_value=np.nan)
    since = table["entry"].to_numpy(float)
    words = {
        f"No {zero_in_words} recorded": without_zero,
        "No follow-up recorded": np.isnan(until),
        f"Event or last contact before the {zero_in_words}": until < 0,
        "Event or last contact before being first seen": until < since,
    }
    return np.select(list(words.values()), list(words), "")


def _count_reasons(table: pd.DataFrame, reason: NDArray[np.str_]) -> pd.DataFrame:
    out = table.assign(reason=reason, is_event=table["event"] != CENSORED)[reason != ""]
    counted = out.groupby("reason", sort=True)["is_event"].agg(n="size", n_event="sum").reset_index()
    return pd.DataFrame(counted).astype({"reason": "string", "n": "Int64", "n_event": "Int64"})
