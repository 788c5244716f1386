"""Laboratory results of Observations: the UCUM code decides where it converts, the printed unit stays as printed."""

import pandas as pd

from aih_outcomes.load.mapping import Rules
from aih_outcomes.load.records import list_problems
from aih_outcomes.load.values.laboratory import convert_results
from aih_outcomes.units import find_conversion

_CONFLICT = (
    "conflicting units: the printed unit and the UCUM code of the quantity mean different things",
    "Correct the unit or its code in the source",
)


def convert_labs(text: pd.DataFrame, analyte: pd.Series, rules: Rules) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert results as printed; see ``load.values.laboratory.convert_results``.

    Parameters
    ----------
    text : ``value, unit, ucum, uln, uln_unit, uln_source``
    """
    triples = pd.DataFrame({"analyte": analyte.astype(object), "unit": text["unit"], "ucum": text["ucum"]})
    place, distinct = pd.factorize(pd.MultiIndex.from_frame(triples.fillna("")))
    chosen = [_choose(name, unit, ucum, rules.units.get(name, {})) for name, unit, ucum in distinct]
    by_unit = pd.Series([word for word, _ in chosen], dtype=object).take(place).set_axis(text.index)
    conflict = pd.Series([bad for _, bad in chosen], dtype=bool).take(place).set_axis(text.index)
    printed = text.assign(printed=text["value"], unit=by_unit)
    frame, problems = convert_results(printed, analyte, units=rules.units, titres=rules.titres, decimal=".")
    raw_unit = text["unit"].replace("", None).astype("string")
    return frame.assign(raw_unit=raw_unit), [*problems, list_problems(conflict, "unit", *_CONFLICT)]


def _choose(analyte: str, unit: str, ucum: str, known: dict[str, str]) -> tuple[str, bool]:
    """Return the unit by which a result is converted, and whether the printed one contradicts it."""
    if not analyte or not ucum or unit in known or unit == ucum:
        return unit, False
    if ucum in known:
        return ucum, False
    by_code, by_print = find_conversion(analyte, ucum), find_conversion(analyte, unit)
    if by_code is None:
        return unit, False
    return ucum, bool(unit) and by_print is not None and by_print != by_code
