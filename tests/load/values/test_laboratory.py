"""Results as printed become canonical values; what is missing or unclear is set aside with the line that accepts it."""

import re
import time
import tomllib

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.errors import PlanError
from aih_outcomes.load.mapping import parse_mapping, read_rules
from aih_outcomes.load.records import join_problems
from aih_outcomes.load.spreadsheets.tables import read_tables
from aih_outcomes.load.values.laboratory import convert_results

COLUMNS = ("analyte", "value", "unit", "uln")


def convert(*rows, units=None, titres=None, decimal=".", **more):
    """Convert rows of ``(analyte, value, unit)`` or ``(analyte, value, unit, uln)``."""
    cells = pd.DataFrame([(*row, "")[:4] for row in rows], columns=COLUMNS, dtype=object)
    text = cells[["value", "unit", "uln"]].assign(printed=cells["value"], **more)
    frame, problems = convert_results(
        text, cells["analyte"].astype("string"), units=units or {}, titres=titres or {}, decimal=decimal
    )
    return frame, join_problems(problems)


def line_of(way_out: str) -> dict:
    """Read the mapping line that a way out offers."""
    return tomllib.loads(re.search(r"\w+ = \{ .+? = \{ .*? \} \}", way_out).group())


@pytest.mark.parametrize(
    ("analyte", "printed", "unit", "value", "sign"),
    [
        ("alt", "2.5", "µkat/L", 150, "="), ("alt", "<5", "IU/l", 5, "<"), ("bilirubin", "10", "мкмоль/л", 10, "="),
        ("igg", "1640", "mg%", 16.4, "="), ("platelets", "1.5", "lakh/cumm", 150, "="),
        ("platelets", "150", "G/l", 150, "="),
        ("ana", ">1:1280", "", 1280, ">"), ("ana", "1/80", "titre", 80, "="), ("ana", "640", "{titer}", 640, "="),
        ("haemoglobin", "10", "gm%", 100, "="), ("sodium", "140 H", "mmol/L", 140, "="),
    ],
)  # fmt: skip
def test_a_result_as_printed_becomes_the_canonical_value(analyte, printed, unit, value, sign):
    frame, problems = convert((analyte, printed, unit))
    assert problems.empty
    assert frame[["value", "comparator", "raw_value"]].to_numpy().tolist() == [[pytest.approx(value), sign, printed]]
    assert frame["raw_unit"].fillna("").tolist() == [unit]


def test_haemoglobin_a1c_is_converted_with_its_offset_and_its_limit_too():
    frame, _ = convert(("hba1c", "6.5", "%", "6.0"), ("hba1c", "48", "mmol/mol", ""))
    assert frame["value"].round().tolist() == [48, 48]
    assert frame["uln"].round().fillna(0).tolist() == [42, 0]


def test_limits_are_read_in_the_unit_of_the_result_or_in_their_own():
    rows = [
        ("alt", "2", "µkat/L", "0.7"),
        ("alt", "2", "µkat/L", "5 - 40"),
        ("alt", "2", "µkat/L", "<=1"),
        ("alt", "2", "µkat/L"),
    ]
    frame, problems = convert(*rows, uln_unit=["", "U/L", "", ""])
    assert frame["uln"].fillna(0).tolist() == [42, 40, 60, 0]
    assert frame["uln_source"].tolist() == ["reported", "reported", "reported", "none"]
    assert problems.empty


def test_the_source_may_say_where_a_limit_is_from():
    rows = [("alt", "20", "U/L", "40")] * 3 + [("alt", "20", "U/L")]
    frame, _ = convert(*rows, uln_source=["laboratory", "Age_Sex_Table", "", "laboratory"])
    assert frame["uln_source"].tolist() == ["laboratory", "age_sex_table", "reported", "none"]


@pytest.mark.parametrize("limit", ["high", "40-", "-5", "1,2", "5-40-60", "40-5", "40¹", "x" * 1000])
def test_a_limit_that_cannot_be_read_sets_the_row_aside(limit):
    _, problems = convert(("alt", "20", "U/L", limit))
    assert problems["column"].tolist() == ["uln"]
    assert limit not in problems["rule"][0] + problems["way_out"][0]


