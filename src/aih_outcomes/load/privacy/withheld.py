"""Free text that does not leave the door: what is not written as a result, a unit, a gene or a variant is withheld."""

import re

import numpy as np
import pandas as pd

from aih_outcomes.load.privacy.identifiers import kinds_in

WITHHELD = "(withheld)"
_NO_LONG_NUMBER = "(?!.*[0-9]{5})"  # as a number of a patient would be
_DECIMAL = r"[0-9]{1,7}(?:[.,][0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?"  # as computers print it
_NO_DATE = r"(?![0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{2,4}$)"
_NO_CALL = r"(?!0[0-9 ])(?!.*[0-9]{8})"  # 020 7946 0000
_NUMBER = (  # 1:640, 1-0-1, 2,5 × 10
    rf"(?:[<>≤≥=~]{{1,2}}\s?)?(?:{_DECIMAL}|{_NO_DATE}{_NO_CALL}[0-9][0-9.,:/\s×x*^+-]{{0,13}})"
)
_WORDS = r"(?i:neg(?:ative)?\.?|pos(?:itive)?\.?)"
_PER = r"(?:[\w.]{1,4}|24\s?h|day|min|mmol|kg/d(?:ay)?|mm3|mm³|cumm)"
_UNIT = (
    rf"(?:[\w%µμ*^.,×⁰-⁹()\[\]{{}} -]{{0,16}}/\s?{_PER}(?:\s?\([a-z]{{1,12}}\))?|%|mg%|gm%|"
    r"m?g|s|secs?|seconds|ratio|\{?inr\}?|\{?tit(?:re|er)s?\}?|1)"
)
# What a cell must look like to stay; a cell of another form is a remark.
_KEPT = {
    ("labs", "raw_value"): rf"{_NUMBER}|{_WORDS}",
    ("labs", "raw_unit"): _NO_LONG_NUMBER + f"(?:{_UNIT})",
    ("treatments", "raw_dose"): rf"{_NUMBER}(?:{_UNIT})?",
    ("treatments", "raw_dose_unit"): _NO_LONG_NUMBER + f"(?:{_UNIT})",
    ("patients", "diagnosis_era"): r"[0-9]{4}-[0-9]{4}",
    ("variants", "gene"): _NO_LONG_NUMBER + r"[A-Z][A-Z0-9-]{1,14}(?:orf[0-9]{1,4})?",  # HGNC symbols
    ("variants", "hgvs"): r"(?:[A-Z_0-9.]+(?:\([A-Z0-9-]+\))?:)?[cgmnpr]\.\S+(?:\s+\(?[cgmnpr]\.\S+)*",
}
_PATTERNS = {place: re.compile(pattern, re.IGNORECASE if "unit" in place[1] else 0) for place, pattern in _KEPT.items()}
_REMARKS = {("clinician_responses", "reason")}  # required, so that a word stands in their place


def withhold_text(table: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Withhold the cells of a table's text columns that may say more than they are for.

    Returns
    -------
    the frame, a copy; and, in words, how many cells of which column were withheld
    """
    kept, told = frame.copy(), []
    for name, column in [place for place in (*_PATTERNS, *_REMARKS) if place[0] == table]:
        remark = (name, column) in _REMARKS
        codes, distinct = pd.factorize(kept[column])
        free = np.array([remark or not _is_plain(text, _PATTERNS[name, column]) for text in distinct], dtype=bool)
        bad = pd.Series(np.append(free, False)[codes], index=kept.index)  # the code of a missing cell is -1: the last
        kept[column] = kept[column].mask(bad, WITHHELD if remark else pd.NA)
        if bad.any():
            told.append(f"{int(bad.sum())} {column.replace('_', ' ')}(s) withheld")
    return kept, told


def _is_plain(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(text.strip()) is not None and not kinds_in(text, "patient_id")
