"""Every row of the catalogue says where it is from and how sure it is, and no two of them contradict each other."""

import math

import pandas as pd
import pytest

from aih_outcomes.catalogue import (
    definition_files,
    find_analyte,
    find_drug,
    read_analytes,
    read_conditions,
    read_conversions,
    read_drugs,
    read_gene_matches,
    read_genes,
    read_reference_limits,
    read_unit_guesses,
    read_unit_spellings,
)
from aih_outcomes.catalogue.codes import text_key
from aih_outcomes.catalogue.tables import FOLDER, read_table
from aih_outcomes.schema import TABLES
from aih_outcomes.units import canonical_units

CONFIDENCES = {"exact", "checked", "remembered", "unsure"}
FILES = sorted(
    path.name.removesuffix(".csv")
    for path in FOLDER.iterdir()
    if path.name.endswith(".csv") and path.name != "growth_reference.csv"  # its sources stand in growth_sources
)
KINDS = ("analyte", "drug", "condition", "measure")


@pytest.mark.parametrize("name", FILES)
def test_each_row_has_a_source_and_a_confidence(name):
    table = read_table(name)
    assert len(table) > 0
    assert table["source"].notna().all()
    assert set(table["confidence"]) <= CONFIDENCES
    assert not table.duplicated().any()


def test_the_files_are_all_there():
    assert {
        "analytes",
        "analyte_codes",
        "analyte_synonyms",
        "drug_codes",
        "drug_synonyms",
        "condition_codes",
        "genes",
    } <= {*FILES}
    assert definition_files()


@pytest.mark.parametrize("kind", KINDS)
def test_each_code_of_a_system_means_one_thing(kind):
    codes = read_table(f"{kind}_codes")
    assert not codes.duplicated(["system", "code"]).any()
    assert set(codes[kind]) <= set(read_table(f"{kind}s")[kind])


@pytest.mark.parametrize("kind", ["analyte", "drug"])
def test_each_synonym_means_one_thing_and_is_not_the_name_of_another(kind):
    synonyms = read_table(f"{kind}_synonyms")
    meant = synonyms.assign(key=synonyms["synonym"].map(text_key)).groupby("key")[kind].nunique()
    assert meant.eq(1).all(), meant[meant > 1]
    names = {text_key(word): word for word in read_table(f"{kind}s")[kind]}
    wrong = [row.synonym for row in synonyms.itertuples() if names.get(text_key(row.synonym), row[1]) != row[1]]
    assert wrong == []
    assert set(synonyms[kind]) <= set(read_table(f"{kind}s")[kind])


def test_each_analyte_and_drug_is_found_by_its_own_name():
    for table, find, key in ((read_analytes(), find_analyte, "analyte"), (read_drugs(), find_drug, "drug")):
        for word, name in zip(table[key], table["name"], strict=True):
            assert (find(name).word, find(name).confidence) == (word, "exact")


def loinc_check_digit(code: str) -> int:
    """Mod 10 by Luhn: digits at odd places from the right are doubled, and their digits added."""
    digits = [int(digit) for digit in reversed(code)]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
    return -sum(doubled) % 10


TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def in_dihedral_group(a: int, b: int) -> int:
    """Product in the group of the pentagon's symmetries, numbered as Verhoeff (1969) did."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5


def verhoeff_is_zero(code: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(code)):
        value = int(digit)
        for _ in range(place % 8):
            value = TURN[value]
        total = in_dihedral_group(total, value)
    return total == 0


def codes_of(system: str) -> list[tuple[str, str]]:
    parts = [read_table(f"{kind}_codes") for kind in KINDS]
    return [(row.code, row.confidence) for part in parts for row in part[part["system"] == system].itertuples()]


def test_the_check_digits_are_those_of_published_examples():
    assert loinc_check_digit("1742") == 6
    assert verhoeff_is_zero("408335007")  # autoimmune hepatitis
    assert not verhoeff_is_zero("408335070")
    assert verhoeff_is_zero("2363")  # the usual example: 236 takes 3


def test_loinc_codes_have_their_check_digit():
    wrong = [code for code, _ in codes_of("loinc") if loinc_check_digit(code[:-2]) != int(code[-1]) or code[-2] != "-"]
    assert wrong == []


def test_snomed_codes_have_their_check_digit():
    assert len(codes_of("snomed")) >= 20
    assert [code for code, _ in codes_of("snomed") if not verhoeff_is_zero(code)] == []


def test_an_analyte_s_own_loinc_code_stands_among_its_codes():
    codes = read_table("analyte_codes")
    loinc = codes[codes["system"] == "loinc"].set_index("code")["analyte"]
    own = read_analytes().dropna(subset="loinc")
    assert own["loinc"].map(loinc).tolist() == own["analyte"].tolist()


def test_each_analyte_converts_to_its_canonical_unit_by_one():
    table = read_conversions()
    assert set(table["analyte"]) == set(read_analytes()["analyte"])
    assert not table.duplicated(["analyte", "unit"]).any()
    canonical = table[table["unit"] == table["analyte"].map(canonical_units())]
    assert len(canonical) == len(read_analytes())
    assert canonical["factor"].eq(1).all()
    assert canonical["offset"].eq(0).all()
    assert table["factor"].gt(0).all()


def test_ranges_are_in_order():
    table = read_analytes()
    assert (table["plausible_low"] < table["plausible_high"]).all()
    assert (table["warn_low"].fillna(table["plausible_low"]) >= table["plausible_low"]).all()
    assert (table["warn_high"].fillna(table["plausible_high"]) <= table["plausible_high"]).all()


def test_conditions_become_words_that_the_schema_has():
    for row in read_conditions().dropna(subset="table").itertuples():
        column = next(column for column in TABLES[row.table].columns if column.name == row.column)
        assert column.kind == "yes_no" or row.word in column.levels


def test_genes_are_keyed_by_gene_mechanism_and_zygosity():
    genes, matches = read_genes(), read_gene_matches()
    key = ["gene", "mechanism", "zygosity"]
    assert not genes.duplicated(key).any()
    known = genes.set_index(key)["gene_group"]
    assert [known[tuple(row)] for row in matches[key].itertuples(index=False, name=None)] == matches[
        "gene_group"
    ].tolist()
    assert set(matches["drug_class"]) <= set(read_drugs()["drug_class"])
    assert set(matches["evidence"]) <= {"case", "series", "trial", "licensed"}
    assert genes["omim"].dropna().str.fullmatch(r"[1-6]\d{5}").all()


def test_a_gene_of_loss_and_gain_matches_a_jak_inhibitor_by_gain_only():
    jak = read_gene_matches().query("drug_class == 'jak_inhibitor' and gene in ('STAT1', 'STAT3')")
    assert set(jak["mechanism"]) == {"gain_of_function"}


def test_reference_limits_of_one_table_do_not_overlap():
    table = read_reference_limits()
    assert (table["unit"] == table["analyte"].map(canonical_units())).all()
    assert (table["lower"].fillna(0) < table["upper"]).all()
    for (_, _), bands in table.groupby(["analyte", "table"]):
        for sex in ("female", "male"):
            own = bands[bands["sex"].isin(["any", sex])].sort_values("age_from_years")
            assert (own["age_from_years"].iloc[1:].to_numpy() >= own["age_to_years"].iloc[:-1].to_numpy()).all()


@pytest.mark.parametrize(
    ("analyte", "age", "sex", "upper"),
    [
        ("alt", 5, "female", 25), ("alp", 16, "female", 128), ("alp", 16, "male", 365), ("ggt", 12, "male", 21),
        ("albumin", 17, "male", 51), ("igg", 1.75, "female", 11.5), ("bilirubin", 13, "male", 0.70 * 17.104),
    ],
)  # fmt: skip
def test_caliper_limits_as_printed(analyte, age, sex, upper):
    table = read_reference_limits().query("table == 'caliper' and analyte == @analyte and sex in ('any', @sex)")
    band = table[(table["age_from_years"] <= age) & (age < table["age_to_years"])]
    assert [math.isclose(found, upper) for found in band["upper"]] == [True]


def test_spelled_units_and_guesses_are_units_of_a_conversion():
    units = set(read_conversions()["unit"])
    assert not read_unit_spellings()["written"].duplicated().any()
    guesses = read_unit_guesses()
    known = set(zip(read_conversions()["analyte"], read_conversions()["unit"], strict=True))
    assert set(zip(guesses["analyte"], guesses["unit"], strict=True)) <= known
    assert set(guesses["of"]) <= {"value", "uln"}
    assert set(guesses["side"]) <= {"above", "below"}
    assert len(units & set(read_unit_spellings()["unit"])) > 15


def test_words_that_look_like_nothing_are_read_as_words():
    assert {"na", "n/a", "null", "nan"} <= set(read_table("missing_words")["word"])
    assert pd.notna(read_table("analyte_synonyms")["synonym"]).all()
