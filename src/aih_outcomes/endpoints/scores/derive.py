"""Every score of every patient on a day, with what it lacked: long form, one row per patient and score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.patients.growth_reference import EVALUABLE
from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, NOT_EVALUABLE
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.scores import prognostic
from aih_outcomes.endpoints.scores.answers import ADULT, AST_XULN, GROWTH_FAILURE, Answer, Measured, answer, measure
from aih_outcomes.endpoints.scores.diagnostic import (
    Score,
    compute_espghan_2018_aih,
    compute_espghan_2018_asc,
    compute_iaihg_1999_posttreatment,
    compute_iaihg_1999_pretreatment,
    compute_simplified_2008,
)
from aih_outcomes.endpoints.scores.findings import find_findings
from aih_outcomes.endpoints.scores.known import Known
from aih_outcomes.endpoints.scores.sources import SOURCES
from aih_outcomes.endpoints.scores.words import Words, say
from aih_outcomes.endpoints.timelines import Floats

SCORE_COLUMNS = ("patient_id", "score", "version", "value", "category", "items_missing", "status", "because")
MELD_NA_FROM = np.datetime64("2016-01-11")  # [m]
MELD_3_FROM = np.datetime64("2023-07-13")  # and PELD Cr (clinic, rule 22)
MELD_FROM_AGE = 12
SIX_MONTHS = 182  # days of treatment before APRI, FIB-4 and stiffness tell of fibrosis (clinic, rule 22)
CIRCULAR = "counts the response: never to select patients for an analysis of response"


def derive_scores(response: Response, *, day: int = 0, growth_failure: pd.Series | None = None) -> pd.DataFrame:
    """Return every score of every patient with a time zero, on a day.

    MELD has the version in use on that date and is given from 12 years, PELD below; APRI, FIB-4 and stiffness not
    before 6 months of treatment; FIB-4, ALBI and Child-Pugh in adults; ESPGHAN under 18 (clinic, rule 22). Diagnostic
    scores are those at time zero whatever ``day``; the one after treatment adds the response by ``day``.

    Parameters
    ----------
    day : days since time zero, 0 or later
    growth_failure : height or weight more than 2 SD below the mean on that day, by ``patient_id``; PELD needs it

    Returns
    -------
    frame ``patient_id, score, version, value, category, items_missing, status, because``. There is a value exactly
    where the status is *evaluable*; a diagnostic total counts missing items as 0 and is given where none of them could
    change the category
    """
    known = Known(response.timelines.cohort, response, day)
    answers = [*_prognostic(known, growth_failure), *_diagnostic(known)]
    n = known.timelines.n
    refused = np.concatenate([given.refused for given in answers])
    category = np.concatenate([given.category for given in answers])
    category[category == ""] = None
    columns = (
        np.tile(response.patients.to_numpy(object), len(answers)),
        np.repeat(np.array([given.score for given in answers], dtype=object), n),
        np.concatenate([given.version for given in answers]),
        np.concatenate([given.value for given in answers]),
        category,
        np.concatenate([given.items_missing for given in answers]),
        np.where(refused == "", EVALUABLE, NOT_EVALUABLE),
        np.where(refused == "", np.repeat(np.array([given.note for given in answers], dtype=object), n), refused),
    )
    return pd.DataFrame(dict(zip(SCORE_COLUMNS, columns, strict=True)))


def _prognostic(known: Known, growth_failure: pd.Series | None) -> list[Answer]:
    measured = measure(known, growth_failure)
    gone = {"after transplant or death": known.failed}
    aged = gone | {"missing: age": np.isnan(known.age)}
    adults = aged | {"adults only": ~known.has_reached(ADULT)}
    treated = {"not before 6 months of treatment": ~(known.treated_days >= SIX_MONTHS)}
    apri = measured.answer(
        "apri", (AST_XULN, "platelets"),
        lambda m: prognostic.compute_apri_2003(ast_xuln=m[AST_XULN], platelets=m["platelets"]),
    )  # fmt: skip
    fib4 = measured.answer("fib4", ("age", "ast", "alt", "platelets"), lambda m: prognostic.compute_fib4_2006(**m))
    albi = measured.answer("albi", ("bilirubin", "albumin"), lambda m: prognostic.compute_albi_2015(**m))
    child_pugh = measured.answer(
        "child_pugh", ("bilirubin", "albumin", "inr", "ascites", "encephalopathy"),
        lambda m: prognostic.compute_child_pugh_1973(**m),
    )  # fmt: skip
    return [
        _meld(measured).refuse(aged | {"PELD below 12 years": ~known.has_reached(MELD_FROM_AGE)}),
        _peld(measured).refuse(
            aged | {"MELD from 12 years on": known.has_reached(MELD_FROM_AGE)}
            | {"PELD Cr, in use from 13 July 2023: its coefficients are not checked": known.date >= MELD_3_FROM}
        ),
        apri.refuse(gone | treated),
        fib4.refuse(adults | treated),
        replace(albi, category=prognostic.grade_albi_2015(albi.value)).refuse(adults),
        replace(child_pugh, category=prognostic.classify_child_pugh_1973(child_pugh.value)).refuse(adults),
        _stiffness(known).refuse(gone | treated),
    ]  # fmt: skip


def _meld(measured: Measured) -> Answer:
    """Return MELD in the version that was in use on each patient's date."""
    dialysis, adult = measured.known.dialysis, measured.known.has_reached(ADULT)
    classic = ("bilirubin", "inr", "creatinine")

    def meld_3_0(m: dict[str, Floats]) -> Floats:
        rest = {name: values for name, values in m.items() if name != "sex"}
        return prognostic.compute_meld_3_0(female=m["sex"], adult=adult, dialysis=dialysis, **rest)

    first = measured.answer("meld", classic, lambda m: prognostic.compute_meld_2002(dialysis=dialysis, **m))
    second = measured.answer(
        "meld_na", (*classic, "sodium"), lambda m: prognostic.compute_meld_na_2016(dialysis=dialysis, **m)
    )
    third = measured.answer("meld_3_0", (*classic, "sodium", "albumin", "sex"), meld_3_0)
    in_use = [measured.known.date >= MELD_3_FROM, measured.known.date >= MELD_NA_FROM]
    return replace(
        first,
        version=np.select(in_use, [third.version, second.version], first.version),
        value=np.select(in_use, [third.value, second.value], first.value),
        items_missing=np.select(in_use, [third.items_missing, second.items_missing], first.items_missing),
        refused=np.select(in_use, [third.refused, second.refused], first.refused),
    )


