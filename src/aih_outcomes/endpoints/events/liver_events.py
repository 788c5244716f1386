"""What the liver comes to that only an examination shows: cirrhosis, varices, sclerosing cholangitis."""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.events.first_events import Placed, words_of
from aih_outcomes.endpoints.events.looks import at_diagnosis, detect, gather
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines
from aih_outcomes.endpoints.treatment.starts import find_induction

CIRRHOSIS_STAGE = 5.0  # Ishak; Ishak et al., J Hepatol 1995;22:696 [m]
STIFFNESS_F4 = 16.0  # kPa in autoimmune hepatitis; Hartl et al., J Hepatol 2016;65:769 [m]
STIFFNESS_FROM = 182  # days of treatment before stiffness speaks of fibrosis and not of inflammation (clinic 22)
CHOLANGIOGRAMS = ("mrcp", "ercp")


def derive_cirrhosis(timelines: Timelines, *, stiffness_at_least: float | None = None) -> Detection:
    """Return when cirrhosis was first found in patients who were shown not to have it.

    Found: a biopsy of Ishak stage 5 or 6 that was not inadequate, or imaging that shows cirrhosis. A look that showed
    none: an *adequate* biopsy of a lower stage, or "no cirrhosis" recorded at diagnosis. A normal ultrasound is no
    proof of a liver without cirrhosis, and so no look [P]. What is found up to 90 days after diagnosis [P] was there
    at diagnosis.

    Parameters
    ----------
    stiffness_at_least : kPa from which elastography, not before 6 months of treatment, shows cirrhosis
        (``STIFFNESS_F4``); a lower stiffness is then a look that showed none. None: elastography says nothing
    """
    placed = Placed(timelines)
    placed = Placed(timelines)
    placed = Placed(timelines)
    found, absent = _staged(placed)
    if stiffness_at_least is not None:
        table = timelines.cohort.imaging
        stiffness = table["stiffness"].to_numpy(float)
        reliable = (words_of(table, "modality") == "elastography") & _since_treatment(placed, STIFFNESS_FROM)
        found.append((*placed.rows("imaging", reliable & (stiffness >= stiffness_at_least)), "stiffness"))
        absent.append((*placed.rows("imaging", reliable & (stiffness < stiffness_at_least)), "stiffness"))
    return detect(
        placed,
        gather(timelines, found),
        gather(timelines, absent),
        name="cirrhosis",
        label="New cirrhosis",
        at_baseline="cirrhosis at diagnosis",
        at_first_look="cirrhosis at the first look",
    )


def find_cirrhosis_at_diagnosis(timelines: Timelines, *, days: int) -> Floats:
    """Return 1 cirrhosis, 0 none, NaN not known (n,): recorded at diagnosis, or by evidence up to ``days`` after it."""
    status = np.full(timelines.n, np.nan)
    placed = Placed(timelines)
    until = placed.patient_day("diagnosis_date") + days
    found, absent = _staged(placed)
    for part, value in ((gather(timelines, absent), 0.0), (gather(timelines, found), 1.0)):
        status[part.patient[part.day <= until[part.patient]]] = value
    return status


def derive_varices(timelines: Timelines) -> Detection:
    """Return when varices were first seen on endoscopy, or bled, after a normal endoscopy.

    An endoscopy that is abnormal without saying what it shows decides nothing. As most children never have one, most
    are not evaluable.
    """
    placed, imaging, events = Placed(timelines), timelines.cohort.imaging, timelines.cohort.events
    endoscopy = words_of(imaging, "modality") == "endoscopy"
    seen = endoscopy & (words_of(imaging, "shows") == "varices")
    bled = words_of(events, "kind") == "variceal_bleed"
    normal = endoscopy & (words_of(imaging, "finding") == "normal")
    return detect(
        placed,
        gather(
            timelines,
            [
                (*placed.rows("imaging", seen), "endoscopy"),
                (*placed.rows("events", bled), "variceal bleed"),
            ],
        ),
        gather(timelines, [(*placed.rows("imaging", normal), "endoscopy")]),
        name="varices",
        label="New varices",
        at_baseline="varices at diagnosis",
        at_first_look="varices at the first look",
    )


def derive_asc_conversion(timelines: Timelines) -> Detection:
    """Return conversion to autoimmune sclerosing cholangitis: abnormal bile ducts after documented normal ones.

    By MRCP or ERCP, or "normal" recorded at diagnosis (clinic 18). Whoever's first imaging was abnormal has ASC at
    first imaging and is not at risk; an indeterminate cholangiogram, or one abnormal for another finding, decides
    nothing.
    """
    placed, imaging = Placed(timelines), timelines.cohort.imaging
    ducts = np.isin(words_of(imaging, "modality"), CHOLANGIOGRAMS)
    finding = words_of(imaging, "finding")
    abnormal = ducts & (finding == "abnormal") & np.isin(words_of(imaging, "shows"), ["", "cholangiopathy"])
    recorded = placed.patient_words("asc_at_baseline")
    return detect(
        placed,
        gather(
            timelines,
            [
                (*at_diagnosis(placed, recorded == "asc"), "recorded at diagnosis"),
                (*placed.rows("imaging", abnormal), "cholangiogram"),
            ],
        ),
        gather(
            timelines,
            [
                (*at_diagnosis(placed, recorded == "normal"), "recorded at diagnosis"),
                (*placed.rows("imaging", ducts & (finding == "normal")), "cholangiogram"),
            ],
        ),
        name="asc_conversion",
        label="Conversion to ASC",
        at_baseline="ASC at first imaging",
        at_first_look="ASC at first imaging",
        baseline_days=None,
    )


Evidence = list[tuple[Days, Days, str]]


def _staged(placed: Placed) -> tuple[Evidence, Evidence]:
    """Return what shows cirrhosis and what shows its absence, elastography apart."""
    biopsies, imaging = placed.timelines.cohort.biopsies, placed.timelines.cohort.imaging
    stage, adequate = biopsies["ishak_fibrosis"].to_numpy(float), biopsies["adequate"]
    # A short specimen hides cirrhosis but does not invent it: one that is not said to be adequate may only show it [P].
    shows = (stage >= CIRRHOSIS_STAGE) & adequate.fillna(value=True).to_numpy(bool)
    lower = (stage < CIRRHOSIS_STAGE) & adequate.fillna(value=False).to_numpy(bool)
    imaged = words_of(imaging, "shows") == "cirrhosis"
    recorded = placed.patient_flags("cirrhosis_at_diagnosis")
    found = [
        (*at_diagnosis(placed, recorded == 1), "recorded at diagnosis"),
        (*placed.rows("biopsies", shows), "biopsy"),
        (*placed.rows("imaging", imaged), "imaging"),
    ]
    absent = [
        (*at_diagnosis(placed, recorded == 0), "recorded at diagnosis"),
        (*placed.rows("biopsies", lower), "biopsy"),
    ]
    return found, absent


def _since_treatment(placed: Placed, days: int) -> Flags:
    """Return which examinations lie at least so many days after the first steroid."""
    patient, day, known = placed.place("imaging")
    since = np.full(len(day), np.nan)
    since[known] = day[known] - find_induction(placed.timelines)[patient[known]]
    reliable: Flags = since >= days
    return reliable
