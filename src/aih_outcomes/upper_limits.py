"""Upper limits of normal of a table of bands: by the child's sex and age at the sample, by laboratory and period."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.cohort import DAYS_PER_YEAR, date_span

Days = NDArray[np.int64]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_NEARLY_A_YEAR = 364 / DAYS_PER_YEAR
ANY = "any"  # a band for both sexes
BAND_COLUMNS = ("analyte", "sex", "age_from_years", "age_to_years", "upper")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Results (n,) with what decides their upper limit; who is not among the patients has no sex, age or centre.

    Attributes
    ----------
    analyte, sex, centre : names; ``""`` where not known
    day : day of the sample
    age : years at the sample, completed ones from the first birthday on; NaN where not known
    """

    analyte: NDArray[np.object_]
    day: NDArray[np.datetime64]
    age: Floats
    sex: NDArray[np.object_]
    centre: NDArray[np.object_]


def describe_samples(labs: pd.DataFrame, patients: pd.DataFrame) -> Samples:
    """Return the results of ``labs`` with age, sex and centre of their patients; of a patient's rows the first counts.

    Parameters
    ----------
    labs : ``patient_id, date, analyte``
    patients : the columns of the table ``patients``
    """
    once = patients[~patients["patient_id"].duplicated().to_numpy(bool)]
    known = pd.Index(once["patient_id"].to_numpy(object))
    patient = known.get_indexer(pd.Index(labs["patient_id"].to_numpy(object)))
    day = labs["date"].to_numpy("datetime64[D]")
    sex, centre = (_names(once[name])[patient] for name in ("sex", "centre"))
    return Samples(_names(labs["analyte"])[:-1], day, _ages(once, patient, day), sex, centre)


def find_limits(samples: Samples, bands: pd.DataFrame) -> Floats:
    """Return the limit of the band that each result falls into (n,); NaN where none does.

    Parameters
    ----------
    bands : ``BAND_COLUMNS`` (``sex`` female, male or ``any``; ages ``[from, to)`` in years, from minus to plus infinity
        where age does not matter) and, where it matters, ``laboratory`` (the patient's centre), ``since`` and ``until``
        (first and last day, both counted). No two bands fit one result
    """
    found = np.full(len(samples.analyte), np.nan)
    rows_of = _rows_by_name(samples.analyte, bands["analyte"].to_numpy(object))
    for band in bands.to_dict("records"):
        rows = rows_of[band["analyte"]]
        age, day = samples.age[rows], samples.day[rows]
        ageless = np.isneginf(band["age_from_years"]) and np.isposinf(band["age_to_years"])
        fits = ((age >= band["age_from_years"]) & (age < band["age_to_years"])) | ageless
        if band["sex"] != ANY:
            fits &= samples.sex[rows] == band["sex"]
        if "laboratory" in band:
            fits &= samples.centre[rows] == band["laboratory"]
        if "since" in band:
            fits &= (day >= band["since"].to_datetime64()) & (day <= band["until"].to_datetime64())
        found[rows[fits]] = band["upper"]
    return found


def describe_ends(labs: pd.DataFrame, patients: pd.DataFrame) -> tuple[Samples, ...]:
    """Return the results as young and early as their dates allow, and as old and late; once where each is to the day.

    An age at diagnosis that is a whole number is taken for completed years: who is 4 may be nearly 5.

    Parameters
    ----------
    labs : ``patient_id, date, date_precision, analyte``
    patients : the columns of the table ``patients``
    """
    age = patients["age_at_diagnosis"].to_numpy(float)
    completed = (age % 1 == 0) & patients["birth_date"].isna().to_numpy(bool)
    in_part = any(table["date_precision"].notna().any() for table in (labs, patients))
    if not (in_part or completed.any()):
        return (describe_samples(labs, patients),)
    ages = (age, np.where(completed, age + _NEARLY_A_YEAR, age))
    sampled, born, diagnosed = (
        date_span(*where) for where in ((labs, "date"), (patients, "birth_date"), (patients, "diagnosis_date"))
    )
    return tuple(
        describe_samples(
            labs.assign(date=sampled[late]),
            patients.assign(birth_date=born[1 - late], diagnosis_date=diagnosed[1 - late], age_at_diagnosis=ages[late]),
        )
        for late in (0, 1)
    )


def find_certain_limits(ends: tuple[Samples, ...], bands: pd.DataFrame) -> Floats:
    """Return the limit of each result (n,); NaN too where dates known to the month or year leave open which it is.

    Parameters
    ----------
    ends : see ``describe_ends``
    bands : see ``find_limits``
    """
    found = [find_limits(samples, bands) for samples in ends]
    return np.where(found[0] == found[-1], found[0], np.nan)


def limits_of_table(labs: pd.DataFrame, patients: pd.DataFrame, source: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each result's limit in a table of the catalogue (NaN where no band fits), and which of its analytes are.

    Parameters
    ----------
    labs : ``patient_id, date, date_precision, analyte``
    source : name of the table
    """
    table = read_reference_limits()
    bands = table[table["table"] == source]
    uln = find_certain_limits(describe_ends(labs, patients), bands[list(BAND_COLUMNS)])
    return uln, labs["analyte"].isin(bands["analyte"].unique()).to_numpy(bool)


def _rows_by_name(names: NDArray[np.object_], wanted: NDArray[np.object_]) -> dict[str, Rows]:
    """Return the positions in ``names`` of each of those wanted."""
    levels = pd.Index(wanted).unique()
    code = levels.get_indexer(pd.Index(names))
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(len(levels) + 1))
    return {name: order[starts[k] : starts[k + 1]] for k, name in enumerate(levels)}


def _names(column: pd.Series) -> NDArray[np.object_]:
    """Return a text column with ``""`` where missing, and a last ``""`` that the position −1 finds."""
    return np.append(column.to_numpy(object, na_value=""), "")


def _ages(patients: pd.DataFrame, patient: Rows, day: NDArray[np.datetime64]) -> Floats:
    """Return ages in years: completed ones from the first birthday on, as bands change at birthdays.

    Where only the age at diagnosis is known, that age and the time since; NaN where ``patient`` is −1.
    """
    nowhere = np.array(["NaT"], dtype="datetime64[D]")
    born, diagnosed = (
        np.append(patients[name].to_numpy("datetime64[D]"), nowhere)[patient]
        for name in ("birth_date", "diagnosis_date")
    )
    at_diagnosis = np.append(patients["age_at_diagnosis"].to_numpy(float), np.nan)[patient]
    (year, month, of_month), (born_year, born_month, born_of_month) = _calendar(day), _calendar(born)
    before_birthday = (month < born_month) | ((month == born_month) & (of_month < born_of_month))
    completed = year - born_year - before_birthday
    from_birth = np.where(completed >= 1, completed, _years(day - born))
    ages = np.where(np.isnat(born), at_diagnosis + _years(day - diagnosed), from_birth)
    return np.where(np.isnat(day), np.nan, ages)


def _years(time: NDArray[np.timedelta64]) -> Floats:
    years: Floats = time / np.timedelta64(1, "D") / DAYS_PER_YEAR
    return years


def _calendar(date: NDArray[np.datetime64]) -> tuple[Days, Days, Days]:
    year, month = date.astype("datetime64[Y]"), date.astype("datetime64[M]")
    return year.astype(np.int64), (month - year).astype(np.int64), (date - month).astype(np.int64)
