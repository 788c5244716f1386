"""A published figure beside what was reached, and those about who the children are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import NON_RESPONDER, TYPE_2
from aih_outcomes.simulate.copies import Copy

Flags = NDArray[np.bool_]

COLUMNS = ("target", "source", "wanted", "achieved", "holds", "note")


@dataclass(frozen=True, slots=True)
class Target:
    """One published figure: its range, and what was reached."""

    name: str
    source: str
    low: float
    high: float
    achieved: float
    note: str = ""

    def row(self) -> dict[str, str]:
        """Return the line of the table."""
        wanted = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        holds = "yes" if self.low <= self.achieved <= self.high else "no"
        return dict(
            zip(COLUMNS, (self.name, self.source, wanted, f"{self.achieved:.3g}", holds, self.note), strict=True)
        )


def percent(which: Flags) -> float:
    """Return a share in per cent."""
    return 100 * float(which.mean())


def list_baseline(copy: Copy) -> list[Target]:
    """Return the targets of the baseline table."""
    c = copy.children
    carriers = c.gene >= 0
    older = c.type != TYPE_2
    return [
        Target("female, %", "5.3", 60, 66, percent(c.female)),
        Target("age at diagnosis, median years", "5.3", 11, 12, float(np.median(c.age))),
        Target("age at diagnosis in type 2, median years", "5.3", 6, 7, float(np.median(c.age[~older]))),
        Target("cirrhosis at diagnosis, %", "5.3", 28, 32, percent(c.cirrhosis)),
        Target("ASC, %", "5.3", 12, 30, percent(c.asc), "an axis of its own, independent of type"),
        Target("IBD, %", "5.3", 13, 17, percent(c.ibd)),
        Target("baseline ALT, median U/L", "5.3", 500, 600, float(np.median(c.alt))),
        Target("baseline AST, median U/L", "5.3", 550, 680, float(np.median(c.ast))),
        Target("baseline IgG, type 1, median g/L", "5.3", 21, 23, float(np.median(c.igg[older]))),
        Target(
            "normal IgG at diagnosis, type 1, %",
            "5.3",
            13,
            17,
            percent((c.igg <= c.igg_uln)[older]),
            "median 22 g/L, IQR 17–30 and 15 % normal cannot hold together: median and IQR were kept",
        ),
        Target(
            "normal IgG at diagnosis, type 2, %",
            "5.3",
            20,
            30,
            percent((c.igg <= c.igg_uln)[~older]),
            "median 17 g/L, IQR 13–22 and 25 % normal cannot hold together: median and IQR were kept",
        ),
        Target("inborn error of immunity, %", "5.3 (assumption)", 2, 3, percent(carriers)),
        Target(
            "inborn error among non-responders, %",
            "5.3 (assumption)",
            10,
            15,
            percent(carriers[c.response_class == NON_RESPONDER]),
        ),
    ]
