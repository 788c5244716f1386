"""Groups that change with time: response as known day by day, and treatment beside it (statistics, rule 4)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.course.turns import find_turns
from aih_outcomes.endpoints.groups.groups import EMPIRICAL, INSUFFICIENT, RESPONDER, SECOND_LINE_RESPONDER, TARGETED
from aih_outcomes.endpoints.response.evaluation import IS_NOT_MET
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import SPAN, Days, on_line
from aih_outcomes.endpoints.treatment.starts import find_starts
from aih_outcomes.errors import refuse_unknown
from aih_outcomes.outcomes import Groups

SECOND_LINE = "Second line, not in response"
LOST = "Response lost"
Kind = Literal["ever", "current"]
_UNDETERMINED, _INSUFFICIENT, _RESPONDER, _LOST = range(4)
_OF_RESPONSE = np.array(["", INSUFFICIENT, RESPONDER, LOST], dtype=object)


def response_over_time(response: Response, *, kind: Kind) -> Groups:
    """Return responder, insufficient response and, if asked, response lost, each from the day it was known.

    Who has no label yet is undetermined, never a non-responder. Insufficient response begins on the last day of
    ``windows.by``, and a late responder leaves it.

    Parameters
    ----------
    kind : ``ever``: once a responder, always one; ``current``: a responder until response is lost, and when it is
        regained
    """
    patient, day, status = _response_axis(response, kind)
    levels = (INSUFFICIENT, RESPONDER) if kind == "ever" else (INSUFFICIENT, RESPONDER, LOST)
    frame = _frame(response, patient, day, _OF_RESPONSE[status])
    name = f"response to first-line treatment ({response.definition.title}), {kind}, over time"
    zero, analytes = IN_WORDS[response.time_zero], response.definition.analytes
    return Groups(frame, name, levels, zero, analytes, irreversible=kind == "ever")


def derive_groups_over_time(response: Response, *, kind: Kind) -> Groups:
    """Return the groups of both axes, response and treatment, each from the day it was known.

    In the order of ``derive_groups``: targeted (gene-matched; absorbing) · empirical advanced therapy, left for
    targeted only · responder · responder on second line · second line, not in response · response lost · insufficient
    response. Who has none of these yet is undetermined.

    Parameters
    ----------
    kind : whether a response that is lost again still counts (``ever``) or not (``current``)
    """
    starts = find_starts(response.timelines)
    treatments = (starts.second_line, starts.empirical_advanced, starts.gene_matched)
    patient, day, status = _response_axis(response, kind)
    begun = [np.flatnonzero(~np.isnan(start)) for start in treatments]
    asked = np.concatenate([on_line(patient, day), *(
        on_line(who, np.maximum(start[who], 0).astype(np.int64)) for who, start in zip(begun, treatments, strict=True)
    )])  # fmt: skip
    asked = np.unique(asked)
    who, when = asked // SPAN, asked % SPAN - SPAN // 2
    at = np.searchsorted(on_line(patient, day), asked, side="right") - 1
    now = np.full(len(asked), _UNDETERMINED)
    own = at >= 0
    own[own] = patient[at[own]] == who[own]
    now[own] = status[at[own]]
    second, empirical, targeted = (start[who] <= when for start in treatments)
    responder = now == _RESPONDER
    label = np.select(
        [targeted, empirical, responder & second, responder, second],
        [TARGETED, EMPIRICAL, SECOND_LINE_RESPONDER, RESPONDER, SECOND_LINE],
        _OF_RESPONSE[now],
    ).astype(object)
    levels = (INSUFFICIENT, RESPONDER, *((LOST,) if kind == "current" else ()), SECOND_LINE, SECOND_LINE_RESPONDER,
              EMPIRICAL, TARGETED)  # fmt: skip
    name = f"response ({response.definition.title}), {kind}, and treatment, over time"
    frame = _frame(response, who, when, label)
    return Groups(frame, name, levels, IN_WORDS[response.time_zero], response.definition.analytes)


def _response_axis(response: Response, kind: Kind) -> tuple[Days, Days, NDArray[np.int64]]:
    """Return patient, day known and status of every change of response, by patient and day."""
    refuse_unknown(kind, get_args(Kind), "a kind of response over time")
    turns, last = find_turns(response), response.definition.windows.by[1]
    kept = np.ones(len(turns.patient), dtype=bool)
    if kind == "ever":
        kept[1:] = turns.patient[1:] != turns.patient[:-1]
    insufficient = np.flatnonzero(response.find_by(last).met == IS_NOT_MET)
    patient = np.concatenate([insufficient, turns.patient[kept]])
    day = np.concatenate([np.full(len(insufficient), last), turns.day[kept]])
    gained = np.where(turns.gained[kept], _RESPONDER, _LOST)
    status = np.concatenate([np.full(len(insufficient), _INSUFFICIENT), gained])
    order = np.argsort(on_line(patient, day), kind="stable")
    return patient[order], day[order], status[order]


def _frame(response: Response, patient: Days, day: Days, label: NDArray[np.object_]) -> pd.DataFrame:
    """Return the rows at which a patient's label changes; before the first label a patient has none."""
    changes = label != ""
    changes[1:] &= (patient[1:] != patient[:-1]) | (label[1:] != label[:-1])
    when = day[changes].astype(float)
    ids = response.patients.take(patient[changes])
    return pd.DataFrame({"patient_id": ids, "label": label[changes], "onset": when, "known_at": when})
