"""What is written beside a result: features of a biopsy, what an image shows, how bad a complication is."""

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.children import DIAGNOSES, LIVER_FAILURE
from aih_outcomes.simulate.notes import Notes
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Words = NDArray[np.object_]

# Share of biopsies with a feature by activity index: below 4 (quiet), 4 to 7, 8 and more; project
INTERFACE = (0.08, 0.85, 0.97)
LYMPHOPLASMACYTIC = (0.15, 0.72, 0.88)
ROSETTES = (0.01, 0.18, 0.42)
BILIARY, BILIARY_ASC = 0.12, 0.60  # project
OTHER_CHANGES, OTHER_CHANGES_OTHER_DISEASE = 0.02, 0.40  # project
TYPICAL_WITHOUT_ROSETTES = 0.6  # of biopsies with interface hepatitis and plasma cells; project
ULTRASOUND = (("cirrhosis", 0.55), ("splenomegaly", 0.38), ("ascites", 0.07))  # of abnormal ones; project
GRADES = {"encephalopathy": (0.35, 0.35, 0.20, 0.10), "ascites": (0.35, 0.45, 0.20)}  # 1, 2, …; project
GRADED = 0.9  # project
PERITONITIS = 0.7  # of children with ascites; project
HEPATORENAL = 0.30  # of livers that fail (transplant or liver death) in cirrhosis or liver failure; project
DIALYSIS = 0.8  # of those with a hepatorenal syndrome; project


def describe_biopsies(notes: Notes, biopsies: pd.DataFrame) -> pd.DataFrame:
    """Add what the pathologist saw; empty where the specimen could not be read.

    How well a biopsy fits autoimmune hepatitis follows from its features; a quiet one (index below 4) is not asked.
    """
    rng, children = open_stream("pathology", notes.seed), notes.children
    child, hai = biopsies["child"].to_numpy(), biopsies["hai"].to_numpy(float)
    activity = np.where(hai < 4, 0, np.where(hai < 8, 1, 2))
    u = rng.random((6, len(biopsies)))
    interface = u[0] < np.array(INTERFACE)[activity]
    plasma = u[1] < np.array(LYMPHOPLASMACYTIC)[activity]
    rosettes = u[2] < np.array(ROSETTES)[activity]
    other = children.disease[child] != DIAGNOSES.index("aih")
    typical = interface & plasma & (rosettes | (u[5] < TYPICAL_WITHOUT_ROSETTES))
    fits = np.where(typical, "typical", np.where(interface | plasma, "compatible", "unlikely"))
    read = biopsies["adequate"].astype(bool).to_numpy()
    flags = {
        "interface_hepatitis": interface,
        "lymphoplasmacytic": plasma,
        "rosettes": rosettes,
        "biliary_changes": u[3] < np.where(children.asc[child], BILIARY_ASC, BILIARY),
        "other_changes": u[4] < np.where(other, OTHER_CHANGES_OTHER_DISEASE, OTHER_CHANGES),
    }
    features = {name: pd.array(flag, dtype="boolean") for name, flag in flags.items()}
    described = biopsies.assign(aih_likelihood=pd.Series(fits).where(read & (activity > 0)), **features)
    return described.assign(**{name: described[name].where(read) for name in flags})


def describe_imaging(notes: Notes, imaging: pd.DataFrame) -> pd.DataFrame:
    """Add what an abnormal examination shows; elastography speaks through its stiffness."""
    u = open_stream("findings", notes.seed).random(len(imaging))
    words, shares = np.array([row[0] for row in ULTRASOUND]), np.cumsum([row[1] for row in ULTRASOUND])
    ultrasound = words[np.minimum(np.searchsorted(shares, u, side="right"), len(words) - 1)]
    by_modality = {"mrcp": "cholangiopathy", "endoscopy": "varices"}
    shows = imaging["modality"].map(by_modality).mask(imaging["modality"] == "ultrasound", pd.Series(ultrasound))
    return imaging.assign(shows=shows.where(imaging["finding"] == "abnormal"))


def describe_events(notes: Notes, events: pd.DataFrame) -> pd.DataFrame:
    """Add grades of encephalopathy and ascites, and the gravest complications, which few have."""
    rng = open_stream("findings", notes.seed, 1)
    found = pd.concat([events, _gravest(notes, events, rng)], ignore_index=True)
    u = rng.random((2, len(found)))
    grade = pd.Series(np.nan, index=found.index)
    for kind, shares in GRADES.items():
        drawn = 1 + np.searchsorted(np.cumsum(shares)[:-1], u[0], side="right")
        grade = grade.mask(found["kind"].eq(kind) & (u[1] < GRADED), drawn)
    return found.assign(grade=grade)


def _gravest(notes: Notes, events: pd.DataFrame, rng: Generator) -> pd.DataFrame:
    """Return bacterial peritonitis after ascites, and kidney failure in the weeks before a failing liver is lost."""
    c, s = notes.children, notes.survival
    u = rng.random((6, c.n))
    ascites = events[events["kind"] == "ascites"].groupby("child")["day"].min()
    ascites_day = ascites.reindex(np.arange(c.n)).to_numpy(float)
    peritonitis = np.where(u[0] < PERITONITIS, ascites_day + np.floor(10 + 60 * u[1]), np.nan)
    lost = np.where(np.isfinite(s.transplant) & (s.transplant <= notes.stop), s.transplant, np.nan)
    lost = np.where(s.liver_death & (s.death <= notes.stop), s.death, lost)
    grave = (c.cirrhosis | (c.presentation == LIVER_FAILURE)) & (u[2] < HEPATORENAL)
    kidneys = np.where(grave, np.maximum(lost - np.floor(3 + 25 * u[3]), 1), np.nan)
    dialysis = np.where(u[4] < DIALYSIS, np.minimum(kidneys + np.floor(1 + 4 * u[5]), lost), np.nan)
    found = [
        pd.DataFrame({"child": np.arange(c.n), "day": day, "kind": kind})
        for kind, day in (
            ("spontaneous_bacterial_peritonitis", np.minimum(peritonitis, np.where(np.isnan(lost), np.inf, lost))),
            ("hepatorenal_syndrome", kidneys),
            ("dialysis", dialysis),
        )
    ]
    table = pd.concat(found, ignore_index=True)
    return pd.DataFrame(table[table["day"] <= notes.stop[table["child"].to_numpy()]])
