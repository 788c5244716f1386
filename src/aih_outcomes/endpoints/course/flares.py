"""Flares: response lost again and again, each only after it was regained (statistics 14)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.course.in_response import find_in_response
from aih_outcomes.endpoints.course.withdrawal import find_sampled_off, known_off
from aih_outcomes.endpoints.course.worsened import Worsened, find_worsened
from aih_outcomes.endpoints.course.worsening import find_risk_time, without_rule
from aih_outcomes.endpoints.events.endpoint import DEATH, TRANSPLANT, count_exclusions
from aih_outcomes.endpoints.events.first_events import Placed, first_seen
from aih_outcomes.endpoints.response.evaluation import OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Worsening
from aih_outcomes.endpoints.spells import Spells
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags, Floats, Timelines, on_line
from aih_outcomes.outcomes import CENSORED, HALF_DAY, RecurrentEvents

ONE_FLARE_DAYS = 28  # [P] flares less than so many days apart are one (statistics 14)
DAYS_PER_10_YEARS = 3652.5


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Every loss of response, by patient and day, and the time in response before it.

    Attributes
    ----------
    patient, day, known : whose, the sample that shows it, and when it was known to
    in_response : from the day after response was known to the loss, or to the last day seen without one; the first
        entries belong to the losses, in their order
    """

    patient: Days
    day: Days
    known: Days
    in_response: Spells


@dataclass(frozen=True, slots=True, eq=False)
class Flares:
    """Flares while in response, and the time at risk of one; days since time zero.

    Attributes
    ----------
    label : words for axes and tables
    timelines : whose, and on which clock
    events : ``patient_id, day, known_at, number, on_treatment``, one row per flare; ``number`` counts a patient's
    at_risk : ``patient_id, entry, exit``, spells ``(entry, exit]`` that end with a flare, an evaluation that is not
        met, the first day without treatment, or the last day seen without a flare
    looked_until : (n,) last day on which a flare would have been seen: the last evaluable evaluation, the last sample
        that showed activity or none; NaN where there was never any
    """

    label: str
    timelines: Timelines
    events: pd.DataFrame
    at_risk: pd.DataFrame
    looked_until: Floats

    def rate(self) -> float:
        """Return flares per 10 patient-years at risk; NaN where nobody was."""
        days = float((self.at_risk["exit"] - self.at_risk["entry"]).sum())
        return len(self.events) / days * DAYS_PER_10_YEARS if days else float("nan")

    def to_counting_process(self) -> pd.DataFrame:
        """Return ``patient_id, entry, exit, event, number``: one row per spell at risk, for Andersen-Gill.

        ``event`` is 1 where the spell ends with a flare, and ``number`` says which flare of the patient it waits for.
        """
        ends = pd.MultiIndex.from_frame(self.at_risk[["patient_id", "exit"]])
        flared = ends.isin(pd.MultiIndex.from_frame(self.events[["patient_id", "day"]])).astype(np.int64)
        before = pd.Series(flared).groupby(self.at_risk["patient_id"].to_numpy()).cumsum().to_numpy(np.int64) - flared
        return self.at_risk.assign(event=flared, number=before + 1)

    def to_recurrent_events(self) -> RecurrentEvents:
        """Return flares as recurrent events, with death and transplant terminal (statistics 14).

        Observed is from time zero, or the day first seen if that is later, to the last day known alive. *At risk* are
        the spells in response on treatment; *watched* is the time to the last look, so that silence after it, when only
        life and death are known, is not read as time without flares (statistics 12). Flares before a patient was first
        seen are not counted. What ends a patient's story on the day of a flare, or of entry, comes half a day after it.

        Returns
        -------
        outcome : ``exclusions`` counts by reason who could not enter
        """
        placed = Placed(self.timelines)
        entry, end, because = _follow(placed)
        dead = ~np.isnan(self.timelines.failed_day)
        reasons = {
            "No follow-up recorded": np.isnan(end),
            f"Transplanted before the {IN_WORDS[self.timelines.time_zero]}": self.timelines.transplant_day < 0,
            "Event or last contact before being first seen": end < entry,
        }
        reason = np.select(list(reasons.values()), list(reasons), "")
        left_out = {f"No {IN_WORDS[self.timelines.time_zero]} recorded": placed.without_zero((TRANSPLANT, DEATH))}
        left_out |= {name: dead[reason == name] for name in reasons}
        frame = _observe(self, entry, end, because)
        kept = (reason == "")[frame.pop("patient").to_numpy(np.int64)]
        levels = [CENSORED, self.label, TRANSPLANT.because, DEATH.because]
        frame["event"] = pd.Categorical(frame["event"], categories=levels)
        frame = frame[kept].reset_index(drop=True)
        n_half_day = int(((frame["exit"] - frame["entry"]) == HALF_DAY).sum())
        return RecurrentEvents(
            frame, self.label, (TRANSPLANT.because, DEATH.because), IN_WORDS[self.timelines.time_zero],
            exclusions=count_exclusions(left_out), n_half_day=n_half_day,
        )  # fmt: skip


