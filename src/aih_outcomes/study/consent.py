"""Consent is data: what it does not cover is refused."""

from __future__ import annotations

from collections.abc import Iterable

from aih_outcomes.errors import DisclosureError
from aih_outcomes.study.plan import ConsentPart


def check_consent(consent: ConsentPart, patient_ids: Iterable[str], *, shows: Iterable[str]) -> None:
    """Refuse to show a patient whose consent does not cover it.

    Raises
    ------
    DisclosureError : a patient other than the consenting one, something that is not covered, or consent withdrawn
    """
    others = set(patient_ids) - {consent.patient_id}
    lacking = sorted(set(shows) - set(consent.covers))
    if others or lacking or consent.withdrawn_on is not None:
        reason = (
            "it was withdrawn"
            if consent.withdrawn_on
            else f"{len(others)} patient(s) and {len(lacking)} use(s) lack it"
        )
        raise DisclosureError(
            f"A single patient would be shown without consent that covers it ({reason})",
            "A single patient is shown only with consent for exactly that, not withdrawn",
            "Fill in [consent] of the plan, or leave this notebook out",
        )
