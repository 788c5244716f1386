"""What was asked and tested at diagnosis: other causes, other autoimmunity, HLA type, the rarer antibodies.

None of it bears on the course of the disease: it is there so that diagnostic scores can be computed. A question that
was not asked, or a test not done, is empty.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.simulate.children import DIAGNOSES, TYPES, Children
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SERONEGATIVE = TYPES.index("seronegative")
DRUG_INDUCED = DIAGNOSES.index("drug_induced_aih_like")
ASKED = 0.96  # project: share in whom a question of the history was asked
VIRAL, DRUGS, OTHER_CAUSE = 0.006, 0.02, 0.02  # project: found all the same
ALCOHOL_ASKED_FROM = 12.0  # years; project
ALCOHOL_ASKED = 0.7  # project
AUTOIMMUNE = 0.18  # ~20 % at diagnosis, IBD apart; Gregorio 1997 [m]
AUTOIMMUNE_CARRIER = 0.7  # inborn errors of immunity come with other autoimmunity; project
FAMILY = 0.40  # first-degree relatives; Mieli-Vergani 2018 [m]

# By type: type 1, type 2, seronegative, unclassified; then the share of children who were tested
HLA = ((0.60, 0.40, 0.40, 0.45), 0.55)  # DR3 in type 1, DR7 and DR3 in type 2: Terziroli 2021; sizes: project
AMA = ((0.01, 0.01, 0.0, 0.01), 0.90)  # project
SLA = ((0.20, 0.18, 0.0, 0.15), 0.70)  # project: half of it by the most sensitive assays only
LC1 = ((0.01, 0.50, 0.0, 0.0), 0.75)  # beside LKM-1 in up to half of type 2; project
# pANNA by ASC and type: 74 % of ASC, 36 to 45 % of type 1, 11 % of type 2 (Gregorio 2001 [m])
PANNA = ((0.40, 0.11, 0.0, 0.35), 0.65)
PANNA_ASC = 0.74
HEP2_CENTRE, HEP2_SHARE = 4, 0.5  # one centre reads half of its ANA on HEp-2 cells; project


def recall_history(seed: int, children: Children) -> dict[str, object]:
    """Return the columns of ``patients`` about other causes, other autoimmunity and the rarer antibodies."""
    rng, c = open_stream("history", seed), children
    u = rng.random((20, c.n))
    viral, drugs = u[0] < VIRAL, (c.disease == DRUG_INDUCED) | (u[1] < DRUGS)
    excluded = ~viral & ~drugs & (u[2] >= OTHER_CAUSE)
    own = c.ibd | (u[3] < np.where(c.gene >= 0, AUTOIMMUNE_CARRIER, AUTOIMMUNE))
    young = c.age < ALCOHOL_ASKED_FROM
    panna = np.where(c.asc & (c.type != SERONEGATIVE), PANNA_ASC, np.array(PANNA[0])[c.type])
    return {
        "viral_hepatitis": pd.Series(np.where(viral, "positive", "negative")).where(u[4] < ASKED),
        "hepatotoxic_drugs": _known(drugs, u[5] < ASKED),
        "alcohol": pd.Series(np.full(c.n, "under_25", dtype=object)).where(~young & (u[6] < ALCOHOL_ASKED)),
        "other_causes_excluded": _known(excluded, u[7] < ASKED),
        "autoimmune_disease": _known(own, np.ones(c.n, bool)),
        "family_autoimmunity": _known(u[8] < FAMILY, u[9] < ASKED),
        "hla_dr3_or_dr4": _tested(HLA, c, u[10], u[11]),
        "ama_positive": _tested(AMA, c, u[12], u[13]),
        "sla_positive": _tested(SLA, c, u[14], u[15]),
        "lc1_positive": _tested(LC1, c, u[16], u[17]),
        "panna_positive": _known(u[18] < panna, u[19] < PANNA[1]),
    }


def _tested(marker: tuple[tuple[float, ...], float], children: Children, u: Floats, v: Floats) -> pd.Series:
    return _known(u < np.array(marker[0])[children.type], v < marker[1])


def _known(flag: Flags, known: Flags) -> pd.Series:
    return pd.Series(flag, dtype="boolean").where(pd.Series(known))


def antibody_method(seed: int, children: Children, analyte: str) -> NDArray[np.str_]:
    """Return how each child's antibody is read, (n,): on rodent tissue; at one centre some ANA on HEp-2 cells."""
    u = open_stream("history", seed, 1).random(children.n)
    hep2 = (analyte == "ana") & (children.centre == HEP2_CENTRE) & (u < HEP2_SHARE)
    return np.where(hep2, "iif_hep2", "iif_rodent")
