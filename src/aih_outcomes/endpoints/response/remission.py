"""Histological remission: the only thing that "remission" means in IAIHG 2022 (clinic 8)."""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.timelines import Timelines, first_of, last_of, take

REMISSION_BELOW_HAI = 4.0  # of 18, Ishak; Pape, J Hepatol 2022;76:841
ACTIVE_UNTIL_DAY = 30  # [P] a biopsy so soon after treatment began still shows the disease before it


def derive_histological_remission(timelines: Timelines) -> Detection:
    """Find who had a hepatitis activity index below 4 of 18 in a later biopsy of the native liver.

    At risk from the last biopsy up to day 30, if its index was 4 or more. It came about between two biopsies. One that
    was called inadequate, or has no index, is no look; where adequacy was not recorded an index is taken as read. Those
    biopsied are a selection.
    """
    n, table = timelines.n, timelines.cohort.biopsies
    hai = table["hai"].to_numpy(float)
    read = ~np.isnan(hai) & table["adequate"].to_numpy(bool, na_value=True)
    patient, day, row = timelines.dated(table, read)
    native = ~(day >= timelines.graft_day[patient])
    patient, day, hai = patient[native], day[native], hai[row[native]]
    before = last_of(patient, day <= ACTIVE_UNTIL_DAY, n)
    active = take(hai, before) >= REMISSION_BELOW_HAI
    later, low = (day > ACTIVE_UNTIL_DAY) & active[patient], hai < REMISSION_BELOW_HAI
    onset = take(day, first_of(patient, later & low, n))
    without = take(day, last_of(patient, later & ~low & ~(day >= onset[patient]), n))
    because = np.select(
        [before < 0, ~active, ~np.isnan(onset), ~np.isnan(without)],
        ["no adequate biopsy before treatment", "HAI below 4 before treatment", "HAI below 4", "HAI 4 or more"],
        "no adequate biopsy later",
    ).astype(object)
    at_risk_from = np.where(active, np.fmax(take(day, before), 0), np.nan)
    return Detection(
        "histological-remission", "Histological remission (HAI < 4/18)", timelines, at_risk_from, without, onset, onset,
        because,
    )  # fmt: skip
