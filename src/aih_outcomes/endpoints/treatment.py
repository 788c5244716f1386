"""Treatment: when second line, empirical advanced and gene-matched therapy began, and the steroid dose over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_drugs, read_gene_matches
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import INDUCTION_CLASSES, find_time_zero, is_systemic

LINE_ONE_DAYS = (
    90  # [P] mycophenolate begun within 90 days of the first steroid, without a thiopurine before, is line 1
)
COURSE_GAP_DAYS = 30  # [P] a longer pause ends a course; a change of dose does not
WEIGHT_WITHIN_DAYS = 60  # weight at the dose's date, domain section 3.1
FIRST_OR_SECOND_LINE = "mycophenolate"
SECOND_LINE_CLASSES = (FIRST_OR_SECOND_LINE, "calcineurin_inhibitor", "antimetabolite")
PATHOGENIC = 4  # ACMG class 4 (likely pathogenic) or 5
_GOES_ON = pd.Timestamp("2200-01-01")


def aih_treatments(cohort: Cohort) -> pd.DataFrame:
    """Return treatments given for autoimmune hepatitis, with class, whether advanced, and when the course began.

    Drugs for bowel, joint or blood are no line of AIH treatment; nor is a course that began before the diagnosis,
    whatever its later dose. Steroids are kept: in an acute presentation they precede the biopsy.

    Returns
    -------
    frame of the columns of ``treatments``, ``row`` (position there), ``drug_class, advanced, prednisolone_factor,
    course_start``
    """
    drugs = read_drugs().set_index("drug")
    rows = cohort.treatments[cohort.treatments["indication"] == "aih"].reset_index(names="row")
    rows = rows.assign(
        drug_class=rows["drug"].map(drugs["drug_class"]),
        advanced=rows["drug"].map(drugs["advanced"]).astype(bool),
        prednisolone_factor=rows["drug"].map(drugs["prednisolone_factor"]).astype(float),
        course_start=_course_starts(rows),
    )
    diagnosed = pd.to_datetime(rows["patient_id"].map(cohort.patients.set_index("patient_id")["diagnosis_date"]))
    return rows[rows["drug_class"].isin(INDUCTION_CLASSES) | (rows["course_start"] >= diagnosed)].reset_index(drop=True)


def _course_starts(rows: pd.DataFrame) -> pd.Series:
    """First day of the course that each row belongs to: rows of one drug with no pause beyond ``COURSE_GAP_DAYS``."""
    ordered = rows.sort_values(["patient_id", "drug", "start", "row"], kind="stable")
    keys = [ordered["patient_id"], ordered["drug"]]
    until = ordered["stop"].fillna(_GOES_ON)
    before = until.groupby(keys).cummax().groupby(keys).shift()
    course = (before.isna() | (ordered["start"] > before + pd.Timedelta(days=COURSE_GAP_DAYS))).cumsum()
    return ordered["start"].groupby(course).transform("min").reindex(rows.index)


def derive_treatment_starts(cohort: Cohort) -> pd.DataFrame:
    """Return when each kind of treatment began.

    Returns
    -------
    frame ``patient_id, induction, second_line, empirical_advanced, gene_matched`` (dates; empty where never), one row
    per patient. The first thiopurine after steroid is line 1 at any time; mycophenolate is line 2 after a thiopurine,
    or begun later than ``LINE_ONE_DAYS`` after the steroid; a calcineurin inhibitor or methotrexate is line 2 after
    either or after the steroid. A drug that was line 1 stays so when it is begun again.
    """
    rows = aih_treatments(cohort)
    induction = find_time_zero(cohort, "induction")
    advanced = rows[rows["advanced"]]
    matched = advanced["row"].isin(gene_matched_rows(cohort, advanced))
    table = pd.DataFrame({"patient_id": cohort.patients["patient_id"].sort_values(ignore_index=True)})
    dates = {
        "induction": induction,
        "second_line": _second_line(rows, induction),
        "empirical_advanced": advanced[~matched].groupby("patient_id")["course_start"].min(),
        "gene_matched": advanced[matched].groupby("patient_id")["course_start"].min(),
    }
    return table.assign(**{name: pd.to_datetime(table["patient_id"].map(date)) for name, date in dates.items()})


def _second_line(rows: pd.DataFrame, induction: pd.Series) -> pd.Series:
    """First day of the second line (index ``patient_id``), from the first course of each class of drug."""
    first = rows.groupby(["patient_id", "drug_class"])["course_start"].min().reset_index()
    by_class = {name: part.set_index("patient_id")["course_start"] for name, part in first.groupby("drug_class")}
    later = first[first["drug_class"].isin(SECOND_LINE_CLASSES)]

    def begun_after(dates: pd.Series | None, days: NDArray[np.int64] | int = 0) -> NDArray[np.bool_]:
        if dates is None:
            return np.zeros(len(later), dtype=bool)
        since = pd.to_datetime(later["patient_id"].map(dates)) + pd.to_timedelta(days, unit="D")
        return (later["course_start"] > since).to_numpy(bool)

    grace = np.where(later["drug_class"] == FIRST_OR_SECOND_LINE, LINE_ONE_DAYS, 0)
    second = begun_after(induction, grace)
    for name in ("thiopurine", FIRST_OR_SECOND_LINE):
        second |= begun_after(by_class.get(name))
    return later[second].set_index("patient_id")["course_start"].groupby("patient_id").min()


def gene_matched_rows(cohort: Cohort, advanced: pd.DataFrame) -> pd.Series:
    """Return the rows (column ``row``) of advanced drugs that were chosen for a gene.

    The drug acts on the pathway of a class 4–5 variant whose mechanism was confirmed, and the result was there on or
    before the first day of the course.
    """
    variants = cohort.variants
    sure = (variants["acmg_class"] >= PATHOGENIC).fillna(value=False) & variants["mechanism_confirmed"].fillna(
        value=False
    )
    biallelic = variants["zygosity"].isin(["homozygous", "compound_heterozygous"])
    known = variants.assign(zygosity=variants["zygosity"].mask(biallelic, "biallelic"))[sure.astype(bool)]
    matches = read_gene_matches()[["gene", "mechanism", "zygosity", "drug_class"]].astype("string")
    known = known.merge(matches, on=["gene", "mechanism", "zygosity"])[["patient_id", "date", "drug_class"]]
    pairs = advanced.astype({"drug_class": "string"}).merge(known, on=["patient_id", "drug_class"])
    return pairs.loc[pairs["date"] <= pairs["course_start"], "row"]


def derive_steroid_dose(cohort: Cohort, zero: pd.Series, days: tuple[int, ...]) -> pd.DataFrame:
    """Return the systemic steroid dose for autoimmune hepatitis in effect on given days since time zero.

    Parameters
    ----------
    zero : date of time zero (index ``patient_id``)
    days : days since time zero; patients no longer followed on a day have no row for it

    Returns
    -------
    frame ``patient_id, day, mg_per_day, mg_per_kg``: prednisolone equivalents; 0 where no steroid was given, missing
    where the dose of one was not recorded; ``mg_per_kg`` is missing without a weight within 60 days. Budesonide has no
    equivalent and is left out.
    """
    grid = pd.DataFrame(
        {"patient_id": zero.index.repeat(len(days)), "day": np.tile(np.asarray(days, dtype=int), len(zero))}
    )
    grid["date"] = pd.to_datetime(grid["patient_id"].map(zero)) + pd.to_timedelta(grid["day"], unit="D")
    end = pd.to_datetime(grid["patient_id"].map(cohort.follow_up.groupby("patient_id")["end"].max()))
    grid = grid[grid["date"] <= end].reset_index(drop=True)
    rows = aih_treatments(cohort)
    rows = rows[rows["drug_class"].eq("steroid") & is_systemic(rows["route"])]
    rows = rows.assign(dose=rows["dose"] * rows["prednisolone_factor"])[["patient_id", "start", "stop", "dose"]]
    pairs = grid.reset_index(names="cell").merge(rows, on="patient_id")
    pairs = pairs[(pairs["start"] <= pairs["date"]) & (pairs["stop"].isna() | (pairs["date"] <= pairs["stop"]))]
    dose = pairs.groupby("cell")["dose"].sum().reindex(grid.index, fill_value=0.0)
    grid["mg_per_day"] = dose.mask(grid.index.isin(pairs.loc[pairs["dose"].isna(), "cell"])).astype(float)
    grid["mg_per_kg"] = grid["mg_per_day"] / weight_at(cohort, grid["patient_id"], grid["date"])
    grid["mg_per_kg"] = grid["mg_per_kg"].mask(grid["mg_per_day"] == 0, 0.0)
    return grid[["patient_id", "day", "mg_per_day", "mg_per_kg"]]


def weight_at(cohort: Cohort, patient_id: pd.Series, date: pd.Series) -> pd.Series:
    """Return the dry weight (kg) nearest each date, within 60 days; missing where there is none."""
    weights = cohort.measurements[cohort.measurements["measure"] == "weight"][["patient_id", "date", "value"]]
    weights = weights.sort_values(["date", "patient_id", "value"], kind="stable")
    asked = pd.DataFrame(
        {"patient_id": patient_id.astype("string").array, "date": date.array, "cell": np.arange(len(date))}
    )
    found = pd.merge_asof(
        asked.astype({"date": weights["date"].dtype}).sort_values("date", kind="stable"),
        weights,
        on="date",
        by="patient_id",
        direction="nearest",
        tolerance=pd.Timedelta(days=WEIGHT_WITHIN_DAYS),
    )
    return pd.Series(found.sort_values("cell")["value"].to_numpy(float), index=date.index)
