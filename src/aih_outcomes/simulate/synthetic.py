"""``simulate_cohort``: an invented paediatric cohort in the form in which every other cohort comes."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError
from aih_outcomes.schema import TABLES, conform
from aih_outcomes.simulate.children import DIAGNOSES, PRESENTATIONS, TYPES, Children, draw_children
from aih_outcomes.simulate.composite import COMPOSITE_CHILD, composite_tables
from aih_outcomes.simulate.follow_up import LOST, REASONS, TRANSFER, draw_follow_up
from aih_outcomes.simulate.growth import draw_growth
from aih_outcomes.simulate.laboratories import CENTRES
from aih_outcomes.simulate.parameters import (
    DAYS_PER_YEAR,
    DEFAULT,
    EPOCH,
    Hazard,
    IggMissing,
    Mechanism,
    Parameters,
    ResponseEffect,
    Severity,
    TargetedEffect,
)
from aih_outcomes.simulate.printing import tabulate_labs
from aih_outcomes.simulate.records import (
    Notes,
    cholangiogram,
    tabulate_adverse_events,
    tabulate_biopsies,
    tabulate_events,
    tabulate_imaging,
    tabulate_measurements,
    tabulate_variants,
)
from aih_outcomes.simulate.steps import draw_course
from aih_outcomes.simulate.streams import take_rows
from aih_outcomes.simulate.survival import draw_survival
from aih_outcomes.simulate.treatments import tabulate_treatments
from aih_outcomes.simulate.visits import draw_visits

LABEL = "synthetic cohort"
CompositeChild = Literal["added", "left out"]


def simulate_cohort(
    seed: int,
    n_patients: int = 350,
    *,
    response_effect: ResponseEffect = "default",
    targeted_effect: TargetedEffect = "default",
    hazard: Hazard = "default",
    severity: Severity = "on",
    igg_missing: IggMissing = "mcar",
    composite_child: CompositeChild = "added",
    parameters: Parameters = DEFAULT,
) -> Cohort:
    """Return an invented cohort of children with autoimmune hepatitis.

    Parameters
    ----------
    seed : same seed, same cohort, on any machine
    n_patients : number of children, the composite child included
    response_effect : ``default``, or ``none``: the null cohort, where response has nothing to do with survival
    targeted_effect : ``default``, or ``none``: the no-effect cohort, where the gene-matched drug does nothing beyond
        the steroid given alongside
    hazard : ``high`` multiplies the hazards of transplant and death by five, so that a few hundred children suffice
    severity : ``off`` removes the unmeasured severity that makes failing livers worse and a switch likelier
    igg_missing : IgG is missing at random (``mcar``), by the ALT seen (``mar``), or by the IgG itself (``mnar``)
    composite_child : ``left out`` for studies of estimators, where each child must come from the same mechanism
    parameters : every number of the mechanism

    Returns
    -------
    Cohort labelled ``synthetic cohort``; effects in it were set by us

    Raises
    ------
    DataError : fewer than one patient was asked for

    Examples
    --------
    >>> simulate_cohort(1, 20).n_patients
    20
    """
    if n_patients < 1:
        raise DataError(
            f"{n_patients} patients were asked for", "A cohort has at least one", "Give n_patients=1 or more"
        )
    mechanism = Mechanism(
        response_effect=response_effect, targeted_effect=targeted_effect, hazard=hazard, severity=severity
    )
    drawn = n_patients - (composite_child == "added")
    parts = [composite_tables(seed)] if composite_child == "added" else []
    if drawn:
        parts.append(_tabulate(_write_notes(seed, drawn, parameters, mechanism), parameters, igg_missing))
    return Cohort(**_join(parts), label=LABEL)


def _write_notes(seed: int, n: int, p: Parameters, mechanism: Mechanism) -> Notes:
    """Draw more children than are needed and keep the first ``n`` who could have been recorded."""
    candidates = n + 20 + n // 5
    children = draw_children(seed, candidates, p)
    horizon = 26 * DAYS_PER_YEAR
    course = draw_course(seed, children, p, mechanism, horizon=horizon)
    survival = draw_survival(seed, course, children, p, mechanism)
    follow_up = draw_follow_up(seed, children, survival, p)
    rows = np.flatnonzero(follow_up.recorded)[:n]
    rows = rows[np.argsort(children.diagnosis[rows], kind="stable")]
    children, course = take_rows(children, rows), take_rows(course, rows)
    survival, follow_up = take_rows(survival, rows), take_rows(follow_up, rows)
    stop = np.minimum(follow_up.clinic_end, survival.transplant)
    visits = draw_visits(seed, course, p, until=float(follow_up.clinic_end.max()))
    growth = draw_growth(seed, children)
    return Notes(seed, children, course, survival, follow_up, growth, visits, stop)


def _tabulate(notes: Notes, p: Parameters, how: IggMissing) -> dict[str, pd.DataFrame]:
    tables = {
        "labs": tabulate_labs(notes, p, how),
        "treatments": tabulate_treatments(notes, p),
        "events": tabulate_events(notes, p),
        "biopsies": tabulate_biopsies(notes),
        "imaging": tabulate_imaging(notes),
        "measurements": tabulate_measurements(notes),
        "variants": tabulate_variants(notes, p),
        "adverse_events": tabulate_adverse_events(notes),
    }
    dated = {name: _with_dates(table, notes.children) for name, table in tables.items()}
    return {"patients": _patients(notes), "follow_up": _follow_up(notes)} | dated


def _names(children: Children) -> NDArray[np.str_]:
    return np.array([f"AIH-{number:04d}" for number in range(1, children.n + 1)])


def _date(children: Children, child: NDArray[np.int64], day: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return the calendar date of each day on the child's clock; NaT where there is none."""
    zero = np.datetime64(EPOCH, "D") + (children.diagnosis + children.lag)[child]
    known = np.isfinite(day) & (np.abs(day) < 1e6)
    return np.where(known, zero + np.where(known, day, 0).astype(np.int64), np.datetime64("NaT", "D"))


