"""Units as clinics write them."""

import math
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.catalogue import read_analytes, read_conversions
from aih_outcomes.units import (
    accepted_units,
    canonical_units,
    compute_canonical,
    compute_factor,
    find_approximate,
    is_known_unit,
    normalise_unit,
    parse_results,
)


@pytest.mark.parametrize(
    ("written", "ucum"),
    [
        ("U/l", "U/L"), ("UI/L", "[IU]/L"), ("IU/L", "[IU]/L"), ("E/L", "U/L"), (" u / l ", "U/L"),
        ("µkat/L", "ukat/L"), ("μkat/l", "ukat/L"), ("mikrokat/L", "ukat/L"), ("nkat/L", "nkat/L"),
        ("µmol/L", "umol/L"), ("μmol/l", "umol/L"), ("mcmol/L", "umol/L"), ("MG/DL", "mg/dL"), ("gm/dL", "g/dL"),
        ("G/l", "10*9/L"), ("G/L", "10*9/L"), ("g/l", "g/L"), ("g/L", "g/L"), ("Gpt/l", "10*9/L"),
        ("x10E9/L", "10*9/L"), ("×10⁹/L", "10*9/L"), ("x 10^9/L", "10*9/L"), ("K/uL", "10*3/uL"), ("10³/µL", "10*3/uL"),
        ("{INR}", "1"), ("sec", "s"), ("titre", "{titer}"),
        ("IE/L", "[IU]/L"), ("UI/l", "[IU]/L"), ("T/L", "10*12/L"), ("/nl", "10*9/L"), ("Tsd/µl", "10*3/uL"),
        ("K/µL", "10*3/uL"), ("k/uL", "10*3/uL"), ("lakh/µL", "10*5/uL"), ("lakhs/cumm", "10*5/uL"), ("/cumm", "/uL"),
        ("cells/mm³", "/uL"), ("10^9/l", "10*9/L"), ("10*9/L", "10*9/L"), ("x109/L", "10*9/L"), ("X10^3/uL", "10*3/uL"),
        ("мкмоль/л", "umol/L"), ("г/л", "g/L"), ("Ед/л", "U/L"), ("МЕ/л", "[IU]/L"), ("ммоль/л", "mmol/L"),
        ("мккат/л", "ukat/L"), ("×10⁹/л", "10*9/L"), ("сек", "s"),
        ("mg%", "mg/dL"), ("gm%", "g/dL"), ("g%", "g/dL"), ("ng/ml", "ng/mL"), ("mcg/L", "ug/L"), ("µg/l", "ug/L"),
        ("IU/mL", "[IU]/mL"), ("kU/L", "k[IU]/L"), ("%", "%"), ("mmol/mol Hb", "mmol/mol"), ("mmol/mol", "mmol/mol"),
        ("µmol·L⁻¹", "umol/L"), ("g l-1", "g/L"), ("㎎/㎗", "mg/dL"), ("g\u00a0/ L", "g/L"),
        ("pmol/8x10⁸ RBC", "pmol/(8.10*8.{RBC})"),
        ("{ratio}", "1"), ("{cells}/uL", "/uL"), ("{#}/uL", "/uL"), ("10*3/uL{WBCs}", "10*3/uL"), ("%{HbA1c}", "%"),
        ("{U}/L", "{U}/L"), ("{score}", "{score}"), ("1000/µL", "10*3/uL"), ("10(9)/L", "10*9/L"),
        ("mkat/L", "mkat/L"), ("M/L", "M/L"), ("furlongs", "furlongs"), ("", ""), ("u" * 100_000, "u" * 100_000),
    ],
)  # fmt: skip
def test_spelling_is_known_or_left_as_it_is(written, ucum):
    assert normalise_unit(written) == ucum


@pytest.mark.parametrize(
    ("analyte", "unit", "factor"),
    [
        ("alt", "µkat/L", 60), ("ast", "nkat/L", 0.06), ("bilirubin", "mg/dL", 17.104), ("igg", "mg/dL", 0.01),
        ("albumin", "g/dL", 10), ("platelets", "G/L", 1), ("platelets", "/µL", 0.001), ("platelets", "10^4/µL", 10),
        ("creatinine", "mg/dL", 88.4), ("inr", "INR", 1), ("ana", "titre", 1),
    ],
)  # fmt: skip
def test_factor_to_the_canonical_unit(analyte, unit, factor):
    assert compute_factor(analyte, unit) == factor