def find_losses(response: Response, worsened: Worsened) -> Losses:
    """Find every loss of response: in response until a sample shows activity, then not until response is known again.

    Losses less than 28 days apart are one: the later ones, and the time before them, are left out.
    """
    regained, first = response.counts, response.first_met()[1]
    patient, day = response.judged.patient[regained], response.judged.confirmed_at[regained]
    known_first = day >= first[patient]
    patient, day = patient[known_first], day[known_first].astype(np.int64)
    who = np.concatenate([worsened.patient, patient])
    when = np.concatenate([worsened.day, day])
    known = np.concatenate([worsened.known, day])
    lost = np.arange(len(who)) < len(worsened.patient)
    order = np.lexsort((known, ~lost, on_line(who, when)))  # what changes on one day: lost first, then regained
    who, when, known, lost = who[order], when[order], known[order], lost[order]
    new_patient = np.append(True, who[1:] != who[:-1])[: len(who)]
    turns = new_patient | np.append(True, lost[1:] != lost[:-1])[: len(who)]
    turns &= ~(lost & new_patient)  # active before any response: nothing to lose
    who, when, known, lost = who[turns], when[turns], known[turns], lost[turns]
    return _pair(who, when, known, lost, worsened)


def _pair(who: Days, when: Days, known: Days, lost: Flags, worsened: Worsened) -> Losses:
    """Pair each response with the loss that follows it, or with the last day seen without one."""
    begins = np.flatnonzero(~lost)
    ends = begins + 1
    ended = ends < len(who)
    ended[ended] = who[ends[ended]] == who[begins[ended]]
    loss = ends[ended]
    apart = np.full(len(loss), ONE_FLARE_DAYS)
    apart[1:] = np.where(who[loss][1:] == who[loss][:-1], np.diff(when[loss]), ONE_FLARE_DAYS)
    new = apart >= ONE_FLARE_DAYS
    loss, start = loss[new], when[begins[ended][new]]
    still = begins[~ended]
    clean = on_line(worsened.clean_patient, worsened.clean_day)
    at = np.searchsorted(clean, on_line(who[still], np.full(len(still), NEVER)), side="right") - 1
    seen = at >= 0
    seen[seen] = clean[at[seen]] > on_line(who[still], when[still])[seen]
    still, last = still[seen], worsened.clean_day[at[seen]]
    spells = Spells(
        np.concatenate([who[loss], who[still]]), np.concatenate([start, when[still]]) + 1,
        np.concatenate([when[loss], last]),
    )  # fmt: skip
    return Losses(who[loss], when[loss], known[loss], spells)


def derive_flares(response: Response, *, rule: Worsening | None = None) -> Flares:
    """Find every flare, and the time at risk: only while in response, and on treatment if the rule says so.

    At risk from the day response was known to the first evaluation that does not meet the criteria, and again from the
    day response was known to be regained: a rise later than that evaluation is no flare, one on its very day is. The
    time between the last day seen without a flare and the end of follow-up, transplant or death is not counted
    (statistics 12, 14). A pause of treatment that was no withdrawal is time on it.

    Parameters
    ----------
    rule : in place of the criteria's rule of flares

    Raises
    ------
    PlanError : the criteria have no rule of flares and none is given
    """
    rule = rule or response.definition.flare
    if rule is None:
        raise without_rule(response, "flares", "flare")
    losses = find_losses(response, find_worsened(response, rule))
    allowed = intersect(find_in_response(response), find_risk_time(response, rule.treatment))
    risk = intersect(losses.in_response, allowed)
    happened = allowed.covers(losses.patient, losses.day)
    patient, day, known = losses.patient[happened], losses.day[happened], losses.known[happened]
    if rule.treatment != "any":
        known = known_off(response, patient, day, known)
    ids = response.patients
    first = np.flatnonzero(np.append(True, patient[1:] != patient[:-1])[: len(patient)])
    number = np.arange(len(patient)) - np.repeat(first, np.diff(np.append(first, len(patient)))) + 1
    on_treatment = np.full(len(patient), rule.treatment == "on")
    if rule.treatment == "any":
        on_treatment = ~find_sampled_off(response).covers(patient, day)
    events = pd.DataFrame(
        {
            "patient_id": ids.take(patient),
            "day": day,
            "known_at": known,
            "number": number,
            "on_treatment": on_treatment,
        }
    )
    order = np.argsort(on_line(risk.patient, risk.start), kind="stable")
    at_risk = pd.DataFrame(
        {"patient_id": ids.take(risk.patient[order]), "entry": risk.start[order] - 1, "exit": risk.stop[order]}
    )
    return Flares(rule.term, response.timelines, events, at_risk, _last_look(response, find_worsened(response, rule)))


