"""Diagnostic scores from items: points per item, total, and a category only where no missing item could change it.

A diagnostic score describes patients; it never selects them (ESPGHAN, IAIHG 1999 and 2008 disagree in children).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from aih_outcomes.endpoints.scores.ranges import Range, at_least, exactly, give_points, larger, over, points_for
from aih_outcomes.endpoints.scores.words import Words, join_names, say
from aih_outcomes.endpoints.timelines import Flags, Floats

DEFINITE, PROBABLE, NO = "definite", "probable", "no"

# Alvarez 1999: total above 15 and from 10 before treatment, above 17 and from 12 after it; points are whole numbers.
IAIHG_PRETREATMENT, IAIHG_POSTTREATMENT = (10, 16), (12, 18)
SIMPLIFIED = (6, 7)  # Hennes 2008
ESPGHAN = (7, 8)  # Mieli-Vergani 2018 [m], in each column
ALP_RATIO = (at_least(1.5), over(3.0))  # both ends of 1.5 to 3.0 give 0
IGG_1999 = (at_least(1.0), at_least(1.5), over(2.0))
IGG_2008 = (over(1.0), over(1.10))
IGG_2018 = (over(1.0), over(1.20))
TITRES_1999 = (at_least(40), at_least(80), over(80))
# [m] 1999, note to the titres: lower ones count in children, LKM-1 above all; here 1 point from these titres on.
TITRE_IN_CHILDREN_1999, LKM1_IN_CHILDREN_1999 = at_least(20), at_least(10)
TITRES_2008, LKM1_2008 = (at_least(40), at_least(80)), (at_least(40),)  # the 2008 score has no titres for children
TITRES_2018, LKM1_2018 = (at_least(20), at_least(80)), (at_least(10), at_least(80))
MOST_FOR_ANTIBODIES = 2  # 2008 and 2018: points for autoantibodies are added up to 2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Findings:
    """What the diagnostic scores ask, per patient (n,). Facts are 1 yes, 0 no, NaN not known.

    Attributes
    ----------
    child : under 18 years
    ana, sma, lkm1 : titre 1:n by immunofluorescence on rodent tissue; no other method counts
    alp_ratio : ALP over AST (or ALT), both × ULN; ``igg`` : IgG (or globulins) × ULN
    alcohol : 0 under 25 g/day, 1 from 25 to 60, 2 over 60
    aih_likelihood : histology 2 typical of AIH, 1 compatible, 0 unlikely
    cholangiogram_abnormal : 1 abnormal, 0 normal
    """

    child: Flags
    female: Floats
    ana: Range
    sma: Range
    lkm1: Range
    sla: Floats
    lc1: Floats
    panna: Floats
    ama: Floats
    alp_ratio: Range
    igg: Range
    viral_hepatitis: Floats
    hepatotoxic_drugs: Floats
    other_causes_excluded: Floats
    alcohol: Floats
    interface_hepatitis: Floats
    lymphoplasmacytic: Floats
    rosettes: Floats
    biliary_changes: Floats
    other_changes: Floats
    aih_likelihood: Floats
    autoimmune_disease: Floats
    family_autoimmunity: Floats
    hla_dr3_or_dr4: Floats
    cholangiogram_abnormal: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A score of each patient (n,): the points that each item has or may have, by name in the order of the score."""

    items: dict[str, Range]
    limits: tuple[int, int]  # lowest total of "probable" and of "definite"

    @property
    def possible(self) -> Range:
        """Lowest and highest total, whatever the missing items were."""
        return reduce(add, self.items.values())

    @property
    def total(self) -> Floats:
        """Total with 0 points for what is missing."""
        return reduce(add, [points_of(item) for item in self.items.values()])

    @property
    def category(self) -> Words:
        """``definite``, ``probable`` or ``no``; empty where a missing item could change it."""
        probable, definite = self.limits
        low, high = self.possible.low, self.possible.high
        between = (low >= probable) & (high < definite)
        return say({DEFINITE: low >= definite, PROBABLE: between, NO: high < probable}, len(low))

    @property
    def items_missing(self) -> Words:
        """Names of the items that are missing, or known too little to give their points; joined by commas."""
        return join_names({name: item.open for name, item in self.items.items()}, len(self.total))


def points_of(item: Range) -> Floats:
    """Return the points of an item: 0 where it is missing, and what is certain where it is known in part."""
    return np.minimum(np.maximum(item.low, 0.0), item.high)


def compute_iaihg_1999_pretreatment(found: Findings) -> Score:
    """Return the revised score before treatment (Alvarez 1999): definite above 15, probable 10 to 15.

    Optional items (HLA; other autoantibodies, which count where ANA, SMA and LKM-1 are negative) that were not
    measured give 0 points and are not missing [P].
    """
    disease = np.fmax(found.autoimmune_disease, found.family_autoimmunity)  # NaN where neither is known
    half_known = (disease == 0) & (np.isnan(found.autoimmune_disease) | np.isnan(found.family_autoimmunity))
    items = {
        "sex": points_for(found.female, yes=2),
        "ALP:AST ratio": give_points(found.alp_ratio, ALP_RATIO, (2, 0, -2)),
        "IgG": give_points(found.igg, IGG_1999, (0, 1, 2, 3)),
        "autoantibodies": _antibodies_1999(found),
        "AMA": points_for(found.ama, yes=-4),
        "viral markers": points_for(found.viral_hepatitis, yes=-3, no=3),
        "drug history": points_for(found.hepatotoxic_drugs, yes=-4, no=1),
        "alcohol": give_points(exactly(found.alcohol), (1, 2), (2, 0, -2)),
        "histology": _histology_1999(found),
        "autoimmune disease": points_for(np.where(half_known, np.nan, disease), yes=2),
        "HLA": points_for(np.nan_to_num(found.hla_dr3_or_dr4), yes=1),
    }
    return Score(items, IAIHG_PRETREATMENT)