@pytest.mark.parametrize(("analyte", "unit"), [("igg", "mg/L"), ("igg", "G/L"), ("ast", "U/mL"), ("gold", "g/L")])
def test_unknown_unit_is_not_guessed(analyte, unit):
    assert math.isnan(compute_factor(analyte, unit))


# domain 4.2 as printed there; the right-hand side is arithmetic on molar masses, not a figure of the package.
BY_HAND = [
    ("alt", "ukat/L", Fraction(60)), ("ast", "nkat/L", Fraction(6, 100)), ("ggt", "µkat/L", Fraction(60)),
    ("alp", "nkat/L", Fraction(6, 100)), ("bilirubin", "mg/dL", Fraction(10_000 * 100, 58466)),
    ("bilirubin_direct", "mg/dL", Fraction(10_000 * 100, 58466)), ("creatinine",
    "mg/dL", Fraction(10_000 * 100, 11312)),
    ("bilirubin_conjugated", "mg/dL", Fraction(10_000 * 100, 58466)),
    ("igg", "mg/dL", Fraction(1, 100)), ("iga", "mg/dL", Fraction(1, 100)), ("igm", "mg/mL", Fraction(1)),
    ("albumin", "g/dL", Fraction(10)), ("total_protein", "g/dL", Fraction(10)), ("haemoglobin", "g/dL", Fraction(10)),
    ("haemoglobin", "mmol/L", Fraction(16114, 1000)), ("platelets", "10*3/uL", Fraction(1)),
    ("platelets", "/uL", Fraction(1, 1000)), ("platelets", "lakh/uL", Fraction(100)), ("platelets",
    "10*4/uL", Fraction(10)),
    ("white_cells", "/cumm", Fraction(1, 1000)), ("neutrophils", "K/uL", Fraction(1)), ("lymphocytes",
    "G/l", Fraction(1)),
    ("cd19", "10*9/L", Fraction(1000)), ("afp", "ng/mL", Fraction(1)), ("ferritin", "ng/mL", Fraction(1)),
    ("ammonia", "µg/dL", Fraction(10_000, 17031)), ("tacrolimus", "ng/mL", Fraction(1)),
    ("tacrolimus", "nmol/L", Fraction(8040, 10_000)), ("ciclosporin", "nmol/L", Fraction(12026, 10_000)),
    ("sirolimus", "ng/mL", Fraction(1)), ("cholesterol", "mg/dL", Fraction(1000, 38665)), ("sodium",
    "mEq/L", Fraction(1)),
]  # fmt: skip


@pytest.mark.parametrize(("analyte", "unit", "factor"), BY_HAND)
def test_factor_is_that_of_mass_volume_and_molar_mass(analyte, unit, factor):
    assert compute_canonical(1, analyte, unit) == pytest.approx(float(factor), rel=2e-4)
    assert compute_canonical(0, analyte, unit) == 0


def test_each_exact_conversion_was_worked_out_by_hand():
    table = read_conversions().query("confidence == 'exact'")
    others = {(row.analyte, row.unit) for row in table.itertuples() if row.factor != 1 or row.offset != 0}
    done = {(analyte, normalise_unit(unit)) for analyte, unit, _ in BY_HAND} | {("hba1c", "%")}
    alike = {(a, u) for a in ("alt", "ast", "ggt", "alp") for u in ("ukat/L", "nkat/L")} | {
        (a, u) for a in ("white_cells", "neutrophils", "lymphocytes") for u in ("/uL", "10*6/L")
    } | {("igm", "mg/dL")}  # fmt: skip
    assert others - done - alike == set()


@pytest.mark.parametrize(
    ("percent", "mmol_per_mol"), [(5.0, 31), (6.0, 42), (6.5, 48), (7.0, 53), (9.0, 75), (12.0, 108)]
)
def test_haemoglobin_a1c_needs_its_offset(percent, mmol_per_mol):
    # the pairs that laboratories print beside each other since 2011 (whole numbers)
    assert round(compute_canonical(percent, "hba1c", "%")) == mmol_per_mol
    assert math.isnan(compute_factor("hba1c", "%"))  # no factor alone will do
    assert compute_factor("hba1c", "mmol/mol") == 1


def test_what_holds_only_about_is_offered_and_not_used():
    for analyte, unit in (("afp", "IU/mL"), ("afp", "kU/L"), ("albumin", "µmol/L")):
        assert math.isnan(compute_canonical(1, analyte, unit))
        assert normalise_unit(unit) not in accepted_units(analyte)
    assert find_approximate("afp", "IU/mL").factor == 1.21
    assert find_approximate("afp", "ng/mL") is None


