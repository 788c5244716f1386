"""``simulate_cohort``: an invented paediatric cohort in the form in which every other cohort comes."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.schema import TABLES, conform
from aih_outcomes.simulate.children import DIAGNOSES, PRESENTATIONS, TYPES, Children
from aih_outcomes.simulate.composite import COMPOSITE_CHILD, composite_tables
from aih_outcomes.simulate.copies import latent_cbr, latent_fall
from aih_outcomes.simulate.findings import describe_biopsies, describe_events, describe_imaging
from aih_outcomes.simulate.follow_up import LOST, REASONS, TRANSFER
from aih_outcomes.simulate.history import recall_history
from aih_outcomes.simulate.judgements import tabulate_judgements
from aih_outcomes.simulate.laboratories import CENTRES
from aih_outcomes.simulate.notes import Notes, check_size, draw_notes
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
    cholangiogram,
    tabulate_adverse_events,
    tabulate_biopsies,
    tabulate_events,
    tabulate_imaging,
    tabulate_measurements,
    tabulate_variants,
)
from aih_outcomes.simulate.treatments import tabulate_treatments

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
    check_size(n_patients)
    mechanism = Mechanism(
        response_effect=response_effect, targeted_effect=targeted_effect, hazard=hazard, severity=severity
    )
    drawn = n_patients - (composite_child == "added")
    parts = [composite_tables(seed)] if composite_child == "added" else []
    if drawn:
        parts.append(_tabulate(draw_notes(seed, drawn, parameters, mechanism), parameters, igg_missing))
    return Cohort(**_join(parts), label=LABEL)


def _tabulate(notes: Notes, p: Parameters, how: IggMissing) -> dict[str, pd.DataFrame]:
    treatments = tabulate_treatments(notes, p)
    tables = {
        "labs": tabulate_labs(notes, treatments, p, how),
        "treatments": treatments,
        "events": describe_events(notes, tabulate_events(notes, p)),
        "biopsies": describe_biopsies(notes, tabulate_biopsies(notes)),
        "imaging": describe_imaging(notes, tabulate_imaging(notes)),
        "measurements": tabulate_measurements(notes),
        "variants": tabulate_variants(notes, p),
        "adverse_events": tabulate_adverse_events(notes),
        "clinician_responses": tabulate_judgements(notes, *_true_response(notes, p)),
    }
    dated = {name: _with_dates(table, notes) for name, table in tables.items()}
    return {"patients": _patients(notes), "follow_up": _follow_up(notes)} | dated


def _true_response(notes: Notes, p: Parameters) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return noise-free response by six months, and the fall by half at four weeks."""
    copy, days = notes.uncensored(p), np.arange(1.0, 183.0)
    met = latent_cbr(copy, np.broadcast_to(days, (notes.children.n, len(days))))
    return np.asarray(met.any(axis=1)), latent_fall(copy, 28.0)


def _date(children: Children, child: NDArray[np.int64], day: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return the calendar date of each day on the child's clock; NaT where there is none."""
    zero = np.datetime64(EPOCH, "D") + (children.diagnosis + children.lag)[child]
    known = np.isfinite(day) & (np.abs(day) < 1e6)
    return np.where(known, zero + np.where(known, day, 0).astype(np.int64), np.datetime64("NaT", "D"))


def _with_dates(table: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    child = table["child"].to_numpy()
    dated = table.assign(patient_id=notes.patient_ids()[child])
    for source, name in (("day", "date"), ("start", "start"), ("stop", "stop")):
        if source in table:
            dated[name] = _date(notes.children, child, table[source].to_numpy(float)).astype("datetime64[s]")
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
            "patient_id": notes.patient_ids(),
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
        | recall_history(notes.seed, c)
    )


def _follow_up(notes: Notes) -> pd.DataFrame:
    c, f, who = notes.children, notes.follow_up, np.arange(notes.children.n)
    source = np.where(f.linked, "registry", np.where(f.reason == LOST, "letter", "visit"))
    return pd.DataFrame(
        {
            "patient_id": notes.patient_ids(),
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