def test_a_limit_in_a_unit_that_is_not_known_sets_the_row_aside():
    frame, problems = convert(("alt", "20", "U/L", "40"), uln_unit=["furlongs"])
    assert problems["column"].tolist() == ["uln"]
    assert frame["uln"].isna().all()


@pytest.mark.parametrize(
    ("analyte", "values", "limit", "meant", "canonical"),
    [
        ("igg", ["1640", "900", "1200"], "", "mg/dL", [16.4, 9.0, 12.0]),
        ("igg", ["16.4", "9"], "", "g/L", [16.4, 9.0]),
        ("alt", ["0.9", "4.5"], "0.7", "ukat/L", [54.0, 270.0]),
        ("alt", ["54", "270"], "40", "U/L", [54.0, 270.0]),
        ("bilirubin", ["1.0", "12"], "1.2", "mg/dL", [17.104, 205.248]),
        ("albumin", ["3.5", "4"], "", "g/dL", [35.0, 40.0]),
        ("platelets", ["150000", "90000"], "", "/uL", [150.0, 90.0]),
        ("creatinine", ["0.5", "0.8"], "1.1", "mg/dL", [44.2, 70.72]),
        ("haemoglobin", ["11.2"], "", "g/dL", [112.0]),
        ("bilirubin", ["0.8", "2.1"], "", "mg/dL", [13.6832, 35.9184]),
        ("bilirubin", ["2", "2.2"], "21", "umol/L", [2.0, 2.2]),  # its limit says so
        ("alt", ["0.9", "1.5"], "", "ukat/L", [54.0, 90.0]),
        ("platelets", ["1.5", "2.1"], "", "10*5/uL", [150.0, 210.0]),  # lakh
    ],
)
def test_a_missing_unit_is_offered_and_the_offered_line_accepts_the_rows(analyte, values, limit, meant, canonical):
    rows = [(analyte, value, "", limit) for value in values]
    frame, problems = convert(*rows)
    assert frame["value"].isna().all()  # never guessed
    assert set(problems["column"]) == {"unit"}
    assert problems["rule"].str.startswith(f"missing unit for '{analyte}'").all()
    mapped = line_of(problems["way_out"][0])
    assert mapped == {"units": {analyte: {"": meant}}}
    frame, problems = convert(*rows, units=mapped["units"])
    assert problems.empty
    assert frame["value"].tolist() == pytest.approx(canonical)
    assert frame["raw_unit"].isna().all()


def test_where_the_size_tells_nothing_no_unit_is_offered():
    _, problems = convert(("alt", "900000", ""), ("igg", "pending", ""))
    assert line_of(problems["way_out"][0]) == {"units": {"alt": {"": "…"}}}
    assert 'units = { igg = { "" = "…" } }' in problems["way_out"][1]


@pytest.mark.parametrize(
    ("analyte", "unit", "offer"),
    [
        ("igg", "mg/L", "0.001 g/L"), ("igg", "G/L", "g/L"), ("alt", "U/mL", "1000 U/L"), ("alt", "mkat/L", "ukat/L"),
        ("afp", "IU/mL", "1.21 ug/L"), ("albumin", "µmol/L", "0.06645 g/L"), ("creatinine", "nmol/L", "0.001 umol/L"),
        ("bilirubin", "mmol/L", "1000 umol/L"), ("alt", "Ul/L", "U/L"),
    ],
)  # fmt: skip
def test_an_unknown_unit_is_offered_what_it_may_mean(analyte, unit, offer):
    frame, problems = convert((analyte, "20", unit))
    assert frame["value"].isna().all()
    assert problems["rule"].str.startswith(f"unit '{unit}' for '{analyte}'; expected one of ").all()
    mapped = line_of(problems["way_out"][0])
    assert mapped == {"units": {analyte: {unit: offer}}}
    assert convert((analyte, "20", unit), units=mapped["units"])[1].empty