def test_mkat_is_not_taken_for_microkatal():
    assert math.isnan(compute_canonical(1, "alt", "mkat/L"))
    assert not is_known_unit("mkat/L")
    assert is_known_unit("µkat/l")


@pytest.mark.parametrize(
    ("analyte", "unit"), [("inr", "%"), ("prothrombin_time", "%"), ("igg", "IU/mL"), ("lymphocytes", "%")]
)
def test_what_cannot_be_converted_is_not(analyte, unit):
    assert math.isnan(compute_canonical(1, analyte, unit))


@pytest.mark.parametrize(
    ("printed", "comparator", "number"),
    [
        ("5", "=", 5), ("<5", "<", 5), ("≤5", "<=", 5), ("=<5", "<=", 5), (">1000", ">", 1000), ("≥ 1000", ">=", 1000),
        (">= 1000", ">=", 1000), ("＞7000", ">", 7000), ("less than 5", "<", 5), ("greater than 1000", ">", 1000),
        ("1.5e3", "=", 1500), (" 12.50 ", "=", 12.5), ("45 H", "=", 45), ("45 (L)", "=", 45), ("45*", "=", 45),
        ("45 ↑", "=", 45),
        ("1:640", "=", 640), ("< 1:40", "<", 40), (">1:1280", ">", 1280), ("1/80", "=", 80), ("1 : 20", "=", 20),
    ],
)  # fmt: skip
def test_results_as_printed_are_split_into_sign_and_number(printed, comparator, number):
    assert parse_results(pd.Series([printed]))[["comparator", "number"]].values.tolist() == [[comparator, number]]


@pytest.mark.parametrize(
    "printed",
    [
        "positive", "neg", "", None, "1,5", "1,000", "1 000", "5 U/L", "-3", "-999", "5-10", "<", "<<5", "1:640:2",
        "1:",
        "٣", "5 mg L", "NaN", "inf", "1e999", "1e400", "0x1F", "haemolysed", "12.", ".5.", "1.2.3", "=SUM(A1)",
        "45¹", "10²", "1:64⁰", "①", "4½",
    ],
)  # fmt: skip
def test_what_is_no_number_is_not_guessed(printed):
    assert parse_results(pd.Series([printed], dtype=object))["number"].isna().all()


def test_a_titre_is_told_from_a_number():
    assert parse_results(pd.Series(["1:640", "640", ">1/80", "1.5"]))["titre"].tolist() == [True, False, True, False]


def test_numbers_are_the_nearest_that_a_computer_holds():
    printed = ["0.1", "1.005", "123456.789012345678", "9007199254740993", "4.35", "5e-324"]
    assert parse_results(pd.Series(printed))["number"].tolist() == [float(text) for text in printed]


def test_rows_keep_their_index():
    assert parse_results(pd.Series(["5", "x", "5"], index=[3, 1, 1])).index.tolist() == [3, 1, 1]


@given(st.lists(st.text(), max_size=5))
@example([" " * 10_000_000 + "x"])
@example(["1:" + " " * 60])
@example(["½"])
@example(["1e99999"])
@example(["\x00", "5\x00"])
def test_no_result_breaks_the_reading(cells):
    read = parse_results(pd.Series(cells, dtype=object))
    assert len(read) == len(cells)
    assert read["number"].dropna().between(0, 1e308).all()
    assert (read["comparator"].isna() == read["number"].isna()).all()


@given(st.floats(0, 1e9), st.sampled_from(["", "<", "<=", ">", ">="]), st.booleans())
def test_a_printed_result_is_read_back(number, sign, titre):
    printed = sign + ("1:" if titre else "") + repr(number)
    assert parse_results(pd.Series([printed])).values.tolist() == [[sign or "=", number, titre]]


@given(st.text())
@example(" " * 100_000)
@example("μ" * 64)
@example("µmol·L" + "⁻" * 50 + "¹")
def test_no_unit_breaks_the_reading_and_what_is_known_stays(text):
    known = normalise_unit(text)
    assert normalise_unit(known) == known or not is_known_unit(text)


def test_each_analyte_accepts_its_canonical_unit_first():
    for analyte, unit in canonical_units().items():
        assert accepted_units(analyte)[0] == unit
        assert compute_factor(analyte, unit) == 1
    assert set(read_conversions()["analyte"]) == set(read_analytes()["analyte"])


def test_each_accepted_unit_is_its_own_ucum_spelling():
    for row in read_conversions().itertuples():
        assert normalise_unit(str(row.unit)) == row.unit
