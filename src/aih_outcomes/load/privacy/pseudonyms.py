"""Identifiers replaced at the door: a keyed HMAC-SHA-256, free text withheld, and dates moved per patient.

A plain hash would not do: ten digits are tried in minutes. With the key the same person has the same pseudonym in every
table and source, and who has no key cannot go back. Pseudonyms are still personal data.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from aih_outcomes.cohort.era import five_years_of
from aih_outcomes.load.privacy.identifiers import count_patients, kinds_in, read_health_number
from aih_outcomes.load.privacy.withheld import withhold_text
from aih_outcomes.load.records import Records
from aih_outcomes.schema import TABLES

Named = Literal["patients", "centres", "judges"]
_COLUMNS: dict[Named, str] = {"patients": "patient_id", "centres": "centre", "judges": "initials"}
PREFIXES: dict[Named, str] = {"patients": "P", "centres": "Centre ", "judges": "J"}  # a spreadsheet keeps them as text
# Hexadecimal digits. Two of 1,000,000 patients share 16 of them with a chance of n²/2·16⁻¹⁶ = 3·10⁻⁸; two of 1,000
# centres or judges share 8 with a chance of 10⁻⁴.
_LENGTHS: dict[Named, int] = {"patients": 16, "centres": 8, "judges": 8}
MOST_DAYS = 364
_LEAST_FOUND = 5  # characters of an identifier that is looked for in names of files: "3" stands in many
_YEAR_DIGITS = 4
_OWN_FILES = {f"{name}.csv" for name in TABLES}
_WITHHELD = "(withheld, as it holds identifiers)"
_WORDS = tuple(re.compile(rf"[^\s,;|(){marks}]+") for marks in ("", "_.", r"_.\-"))  # smith_j, K17.csv, labs-K17.csv


@dataclass(frozen=True, slots=True)
class Outage:
    """Days, first and last, in which a laboratory was out of order and results are missing."""

    name: str
    start: date
    end: date


@dataclass(frozen=True, slots=True, eq=False)
class Pseudonyms:
    """A key from a file outside the data, and what is done with it.

    Attributes
    ----------
    key : see ``aih_outcomes.load.privacy.keys``; it is not part of the text of this object
    shift_dates : move all dates of a patient by the same 1 to 364 days into the past. Intervals and ages in days stay;
        calendar time, seasons and weekdays do not. No date comes to lie in the future
    outages : marked in ``follow_up.laboratory_outage`` before dates are moved
    """

    key: bytes = field(repr=False)
    shift_dates: bool = False
    outages: tuple[Outage, ...] = ()


def pseudonymise(records: Sequence[Records], pseudonyms: Pseudonyms) -> list[Records]:
    """Replace identifiers in records of every table, also in those set aside.

    - Patients, centres and judges' initials are replaced by codes; equal ones stay equal.
    - Free text is withheld: the reason of a judgement, and cells of results, doses, genes that are not written as such.
    - Names of files are replaced by a code where they hold an identifier, and where rows of at most one patient come
      from the file, as its name may be theirs; ``patients.csv`` and the other tables' own names stay.
    - With ``shift_dates``, the five years of diagnosis and outages are noted, then dates are moved.
    """
    patients = list_pseudonyms(_patients_of(records), pseudonyms).set_index("patient_id")
    written = {text for text in patients.index if _can_be_found(text)}
    files = _rename_files(records, written, pseudonyms)
    return [_replace_in(part, patients, written, files, pseudonyms) for part in records]


def list_pseudonyms(ids: pd.Series, pseudonyms: Pseudonyms, *, of: Named = "patients") -> pd.DataFrame:
    """Return the way from identifiers to pseudonyms: for the secure side only, where a query is looked up in the notes.

    Nothing else of the package writes such a list.

    Parameters
    ----------
    ids : as they stand in the source; blanks around them and their Unicode form do not matter, nor how a health number
        is spaced. Capitals matter: in FHIR ``a1`` and ``A1`` are two patients
    of : whose codes are asked for

    Returns
    -------
    frame ``patient_id, pseudonym, days_moved`` (of patients: what was added to each date, 0 without ``shift_dates``),
    or ``centre, pseudonym`` and ``initials, pseudonym``; one row per distinct identifier
    """
    distinct = ids.astype("string").dropna().drop_duplicates().to_list()
    begun = _begin(pseudonyms.key, of)
    digests = [_digest(begun, normalise_identifier(text)) for text in distinct]
    column, length = _COLUMNS[of], _LENGTHS[of]
    stacked = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, hashlib.sha256().digest_size)
    written = stacked[:, : length // 2].tobytes().hex()
    codes = [PREFIXES[of] + written[start : start + length] for start in range(0, len(written), length)]
    frame = pd.DataFrame({column: pd.array(distinct, dtype="string"), "pseudonym": pd.array(codes, dtype="string")})
    if of == "patients":  # other bytes of the digest: the code tells nothing of the days
        drawn = np.ascontiguousarray(stacked[:, 8:16]).view(">u8").ravel() % MOST_DAYS
        frame["days_moved"] = -1 - drawn.astype(np.int64) if pseudonyms.shift_dates else 0
    return frame


def _begin(key: bytes, of: str) -> hmac.HMAC:
    """Return the digest of what is named, begun once: a centre and a patient of one name have codes of their own."""
    return hmac.new(key, f"{of}:".encode(), "sha256")


def _digest(begun: hmac.HMAC, text: str) -> bytes:
    digest = begun.copy()
    digest.update(text.encode())
    return digest.digest()


def normalise_identifier(text: str) -> str:
    """Return an identifier as it is compared: one Unicode form, no outer blanks, a health number as ten digits.

    Examples
    --------
    >>> normalise_identifier(" 943 476 5919"), normalise_identifier("K-0017")
    ('9434765919', 'K-0017')
    """
    plain = text.strip() if text.isascii() else unicodedata.normalize("NFKC", text).strip()
    return read_health_number(plain) or plain


def _patients_of(records: Sequence[Records]) -> pd.Series:
    found = [frame["patient_id"] for part in records for frame in (part.kept, part.aside)]
    return pd.Series(pd.concat([ids.drop_duplicates() for ids in found]).unique(), dtype="string")


def _replace_in(
    part: Records, patients: pd.DataFrame, written: set[str], files: dict[str, str], pseudonyms: Pseudonyms
) -> Records:
    kept, told = withhold_text(part.table, part.kept)
    named: tuple[Named, ...] = ("centres", "judges")
    for of in named:
        if (column := _COLUMNS[of]) in kept:
            codes = list_pseudonyms(kept[column], pseudonyms, of=of).set_index(column)["pseudonym"]
            kept[column] = _look_up(kept[column], codes)
    if pseudonyms.shift_dates:
        kept, marked = _note_calendar(part.table, kept, pseudonyms.outages)
        kept = _move_dates(part.table, kept, patients["days_moved"])
        told += [*marked, "dates moved per patient"]
    kept, aside = (
        frame.assign(
            patient_id=_look_up(frame["patient_id"], patients["pseudonym"]),
            source_file=_look_up(frame["source_file"], pd.Series(files, dtype="string")),
        )
        for frame in (kept, part.aside)
    )
    return replace(
        part, kept=kept, aside=aside, source_file=files[part.source_file],
        columns_not_used=_without_identifiers(part.columns_not_used, "columns_not_used", written),
        how_read="; ".join(filter(None, [_without_identifiers(part.how_read, "how_read", written), *told])),
    )  # fmt: skip


def _look_up(values: pd.Series, codes: pd.Series) -> pd.Series:
    """Return the code of each value; missing stays missing."""
    place = pd.Index(codes.index.astype("string")).get_indexer(pd.Index(values.astype("string")))
    return pd.Series(codes.astype("string").array.take(place, allow_fill=True), index=values.index)


def _note_calendar(table: str, frame: pd.DataFrame, outages: Sequence[Outage]) -> tuple[pd.DataFrame, list[str]]:
    """Note what moved dates no longer tell: the five years of a diagnosis, and periods with an outage."""
    if table == "patients":
        return frame.assign(diagnosis_era=frame["diagnosis_era"].fillna(five_years_of(frame["diagnosis_date"]))), []
    if table != "follow_up" or not outages:
        return frame, []
    within = pd.Series(data=False, index=frame.index)
    told = []
    for outage in outages:
        found = (frame["start"] <= pd.Timestamp(outage.end)) & (frame["end"] >= pd.Timestamp(outage.start))
        within |= found
        told.append(f"{int(found.sum())} period(s) with the outage '{outage.name}'")
    known = frame["laboratory_outage"].fillna(value=False)
    return frame.assign(laboratory_outage=(known | within).astype("boolean")), told


def _move_dates(table: str, frame: pd.DataFrame, days: pd.Series) -> pd.DataFrame:
    """Move every date of a patient by the same days; a row without a patient is set aside later, and stays."""
    moved = pd.to_timedelta(frame["patient_id"].map(days).fillna(0).astype("int64"), unit="D")
    dates = [column.name for column in TABLES[table].columns if column.kind == "date"]
    return frame.assign(**{name: (frame[name] + moved).astype(frame[name].dtype) for name in dates})


def _can_be_found(text: str) -> bool:
    return len(text) >= (_YEAR_DIGITS + 2 if text.isdigit() else _LEAST_FOUND)


def _rename_files(records: Sequence[Records], written: set[str], pseudonyms: Pseudonyms) -> dict[str, str]:
    """Return name of a file → the name under which it is told."""
    frames = [frame for part in records for frame in (part.kept, part.aside)]
    of_many = count_patients(frames).loc[lambda number: number > 1]
    plain = _OWN_FILES | set(of_many.index)
    names = {part.source_file for part in records}.union(*(frame["source_file"].dropna().unique() for frame in frames))
    return {
        name: name if name in plain and not _names_someone(name, written) else _code_of_file(name, pseudonyms)
        for name in names
    }


def _names_someone(file: str, written: set[str]) -> bool:
    return bool(kinds_in(file, "source_file")) or _holds_written(file, written)


def _code_of_file(name: str, pseudonyms: Pseudonyms) -> str:
    code = _digest(_begin(pseudonyms.key, "file"), name).hex()[:8]
    ending = re.search(r"\.[a-z0-9]{2,8}$", name, re.IGNORECASE)
    return f"file-{code}{ending[0] if ending else ''}"


def _without_identifiers(told: str, column: str, written: set[str]) -> str:
    """Return what is told of a file with … in place of patients' identifiers, as names of columns may hold them."""
    if kinds_in(told, column):
        return _WITHHELD
    hidden = {text for text in written if not text.isdigit()} if column == "how_read" else written  # counts stay
    for pattern in _WORDS:
        told = pattern.sub(lambda word: "…" if word[0] in hidden else word[0], told)
    return told


def _holds_written(file: str, written: set[str]) -> bool:
    """Return whether a patient's identifier stands in the name of a file, with no letter or digit beside it."""
    words = {word for pattern in _WORDS for word in pattern.findall(file)}
    return not written.isdisjoint(words | {file.rpartition(".")[0]})
