"""The query list as a workbook: one sheet per centre, with blank columns for what the notes say (clinic 25)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.study.workbook import Sheet, make_room, write_workbook

ANSWER_COLUMNS = ("value", "unit", "date", "found by", "comment")
SHOWN = {
    "patient_id": "patient", "endpoint": "endpoint", "missing": "please look for", "from_date": "from",
    "to_date": "until", "because": "why",
}  # fmt: skip
NEEDED = {"centre", *SHOWN}
ENDING = ".xlsx"
START_HERE, NOTHING = "start here", "Nothing is missing: every endpoint of every patient is evaluable."
EXPLANATION = (
    "Internal use only: the sheets hold pseudonyms and dates, and never leave the group with a report.",
    "Each centre has a sheet. Each line asks for one result of one child, drawn between 'from' and 'until' (both days "
    "included).",
    "Please fill in the yellow columns: value and unit as printed by the laboratory, with any sign such as <; the date "
    "of the sample; who found it.",
    "Results asked for on several lines of one child and endpoint should come from one day. One result may answer "
    "several lines.",
    "Nothing to be found is an answer too: write 'none' into the comment. Please do not estimate a value, and do not "
    "take one from outside the dates.",
    "Lines without 'please look for' say why nothing is asked: transplant or death, no follow-up, or a drug after "
    "which the result says nothing.",
)


def write_query_list(queries: pd.DataFrame, path: Path | str) -> Path:
    """Write the frame of ``derive_queries`` as a workbook. The rows carry pseudonyms: for internal use.

    The first sheet explains; each centre follows with its queries, then its patients of whom nothing is asked. Without
    queries the workbook says that nothing is missing. The same queries give the same bytes.

    Parameters
    ----------
    path : the ``.xlsx`` file; its folder is made if it does not exist

    Raises
    ------
    PlanError : the path is not that of a workbook, or cannot be written
    OutcomeError : the frame is not that of ``derive_queries``
    """
    lacking = NEEDED - set(getattr(queries, "columns", ()))
    if lacking:
        raise OutcomeError(
            f"{len(lacking)} column(s) of a list of queries are missing: {', '.join(sorted(lacking))}",
            "The query list is made from the rows of derive_queries", "Give what derive_queries(response) returns",
        )  # fmt: skip
    path = Path(path)
    if path.suffix.lower() != ENDING:
        raise PlanError(
            f"'{path.name}' is no workbook", f"The query list is a workbook, whose name ends in {ENDING}",
            f"Give the path of the file, such as query_list{ENDING}",
        )  # fmt: skip
    make_room(path)
    lines = [*EXPLANATION, *_counts(queries)] if len(queries) else [EXPLANATION[0], NOTHING]
    sheets = [Sheet(START_HERE, pd.DataFrame({"Query list": lines}), wrap=True)]
    for centre in sorted(queries["centre"].unique()):
        own = queries[queries["centre"] == centre]
        own = own[[*SHOWN]].assign(nothing=own["missing"].isna()).sort_values("nothing", kind="stable")
        shown = own.drop(columns="nothing").rename(columns=SHOWN)
        blank = pd.DataFrame(None, index=shown.index, columns=list(ANSWER_COLUMNS), dtype=object)
        sheets.append(Sheet(str(centre), pd.concat([shown, blank], axis=1), blank=ANSWER_COLUMNS))
    write_workbook(path, sheets)
    return path


def _counts(queries: pd.DataFrame) -> list[str]:
    """Return how much is asked of each centre."""
    asked = queries[queries["missing"].notna()].groupby("centre")["patient_id"]
    table = pd.DataFrame({"n": asked.size(), "patients": asked.nunique()})
    return [f"{centre}: {row.n} results of {row.patients} patients" for centre, row in table.iterrows()]
