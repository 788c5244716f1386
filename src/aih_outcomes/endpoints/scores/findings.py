"""The items of the diagnostic scores, as they were found before treatment.

Serology and histology count up to four weeks into treatment, in which neither changes its category [P]; biochemistry
is the criteria's baseline value.
"""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.scores.diagnostic import Findings
from aih_outcomes.endpoints.scores.known import Known, as_numbers
from aih_outcomes.endpoints.scores.ranges import Range, read_signs
from aih_outcomes.endpoints.timelines import Days, Floats, first_of, last_of, take

UNTIL_DAY = 28
# IAIHG 1999 took ANA on HEp-2 cells as well; one method for all three scores, as in clinic, rule 9 [P].
COUNTED_METHOD = "iif_rodent"  # HEp-2 cells, ELISA, blot, or a method not written down: the item is missing
HISTOLOGY = ("interface_hepatitis", "lymphoplasmacytic", "rosettes", "biliary_changes", "other_changes")
LIKELIHOOD = {"typical": 2.0, "compatible": 1.0, "unlikely": 0.0}
ALCOHOL = {"under_25": 0.0, "25_to_60": 1.0, "over_60": 2.0}


def find_findings(start: Known) -> Findings:
    """Return what is known of the items.

    Parameters
    ----------
    start : what is known at time zero (``day`` 0)
    """
    _, ast = start.result("ast")
    _, alt = start.result("alt")
    _, alp = start.result("alp")
    _, igg = start.result("igg")
    biopsy = _biopsy(start)
    biopsies = start.cohort.biopsies
    histology = {name: take(biopsies[name].to_numpy(float, na_value=np.nan), biopsy) for name in HISTOLOGY}
    return Findings(
        child=~start.has_reached(18) & ~np.isnan(start.age),
        female=start.level("sex", {"female": 1.0, "male": 0.0}),
        ana=_titre(start, "ana"), sma=_titre(start, "sma"), lkm1=_titre(start, "lkm1"),
        sla=start.fact("sla_positive"), lc1=start.fact("lc1_positive"), panna=start.fact("panna_positive"),
        ama=start.fact("ama_positive"),
        alp_ratio=_ratio(alp, Range(*[np.where(ast.missing, b, a) for a, b in _ends(ast, alt)])),
        igg=igg,
        viral_hepatitis=start.level("viral_hepatitis", {"positive": 1.0, "negative": 0.0}),
        hepatotoxic_drugs=start.fact("hepatotoxic_drugs"),
        other_causes_excluded=start.fact("other_causes_excluded"),
        alcohol=start.level("alcohol", ALCOHOL),
        aih_likelihood=take(as_numbers(biopsies["aih_likelihood"], LIKELIHOOD), biopsy),
        autoimmune_disease=start.fact("autoimmune_disease"),
        family_autoimmunity=start.fact("family_autoimmunity"),
        hla_dr3_or_dr4=start.fact("hla_dr3_or_dr4"),
        cholangiogram_abnormal=start.level("asc_at_baseline", {"asc": 1.0, "normal": 0.0}),
        **histology,
    )  # fmt: skip


def _ends(first: Range, second: Range) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    return (first.low, second.low), (first.high, second.high)


def _ratio(above: Range, below: Range) -> Range:
    """Return the range of a ratio; missing where either is."""
    return Range(above.low / below.high, above.high / below.low)


def _titre(start: Known, antibody: str) -> Range:
    """Return the highest titre on rodent tissue up to four weeks into treatment."""
    labs = start.timelines.labs[antibody]
    labs = labs.where(labs.day <= UNTIL_DAY)
    labs = labs.where(start.cohort.labs["method"].iloc[labs.row].eq(COUNTED_METHOD).to_numpy(bool, na_value=False))
    found = read_signs(labs.value, labs.sign.astype(float), labs.strict)
    rows = np.lexsort((found.high, found.low))
    highest = np.full(start.timelines.n, -1, dtype=np.int64)
    highest[labs.patient[rows]] = rows  # of several rows of one patient the last written stays
    return Range(take(found.low, highest), take(found.high, highest))


def _biopsy(start: Known) -> Days:
    """Return the position in ``biopsies`` of the last adequate one before treatment, else the first in four weeks."""
    biopsies = start.cohort.biopsies
    adequate = biopsies["adequate"].to_numpy(bool, na_value=True)
    patient, day, row = start.dated(biopsies)
    n = start.timelines.n
    before = last_of(patient, adequate[row] & (day <= 0), n)
    soon = first_of(patient, adequate[row] & (day > 0) & (day <= UNTIL_DAY), n)
    chosen = np.where(before >= 0, before, soon)
    found = np.full(n, -1, dtype=np.int64)
    found[chosen >= 0] = row[chosen[chosen >= 0]]
    return found
