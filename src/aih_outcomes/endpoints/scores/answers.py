"""A score as an answer per patient: its value, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.rules import analyte_in_words
from aih_outcomes.endpoints.scores.known import Known
from aih_outcomes.endpoints.scores.ranges import MOST, Range, exactly
from aih_outcomes.endpoints.scores.sources import SOURCES
from aih_outcomes.endpoints.scores.words import Words, join_names, say
from aih_outcomes.endpoints.timelines import Flags, Floats

ADULT = 18
ANALYTES = ("bilirubin", "inr", "creatinine", "albumin", "sodium", "platelets", "alt", "ast")
AST_XULN, GROWTH_FAILURE = "AST × ULN", "growth failure"
WORSE_WHEN_LOW = ("albumin", "platelets", "sodium", "alt")  # alt: the divisor of FIB-4, and of no other score


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One score per patient (n,). ``refused`` says why there is no value; ``note`` stands beside one."""

    score: str
    version: Words
    value: Floats
    category: Words
    items_missing: Words
    refused: Words
    note: str = ""

    def refuse(self, reasons: dict[str, Flags]) -> Answer:
        """Return the answer only where no reason holds; the first that holds goes before what is missing."""
        said = say(reasons, len(self.value))
        barred = said != ""
        refused = np.where(barred, said, self.refused)
        there = refused == ""
        return replace(
            self,
            value=np.where(there, self.value, np.nan),
            category=np.where(there, self.category, ""),
            items_missing=np.where(barred, "", self.items_missing),
            refused=refused,
        )


def answer(source: str, value: Floats, *, missing: Words, refused: Words, category: Words | None = None) -> Answer:
    """Return a score's answer under the name and version of its source."""
    found, n = SOURCES[source], len(value)
    version = np.full(n, found.version, dtype=object)
    return Answer(found.score, version, value, say({}, n) if category is None else category, missing, refused)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the prognostic scores need, by name, with what signs leave open."""

    known: Known
    ranges: dict[str, Range]

    def answer(self, source: str, needs: tuple[str, ...], compute: Callable[[dict[str, Floats]], Floats]) -> Answer:
        """Return a score where nothing it needs is missing and no sign could change it."""
        used = {name: self.ranges[name] for name in needs}
        n = self.known.timelines.n
        mildest = {name: r.high if name in WORSE_WHEN_LOW else r.low for name, r in used.items()}
        worst = {name: r.low if name in WORSE_WHEN_LOW else r.high for name, r in used.items()}
        value = compute(mildest)
        words = {name: analyte_in_words(name) if name in ANALYTES else name for name in needs}
        missing = join_names({words[name]: item.missing for name, item in used.items()}, n)
        bounds = join_names({words[name]: item.open for name, item in used.items()}, n)
        lacks = missing != ""
        vague = (bounds != "") & ~np.isclose(value, compute(worst), rtol=0, atol=1e-9)
        refused = np.where(lacks, "missing: " + missing, np.where(vague, "known only as a bound: " + bounds, ""))
        return answer(source, np.where(lacks | vague, np.nan, value), missing=missing, refused=refused)


def measure(known: Known, growth_failure: pd.Series | None) -> Measured:
    """Gather what the prognostic scores need on the day."""
    results = {analyte: known.result(analyte) for analyte in ANALYTES}
    ranges = {analyte: found for analyte, (found, _) in results.items()}
    creatinine, dialysis = ranges["creatinine"], known.dialysis  # on dialysis the rule sets it, whatever was measured
    ranges["creatinine"] = Range(*[np.where(dialysis, MOST, end) for end in (creatinine.low, creatinine.high)])
    ranges[AST_XULN] = results["ast"][1]
    female = known.level("sex", {"female": 1.0, "male": 0.0})
    ranges["sex"] = exactly(np.where(known.has_reached(ADULT), female, 0.0))  # MELD 3.0 asks adults only
    ranges["age"] = exactly(known.age)
    ranges[GROWTH_FAILURE] = known.given(growth_failure)
    return Measured(known, ranges | {kind: known.grade(kind) for kind in ("ascites", "encephalopathy")})
