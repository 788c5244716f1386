"""Visits and treatment in a line each, for tests of what happens after the first response."""

from __future__ import annotations

from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.endpoints.rules import Worsening
from tests.endpoints.tables import cohort, iaihg

ANALYTES = ("alt", "ast", "igg")


def visits(*lines: str) -> str:
    """Visits ``patient day``: ALT, AST and IgG are 0.5 × ULN unless said otherwise (``alt=2.5``, ``igg=-`` missing)."""
    rows = []
    for line in lines:
        patient, day, *said = line.split()
        sizes = dict.fromkeys(ANALYTES, "0.5") | dict(part.split("=") for part in said)
        rows += [f"{patient} {day} {analyte} {size}" for analyte, size in sizes.items() if size != "-"]
    return "\n".join(["patient day analyte xuln", *rows])


def followed(labs: str, *, until: int = 2000, drugs: str = "", definition: Definition | None = None, **others: str) -> (
    Response
):  # fmt: skip
    """Judge a cohort followed to one day; ``drugs`` has lines ``patient drug start stop dose reason_stopped``.

    Who has no line takes prednisolone from day 0 on.
    """
    columns = "patient drug start stop dose reason_stopped"
    table = [" ".join(line.split()) for line in drugs.strip().splitlines() if line.strip()]
    treated = {line.split()[0] for line in table}
    ids = sorted({line.split()[0] for line in labs.strip().splitlines()[1:]} | treated)
    table += [f"{patient} prednisolone 0 - - -" for patient in ids if patient not in treated]
    follow = [f"{patient} 0 {until} ongoing visit" for patient in ids]
    made = cohort(
        labs, treatments="\n".join([columns, *table]), steroid=False,
        follow_up="\n".join(["patient start end end_reason end_source", *follow]), **others,
    )  # fmt: skip
    return derive_response(made, definition or iaihg())


def losing(rule: Worsening) -> Definition:
    """Return the shipped criteria with another rule of loss, which is the rule of flares too."""
    return iaihg().model_copy(update={"loss": rule, "flare": rule})