def _peld(measured: Measured) -> Answer:
    """Return the PELD of 2002; that of 2023 has no checked coefficients, so that it never has a value."""
    under_one = ~measured.known.has_reached(1)
    given = measured.answer(
        "peld", ("bilirubin", "inr", "albumin", GROWTH_FAILURE),
        lambda m: prognostic.compute_peld_2002(
            bilirubin=m["bilirubin"], inr=m["inr"], albumin=m["albumin"],
            under_one=under_one, growth_failure=m[GROWTH_FAILURE],
        ),
    )  # fmt: skip
    later = measured.known.date >= MELD_3_FROM
    return replace(given, version=np.where(later, SOURCES["peld_creatinine"].version, given.version))


def _stiffness(known: Known) -> Answer:
    missing = say({"liver stiffness": np.isnan(known.stiffness)}, known.timelines.n)
    refused = np.where(missing == "", "", "missing: " + missing)
    return answer("stiffness", known.stiffness, missing=missing, refused=refused)


def _diagnostic(known: Known) -> list[Answer]:
    start = Known(known.cohort, known.response, 0)
    found, n = find_findings(start), known.timelines.n
    young = {"missing: age": np.isnan(start.age), "under 18 years only": start.has_reached(ADULT)}
    untreated = {"response is not known before treatment": np.full(n, known.day <= 0)}
    circular = _category("iaihg_posttreatment", compute_iaihg_1999_posttreatment(found, _response_by(known)))
    return [
        _category("iaihg_pretreatment", compute_iaihg_1999_pretreatment(found)),
        replace(circular.refuse(untreated), note=CIRCULAR),
        _category("simplified", compute_simplified_2008(found)),
        _category("espghan_aih", compute_espghan_2018_aih(found)).refuse(young),
        _category("espghan_asc", compute_espghan_2018_asc(found)).refuse(young),
    ]


def _category(source: str, score: Score) -> Answer:
    """Return a diagnostic score, without a value where a missing item could change the category."""
    category, possible = score.category, score.possible
    undecided = category == ""
    return answer(
        source,
        np.where(undecided, np.nan, score.total),
        missing=score.items_missing,
        refused=np.where(undecided, _between(possible.low, possible.high), ""),
        category=category,
    )


def _between(low: Floats, high: Floats) -> Words:
    """Say which totals are possible: one text per pair of totals, of which there are few."""
    pairs, pair = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    texts = [f"the total lies between {least:.0f} and {most:.0f}" for least, most in pairs]
    return np.array(texts, dtype=object)[pair.reshape(-1)]


def _response_by(known: Known) -> Floats:
    """Return the response by the day: 0 none, 1 complete, 2 complete with relapse, NaN not evaluable [P].

    Complete is response by the criteria in use, relapse one that the clinicians recorded after time zero; the score's
    own definitions of 1999 are older than both.
    """
    relapsed = np.zeros(known.timelines.n, dtype=bool)
    patient, day, _ = known.events("relapse_diagnosed")
    relapsed[patient[(day > 0) & (day <= known.day)]] = True
    met = known.response.find_by(known.day).met
    return np.select([relapsed, met == IS_MET, met == IS_NOT_MET], [2.0, 1.0, 0.0], np.nan)
