"""Every endpoint of every patient, one row each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.course.difficult import CATEGORIES, derive_difficult
from aih_outcomes.endpoints.course.failure import derive_treatment_failure
from aih_outcomes.endpoints.course.flares import derive_flares
from aih_outcomes.endpoints.course.range import derive_time_in_range
from aih_outcomes.endpoints.course.steroid_free import derive_low_dose_response, derive_steroid_free_response
from aih_outcomes.endpoints.course.withdrawal import derive_sustained_treatment_free_response, derive_withdrawal
from aih_outcomes.endpoints.course.worsening import derive_loss, derive_relapse_after_withdrawal
from aih_outcomes.endpoints.definition import read_definition
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.events.adverse_events import count_adverse_events
from aih_outcomes.endpoints.events.endpoint import ENDPOINTS, find_ends
from aih_outcomes.endpoints.events.liver_events import derive_asc_conversion, derive_cirrhosis, derive_varices
from aih_outcomes.endpoints.events.portal_hypertension import derive_portal_hypertension
from aih_outcomes.endpoints.groups.groups import label_groups
from aih_outcomes.endpoints.patients.growth import find_growth_change
from aih_outcomes.endpoints.response.evaluation import WORDS
from aih_outcomes.endpoints.response.fall_categories import derive_fall_categories
from aih_outcomes.endpoints.response.remission import derive_histological_remission
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.response.states import YEAR, YEAR_WINDOW
from aih_outcomes.endpoints.treatment.burden import find_steroid_burden
from aih_outcomes.endpoints.treatment.lines import derive_second_line
from aih_outcomes.endpoints.treatment.starts import find_starts

Columns = dict[str, NDArray[Any]]

RAPID = "rapid-response-8w"
_SHORT = {
    "liver-event-unexplained-deaths-counted": "liver_event_2", "hepatocellular-carcinoma": "hcc",
    "native-liver-survival": "native_liver", "complicated-liver-disease": "complicated", "second-line": "line_two",
}  # fmt: skip
KEYS = {name: _SHORT.get(name, name.replace("-", "_")) for name in ENDPOINTS}  # endpoint → stem of its columns


def derive_endpoints(response: Response) -> pd.DataFrame:
    """Return one row per patient with a time zero and every endpoint; days are counted since time zero.

    A status is *met*, *not met* or *not evaluable*. An endpoint that is found when someone looks has its status, the
    day it was found (``_day``) and the last day without it (``_without``). One of exact dates has the day at which
    it ends (``_day``) and how (``_event``: the event, a competing one, censored, or nothing where a patient could not
    enter). An endpoint for which the criteria have no rule has no column.

    Returns
    -------
    frame ``patient_id`` and the columns that ``derive_analysis_set`` explains
    """
    columns: Columns = {}
    columns |= _first_year(response)
    for name, found in _detections(response).items():
        columns |= {
            name: WORDS[found.status()], f"{name}_day": found.onset, f"{name}_without": found.last_without
        }  # fmt: skip
    columns |= _after_response(response) | _treatment(response) | _exact(response) | _harm(response)
    return pd.DataFrame({"patient_id": response.patients, **columns})


def _first_year(response: Response) -> Columns:
    """Response by and at 6 and 12 months, with and without IgG, and the fall at 4 and 8 weeks."""
    windows, lenient = response.definition.windows, response.transaminases_only()
    onset, known_at = response.first_met()
    columns: Columns = {"response_day": onset, "response_known_day": known_at}
    for judged, name in ((response, "response"), (lenient, "transaminases")):
        columns |= {
            f"{name}_by_6m": WORDS[judged.find_by(windows.by[1]).met],
            f"{name}_at_6m": WORDS[judged.find_at(windows.at).met],
            f"{name}_by_12m": WORDS[judged.find_by(YEAR).met],
            f"{name}_at_12m": WORDS[judged.find_at(YEAR_WINDOW).met],
        }
    columns["response_at_6m_tolerant"] = WORDS[response.find_at(windows.at_tolerant).met]
    if response.definition.non_response is not None:
        columns["non_response_4w"] = WORDS[response.find_non_response().status]
        columns["fall_4w"] = derive_fall_categories(response)["category"].to_numpy(object)
    rapid = response.judged_by(read_definition(RAPID))
    columns["rapid_response_8w"] = WORDS[rapid.find_by(rapid.definition.windows.by[1]).met]
    return columns


def _detections(response: Response) -> dict[str, Detection]:
    """Everything that is found when someone looks."""
    timelines, definition = response.timelines, response.definition
    found = {
        "steroid_free": derive_steroid_free_response(response),
        "low_dose": derive_low_dose_response(response),
        "withdrawal": derive_withdrawal(response),
        "sustained_off_treatment": derive_sustained_treatment_free_response(response),
        "second_line": derive_second_line(timelines),
        "histological_remission": derive_histological_remission(timelines),
        "cirrhosis": derive_cirrhosis(timelines),
        "varices": derive_varices(timelines),
        "portal_hypertension": derive_portal_hypertension(timelines),
        "asc_conversion": derive_asc_conversion(timelines),
    }
    if definition.loss is not None:
        found |= {"loss": derive_loss(response), "loss_off_treatment": derive_relapse_after_withdrawal(response)}
    if definition.failure is not None:
        found["treatment_failure"] = derive_treatment_failure(response)
    return found


def _after_response(response: Response) -> Columns:
    """Flares and the time at risk of one, the further categories, and the time in range."""
    n = response.timelines.n
    columns: Columns = {}
    if response.definition.flare is not None:
        flares = derive_flares(response)
        flared = response.patients.get_indexer(pd.Index(flares.events["patient_id"]))
        spell = response.patients.get_indexer(pd.Index(flares.at_risk["patient_id"]))
        days = (flares.at_risk["exit"] - flares.at_risk["entry"]).to_numpy(float)
        n_flares, at_risk = np.bincount(flared, minlength=n), np.bincount(spell, days, minlength=n)
        columns |= {"n_flares": np.where(at_risk > 0, n_flares, np.nan), "days_at_risk_of_flare": at_risk}
    difficult = derive_difficult(response)["status"].to_numpy(object).reshape(len(CATEGORIES), n)
    columns |= dict(zip(CATEGORIES, difficult, strict=True))
    columns["alt_in_range_12m"] = derive_time_in_range(response)["share"].to_numpy(float)
    return columns


def _treatment(response: Response) -> Columns:
    """When each kind of treatment began, how much steroid was given, and the group at six months.

    Who was transplanted or died by that day belongs to no group (statistics, rule 5).
    """
    day = response.definition.windows.by[1]
    group = label_groups(response, day=day)
    group[response.timelines.failed_day <= day] = None
    starts = find_starts(response.timelines)
    burden = find_steroid_burden(response.timelines, (182, YEAR))
    half, whole = burden.until_day == 182, burden.until_day == YEAR
    return {
        "empirical_advanced_day": starts.empirical_advanced,
        "gene_matched_day": starts.gene_matched,
        "steroid_mg_per_kg_6m": burden.mg_per_kg[half],
        "steroid_mg_per_kg_12m": burden.mg_per_kg[whole],
        "days_above_low_dose_12m": burden.days_above_low_dose[whole],
        "group_6m": group,
    }


def _exact(response: Response) -> Columns:
    """Day and kind of event of each endpoint with exact dates."""
    columns: Columns = {}
    for name, endpoint in ENDPOINTS.items():
        ends = find_ends(response.timelines, endpoint)
        entered = ends.reason == ""
        columns[f"{KEYS[name]}_day"] = np.where(entered, ends.exit, np.nan)
        columns[f"{KEYS[name]}_event"] = np.where(entered, endpoint.words()[ends.which], None)  # type: ignore[call-overload]  # objects
    return columns


def _harm(response: Response) -> Columns:
    """Adverse events, and how the height and weight z-scores moved in the first year."""
    timelines = response.timelines
    events, serious, days = count_adverse_events(timelines)
    change = find_growth_change(timelines, visit=YEAR)
    moved: Columns = {f"{name}_z_change_12m": change[name] for name in ("height", "weight")}
    counted = {"n_adverse_events": events, "n_serious_events": serious}
    seen = {name: np.where(days > 0, number, np.nan) for name, number in counted.items()}  # 0 is said of who was seen
    return seen | {"days_at_risk_of_event": days} | moved
