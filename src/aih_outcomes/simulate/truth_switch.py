"""T12 and T13: what the gene-matched drug does, by potential outcomes of the same children under each strategy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.copies import Copy, draw_copies
from aih_outcomes.simulate.course import NEVER, Course, Option
from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted, difference, mean, share
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, DEFAULT, Mechanism, Parameters, Strategy

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

HORIZON = 12.0 * DAYS_PER_YEAR
ELIGIBLE_UNTIL = 5.5 * DAYS_PER_YEAR  # so that everybody has five years after eligibility
FIVE_YEARS = int(5 * DAYS_PER_YEAR)
STRATEGIES: tuple[Strategy, ...] = ("as treated", "matched", "usual")
DAYS_AFTER = (90.0, 182.0)
DAYS_BEFORE = 35.0  # outside the decision window [−28, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Potential outcomes of every eligible child, (n,): one entry per strategy."""

    switched: Flags  # as treated, at first eligibility
    chance: Floats
    peak: Floats  # log ALT's noise at eligibility
    before: Floats  # log ALT, noise-free, at eligibility
    earlier: Floats  # the same, 35 days before
    log_alt: dict[tuple[Strategy, float], Floats]
    normal: dict[Strategy, Floats]
    survives: dict[Strategy, Floats]


def _first_eligible(course: Course) -> tuple[Ints, Floats]:
    column = course.eligible.argmax(axis=1)
    day = np.where(course.eligible.any(axis=1), np.take_along_axis(course.start, column[:, None], axis=1)[:, 0], NEVER)
    return column, day


def _log_alt(copy: Copy, rows: Ints, day: Floats) -> Floats:
    return np.asarray(np.log(copy.latent.alt.at(np.where(day < NEVER, day, 0.0)[:, None])[rows, 0]))


def _outcomes(copies: dict[Strategy, Copy], p: Parameters) -> Outcomes:
    seen = copies["as treated"]
    column, day = _first_eligible(seen.course)
    rows = np.flatnonzero((day < ELIGIBLE_UNTIL) & (seen.survival.first > day))
    at = column[rows]
    log_alt = {(s, after): _log_alt(copy, rows, day + after) for s, copy in copies.items() for after in DAYS_AFTER}
    normal = {
        s: (
            (copy.latent.alt.at(day[:, None] + 182)[rows, 0] <= copy.children.alt_uln[rows])
            & (copy.latent.ast.at(day[:, None] + 182)[rows, 0] <= copy.children.ast_uln[rows])
        ).astype(float)
        for s, copy in copies.items()
    }
    survives = {s: (copy.survival.first[rows] > day[rows] + FIVE_YEARS).astype(float) for s, copy in copies.items()}
    return Outcomes(
        switched=seen.course.option[rows, at] == Option.MATCHED,
        chance=seen.course.chance[rows, at],
        peak=p.cv_alt * seen.course.peak[rows, at],
        before=_log_alt(copies["usual"], rows, day - 1e-6),
        earlier=_log_alt(copies["usual"], rows, day - DAYS_BEFORE),
        log_alt=log_alt,
        normal=normal,
        survives=survives,
    )


def draw_outcomes(seed: int, n: int, mechanism: Mechanism, p: Parameters = DEFAULT) -> Outcomes:
    """Draw ``n`` carriers of a matched gene under each strategy; only those who become eligible are kept."""
    streams = {
        s: draw_copies(seed, n, p, mechanism, horizon=HORIZON, carriers_only=True, strategy=s) for s in STRATEGIES
    }
    parts = [_outcomes(dict(zip(STRATEGIES, chunk, strict=True)), p) for chunk in zip(*streams.values(), strict=True)]
    keys = parts[0].log_alt
    return Outcomes(
        switched=np.concatenate([part.switched for part in parts]),
        chance=np.concatenate([part.chance for part in parts]),
        peak=np.concatenate([part.peak for part in parts]),
        before=np.concatenate([part.before for part in parts]),
        earlier=np.concatenate([part.earlier for part in parts]),
        log_alt={key: np.concatenate([part.log_alt[key] for part in parts]) for key in keys},
        normal={s: np.concatenate([part.normal[s] for part in parts]) for s in STRATEGIES},
        survives={s: np.concatenate([part.survives[s] for part in parts]) for s in STRATEGIES},
    )


