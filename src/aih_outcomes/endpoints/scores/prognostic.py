"""Prognostic scores from vectors in the package's units; a missing value gives a missing score.

Bilirubin and creatinine in µmol/L, albumin in g/L, sodium in mmol/L, platelets in 10⁹/L, ALT and AST in U/L.
"""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.scores.ranges import at_least, over
from aih_outcomes.endpoints.scores.words import Words, say
from aih_outcomes.endpoints.timelines import Flags, Floats

# µmol/L per mg/dL by molar mass, as in the catalogue of units; convention rounds them to 17.1 and 88.4, which moves a
# score only where a value lies within 0.02 % of the floor of 1 mg/dL or of a whole point.
BILIRUBIN_PER_MG_DL = 17.104
CREATININE_PER_MG_DL = 88.40
GRAMS_PER_G_DL = 10.0

FLOOR = 1.0  # OPTN: bilirubin, INR, creatinine (in PELD albumin) below 1 are set to 1
LOWEST_MELD, HIGHEST_MELD = 6.0, 40.0
MELD_CREATININE, MELD_BILIRUBIN, MELD_INR, MELD_CONSTANT = 0.957, 0.378, 1.120, 0.643  # Kamath 2001
HIGHEST_CREATININE = 4.0  # mg/dL; also on dialysis twice, or 24 hours of CVVHD, within 7 days (OPTN)
SODIUM_LOW, SODIUM_HIGH = 125.0, 137.0
SODIUM_ABOVE_MELD, SODIUM_SLOPE, SODIUM_BY_MELD = 11.0, 1.32, 0.033  # OPTN 2016
# Kim 2021, MELD 3.0
MELD3_FEMALE, MELD3_CONSTANT, MELD3_CONSTANT_UNDER_18 = 1.33, 6.0, 7.33
MELD3_BILIRUBIN, MELD3_SODIUM, MELD3_SODIUM_BILIRUBIN, MELD3_INR = 4.56, 0.82, 0.24, 9.09
MELD3_CREATININE, MELD3_ALBUMIN, MELD3_ALBUMIN_CREATININE = 11.14, 1.85, 1.83
MELD3_HIGHEST_CREATININE, MELD3_ALBUMIN_LOW, MELD3_ALBUMIN_HIGH = 3.0, 1.5, 3.5  # mg/dL, g/dL
# McDiarmid 2002
PELD_BILIRUBIN, PELD_INR, PELD_ALBUMIN, PELD_UNDER_ONE, PELD_GROWTH_FAILURE = 4.80, 18.57, 6.87, 4.36, 6.67
# Johnson 2015
ALBI_BILIRUBIN, ALBI_ALBUMIN, ALBI_GRADES = 0.66, 0.085, (-2.60, -1.39)
# Pugh 1973 with INR
CHILD_BILIRUBIN, CHILD_ALBUMIN, CHILD_INR, CHILD_CLASSES = (34.0, 51.0), (28.0, 35.0), (1.7, 2.3), (7, 10)


def _whole(score: Floats) -> Floats:
    return np.floor(score + 0.5)


def _bounded(score: Floats) -> Floats:
    return np.clip(_whole(score), LOWEST_MELD, HIGHEST_MELD)


def _log(value: Floats) -> Floats:
    return np.log(np.maximum(value, FLOOR))


def _log_creatinine(creatinine: Floats, dialysis: Flags, highest: float) -> Floats:
    bounded = np.clip(creatinine / CREATININE_PER_MG_DL, FLOOR, highest)
    return np.log(np.where(dialysis, highest, bounded))


def compute_meld_2002(*, bilirubin: Floats, inr: Floats, creatinine: Floats, dialysis: Flags) -> Floats:
    """Return MELD as UNOS used it from 2002 (Kamath 2001; Wiesner 2003): whole numbers from 6 to 40.

    Parameters
    ----------
    dialysis : twice, or 24 hours of CVVHD, in the 7 days before; creatinine then counts as 4 mg/dL
    """
    raw = (
        MELD_CREATININE * _log_creatinine(creatinine, dialysis, HIGHEST_CREATININE)
        + MELD_BILIRUBIN * _log(bilirubin / BILIRUBIN_PER_MG_DL)
        + MELD_INR * _log(inr)
        + MELD_CONSTANT
    )
    return _bounded(10 * raw)


def compute_meld_na_2016(
    *, bilirubin: Floats, inr: Floats, creatinine: Floats, sodium: Floats, dialysis: Flags
) -> Floats:
    """Return MELD-Na (OPTN, in use from 11 January 2016 to 12 July 2023): MELD with sodium above a MELD of 11."""
    meld = compute_meld_2002(bilirubin=bilirubin, inr=inr, creatinine=creatinine, dialysis=dialysis)
    lacking = SODIUM_HIGH - np.clip(sodium, SODIUM_LOW, SODIUM_HIGH)
    with_sodium = _bounded(meld + SODIUM_SLOPE * lacking - SODIUM_BY_MELD * meld * lacking)
    return np.where(meld > SODIUM_ABOVE_MELD, with_sodium, meld)


