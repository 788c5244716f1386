"""Portal hypertension that is clinically evident (clinic 20)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.events.first_events import Placed, words_of
from aih_outcomes.endpoints.events.looks import LOOKED_IN_VAIN, detect, gather
from aih_outcomes.endpoints.response.evaluation import look_back
from aih_outcomes.endpoints.spells import Spells, join
from aih_outcomes.endpoints.timelines import ABOVE, BELOW, NEVER, Days, Floats, Labs, Timelines

# ChiLDReN's definition: Bass et al., Hepatology 2019 [m]; Shneider et al., J Pediatr 2012 [m].
SPLEEN_ABOVE = 2.0  # cm below the costal margin
PLATELETS_BELOW = 150.0  # 10*9/L
TOGETHER_DAYS = 90  # [P] at most so many days lie between spleen and platelets
CYTOPENIA_DAYS = 180  # [P] around an immune or drug cytopenia, low platelets say nothing about the spleen's pressure
COMPLICATIONS = {"ascites": "ascites", "variceal_bleed": "variceal bleed"}
UNCERTAIN = "uncertain: spleen palpable, low platelets with cytopenia of another cause"
SPLEEN_ALONE = "possible: spleen palpable, platelets not known to be low"
PLATELETS_ALONE = "possible: low platelets, spleen not known to be palpable"


def derive_portal_hypertension(timelines: Timelines) -> Detection:
    """Return when portal hypertension was first *definite* in patients who were shown not to have it.

    Definite: ascites, a variceal bleed or varices on endoscopy; or a spleen more than 2 cm below the costal margin and
    platelets below 150 × 10⁹/L within 90 days [P]. A look that showed none: either of the two normal. Low platelets
    within 180 days [P] of a recorded cytopenia, or of treatment for one, say nothing ("uncertain"). *Possible* (either
    alone) is told in ``because``. What is found up to 90 days after diagnosis [P] was there at diagnosis.
    """
    cohort, placed = timelines.cohort, Placed(timelines)
    seen = look_back(*_spleen_and_platelets(placed))
    spleen, platelets = seen.judged[:, 0], seen.judged[:, 1]
    kinds, imaging = words_of(cohort.events, "kind"), cohort.imaging
    varices = (words_of(imaging, "modality") == "endoscopy") & (words_of(imaging, "shows") == "varices")
    both = (spleen == 0) & (platelets == 0)
    evidence = [(*placed.rows("events", kinds == kind), words) for kind, words in COMPLICATIONS.items()]
    evidence += [
        (*placed.rows("imaging", varices), "varices"),
        (seen.patient[both], seen.known[both], "spleen and platelets"),
    ]
    fine = (spleen == 1) | (platelets == 1)
    found = detect(
        placed,
        gather(timelines, evidence),
        gather(timelines, [(seen.patient[fine], seen.known[fine], "spleen or platelets")]),
        name="portal_hypertension",
        label="New portal hypertension",
        at_baseline="portal hypertension at diagnosis",
        at_first_look="portal hypertension at the first look",
    )
    spoilt = np.isnan(platelets) & (seen.row[:, 1] >= 0)
    because = found.because.copy()
    told = np.isin(because, LOOKED_IN_VAIN)
    for rows, words in (
        ((platelets == 0) & (spleen != 0), PLATELETS_ALONE),
        ((spleen == 0) & (platelets != 0), SPLEEN_ALONE),
        ((spleen == 0) & spoilt, UNCERTAIN),
    ):
        said = np.zeros(timelines.n, dtype=bool)
        said[seen.patient[rows]] = True
        because[told & said] = words
    return replace(found, because=because)


def _spleen_and_platelets(placed: Placed) -> tuple[list[tuple[Labs, Floats]], list[int]]:
    """Return the two, judged 1 normal, 0 abnormal, NaN open, and how far each is looked back for."""
    timelines = placed.timelines
    timelines = placed.timelines
    timelines = placed.timelines
    table, counts = timelines.cohort.measurements, timelines.labs["platelets"]
    patient, day, row = timelines.dated(table, words_of(table, "measure") == "spleen_below_costal_margin")
    native = ~(day >= timelines.graft_day[patient])
    patient, day, row = patient[native], day[native], row[native]
    size, none = table["value"].to_numpy(float)[row], np.zeros(len(row), dtype=np.int8)
    spleen = Labs(patient, day, size, np.full(len(row), np.nan), none, none.astype(bool), row)
    low = (counts.value < PLATELETS_BELOW) | ((counts.value == PLATELETS_BELOW) & (counts.sign == BELOW))
    open_ = (low & (counts.sign == ABOVE)) | (~low & (counts.sign == BELOW))
    open_ |= low & _cytopenia(placed).covers(counts.patient, counts.day)
    judged = np.where(open_, np.nan, ~low)
    return [(spleen, (size <= SPLEEN_ABOVE).astype(float)), (counts, judged)], [TOGETHER_DAYS, TOGETHER_DAYS]


def _cytopenia(placed: Placed) -> Spells:
    """Return the time around a recorded cytopenia and around treatment for one."""
    cohort, given = placed.timelines.cohort, placed.timelines.treatments
    patient, day = placed.rows("adverse_events", words_of(cohort.adverse_events, "kind") == "cytopenia")
    treated = words_of(cohort.treatments, "indication")[given.row] == "cytopenia"
    starts: Days = np.concatenate([day, given.start[treated]]) - CYTOPENIA_DAYS
    ends = np.concatenate([day, given.stop[treated]])
    who = np.concatenate([patient, given.patient[treated]])
    return join(who, starts, np.minimum(ends + CYTOPENIA_DAYS, NEVER))
