"""What some clinicians wrote down about response: mostly what is true of the child, now and then against it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.simulate.notes import Notes
from aih_outcomes.simulate.streams import open_stream

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

ONE_IN = 35  # so many children for each judgement; project
AT_FOUR_WEEKS = 0.3  # of judgements; the rest at 6 months; project
AGAINST = 0.3  # of judgements are against what is true; project
INITIALS = ("QX", "XZ", "ZQ", "YX")  # of nobody
# what is judged: day by which, days later that it is written down (from, to)
WHEN = {"non_response_4_weeks": (28, 2, 16), "response_by_6_months": (182, 3, 60)}
# endpoint, judgement → reason; the second where it goes against the course
REASONS = {
    ("response_by_6_months", "met"): (
        "Transaminases normal and stable; IgG not repeated but was falling",
        "ALT just above the limit on one day; regarded as normal",
    ),
    ("response_by_6_months", "not met"): (
        "Transaminases still raised at each visit",
        "Normal only under a high dose of steroid; not accepted as a response",
    ),
    ("non_response_4_weeks", "met"): (
        "Hardly any fall on full-dose steroid",
        "Fall judged too slow; second line discussed",
    ),
    ("non_response_4_weeks", "not met"): (
        "Clear fall on letters from the referring hospital",
        "Fall of almost half; late sample",
    ),
}


def tabulate_judgements(notes: Notes, responds: Flags, fell: Flags) -> pd.DataFrame:
    """Return a few judgements of children who were seen long enough.

    Parameters
    ----------
    responds : (n,) whether noise-free ALT, AST and IgG were all within limits by six months
    fell : (n,) whether noise-free ALT and AST had fallen by half at four weeks
    """
    rng, n = open_stream("judgements", notes.seed), notes.children.n
    order, u = rng.permutation(n), rng.random((4, n))
    early = u[0] < AT_FOUR_WEEKS
    endpoint = np.where(early, "non_response_4_weeks", "response_by_6_months")
    by, low, high = (np.array([WHEN[name][k] for name in endpoint], dtype=float) for k in range(3))
    day = by + np.floor(low + (high - low) * u[1])
    against = u[2] < AGAINST
    met = np.where(early, ~fell, responds) != against
    table = pd.DataFrame(
        {
            "child": np.arange(n),
            "day": day,
            "endpoint": endpoint,
            "clinician_response": np.where(met, "met", "not met"),
            "initials": np.array(INITIALS)[np.floor(len(INITIALS) * u[3]).astype(int)],
        }
    )
    keys = zip(table["endpoint"], table["clinician_response"], against, strict=True)
    table["reason"] = [REASONS[name, judged][int(other)] for name, judged, other in keys]
    seen = (notes.follow_up.entry <= by) & (day <= notes.stop)
    chosen = order[seen[order]][: round(n / ONE_IN)]
    return table.iloc[np.sort(chosen)]