def compute_meld_3_0(
    *,
    bilirubin: Floats,
    inr: Floats,
    creatinine: Floats,
    sodium: Floats,
    albumin: Floats,
    female: Floats,
    adult: Flags,
    dialysis: Flags,
) -> Floats:
    """Return MELD 3.0 (Kim 2021; OPTN, in use from 13 July 2023): whole numbers from 6 to 40.

    Parameters
    ----------
    female : 1 female, 0 male; not used under 18, where girls and boys both have the constant 7.33
    adult : 18 years or older
    dialysis : as in ``compute_meld_2002``; creatinine then counts as 3 mg/dL
    """
    log_bilirubin = _log(bilirubin / BILIRUBIN_PER_MG_DL)
    log_creatinine = _log_creatinine(creatinine, dialysis, MELD3_HIGHEST_CREATININE)
    no_sodium = SODIUM_HIGH - np.clip(sodium, SODIUM_LOW, SODIUM_HIGH)
    no_albumin = MELD3_ALBUMIN_HIGH - np.clip(albumin / GRAMS_PER_G_DL, MELD3_ALBUMIN_LOW, MELD3_ALBUMIN_HIGH)
    constant = np.where(adult, MELD3_CONSTANT + MELD3_FEMALE * female, MELD3_CONSTANT_UNDER_18)
    return _bounded(
        constant
        + MELD3_BILIRUBIN * log_bilirubin
        + MELD3_SODIUM * no_sodium
        - MELD3_SODIUM_BILIRUBIN * no_sodium * log_bilirubin
        + MELD3_INR * _log(inr)
        + MELD3_CREATININE * log_creatinine
        + MELD3_ALBUMIN * no_albumin
        - MELD3_ALBUMIN_CREATININE * no_albumin * log_creatinine
    )


def compute_peld_2002(
    *, bilirubin: Floats, inr: Floats, albumin: Floats, under_one: Flags, growth_failure: Floats
) -> Floats:
    """Return PELD (McDiarmid 2002; OPTN until 12 July 2023), a whole number that may be negative; under 12 years.

    Parameters
    ----------
    under_one : younger than one year that day
    growth_failure : 1 where height or weight is more than 2 standard deviations below the mean, 0 where not
    """
    return _whole(
        PELD_BILIRUBIN * _log(bilirubin / BILIRUBIN_PER_MG_DL)
        + PELD_INR * _log(inr)
        - PELD_ALBUMIN * _log(albumin / GRAMS_PER_G_DL)
        + PELD_UNDER_ONE * under_one
        + PELD_GROWTH_FAILURE * growth_failure
    )


def compute_apri_2003(*, ast_xuln: Floats, platelets: Floats) -> Floats:
    """Return APRI = 100 × AST (× ULN) / platelets (Wai 2003)."""
    return 100 * ast_xuln / platelets


def compute_fib4_2006(*, age: Floats, ast: Floats, alt: Floats, platelets: Floats) -> Floats:
    """Return FIB-4 = age (years) × AST / (platelets × √ALT) (Sterling 2006); adults only."""
    return age * ast / (platelets * np.sqrt(alt))


def compute_albi_2015(*, bilirubin: Floats, albumin: Floats) -> Floats:
    """Return ALBI = 0.66 log₁₀ bilirubin − 0.085 albumin (Johnson 2015)."""
    return ALBI_BILIRUBIN * np.log10(bilirubin) - ALBI_ALBUMIN * albumin


def grade_albi_2015(albi: Floats) -> Words:
    """Return ``grade 1`` up to −2.60, ``grade 2`` up to −1.39, ``grade 3`` above; empty where missing."""
    first, second = ALBI_GRADES
    return say({"grade 1": albi <= first, "grade 2": albi <= second, "grade 3": albi > second}, len(albi))


def compute_child_pugh_1973(
    *, bilirubin: Floats, albumin: Floats, inr: Floats, ascites: Floats, encephalopathy: Floats
) -> Floats:
    """Return Child-Pugh points, 5 to 15 (Pugh 1973, INR for prothrombin time); adults only.

    Parameters
    ----------
    ascites : 0 none, 1 mild or controlled by diuretics, 2 or 3 more
    encephalopathy : 0 none, West Haven grade 1 to 4
    """
    worse = (
        1.0 * (bilirubin >= at_least(CHILD_BILIRUBIN[0])) + (bilirubin >= over(CHILD_BILIRUBIN[1]))
        + (albumin < over(CHILD_ALBUMIN[1])) + (albumin < at_least(CHILD_ALBUMIN[0]))
        + (inr >= at_least(CHILD_INR[0])) + (inr >= over(CHILD_INR[1]))
        + np.minimum(ascites, 2) + np.ceil(encephalopathy / 2)
    )  # fmt: skip
    return np.where(np.isnan(bilirubin + albumin + inr), np.nan, 5 + worse)


def classify_child_pugh_1973(points: Floats) -> Words:
    """Return class ``A`` (5 to 6 points), ``B`` (7 to 9) or ``C`` (10 to 15); empty where missing."""
    first, second = CHILD_CLASSES
    return say({"A": points < first, "B": points < second, "C": points >= second}, len(points))