@pytest.mark.parametrize("unit", ["furlongs", "%", "mmol/L"])
def test_a_unit_of_something_else_is_offered_nothing(unit):
    _, problems = convert(("platelets", "200", unit))
    assert "…" in problems["way_out"][0]


def test_a_word_that_slipped_into_the_unit_is_not_repeated():
    _, problems = convert(("alt", "20", "Anna Smith"))
    assert "Anna" not in " ".join(problems[["rule", "way_out"]].to_numpy().ravel())


@pytest.mark.parametrize("word", ["neg", "Negative", "positive", "отр"])
def test_a_word_in_place_of_a_titre_needs_the_dilution_of_the_laboratory(word):
    frame, problems = convert(("ana", word, "titre"))
    assert frame["value"].isna().all()
    assert problems["rule"].tolist() == [f"'{word}' tells no dilution; a titre is written as 1:40 or <1:20"]
    assert line_of(problems["way_out"][0]) == {"titres": {"ana": {word: "<1:…"}}}


def test_a_mapped_word_is_the_titre_that_it_stands_for_whatever_its_case():
    rows = [("ana", "NEG", ""), ("ana", "1:640", ""), ("sma", "neg", ""), ("ana", " neg ", "titre")]
    frame, problems = convert(*rows, titres={"ana": {"neg": "<1:20"}})
    assert frame[["comparator", "value"]].iloc[[0, 1, 3]].to_numpy().tolist() == [["<", 20], ["=", 640], ["<", 20]]
    assert frame["raw_value"].tolist() == ["NEG", "1:640", "neg", " neg "]
    assert problems["row"].tolist() == [2]


def test_a_titre_is_no_result_of_an_enzyme():
    _, problems = convert(("alt", "1:40", "U/L"))
    assert problems["rule"].tolist() == ["a titre (1:40) is no result of 'alt'"]


@pytest.mark.parametrize("word", ["haemolysed", "Hemolysed", "n/a", "NA", "pending", "-999", "nicht bestimmt", "—"])
def test_a_word_for_no_result_is_offered_as_the_mapping_s_missing(word):
    _, problems = convert(("alt", word, "U/L"))
    assert problems["rule"].tolist() == [f"'{word}' is no number"]
    assert f'missing = ["{word}"]' in problems["way_out"][0]


def test_an_empty_result_says_so_as_any_required_cell_does():
    _, problems = convert(("alt", "", "U/L"))
    assert problems["rule"].tolist() == ["required value is missing"]


def test_other_text_is_never_repeated():
    _, problems = convert(("alt", "Anna Smith, 12 Elm Road", "U/L"))
    assert problems["rule"].tolist() == ["must be a number, a sign with a number (<5) or a titre (1:40)"]
    assert "Anna" not in problems["way_out"][0]


def test_decimal_commas_are_read_only_where_told():
    frame, problems = convert(("igg", "16,4", "g/L", "16,1"), ("igg", "16.4", "g/L"), decimal=",")
    assert frame["value"].fillna(0).tolist() == [16.4, 0]
    assert frame["uln"].fillna(0).tolist() == [16.1, 0]
    assert problems["row"].tolist() == [1]
    assert convert(("igg", "16,4", "g/L"))[1]["column"].tolist() == ["value"]


def test_an_unknown_analyte_is_left_to_its_own_rule():
    frame, problems = convert((None, "5", ""), ("alt", "5", "U/L"))
    assert problems.empty
    assert frame["value"].fillna(-1).tolist() == [-1, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('titres = { ana = { neg = "negative" } }', "titres.ana: 'neg' must be given as a titre, as 1:40 or <1:20"),
        ('titres = { alt = { neg = "<1:20" } }', "titres.alt: 'alt' is no analyte with titres"),
        ('titres = { ana = { neg = "20" } }', "must be given as a titre"),
        ('units = { afp = { "IU/mL" = "IU/mL" } }', "units.afp: 'IU/mL' must be given as one of ug/L, ng/mL"),
    ],
)
def test_a_fault_in_the_rules_is_told_before_a_row_is_read(tmp_path, text, said):
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=re.escape(said)):
        read_rules(path)


