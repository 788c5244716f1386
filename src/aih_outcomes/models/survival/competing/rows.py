"""The rows of an outcome, read for a model of one cause against those that compete with it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.competing.fine_gray_result import Variance
from aih_outcomes.models.survival.competing.observation import Convention, Index, Spells
from aih_outcomes.models.survival.cox.result import Missing
from aih_outcomes.models.survival.designs.design import TIME_VARYING
from aih_outcomes.models.terms.design import Design, build_design, restrict_design
from aih_outcomes.outcomes import CENSORED, TimeToEvent, Vector


def name_cause(outcome: TimeToEvent, cause: str | None) -> tuple[str, list[str]]:
    """Return the cause's name and the levels of the event that are it.

    Raises
    ------
    OutcomeError : no such event, or several and none is said to compete
    """
    known = [str(level) for level in outcome.frame["event"].cat.categories if level != CENSORED]
    if cause is not None:
        if cause not in known:
            raise OutcomeError(
                f"{cause!r} is no event of {outcome.label!r}", f"Its events are {', '.join(known) or 'none'}",
                "Name one of them, or leave cause out",
            )  # fmt: skip
        return cause, [cause]
    own = [level for level in known if level not in outcome.competing]
    if len(own) > 1 and not outcome.competing:
        raise OutcomeError(
            f"{outcome.label!r} has {len(own)} events ({', '.join(own)}), and none is said to compete",
            "A Fine-Gray model follows one cause, against those that make it impossible",
            "Name it with cause=..., or declare the others with from_frame(..., competing=[...])",
        )
    return own[0] if len(own) == 1 else name_of_event(outcome), own


def name_of_event(outcome: TimeToEvent) -> str:
    """Return the outcome's name, or one that no competing event has."""
    return outcome.label if outcome.label not in (CENSORED, *outcome.competing) else f"{outcome.label} (the event)"


def rows_used(
    outcome: TimeToEvent, frame: pd.DataFrame, variables: list[str], strata: str | None, missing: Missing
) -> tuple[pd.DataFrame, Design, int]:
    """Return the rows with a weight and every value, their terms, and how many rows lack a value.

    Raises
    ------
    OutcomeError : a row lacks a value, and that is not to be passed over
    """
    weight, design = outcome.weight, build_design(frame, variables)
    complete = np.isfinite(design.X.T).all(axis=0)
    if strata is not None:
        complete &= frame[strata].notna().to_numpy(bool)
    n_missing = int(np.sum(~complete & (weight > 0)))
    if n_missing and missing == "raise":
        raise OutcomeError(
            f"{n_missing} of {len(frame)} rows of {outcome.label!r} lack a covariate of the model",
            "A missing value is never a normal one",
            "Pass missing='exclude' to leave these rows out, counted; or impute them; or drop the covariate",
        )
    rows, used = frame.copy(deep=False), complete & (weight > 0)
    rows["weight"] = weight
    if used.all():
        return rows, design, n_missing
    rows = rows[used].reset_index(drop=True)
    return rows, restrict_design(design, rows), n_missing


def number_patients(frame: pd.DataFrame) -> Index:
    """(n_rows,) whose row it is, numbered from 0; who all enter together have one row each."""
    if not len(frame) or np.ptp(frame["entry"].to_numpy(float)) == 0:
        return np.arange(len(frame), dtype=np.int64)
    return np.asarray(pd.factorize(frame["patient_id"])[0], np.int64)


def only_cause(frame: pd.DataFrame, levels: list[str]) -> pd.DataFrame:
    """Return the rows with every event that is not of the cause censored."""
    rows, events = frame.copy(deep=False), frame["event"].cat
    codes, names = events.codes.to_numpy(), np.asarray(events.categories, str)
    kept = np.isin(names, levels)[codes] if len(codes) else np.empty(0, bool)
    none = np.int8(np.flatnonzero(names == CENSORED)[0])
    rows["event"] = pd.Categorical.from_codes(np.where(kept, codes, none), dtype=frame["event"].dtype)  # type: ignore[arg-type]  # an array of codes
    return rows


def read_spells(frame: pd.DataFrame, levels: list[str], patient: Index) -> Spells:
    """Return the rows as arrays.

    Parameters
    ----------
    frame : (n_rows, …)
    levels : the events that are the cause
    patient : (n_rows,) numbered from 0

    Raises
    ------
    OutcomeError : a patient has a gap, or a row after an event
    """
    entry, exit = frame["entry"].to_numpy(float), frame["exit"].to_numpy(float)
    event = frame["event"].isin(levels).to_numpy(bool)
    free = (frame["event"] == CENSORED).to_numpy(bool)
    if len(patient) == patient.max(initial=-1) + 1:  # one row each
        once = np.ones(len(frame), bool)
        return Spells(entry, exit, event, ~free & ~event, free, once)
    order = np.lexsort((exit, patient))
    goes_on = patient[order][1:] == patient[order][:-1]
    broken = goes_on & ((entry[order][1:] != exit[order][:-1]) | ~free[order][:-1])
    if broken.any():
        raise OutcomeError(
            f"{int(broken.sum())} of {len(frame)} rows follow a gap or an event of the same patient",
            "A Fine-Gray model follows each patient once, without a gap, to the first event",
            "End follow-up at the gap or at the first event; recurrent events have estimates of their own",
        )
    begins, ends = np.ones(len(frame), bool), np.ones(len(frame), bool)
    begins[order[1:]], ends[order[:-1]] = ~goes_on, ~goes_on
    return Spells(entry, exit, event, ~free & ~event, free & ends, begins)


def refuse_changing(outcome: TimeToEvent) -> None:
    """Refuse groups that change: who had the competing event stays at risk, with a status that nobody can know.

    Raises
    ------
    OutcomeError
    """
    if outcome.design.startswith(TIME_VARYING):
        raise OutcomeError(
            f"Groups of {outcome.label!r} change with time",
            "A subdistribution keeps patients at risk after a competing event, when their later status is unknown",
            "Follow cause-specific hazards with fit_cause_specific(...); or fix groups with landmark(...)",
        )


def refuse_uncovered(
    outcome: TimeToEvent, spells: Spells, weight: Vector, convention: Convention, variance: Variance
) -> None:
    """Refuse late entry and weights where the convention or the variance does not cover them.

    Raises
    ------
    OutcomeError
    """
    late = spells.enter_late and "late entry"
    weighted = bool(np.any(weight != 1)) and "weights"
    found = " and ".join(word for word in (late, weighted) if word)
    if found and convention == "crr":
        raise OutcomeError(
            f"{outcome.label!r} has {found}", "cmprsk's crr, and its variance, cover neither late entry nor weights",
            "Pass convention='finegray'",
        )  # fmt: skip
    if convention == "finegray" and variance == "full":
        raise OutcomeError(
            "variance='full' is asked for with convention='finegray'",
            "The term for the estimated censoring weights is derived for crr's weights",
            "Pass variance='robust', or convention='crr'",
        )
    if weighted and variance == "model" and np.any(weight != np.round(weight)):
        raise OutcomeError(
            f"{int(np.sum(weight != np.round(weight)))} of {len(weight)} weights are not whole numbers",
            "Weights that are no case counts need a robust variance", "Pass variance='robust'",
        )  # fmt: skip
