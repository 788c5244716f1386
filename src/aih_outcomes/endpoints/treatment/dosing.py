"""What was given when: the steroid dose in effect, time without steroid, on little, without any immunosuppression."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.endpoints.rules import TreatmentRule
from aih_outcomes.endpoints.spells import Spells, Steps, add_doses, between, join
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines, Treatments, on_line, once
from aih_outcomes.endpoints.treatment.body_size import WEIGHT_WITHIN_DAYS, compute_surface, find_height
from aih_outcomes.endpoints.treatment.episodes import COURSE_GAP_DAYS
from aih_outcomes.endpoints.treatment.starts import find_starts

STEROIDS = ("steroid", "topical_steroid")
# Classes that do not suppress immunity; every other class of the catalogue does [P].
NOT_IMMUNOSUPPRESSIVE = ("immunoglobulin", "bile_acid", "chelator")
RISE_MG = 2.5  # [P] a smaller rise of the daily prednisolone while it is given is rounding, not a step up
AT_LIMIT = 1e-9  # relative: a dose at the limit is within it, whatever the last bit of a division


@dataclass(frozen=True, slots=True, eq=False)
class LowDose:
    """Time on no steroid or a low dose of it, and what is not known about it.

    Attributes
    ----------
    sure, possible : where the dose is known to be low, and where it is not known to be higher
    unrecorded : (n,) who took a dose that was not recorded, so that it may have been low
    late, weighed : doses judged by a weight measured after their first day (spells may overlap), and on which day
    """

    sure: Spells
    possible: Spells
    unrecorded: Flags
    late: Spells
    weighed: Days


@once
def steroid_steps(timelines: Timelines) -> Steps:
    """Return the systemic steroid dose for autoimmune hepatitis in effect, in mg/day of prednisolone."""
    rows = steroid_rows(timelines)
    return add_doses(rows, rows.prednisolone)


def steroid_rows(timelines: Timelines) -> Treatments:
    """Return the periods of systemic steroid for autoimmune hepatitis; budesonide, without equivalence, is left out."""
    given = timelines.treatments
    return hand_over(given.where(timelines.of_class("steroid") & given.systemic & given.for_aih))


def had_steroid(timelines: Timelines) -> Flags:
    """Return for whom any systemic steroid for autoimmune hepatitis is recorded (n,); of others nothing is known."""
    given = timelines.treatments
    found = np.zeros(timelines.n, dtype=bool)
    found[given.patient[timelines.of_class(*STEROIDS) & given.systemic & given.for_aih]] = True
    return found


def hand_over(rows: Treatments) -> Treatments:
    """Give the day on which one period of a drug ends and its next begins to the next: it is not taken twice [P]."""
    key = (rows.patient * 2 + rows.intravenous) * (1 << 16) + rows.drug
    order = np.lexsort((rows.start, key))
    same_day = (key[order][1:] == key[order][:-1]) & (rows.stop[order][:-1] == rows.start[order][1:])
    earlier = order[:-1][same_day]
    stop = rows.stop.copy()
    stop[earlier] = np.maximum(stop[earlier] - 1, rows.start[earlier])
    return replace(rows, stop=stop)


@once
def find_rescue_day(timelines: Timelines) -> Floats:
    """Return the day on which second-line or advanced treatment began (n,); NaN where never."""
    starts = find_starts(timelines)
    first: Floats = np.fmin.reduce([starts.second_line, starts.empirical_advanced, starts.gene_matched])
    return first


@once
def find_steroid_free(timelines: Timelines, rule: TreatmentRule) -> Spells:
    """Return the time without systemic steroid for autoimmune hepatitis, from day 1 to the end of follow-up.

    Hydrocortisone as replacement up to ``rule.replacement_mg_per_m2`` does not count, nor does a steroid that is
    inhaled, rectal or swallowed for the gullet. Oral budesonide for autoimmune hepatitis is a steroid.
    """
    given = timelines.treatments
    steroid = timelines.of_class(*STEROIDS) & given.systemic & (given.for_aih | _beyond_replacement(timelines, rule))
    return _without(timelines, given.where(steroid & (given.dose != 0)))


@once
def find_low_dose(timelines: Timelines, rule: TreatmentRule) -> LowDose:
    """Return the time on no steroid or a low dose of it, from day 1 to the end of follow-up.

    At most ``rule.low_dose_mg_per_kg`` and ``rule.low_dose_mg_per_day`` of prednisolone, by ``find_dose_weight`` on the
    first day of each dose. A dose or weight that is not known may be low or not, unless the rest of that day's doses
    already exceed a limit. Budesonide, which has no equivalent, is no low dose [P].
    """
    given = timelines.treatments
    steroid = timelines.of_class(*STEROIDS) & given.systemic & (given.for_aih | _beyond_replacement(timelines, rule))
    rows = hand_over(given.where(steroid & (given.dose != 0)))
    topical = timelines.drug_classes[rows.drug] == "topical_steroid"
    budesonide, rows = rows.where(topical), rows.where(~topical)
    weight, weighed = find_dose_weight(timelines, rows.patient, rows.start)
    per_kg = rows.prednisolone / weight
    steps = add_doses(rows, per_kg)
    high = add_doses(rows, np.nan_to_num(rows.prednisolone)).dose > rule.low_dose_mg_per_day * (1 + AT_LIMIT)
    high |= add_doses(rows, np.nan_to_num(per_kg)).dose > rule.low_dose_mg_per_kg * (1 + AT_LIMIT)
    unknown = ~high & np.isnan(steps.dose)
    unrecorded = np.zeros(timelines.n, dtype=bool)
    unrecorded[steps.patient[unknown & np.isnan(add_doses(rows, rows.prednisolone).dose)]] = True

    def without(chosen: Flags) -> Spells:
        patient = np.concatenate([steps.patient[chosen], budesonide.patient])
        start = np.concatenate([steps.day[chosen], budesonide.start])
        return _outside(timelines, join(patient, start, np.concatenate([steps.until()[chosen], budesonide.stop])))

    possible = without(high)
    sure = without(high | unknown) if unknown.any() else possible
    after = weighed > rows.start
    late = Spells(rows.patient[after], rows.start[after], rows.stop[after])
    return LowDose(sure, possible, unrecorded, late, weighed[after].astype(np.int64))


def find_dose_weight(timelines: Timelines, patient: Days, day: Days) -> tuple[Floats, Floats]:
    """Return the dry weight (kg) by which a dose begun on each asked day is judged, and the day it was measured.

    The last of the 60 days up to that day, else the first of the 60 days after it; NaN where there is none. Of several
    on one day the lowest.
    """
    line, weight = _weights(timelines)
    asked = on_line(patient, day)
    kg, measured = np.full(len(asked), np.nan), np.full(len(asked), np.nan)
    after = np.searchsorted(line, asked, side="right")
    before = after - 1
    earlier = before >= 0
    earlier[earlier] = line[before[earlier]] >= asked[earlier] - WEIGHT_WITHIN_DAYS
    later = ~earlier & (after < len(line))
    later[later] = line[after[later]] <= asked[later] + WEIGHT_WITHIN_DAYS
    for chosen, at in ((earlier, before[earlier]), (later, after[later])):
        kg[chosen], measured[chosen] = weight[at], day[chosen] + line[at] - asked[chosen]
    return kg, measured


@once
def _weights(timelines: Timelines) -> tuple[Days, Floats]:
    """Return one weight (kg) per patient and day, the lowest, in order of ``on_line``."""
    table = timelines.cohort.measurements
    patient, day, rows = timelines.dated(table, table["measure"].to_numpy(object) == "weight")
    weight, line = table["value"].to_numpy(float)[rows], on_line(patient, day)
    order = np.lexsort((weight, line))
    line, first = np.unique(line[order], return_index=True)
    return line, weight[order][first]


@once
def find_off_treatment(timelines: Timelines, rule: TreatmentRule) -> Spells:
    """Return the time without any immunosuppression, from day 1 to the end of follow-up.

    An immunosuppressant counts whatever it was given for: bowel, joints, a graft [P]. Steroid as replacement up to
    ``rule.replacement_mg_per_m2``, inhaled, rectal or swallowed does not, nor do bile acids, chelators and
    immunoglobulin.
    """
    given, steroid = timelines.treatments, timelines.of_class(*STEROIDS)
    beyond = _beyond_replacement(timelines, rule) | ~_as_replacement(timelines)
    counts = ~timelines.of_class(*NOT_IMMUNOSUPPRESSIVE) & (~steroid | (given.systemic & beyond))
    return _without(timelines, given.where(counts & (given.dose != 0)))


@once
def find_escalations(timelines: Timelines) -> tuple[Days, Days]:
    """Return patient and day of every step up of treatment after day 0, by patient and day.

    The steroid dose for autoimmune hepatitis rose by at least 2.5 mg/day, or steroid, or an immunosuppressant of a
    class not given in the last 30 days, was begun.
    """
    steroid, given = steroid_steps(timelines), timelines.treatments
    rows = given.where(
        given.for_aih & ~timelines.of_class("steroid", *NOT_IMMUNOSUPPRESSIVE)
        & (given.systemic | ~timelines.of_class("topical_steroid")) & (given.dose != 0)
    )  # fmt: skip
    classes, of_drug = np.unique(timelines.drug_classes, return_inverse=True)
    courses = join(rows.patient * len(classes) + of_drug[rows.drug], rows.start, rows.stop, gap=COURSE_GAP_DAYS)
    raised = _raised(steroid)
    patient = np.concatenate([steroid.patient[raised], courses.patient // len(classes)])
    day = np.concatenate([steroid.day[raised], courses.start])
    _, at = np.unique(on_line(patient, day), return_index=True)
    at = at[day[at] > 0]
    return patient[at], day[at]


def _raised(steps: Steps) -> Flags:
    """Return at which steps the dose rose; a pause of up to 30 days is bridged, a longer one begun again."""
    raised = np.zeros(len(steps.day), dtype=bool)
    at, bridged = find_given(steps)
    rose = np.diff(steps.dose[at], prepend=np.nan) >= RISE_MG * (1 - AT_LIMIT)
    raised[at] = ~bridged | rose
    return raised


def find_given(steps: Steps) -> tuple[Days, Flags]:
    """Return at which steps some was given, and whether each continues the one before: after 30 free days at most."""
    at = np.flatnonzero(steps.given & (steps.dose != 0))
    continues = np.zeros(len(at), dtype=bool)
    before, then = at[:-1], at[1:]
    continues[1:] = steps.day[then] - steps.until()[before] - 1 <= COURSE_GAP_DAYS
    continues[1:] &= steps.patient[then] == steps.patient[before]
    return at, continues


def _as_replacement(timelines: Timelines) -> Flags:
    indication = timelines.cohort.treatments["indication"].to_numpy(object, na_value="")
    return np.asarray(indication[timelines.treatments.row] == "replacement", dtype=bool)


@once
def _beyond_replacement(timelines: Timelines, rule: TreatmentRule) -> Flags:
    """Return which periods are called replacement and are more: not hydrocortisone, or known to exceed the limit."""
    given, beyond = timelines.treatments, _as_replacement(timelines)
    rows = np.flatnonzero(beyond)
    if not len(rows):
        return beyond
    hydrocortisone = (read_drugs()["drug"] == "hydrocortisone").to_numpy(bool)[given.drug[rows]]
    patient, day = given.patient[rows], given.start[rows]
    surface = compute_surface(find_height(timelines, patient, day), find_dose_weight(timelines, patient, day)[0])
    per_m2 = given.dose[rows] / surface
    beyond[rows] = ~hydrocortisone | (per_m2 > rule.replacement_mg_per_m2 * (1 + AT_LIMIT))
    return beyond


def _without(timelines: Timelines, rows: Treatments) -> Spells:
    return _outside(timelines, join(rows.patient, rows.start, rows.stop))


def _outside(timelines: Timelines, spells: Spells) -> Spells:
    """Return the days after time zero up to the end of follow-up that no spell covers."""
    first = np.ones(timelines.n, dtype=np.int64)
    followed = np.where(np.isnan(timelines.last_day), 0, timelines.last_day)
    return between(spells, first, followed.astype(np.int64))