def _effects(matched: Floats, usual: Floats, treated: Floats, o: Outcomes) -> dict[str, Number]:
    """Return ATE, ATT, overlap effect, and the confounded comparison of those who did and did not switch."""
    gain, weight = matched - usual, o.chance * (1 - o.chance)
    overlap = float((weight * gain).sum() / weight.sum())
    spread = float(((weight * (gain - overlap)) ** 2).sum() ** 0.5 / weight.sum())
    return {
        "matched": mean(matched),
        "usual": mean(usual),
        "ate": mean(gain),
        "att": mean(gain[o.switched]),
        "overlap_effect": (overlap, spread),
        "confounded_difference": difference(mean(treated[o.switched]), mean(treated[~o.switched])),
    }


def truth_of_switch(o: Outcomes, p: Parameters, mechanism: str) -> list[Estimand]:
    """T12: P(switch | history), potential outcomes under each strategy, ATE, ATT and overlap effect."""
    n = len(o.switched)
    rule = closed(
        "T12",
        "chance of a switch",
        "Log odds of the matched drug at a decision once the gene is known: intercept, per sd of "
        "unmeasured severity, per failure beyond the second, per sd of the noise at the peak (centred)",
        {
            "intercept": p.switch_intercept,
            "severity": p.switch_per_severity,
            "failure": p.switch_per_failure,
            "peak": p.switch_per_peak,
            "peak_centre": p.peak[0] + p.peak[1],
        },
        mechanism=mechanism,
    )
    who = (
        "Carriers of a matched gene when first eligible (gene known, second failure or flare), native liver in place; "
    )
    strategies = "matched: all switch then; usual: nobody ever does; steroid course under both; "
    found = [
        rule,
        counted(
            "T12",
            "switches among eligible",
            who + "share that switches",
            {"share": share(o.switched)},
            n=n,
            mechanism=mechanism,
        ),
    ]
    for name, text, outcome in (
        ("transaminases normal, 182 days", "noise-free ALT and AST ≤ ULN 182 days later", o.normal),
        ("native-liver survival, 5 years", f"alive with the native liver {FIVE_YEARS} days later", o.survives),
        (
            "log ALT, 182 days",
            "natural logarithm of noise-free ALT 182 days later",
            {s: o.log_alt[s, 182.0] for s in STRATEGIES},
        ),
    ):
        numbers = _effects(outcome["matched"], outcome["usual"], outcome["as treated"], o)
        found.append(counted("T12", f"effect on {name}", who + strategies + text, numbers, n=n, mechanism=mechanism))
    return found


def truth_of_individuals(o: Outcomes, mechanism: str) -> list[Estimand]:
    """T13: the effect in those who switched, beside what a before-and-after comparison would show."""
    found, who = [], o.switched
    for after in DAYS_AFTER:
        gain = o.log_alt["as treated", after] - o.log_alt["usual", after]
        fall = o.log_alt["as treated", after] - (o.before + o.peak)
        excluded = o.log_alt["as treated", after] - (
            o.earlier + o.peak * np.exp(-DAYS_BEFORE / DEFAULT.noise_correlation_days)
        )
        numbers = {
            "individual_effect": mean(gain[who]),
            "share_with_an_effect": share(np.abs(gain[who]) > 0.05),
            "before_after_switchers": mean(fall[who]),
            "before_after_others": mean(fall[~who]),
            "difference_in_differences": difference(mean(fall[who]), mean(fall[~who])),
            "before_after_switchers_window_excluded": mean(excluded[who]),
            "difference_in_differences_window_excluded": difference(mean(excluded[who]), mean(excluded[~who])),
        }
        text = (
            f"Log ALT {after:g} days after the switch, against the same child on steroid without the drug; and "
            "the naive change from the (noisy) peak that triggered the decision, in switchers and others, and "
            f"from {DAYS_BEFORE:g} days before it"
        )
        found.append(counted("T13", f"switch effect, {after:g} days", text, numbers, n=len(who), mechanism=mechanism))
    return found
