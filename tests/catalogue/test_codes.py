"""Codes and names of other systems become the catalogue's words, each with how sure it is."""

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.catalogue import (
    USED,
    analyte_by_code,
    drug_by_code,
    find_analyte,
    find_drug,
    matches,
)


@pytest.mark.parametrize(
    ("text", "analyte"),
    [
        ("ALT", "alt"), ("alat", "alt"), ("SGPT", "alt"), ("GPT (ALAT)", "alt"), ("TGP", "alt"), ("АЛТ", "alt"),
        ("P-ALAT", "alt"), ("ALT [U/L]", "alt"), ("ALT, serum", "alt"), ("ALT  U/L", "alt"),
        ("γ-GT", "ggt"), ("Gamma GT", "ggt"), ("Alkalische Phosphatase", "alp"), ("AP", "alp"),
        ("Bili total", "bilirubin"), ("T. Bili", "bilirubin"), ("Bilirubin direkt", "bilirubin_direct"),
        ("Conjugated bilirubin", "bilirubin_conjugated"), ("Thrombozyten", "platelets"), ("PLT", "platelets"),
        ("IgG", "igg"), ("Immunoglobulin G", "igg"), ("Immunglobulin G (g/L)", "igg"), ("INR", "inr"),
        ("PT", "prothrombin_time"), ("LKM-1", "lkm1"), ("Anti-SLA/LP", "sla"), ("Na", "sodium"), ("6-TGN", "tgn6"),
        ("HbA1c", "hba1c"), ("Hb", "haemoglobin"), ("Гемоглобин", "haemoglobin"), ("p-ANCA", "panca"),
    ],
)  # fmt: skip
def test_names_of_laboratories_are_known(text, analyte):
    assert find_analyte(text).word == analyte


@pytest.mark.parametrize(
    "text",
    [
        "Quick",
        "PT %",
        "IgG4",
        "IgG (CSF index)",
        "Urine albumin",
        "ALT (AST)",
        "Lymphocytes %",
        "",
        " ",
        "x" * 10_000,
        "Ag G",
    ],
)
def test_other_tests_are_not_taken_for_one_of_ours(text):
    assert find_analyte(text) is None


@pytest.mark.parametrize(
    ("text", "drug"),
    [
        ("Prednisolon 5 mg Tbl.", "prednisolone"), ("Decortin H", "prednisolone"), ("Decortin", "prednisone"),
        ("Solu-Medrol", "methylprednisolone"), ("Imuran", "azathioprine"), ("Imurek 50mg", "azathioprine"),
        ("AZA", "azathioprine"), ("6-MP", "mercaptopurine"), ("CellCept", "mycophenolate"),
        ("Prednisolone (oral)", "prednisolone"),
        ("Myfortic", "mycophenolate"),
        ("Mycophenolic acid", "mycophenolate"), ("Prograf", "tacrolimus"), ("Advagraf 1 mg", "tacrolimus"),
        ("Sandimmun Neoral", "ciclosporin"), ("Olumiant", "baricitinib"), ("Jakavi", "ruxolitinib"),
        ("Remicade (infliximab)", "infliximab"), ("MabThera", "rituximab"), ("Orencia", "abatacept"),
        ("RoActemra", "tocilizumab"), ("Ursofalk 250 mg", "ursodeoxycholic_acid"), ("IVIG", "immunoglobulin"),
        ("Budenofalk", "budesonide"), ("Преднизолон", "prednisolone"),
    ],
)  # fmt: skip
def test_brands_and_languages_are_known(text, drug):
    assert find_drug(text).word == drug


@pytest.mark.parametrize(
    "text",
    ["aza + pred", "AZA/MMF", "steroid", "Pulmicort", "Prograf (azathioprine)", "500 mg", "Budesonide (inhaled)"],
)
def test_two_drugs_and_unknown_ones_are_no_match(text):
    assert find_drug(text) is None


def test_a_usual_short_word_that_is_not_sure_says_so():
    assert (find_drug("pred").word, find_drug("pred").confidence) == ("prednisolone", "unsure")
    assert "unsure" not in USED


def test_codes_say_how_sure_they_are():
    assert (analyte_by_code("loinc")["1742-6"].word, analyte_by_code("loinc")["1742-6"].confidence) == (
        "alt",
        "checked",
    )
    assert analyte_by_code("omop")["3005719"].word == "igg"
    assert analyte_by_code("loinc")["32660-3"].confidence == "unsure"
    assert drug_by_code("rxnorm")["1256"].word == "azathioprine"
    assert drug_by_code("omop")["19012565"].word == drug_by_code("omop")["19003999"].word == "mycophenolate"
    assert matches(pd.Series(["408335007"]), "condition", "snomed")["word"].tolist() == ["autoimmune_hepatitis"]


def test_old_and_current_atc_codes_mean_the_same_and_inhaled_budesonide_does_not_count():
    atc = drug_by_code("atc")
    assert atc["L04AF02"].word == atc["L04AA37"].word == "baricitinib"
    assert atc["A07EA06"].word == "budesonide"
    assert "R03BA02" not in atc


def test_icd_codes_are_read_with_and_without_dot_and_by_their_longest_beginning():
    codes = pd.Series(["K75.4", "k754", "K75.49", "K72.0", "K72.11", "K72.9", "K7", "K75", None, ""])
    found = matches(codes, "condition", "icd10")
    assert found["word"].fillna("").tolist() == [
        *["autoimmune_hepatitis"] * 3, "acute_liver_failure", "hepatic_failure", "encephalopathy", "", "", "", "",
    ]  # fmt: skip
    assert found["confidence"][5] == "unsure"  # hepatic failure without further words is not yet encephalopathy


def test_a_bleeding_varix_is_not_a_varix():
    found = (
        matches(pd.Series(["I85.0", "I85.9", "I85.01", "I85.11"]), "condition", "icd10cm")["word"].fillna("").tolist()
    )
    assert found == ["", "", "variceal_bleed", "variceal_bleed"]
    assert matches(pd.Series(["I85.0", "I85.9"]), "condition", "icd10")["word"].tolist() == [
        "variceal_bleed",
        "varices",
    ]


def test_codes_other_than_of_icd_are_not_cut_short():
    found = matches(pd.Series(["1742-60", "17426", "4083350070"]), "analyte", "loinc")
    assert found["word"].isna().all()


def test_matches_keep_the_index_and_read_names_too():
    names = pd.Series(["ALT", "?", "ALT", None], index=[7, 3, 3, 1])
    found = matches(names, "analyte", "text")
    assert found.index.tolist() == [7, 3, 3, 1]
    assert found["word"].fillna("").tolist() == ["alt", "", "alt", ""]
    assert matches(pd.Series(["Ascites", "body weight", "Ascites (?)"]), "condition", "text")["word"].fillna(
        ""
    ).tolist() == ["ascites", "", ""]
    assert matches(pd.Series([], dtype=object), "drug", "atc").columns.tolist() == ["word", "confidence"]


@given(st.text())
@example("[" * 200)
@example("(" + " " * 190 + ")/ x")
@example("S-S-S- /")
@example("\u0130 (\u0130)")
def test_no_name_breaks_the_search(text):
    for find in (find_analyte, find_drug):
        found = find(text)
        assert found is None or found.word


@given(st.sampled_from(["ALT", "GPT (ALAT)", "Bilirubin, total", "Immunglobulin G"]), st.booleans(), st.booleans())
def test_case_and_blanks_do_not_matter(name, upper, spaced):
    written = name.upper() if upper else name.lower()
    assert find_analyte(written.replace(" ", "  ") + " " if spaced else written) is not None