def _with_dates(table: pd.DataFrame, children: Children) -> pd.DataFrame:
    child = table["child"].to_numpy()
    dated = table.assign(patient_id=_names(children)[child])
    for source, name in (("day", "date"), ("start", "start"), ("stop", "stop")):
        if source in table:
            dated[name] = _date(children, child, table[source].to_numpy(float)).astype("datetime64[s]")
    by = [
        name for name in ("child", "date", "start", "analyte", "drug", "kind", "measure", "modality") if name in dated
    ]
    return dated.sort_values(by, kind="stable", ignore_index=True)


def _patients(notes: Notes) -> pd.DataFrame:
    c, who = notes.children, np.arange(notes.children.n)
    zero = -c.lag.astype(float)
    born = zero - np.rint(c.age * DAYS_PER_YEAR)
    return pd.DataFrame(
        {
            "patient_id": _names(c),
            "sex": np.where(c.female, "female", "male"),
            "birth_date": _date(c, who, born),
            "age_at_diagnosis": c.age,
            "diagnosis_date": _date(c, who, zero),
            "first_seen_date": _date(c, who, notes.follow_up.entry),
            "centre": np.array([centre.name for centre in CENTRES])[c.centre],
            "diagnosis": np.array(DIAGNOSES)[c.disease],
            "aih_type": np.array(TYPES)[c.type],
            "asc_at_baseline": cholangiogram(notes)[0],
            "presentation": np.array(PRESENTATIONS)[c.presentation],
            "cirrhosis_at_diagnosis": c.cirrhosis,
            "ibd": c.ibd,
            "documented_non_adherence": c.non_adherent,
        }
    )


def _follow_up(notes: Notes) -> pd.DataFrame:
    c, f, who = notes.children, notes.follow_up, np.arange(notes.children.n)
    source = np.where(f.linked, "registry", np.where(f.reason == LOST, "letter", "visit"))
    return pd.DataFrame(
        {
            "patient_id": _names(c),
            "start": _date(c, who, f.entry),
            "end": _date(c, who, f.end),
            "end_reason": np.array(REASONS)[f.reason],
            "end_source": np.where(f.linked & (f.reason != TRANSFER), "linkage", source),
        }
    )


def _join(parts: list[dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Return each table with the declared columns; the composite child comes first."""
    return {
        name: pd.concat(
            [conform(part[name], name) for part in parts if name in part] or [conform(pd.DataFrame(), name)],
            ignore_index=True,
        )
        for name in TABLES
    }


__all__ = ["COMPOSITE_CHILD", "LABEL", "simulate_cohort"]