def compute_iaihg_1999_posttreatment(found: Findings, response: Floats) -> Score:
    """Return the revised score after treatment (Alvarez 1999): definite above 17, probable 12 to 17.

    Circular: it counts the response, so it never selects patients for an analysis of response.

    Parameters
    ----------
    response : 0 no complete response, 1 complete, 2 complete with relapse, NaN not known
    """
    before = compute_iaihg_1999_pretreatment(found)
    return Score(
        before.items | {"response to treatment": give_points(exactly(response), (1, 2), (0, 2, 3))}, IAIHG_POSTTREATMENT
    )


def compute_simplified_2008(found: Findings) -> Score:
    """Return the simplified score (Hennes 2008): probable from 6, definite from 7."""
    conventional = larger(*[give_points(titre, TITRES_2008, (0, 1, 2)) for titre in (found.ana, found.sma)])
    specific = larger(give_points(found.lkm1, LKM1_2008, (0, 2)), points_for(found.sla, yes=2))
    items = {
        "autoantibodies": (conventional + specific).at_most(MOST_FOR_ANTIBODIES),
        "IgG": give_points(found.igg, IGG_2008, (0, 1, 2)),
        "histology": give_points(exactly(found.aih_likelihood), (1, 2), (0, 1, 2)),
        "viral hepatitis": points_for(found.viral_hepatitis, yes=0, no=2),
    }
    return Score(items, SIMPLIFIED)


def compute_espghan_2018_aih(found: Findings) -> Score:
    """Return the ESPGHAN score for juvenile AIH (Mieli-Vergani 2018 [m]): probable from 7, definite from 8."""
    return _espghan(found, lkm1=(0, 1, 2), lc1=2, panna=1, abnormal=-2, normal=2)


def compute_espghan_2018_asc(found: Findings) -> Score:
    """Return the ESPGHAN score for juvenile ASC (Mieli-Vergani 2018 [m]): probable from 7, definite from 8."""
    return _espghan(found, lkm1=(0, 1, 1), lc1=1, panna=2, abnormal=2, normal=-2)


def _espghan(
    found: Findings, *, lkm1: tuple[float, ...], lc1: float, panna: float, abnormal: float, normal: float
) -> Score:
    conventional = larger(*[give_points(titre, TITRES_2018, (0, 1, 2)) for titre in (found.ana, found.sma)])
    antibodies = conventional + give_points(found.lkm1, LKM1_2018, lkm1)
    antibodies += points_for(found.lc1, yes=lc1) + points_for(found.sla, yes=2)
    items = {
        "autoantibodies": antibodies.at_most(MOST_FOR_ANTIBODIES),
        "pANNA": points_for(found.panna, yes=panna),
        "IgG": give_points(found.igg, IGG_2018, (0, 1, 2)),
        "histology": give_points(exactly(found.aih_likelihood), (1, 2), (0, 1, 2)),
        "other causes": points_for(found.other_causes_excluded, yes=2),
        "autoimmune disease": points_for(found.autoimmune_disease, yes=1),
        "family history": points_for(found.family_autoimmunity, yes=1),
        "cholangiogram": points_for(found.cholangiogram_abnormal, yes=abnormal, no=normal),
    }
    return Score(items, ESPGHAN)


def _antibodies_1999(found: Findings) -> Range:
    """Points for the highest of ANA, SMA, LKM-1; where all are negative, for another defined autoantibody."""
    parts = []
    for titre, low_positive in (
        (found.ana, TITRE_IN_CHILDREN_1999),
        (found.sma, TITRE_IN_CHILDREN_1999),
        (found.lkm1, LKM1_IN_CHILDREN_1999),
    ):
        in_children = give_points(titre, (low_positive, *TITRES_1999[1:]), (0, 1, 2, 3))
        adult = give_points(titre, TITRES_1999, (0, 1, 2, 3))
        parts.append(
            Range(
                np.where(found.child, in_children.low, adult.low), np.where(found.child, in_children.high, adult.high)
            )
        )
    highest = reduce(larger, parts)
    other = np.where((found.sla == 1) | (found.lc1 == 1) | (found.panna == 1), 2.0, 0.0)
    maybe_negative, maybe_positive = highest.low == 0, highest.high > 0
    least = np.where(maybe_positive, np.minimum(other, 1), other)
    low = np.where(maybe_negative, least, highest.low)
    return Range(low, np.where(maybe_negative, np.maximum(highest.high, other), highest.high))


def _histology_1999(found: Findings) -> Range:
    typical = (
        points_for(found.interface_hepatitis, yes=3)
        + points_for(found.lymphoplasmacytic, yes=1)
        + points_for(found.rosettes, yes=1)
    )
    none_is_minus_5 = Range(*[np.where(end == 0, -5.0, end) for end in (typical.low, typical.high)])
    return none_is_minus_5 + points_for(found.biliary_changes, yes=-3) + points_for(found.other_changes, yes=-3)
