"""``reveal_truth``: what is true of each child of a simulated cohort, beside which its records can be held.

All days are whole and count from the first induction dose, as the endpoints' clock does. A day is NaN where it does
not come: by ``LAST_DAY``, or not before the native liver is lost. Noise-free means the latent course, without
laboratory noise, missed visits or missing results, looked at on every day.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.simulate.children import GENES
from aih_outcomes.simulate.copies import Copy, latent_cbr, latent_fall, narrow_copy
from aih_outcomes.simulate.course import NEVER, Option, Step
from aih_outcomes.simulate.doses import MATCHED_DRUGS, draw_steroid
from aih_outcomes.simulate.lines import CONVENTIONAL, tabulate_lines
from aih_outcomes.simulate.notes import HORIZON, Notes, check_size, draw_notes
from aih_outcomes.simulate.parameters import (
    DEFAULT,
    Hazard,
    Mechanism,
    Parameters,
    ResponseEffect,
    Severity,
    TargetedEffect,
)
from aih_outcomes.simulate.records import cholangiogram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LAST_DAY = 6575  # 18 years: longer than any child is at the clinic
CBR_BY = (28, 56, 182, 365)
CBR_AT = (182, 365)
STEROID_FREE_DAYS = 90
CLASSES = ("rapid", "slow", "non_responder")
ADVANCED = ("infliximab", "rituximab", *dict.fromkeys(MATCHED_DRUGS.values()))
NOT_IMMUNOSUPPRESSANT = "ursodeoxycholic_acid"
BLOCK = 365  # days looked at together


@dataclass(frozen=True, slots=True, eq=False)
class RevealedTruth:
    """What is true of each child.

    Attributes
    ----------
    children : one row per child
        ``patient_id``; ``first_seen`` (negative: at diagnosis), ``seen_until`` (last day the clinic saw the native
        liver), ``followed_until`` (last known alive, or death);
        ``response_class`` (rapid, slow, non_responder); ``cbr_day`` (first day with noise-free ALT, AST and IgG all
        within limits), ``cbr_by_28, cbr_by_56, cbr_by_182, cbr_by_365`` (attained on any day from 1), ``cbr_at_182,
        cbr_at_365`` (holds on that day), ``fell_by_28`` (noise-free ALT and AST at most half of day 0's), these empty
        where the native liver was lost by that day (unless attained before); ``cbr_lost_day`` (first day after
        ``cbr_day`` without), ``alt_above_3xuln_day``, ``ast_above_2xuln_day`` (first day after ``cbr_day``,
        noise-free), ``flare_day`` (onset of the first flare);
        ``steroid_free_day`` (first without steroid), ``steroid_free_cbr_day`` (first day of 90 without steroid, in
        noise-free CBR on each), ``withdrawal_day`` (all treatment stopped by plan), ``off_all_drugs_day`` (first day
        without any immunosuppressant for AIH, planned or not);
        ``second_line_day`` (first mycophenolate, calcineurin inhibitor or methotrexate), ``advanced_day`` (first
        biologic, JAK or mTOR inhibitor for AIH), ``gene_matched_day``, ``gene`` (carried, found or not),
        ``gene_result_day`` (of a panel, whatever it shows);
        ``cirrhosis_at_diagnosis``, ``asc_at_diagnosis`` (imaged or not), ``asc_conversion_day``; ``transplant_day``,
        ``death_day`` (also after a transplant), ``liver_death``: uncensored, to 26 years
    flares : one row per flare: ``patient_id, number, onset_day, treated_day, on_treatment, in_cbr, alt_xuln``;
        ``in_cbr``: noise-free CBR held on the day before the onset; ``alt_xuln``: noise-free, when it is treated
    spells : ``patient_id, kind, first_day, last_day`` of ``cbr`` (noise-free), ``steroid_free`` and ``off_all_drugs``;
        a spell that reaches ``LAST_DAY`` or the day before the native liver is lost ends there
    """

    children: pd.DataFrame
    flares: pd.DataFrame
    spells: pd.DataFrame


def reveal_truth(
    seed: int,
    n_patients: int = 350,
    *,
    response_effect: ResponseEffect = "default",
    targeted_effect: TargetedEffect = "default",
    hazard: Hazard = "default",
    severity: Severity = "on",
    parameters: Parameters = DEFAULT,
) -> RevealedTruth:
    """Return the truth about the children of ``simulate_cohort`` with the same arguments, the composite child left out.

    With the composite child added, ask for one patient fewer: the others are the same. Which results are missing
    (``igg_missing``) changes the record, never the truth.

    Raises
    ------
    DataError : fewer than one patient was asked for

    Examples
    --------
    >>> truth = reveal_truth(1, 20)
    >>> len(truth.children), bool((truth.flares["treated_day"] >= truth.flares["onset_day"]).all())
    (20, True)
    """
    check_size(n_patients)
    mechanism = Mechanism(
        response_effect=response_effect, targeted_effect=targeted_effect, hazard=hazard, severity=severity
    )
    notes = draw_notes(seed, n_patients, parameters, mechanism)
    copy = notes.uncensored(parameters)
    grids = _look_daily(notes, copy, parameters)
    columns = _observed(notes) | _responses(notes, copy, grids) | _treatments(notes, grids) | _events(notes)
    return RevealedTruth(pd.DataFrame(columns), _flares(notes, copy, grids), _spells(notes, grids))


@dataclass(frozen=True, slots=True, eq=False)
class _Grids:
    """Whether something holds on day 0, 1, … ``LAST_DAY``, (n, LAST_DAY + 1); false once the native liver is lost."""

    native: Flags
    cbr: Flags
    alt_high: Flags  # above 3 × ULN
    ast_high: Flags  # above 2 × ULN
    steroid_free: Flags
    off_all_drugs: Flags
    lines: pd.DataFrame  # every drug for AIH but steroid, uncensored


def _look_daily(notes: Notes, copy: Copy, p: Parameters) -> _Grids:
    c, days = notes.children, np.arange(LAST_DAY + 1.0)
    native = days < notes.survival.first[:, None]
    found: dict[str, list[Flags]] = {"cbr": [], "alt": [], "ast": []}
    for block in np.split(days, np.arange(BLOCK, len(days), BLOCK)):
        narrow, day = narrow_copy(copy, block[-1]), np.broadcast_to(block, (c.n, len(block)))
        found["cbr"].append(latent_cbr(narrow, day))
        found["alt"].append(narrow.latent.alt.at(day) > 3 * c.alt_uln[:, None])
        found["ast"].append(narrow.latent.ast.at(day) > 2 * c.ast_uln[:, None])
    cbr, alt_high, ast_high = (np.concatenate(parts, axis=1) & native for parts in found.values())
    lines = tabulate_lines(notes.seed, c, notes.course, notes.growth, np.full(c.n, HORIZON), p)
    steroid = draw_steroid(notes.seed, c, notes.course, p)
    child, column = np.nonzero(steroid.start < steroid.until)
    on_steroid = _cover(c.n, child, steroid.start[child, column], steroid.until[child, column])
    drugs = lines[lines["drug"] != NOT_IMMUNOSUPPRESSANT]
    on_drugs = _cover(c.n, drugs["child"].to_numpy(), drugs["start"].to_numpy(float), drugs["end"].to_numpy(float))
    return _Grids(
        native, cbr, alt_high, ast_high, ~on_steroid & native, ~on_steroid & ~on_drugs & native, lines
    )  # fmt: skip


def _cover(n: int, child: Ints, start: Floats, end: Floats) -> Flags:
    """Return which days lie in any of the periods [start, end), as the record dates them: whole days, rounded down."""
    change = np.zeros((n, LAST_DAY + 2), np.int64)
    np.add.at(change, (child, np.minimum(np.floor(start), LAST_DAY + 1).astype(np.int64)), 1)
    np.add.at(change, (child, np.minimum(np.floor(end), LAST_DAY + 1).astype(np.int64)), -1)
    return np.asarray(np.cumsum(change, axis=1)[:, :-1] > 0)


def _first(grid: Flags, after: Floats | None = None) -> Floats:
    """Return the first day, from 1 on or past ``after`` (n,), on which ``grid`` holds; NaN where none."""
    days = np.arange(grid.shape[1])
    wanted = grid & (days > (np.zeros(len(grid)) if after is None else after)[:, None])
    return np.where(wanted.any(axis=1), wanted.argmax(axis=1), np.nan)


def _run_of(grid: Flags, length: int) -> Flags:
    """Return the days on which a run of ``length`` days begins."""
    total = np.concatenate([np.zeros((len(grid), 1), np.int64), np.cumsum(grid, axis=1)], axis=1)
    return np.asarray(total[:, length:] - total[:, :-length] == length)


def _day(notes: Notes, day: Floats) -> Floats:
    """Return whole days, NaN where they do not come with the native liver in place."""
    return np.where((day <= LAST_DAY) & (day < notes.survival.first), np.floor(day), np.nan)


def _observed(notes: Notes) -> dict[str, object]:
    follow_up = notes.follow_up
    ids = notes.patient_ids()
    return {"patient_id": ids, "first_seen": follow_up.entry, "seen_until": notes.stop, "followed_until": follow_up.end}


def _responses(notes: Notes, copy: Copy, grids: _Grids) -> dict[str, object]:
    cbr_day = _first(grids.cbr)
    found: dict[str, object] = {
        "response_class": np.array(CLASSES)[notes.children.response_class],
        "cbr_day": cbr_day,
    }
    found |= {f"cbr_by_{day}": _known(cbr_day <= day, grids.native[:, day] | (cbr_day <= day)) for day in CBR_BY}
    found |= {f"cbr_at_{day}": _known(grids.cbr[:, day], grids.native[:, day]) for day in CBR_AT}
    return found | {
        "fell_by_28": _known(latent_fall(copy, 28.0), grids.native[:, 28]),
        "cbr_lost_day": _first(~grids.cbr & grids.native, cbr_day),
        "alt_above_3xuln_day": _first(grids.alt_high, cbr_day),
        "ast_above_2xuln_day": _first(grids.ast_high, cbr_day),
        "flare_day": _day(notes, notes.course.first(notes.course.step == Step.FLARE)),
    }


def _known(flag: Flags, known: Flags) -> pd.Series:
    return pd.Series(flag, dtype="boolean").where(pd.Series(known))


def _treatments(notes: Notes, grids: _Grids) -> dict[str, object]:
    course, genes = notes.course, np.array([row[0] for row in GENES] + [None], dtype=object)
    run = _run_of(grids.cbr & grids.steroid_free, STEROID_FREE_DAYS)
    return {
        "steroid_free_day": _first(grids.steroid_free),
        "steroid_free_cbr_day": _first(run),
        "withdrawal_day": _day(notes, course.first(course.step == Step.WITHDRAWAL)),
        "off_all_drugs_day": _first(grids.off_all_drugs),
        "second_line_day": _first_dose(notes, grids.lines, CONVENTIONAL),
        "advanced_day": _first_dose(notes, grids.lines, ADVANCED),
        "gene_matched_day": _day(notes, course.first(course.option == Option.MATCHED)),
        "gene": pd.Series(genes[notes.children.gene], dtype="string"),
        "gene_result_day": _day(notes, course.panel),
    }


def _first_dose(notes: Notes, lines: pd.DataFrame, drugs: tuple[str, ...]) -> Floats:
    first = lines[lines["drug"].isin(drugs)].groupby("child")["start"].min()
    return _day(notes, first.reindex(np.arange(notes.children.n), fill_value=NEVER).to_numpy(float))


def _events(notes: Notes) -> dict[str, object]:
    c, s = notes.children, notes.survival
    transplant, death = (np.where(day < HORIZON, day, np.nan) for day in (s.transplant, s.death))
    return {
        "cirrhosis_at_diagnosis": c.cirrhosis,
        "asc_at_diagnosis": c.asc,
        "asc_conversion_day": _day(notes, cholangiogram(notes)[1]),
        "transplant_day": transplant,
        "death_day": death,
        "liver_death": pd.Series(s.liver_death, dtype="boolean").where(pd.Series(death).notna()),
    }


def _flares(notes: Notes, copy: Copy, grids: _Grids) -> pd.DataFrame:
    course = notes.course
    onset = np.where((course.step == Step.FLARE), course.start, NEVER)
    child, column = np.nonzero((onset <= LAST_DAY) & (onset < notes.survival.first[:, None]))
    day = np.floor(onset[child, column]).astype(np.int64)
    treated = course.until()[child, column]
    beyond = treated >= np.minimum(notes.survival.first[child], LAST_DAY)
    alt = copy.latent.alt.at(course.until())[child, column] / notes.children.alt_uln[child]
    return pd.DataFrame(
        {
            "patient_id": notes.patient_ids()[child],
            "number": pd.Series(child).groupby(child).cumcount().to_numpy() + 1,
            "onset_day": day,
            "treated_day": np.where(beyond, np.nan, np.floor(treated)),
            "on_treatment": ~course.off_treatment[child, np.maximum(column - 1, 0)],
            "in_cbr": grids.cbr[child, np.maximum(day - 1, 0)],
            "alt_xuln": np.where(beyond, np.nan, alt),
        }
    )


def _spells(notes: Notes, grids: _Grids) -> pd.DataFrame:
    parts = []
    for kind in ("cbr", "steroid_free", "off_all_drugs"):
        edge = np.diff(getattr(grids, kind).astype(np.int8), axis=1, prepend=0, append=0)
        child, first = np.nonzero(edge == 1)
        last = np.nonzero(edge == -1)[1] - 1
        ids = notes.patient_ids()[child]
        parts.append(pd.DataFrame({"patient_id": ids, "kind": kind, "first_day": first, "last_day": last}))
    return pd.concat(parts, ignore_index=True)
