"""The course of one patient: results, drugs and events in days since time zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_drugs, read_gene_matches
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero, days_since, find_time_zero, is_systemic
from aih_outcomes.endpoints.treatment.treatment import aih_treatments, gene_matched_rows, weight_at
from aih_outcomes.errors import DataError

SHOWN_ANALYTES = {"alt": "ALT", "ast": "AST", "igg": "IgG", "bilirubin": "bilirubin"}
EVENT_WORDS = {
    "transplant": "transplant", "death": "death", "listing": "listed", "ascites": "ascites", "variceal_bleed": "bleed",
    "encephalopathy": "encephalopathy", "hepatocellular_carcinoma": "carcinoma", "non_adherence": "non-adherence",
    "relapse_diagnosed": "relapse", "transfer": "transfer",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One patient's course, for a timeline.

    Attributes
    ----------
    labs : ``patient_id`` (in each frame, so that none is written without consent), ``time`` (days since time zero),
        ``analyte``, ``value`` (× ULN)
    treatments : ``drug, start, stop`` (days; missing stop: goes on), ``mg_per_kg`` (systemic steroid, prednisolone
        equivalent per day; missing: a bar without dose), ``matched`` (the drug acts on the variant's pathway)
    events : ``time, kind`` (event, biopsy, gene), ``words``
    growth : ``time, measure`` (weight, height), ``value`` (kg, cm)
    """

    labs: pd.DataFrame
    treatments: pd.DataFrame
    events: pd.DataFrame
    growth: pd.DataFrame


def derive_course(case: Cohort, *, time_zero: TimeZero = "induction") -> Course:
    """Return the course of the one patient in ``case``.

    Raises
    ------
    DataError : there is not exactly one patient, or no time zero
    """
    zero = find_time_zero(case, time_zero)
    if case.n_patients != 1 or zero.empty:
        raise DataError(
            f"The case holds {case.n_patients} patients, {len(zero)} of them with a time zero",
            "A course is that of one patient with a time zero",
            "Select one patient with study.case(...)",
        )

    def day(table: pd.DataFrame, column: str = "date") -> NDArray[np.float64]:
        return days_since(zero, table["patient_id"], table[column]).to_numpy(float, na_value=np.nan)

    labs = case.labs[case.labs["analyte"].isin(SHOWN_ANALYTES) & case.labs["uln"].notna()]
    results = pd.DataFrame(
        {
            "patient_id": labs["patient_id"].to_numpy(),
            "time": day(labs),
            "analyte": labs["analyte"].map(SHOWN_ANALYTES).to_numpy(),
            "value": (labs["value"] / labs["uln"]).to_numpy(),
        }
    )
    growth = case.measurements[case.measurements["measure"].isin(["weight", "height"])]
    grown = pd.DataFrame(
        {
            "patient_id": growth["patient_id"].to_numpy(),
            "time": day(growth),
            "measure": growth["measure"].to_numpy(),
            "value": growth["value"].to_numpy(),
        }
    )
    return Course(
        results.sort_values(["analyte", "time"], ignore_index=True),
        _treatments(case, day),
        _events(case, day),
        grown.sort_values(["measure", "time"], ignore_index=True),
    )


def _treatments(case: Cohort, day: Callable[..., NDArray[np.float64]]) -> pd.DataFrame:
    rows = aih_treatments(case)
    dosed = rows["drug_class"].eq("steroid") & is_systemic(rows["route"]) & rows["dose"].notna()
    per_kg = rows["dose"] * rows["prednisolone_factor"] / weight_at(case, rows["patient_id"], rows["start"])
    names = read_drugs().set_index("drug")["name"]
    return pd.DataFrame(
        {
            "patient_id": rows["patient_id"].to_numpy(),
            "drug": rows["drug"].map(names).to_numpy(),
            "start": day(rows, "start"), "stop": day(rows, "stop"),
            "mg_per_kg": per_kg.where(dosed).to_numpy(float),
            "matched": rows["row"].isin(gene_matched_rows(case, rows[rows["advanced"]])).to_numpy(bool),
        }
    ).sort_values(["start", "drug"], ignore_index=True)  # fmt: skip


def _events(case: Cohort, day: Callable[..., NDArray[np.float64]]) -> pd.DataFrame:
    groups = read_gene_matches().drop_duplicates(["gene", "mechanism"]).set_index(["gene", "mechanism"])["gene_group"]
    found = case.variants[case.variants["result"] == "variant"]
    named = [
        str(groups.get((gene, how), "variant")) for gene, how in zip(found["gene"], found["mechanism"], strict=True)
    ]
    activity = ["biopsy" if pd.isna(hai) else f"biopsy, HAI {hai:.0f}" for hai in case.biopsies["hai"]]
    happened = [EVENT_WORDS[kind] for kind in case.events["kind"]]
    parts = [
        pd.DataFrame({"patient_id": table["patient_id"].to_numpy(), "time": day(table), "kind": kind, "words": words})
        for table, kind, words in (
            (case.events, "event", happened),
            (case.biopsies, "biopsy", activity),
            (found, "gene", named),
        )
    ]
    return pd.concat(parts, ignore_index=True).sort_values(["time", "kind"], ignore_index=True)