def test_rules_hold_units_and_titres(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text('units = { igg = { "" = "mg/dL" } }\ntitres = { ana = { neg = "<1:20" } }\n', encoding="utf-8")
    rules = read_rules(path)
    frame, problems = convert(("igg", "1200", ""), ("ana", "neg", ""), units=rules.units, titres=rules.titres)
    assert problems.empty
    assert frame["value"].tolist() == [12, 20]


CELLS = st.one_of(
    st.text(max_size=12), st.sampled_from(["neg", "1:40", "<5", "12.5", "", "NA", "pending", "1e400", "5-40", "mg/L"])
)


@given(st.lists(st.tuples(st.sampled_from(["alt", "igg", "ana", "hba1c", None]), CELLS, CELLS, CELLS), max_size=6))
@example([("ana", "neg", "\x00", "")])
@example([("alt", "5", "/", "1e999")])
@example([("igg", "5", '" = "', "")])
@example([(None, "", "", "")])
@example([(None, "1:40", "", ""), (None, "x", "", "")])
def test_every_row_has_a_value_or_a_reason(rows):
    frame, problems = convert(*rows)
    assert len(frame) == len(rows)
    valued = frame["value"].notna().to_numpy()
    named = np.array([row[0] is not None for row in rows], dtype=bool)
    aside = np.isin(np.arange(len(rows)), problems["row"])
    assert (valued | aside | ~named).all()
    assert np.isfinite(frame["value"].dropna()).all()


@given(st.text(alphabet="QXZJ", min_size=6, max_size=20), st.text(alphabet="QXZJ", min_size=6, max_size=20))
def test_no_reason_holds_what_a_patient_s_cell_held(value, unit):
    _, problems = convert(("alt", value, unit, value))
    said = " ".join(problems[["rule", "way_out"]].to_numpy().ravel())
    assert value not in said
    assert unit not in said


@pytest.mark.slow
def test_50_000_results_take_less_than_a_third_of_a_second():
    rng = np.random.default_rng(1)
    n = 50_000
    analyte = pd.Series(rng.choice(["alt", "igg", "ana", "platelets"], n), dtype="string")
    unit = analyte.map({"alt": "IU/L", "igg": "mg/dL", "ana": "titre", "platelets": "G/L"}).astype(object)
    value = pd.Series((rng.integers(1, 5000, n) / 10).astype(str), dtype=object)
    text = pd.DataFrame({"value": value, "printed": value, "unit": unit, "uln": "40"})
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        convert_results(text, analyte, units={}, decimal=".")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


PATIENTS = "id,born,diagnosed\nA,2010-01-01,2020-01-01\n"
RESULTS = "id,day,test,result,unit\nA,2020-01-02,ana,neg,\nA,2020-01-02,igg,1640,\nA,2020-02-02,igg,900,\n"
MAPPING = """
[patients]
file = "patients.csv"
columns.patient_id = "id"
columns.birth_date = "born"
columns.diagnosis_date = "diagnosed"
[labs]
file = "results.csv"
columns.patient_id = "id"
columns.date = "day"
columns.analyte = "test"
columns.value = "result"
columns.unit = "unit"
"""


def test_the_lines_that_are_offered_take_every_row_into_the_cohort(tmp_path):
    (tmp_path / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    (tmp_path / "results.csv").write_text(RESULTS, encoding="utf-8")
    first = read_tables(tmp_path, parse_mapping(MAPPING))
    assert first.labs.empty
    titres, unit, _ = first.set_aside["way_out"]
    lines = [re.search(r"\w+ = \{ .+? = \{ .*? \} \}", way_out).group() for way_out in (titres, unit)]
    assert lines[0] == 'titres = { ana = { "neg" = "<1:…" } }'
    second = read_tables(tmp_path, parse_mapping("\n".join(lines).replace("<1:…", "<1:20") + MAPPING))
    assert second.set_aside.empty
    assert second.labs[["value", "comparator", "unit"]].to_numpy().tolist() == [
        [20, "<", "{titer}"], [16.4, "=", "g/L"], [9, "=", "g/L"],
    ]  # fmt: skip