def _last_look(response: Response, worsened: Worsened) -> Floats:
    """Return the last day on which a flare would have been seen (n,); NaN where there was none."""
    judged = response.judged
    evaluable = judged.status != OPEN
    last = np.full(response.timelines.n, -np.inf)
    for patient, day in (
        (judged.patient[evaluable], judged.known[evaluable]),
        (worsened.patient, worsened.day),
        (worsened.clean_patient, worsened.clean_day),
    ):
        np.maximum.at(last, patient, day.astype(float))
    return np.where(np.isinf(last), np.nan, last)


def _follow(placed: Placed) -> tuple[Floats, Floats, NDArray[np.object_]]:
    """Return entry, end and what ended each patient's story (n,): transplant, death or nothing known."""
    timelines = placed.timelines
    graft, death = timelines.transplant_day, timelines.death_day
    transplanted = ~np.isnan(graft) & ~(death < graft)
    end = np.where(transplanted, graft, np.where(np.isnan(death), timelines.last_day, death))
    because = np.where(transplanted, TRANSPLANT.because, np.where(np.isnan(death), CENSORED, DEATH.because))
    return first_seen(placed), end, because.astype(object)


def _observe(flares: Flares, entry: Floats, end: Floats, because: NDArray[np.object_]) -> pd.DataFrame:
    """Cut each patient's observation where time at risk or watched begins or ends, and at each flare."""
    timelines, n = flares.timelines, len(entry)
    everyone = np.flatnonzero(end >= entry)
    risk, flared = timelines.positions(flares.at_risk["patient_id"]), timelines.positions(flares.events["patient_id"])
    day = flares.events["day"].to_numpy(float)
    seen = (day > entry[flared]) & (day <= end[flared])
    flared, day = flared[seen], day[seen]
    at_the_end = np.zeros(n, dtype=bool)
    at_the_end[flared[day == end[flared]]] = True
    late = (at_the_end & (because != CENSORED)) | (end == entry)
    end = end + HALF_DAY * late
    looked = np.clip(flares.looked_until, entry, end)
    looked = np.where(np.isnan(looked), entry, looked)
    starts, stops = (
        np.clip(flares.at_risk[name].to_numpy(float), entry[risk], end[risk]) for name in ("entry", "exit")
    )
    cuts = pd.DataFrame({
        "patient": np.concatenate([everyone, everyone, everyone, risk, risk, flared]),
        "day": np.concatenate([entry[everyone], end[everyone], looked[everyone], starts, stops, day]),
        "risk": np.repeat([0, 0, 0, 1, -1, 0], [len(everyone)] * 3 + [len(risk)] * 2 + [len(flared)]),
        "flare": np.repeat([0, 0, 0, 0, 0, 1], [len(everyone)] * 3 + [len(risk)] * 2 + [len(flared)]),
    })  # fmt: skip
    cuts = cuts[np.isin(cuts["patient"], everyone)].groupby(["patient", "day"], as_index=False).sum()
    patient, when = cuts["patient"].to_numpy(np.int64), cuts["day"].to_numpy(float)
    row = np.flatnonzero(patient[1:] == patient[:-1])  # a spell runs from a cut to the patient's next
    who, start, stop = patient[row], when[row], when[row + 1]
    event = np.where(cuts["flare"].to_numpy(np.int64)[row + 1] > 0, flares.label, CENSORED).astype(object)
    last = (stop == end[who]) & (because[who] != CENSORED)
    event[last] = because[who[last]]
    return pd.DataFrame({
        "patient_id": timelines.patients.take(who), "entry": start, "exit": stop, "event": event,
        "at_risk": np.cumsum(cuts["risk"].to_numpy(np.int64))[row] > 0, "watched": stop <= looked[who], "patient": who,
    })  # fmt: skip


def intersect(one: Spells, other: Spells) -> Spells:
    """Return the days that lie in a spell of both; ``other`` is in order."""
    low = np.searchsorted(on_line(other.patient, other.stop), on_line(one.patient, one.start))
    high = np.searchsorted(on_line(other.patient, other.start), on_line(one.patient, one.stop), side="right")
    count = np.maximum(high - low, 0)
    of_one = np.repeat(np.arange(len(count)), count)
    of_other = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    start = np.maximum(one.start[of_one], other.start[of_other])
    return Spells(one.patient[of_one], start, np.minimum(one.stop[of_one], other.stop[of_other]))
