"""Diagnostic scores: the published points, item by item, and categories that no missing item could change.

Points: IAIHG 1999 from PMC8144150, Table 2; 2008 from PMC3530748, Table 2; ESPGHAN 2018 as in the domain page.
"""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.endpoints.scores.diagnostic import (
    Findings,
    Score,
    compute_espghan_2018_aih,
    compute_espghan_2018_asc,
    compute_iaihg_1999_posttreatment,
    compute_iaihg_1999_pretreatment,
    compute_simplified_2008,
    points_of,
)
from aih_outcomes.endpoints.scores.ranges import exactly, read_signs
from tests.endpoints.scores.cells import cells

SIZES = {"ana", "sma", "lkm1", "alp_ratio", "igg"}
SIGNS = {"<": -1.0, ">": 1.0}


def findings(text: str) -> Findings:
    """Read a table of findings; what has no column is not known, and everyone is an adult. ``<40`` keeps its sign."""
    table = cells(text)
    columns: dict[str, object] = {}
    for name in Findings.__dataclass_fields__:
        given = table[name] if name in table else pd.Series([None] * len(table), dtype=object)
        sign = given.str[:1].map(SIGNS).fillna(0.0).to_numpy(float) if name in SIZES and name in table else 0.0
        bare = given.replace({"yes": "1", "no": "0"}).astype("string").str.lstrip("<>")
        value = pd.to_numeric(bare).to_numpy(float, na_value=np.nan)
        signs = np.broadcast_to(sign, value.shape)
        columns[name] = read_signs(value, signs, signs != 0) if name in SIZES else value
    columns["child"] = columns["child"] == 1
    return Findings(**columns)  # type: ignore[arg-type]


def points(score: Score, item: str) -> list[float]:
    return points_of(score.items[item]).tolist()


def expect(compute: object, item: str, text: str) -> None:
    """Assert the points of an item; they stand in the last column."""
    table = cells(text)
    expected = pd.to_numeric(table.pop("points")).tolist()
    score = compute(findings(text))  # type: ignore[operator]
    assert points(score, item) == expected


def test_1999_sex_and_enzyme_ratio() -> None:
    expect(compute_iaihg_1999_pretreatment, "sex", """
        female points
        yes    2
        no     0
        -      0
    """)  # fmt: skip
    expect(compute_iaihg_1999_pretreatment, "ALP:AST ratio", """
        alp_ratio points
        1.49      2
        1.5       0
        3.0       0
        3.01      -2
    """)  # fmt: skip


def test_1999_igg() -> None:
    expect(compute_iaihg_1999_pretreatment, "IgG", """
        igg  points
        0.99 0
        1.0  1
        1.49 1
        1.5  2
        2.0  2
        2.01 3
        -    0
    """)  # fmt: skip


def test_1999_titres_in_adults() -> None:
    expect(compute_iaihg_1999_pretreatment, "autoantibodies", """
        ana sma lkm1 points
        20  20  20   0
        40  20  20   1
        20  80  20   2
        20  20  160  3
        40  80  160  3
    """)  # fmt: skip


def test_1999_lower_titres_count_in_children() -> None:
    expect(compute_iaihg_1999_pretreatment, "autoantibodies", """
        child ana sma lkm1 points
        no    20  10  10   0
        yes   20  10  5    1
        yes   10  20  5    1
        yes   10  10  10   1
        yes   10  10  5    0
        yes   40  10  5    1
        yes   160 10  5    3
    """)  # fmt: skip


def test_1999_another_autoantibody_counts_only_where_the_conventional_ones_are_negative() -> None:
    expect(compute_iaihg_1999_pretreatment, "autoantibodies", """
        ana sma lkm1 sla lc1 panna points
        10  10  10   yes no  no    2
        10  10  10   no  yes no    2
        10  10  10   -   -   yes   2
        10  10  10   yes yes yes   2
        40  10  10   yes no  no    1
        10  10  10   no  no  no    0
    """)  # fmt: skip


def test_1999_history() -> None:
    text = """
        ama viral_hepatitis hepatotoxic_drugs alcohol hla_dr3_or_dr4
        yes yes             yes               2       yes
        no  no              no                0       no
        -   -               -                 1       -
    """
    score = compute_iaihg_1999_pretreatment(findings(text))
    assert points(score, "AMA") == [-4, 0, 0]
    assert points(score, "viral markers") == [-3, 3, 0]
    assert points(score, "drug history") == [-4, 1, 0]
    assert points(score, "alcohol") == [-2, 2, 0]
    assert points(score, "HLA") == [1, 0, 0]


def test_1999_autoimmune_disease_of_the_patient_or_a_first_degree_relative() -> None:
    text = """
        autoimmune_disease family_autoimmunity points
        yes                no                  2
        no                 yes                 2
        yes                -                   2
        no                 no                  0
        no                 -                   0
        -                  -                   0
    """
    expect(compute_iaihg_1999_pretreatment, "autoimmune disease", text)
    open_ = compute_iaihg_1999_pretreatment(findings(text)).items["autoimmune disease"].open
    assert open_.tolist() == [False, False, False, False, True, True]


def test_1999_histology() -> None:
    expect(compute_iaihg_1999_pretreatment, "histology", """
        interface_hepatitis lymphoplasmacytic rosettes biliary_changes other_changes points
        yes                 yes               yes      no              no            5
        yes                 no                no       no              no            3
        no                  yes               yes      no              no            2
        no                  no                no       no              no            -5
        no                  no                no       yes             yes           -11
        yes                 yes               no       yes             no            1
        yes                 -                 -        no              no            3
        no                  -                 -        no              no            0
        -                   -                 -        -               -             0
    """)  # fmt: skip


# Male with nothing against AIH: markers 3, drugs 1, alcohol 2, ALP ratio 2; histology 3 to 5 and IgG 0 to 3 vary.
COMPLETE = """
    female alp_ratio igg ana sma lkm1 ama viral_hepatitis hepatotoxic_drugs alcohol interface_hepatitis \
    lymphoplasmacytic rosettes biliary_changes other_changes autoimmune_disease family_autoimmunity
"""


def complete(*rows: str) -> Findings:
    """Rows ``female igg lymphoplasmacytic rosettes autoimmune`` on top of 8 + 3 for interface hepatitis = 11 points."""
    lines = []
    for row in rows:
        female, igg, plasma, rosettes, disease = row.split()
        lines.append(f"{female} 1 {igg} 10 10 5 no no no 0 yes {plasma} {rosettes} no no {disease} no")
    return findings("\n".join([" ".join(COMPLETE.split()), *lines]))


def test_1999_before_treatment_definite_is_above_15_and_probable_from_10() -> None:
    found = complete("no 0.5 no no no", "no 2.5 yes no no", "no 2.5 yes yes no", "yes 2.5 yes yes yes")
    score = compute_iaihg_1999_pretreatment(found)
    assert score.total.tolist() == [11, 15, 16, 20]
    assert score.category.tolist() == ["probable", "probable", "definite", "definite"]
    weaker = compute_iaihg_1999_pretreatment(complete("no 0.5 no no no"))
    weaker.items["drug history"] = exactly(np.array([0.0]))
    assert weaker.total.tolist() == [10]
    assert weaker.category.tolist() == ["probable"]
    weaker.items["drug history"] = exactly(np.array([-1.0]))
    assert weaker.category.tolist() == ["no"]


def test_1999_after_treatment_definite_is_above_17_and_probable_from_12() -> None:
    found = complete("no 0.5 no no no", "no 0.5 yes no no", "no 2.5 no yes no", "no 2.5 no yes no", "no 2.5 no yes no")
    score = compute_iaihg_1999_posttreatment(found, np.array([0, 0, 1, 2, np.nan]))
    assert score.total.tolist() == [11, 12, 17, 18, 15]
    assert score.category.tolist() == ["no", "probable", "probable", "definite", ""]
    assert score.items_missing.tolist()[-1] == "response to treatment"


def test_2008_titres() -> None:
    expect(compute_simplified_2008, "autoantibodies", """
        ana sma lkm1 sla points
        20  20  20   no  0
        40  20  20   no  1
        20  40  20   no  1
        80  20  20   no  2
        20  20  40   no  2
        20  20  20   yes 2
        160 160 160  yes 2
    """)  # fmt: skip


def test_2008_igg_at_the_limit_and_at_1_10_times_it() -> None:
    expect(compute_simplified_2008, "IgG", """
        igg    points
        0.9    0
        1.0    0
        1.0001 1
        1.10   1
        1.1001 2
    """)  # fmt: skip


def test_2008_igg_whose_unit_was_converted_stays_at_the_limit() -> None:
    igg = exactly(np.array([(1760 * 0.01) / 16.0, 17.6 / 16.0]))  # 1.10 to the last bit but one
    text = "female\nyes\nyes"
    found = findings(text)
    score = compute_simplified_2008(Findings(**{n: getattr(found, n) for n in found.__slots__} | {"igg": igg}))
    assert points(score, "IgG") == [1, 1]


def test_2008_probable_from_6_and_definite_from_7() -> None:
    text = """
        ana sma lkm1 sla igg aih_likelihood viral_hepatitis total
        80  10  10   no  1.5 2              no              8
        80  10  10   no  1.5 1              no              7
        80  10  10   no  1.5 0              no              6
        80  10  10   no  1.0 1              no              5
        80  10  10   no  1.5 2              yes             6
    """
    score = compute_simplified_2008(findings(text))
    assert score.total.tolist() == [8, 7, 6, 5, 6]
    assert score.category.tolist() == ["definite", "definite", "probable", "no", "probable"]


def test_2018_titres_in_both_columns() -> None:
    text = """
        ana sma lkm1 lc1 sla panna
        10  10  5    no  no  no
        20  10  5    no  no  no
        10  80  5    no  no  no
        10  10  10   no  no  no
        10  10  80   no  no  no
        10  10  5    yes no  no
        10  10  5    no  yes no
    """
    found = findings(text)
    assert points(compute_espghan_2018_aih(found), "autoantibodies") == [0, 1, 2, 1, 2, 2, 2]
    assert points(compute_espghan_2018_asc(found), "autoantibodies") == [0, 1, 2, 1, 1, 1, 2]


def test_2018_points_for_antibodies_add_up_to_2_and_panna_comes_on_top() -> None:
    text = """
        ana sma lkm1 lc1 sla panna
        20  10  10   no  no  no
        80  10  80   yes yes no
        10  10  80   yes no  no
        80  80  80   yes yes yes
    """
    aih, asc = compute_espghan_2018_aih(findings(text)), compute_espghan_2018_asc(findings(text))
    assert points(aih, "autoantibodies") == [2, 2, 2, 2]
    assert points(asc, "autoantibodies") == [2, 2, 2, 2]
    assert points(aih, "pANNA") == [0, 0, 0, 1]
    assert points(asc, "pANNA") == [0, 0, 0, 2]


def test_2018_igg_is_twice_as_telling_above_1_20() -> None:
    expect(compute_espghan_2018_aih, "IgG", """
        igg   points
        1.0   0
        1.1   1
        1.20  1
        1.201 2
    """)  # fmt: skip


def test_2018_cholangiogram_and_history() -> None:
    text = """
        cholangiogram_abnormal other_causes_excluded autoimmune_disease family_autoimmunity
        no                     yes                   yes                yes
        yes                    no                    no                 no
    """
    aih, asc = compute_espghan_2018_aih(findings(text)), compute_espghan_2018_asc(findings(text))
    assert points(aih, "cholangiogram") == [2, -2]
    assert points(asc, "cholangiogram") == [-2, 2]
    for item, expected in {"other causes": [2, 0], "autoimmune disease": [1, 0], "family history": [1, 0]}.items():
        assert points(aih, item) == points(asc, item) == expected


def test_2018_probable_from_7_and_definite_from_8() -> None:
    text = """
        ana sma lkm1 lc1 sla panna igg aih_likelihood other_causes_excluded autoimmune_disease family_autoimmunity \
cholangiogram_abnormal
        80  10  5    no  no  no    1.5 1              yes                   no                 no                  no
        80  10  5    no  no  no    1.1 1              yes                   no                 no                  no
        80  10  5    no  no  no    1.1 1              yes                   no                 no                  yes
        20  10  5    no  no  no    1.1 1              yes                   no                 no                  no
    """
    aih, asc = compute_espghan_2018_aih(findings(text)), compute_espghan_2018_asc(findings(text))
    assert aih.total.tolist() == [9, 8, 4, 7]
    assert aih.category.tolist() == ["definite", "definite", "no", "probable"]
    assert asc.total.tolist() == [5, 4, 8, 3]
    assert asc.category.tolist() == ["no", "no", "definite", "no"]


def test_a_missing_item_gives_0_points_and_is_named() -> None:
    score = compute_simplified_2008(findings("igg aih_likelihood\n1.5 2"))
    assert score.total.tolist() == [4]
    assert score.items_missing.tolist() == ["autoantibodies, viral hepatitis"]


@pytest.mark.parametrize(
    ("row", "low", "high", "category"),
    [
        ("80 1.5 2 no", 8, 8, "definite"),
        ("80 1.5 - no", 6, 8, ""),  # probable or definite
        ("80 -   2 no", 6, 8, ""),
        ("80 1.5 2 -", 6, 8, ""),
        ("10 1.0 - no", 2, 4, "no"),  # whatever the biopsy shows
        ("80 1.1 - no", 5, 7, ""),
    ],
)
def test_a_category_stands_only_where_no_missing_item_could_change_it(
    row: str, low: float, high: float, category: str
) -> None:
    titre, igg, histology, virus = row.split()
    text = f"ana sma lkm1 sla igg aih_likelihood viral_hepatitis\n{titre} 10 10 no {igg} {histology} {virus}"
    score = compute_simplified_2008(findings(text))
    assert score.possible.low.tolist() == [low]
    assert score.possible.high.tolist() == [high]
    assert score.category.tolist() == [category]


def test_enough_of_an_item_is_not_missing() -> None:
    text = """
        ana sma lkm1 sla
        80  -   -    -
        40  -   -    -
        10  10  10   -
    """
    score = compute_simplified_2008(findings(text))
    assert score.items["autoantibodies"].open.tolist() == [False, True, True]
    assert points(score, "autoantibodies") == [2, 1, 0]


def test_a_sign_leaves_open_what_it_must() -> None:
    text = """
        ana  sma lkm1 sla
        <40  10  10   no
        <80  10  10   no
        >640 10  10   no
        >40  10  10   no
    """
    score = compute_simplified_2008(findings(text))
    assert score.items["autoantibodies"].low.tolist() == [0, 0, 2, 1]
    assert score.items["autoantibodies"].high.tolist() == [0, 1, 2, 2]


def test_clinic_rule_9_a_laboratory_that_starts_at_40_leaves_a_childs_titre_open() -> None:
    score = compute_espghan_2018_aih(findings("ana sma lkm1 lc1 sla\n<40 <40 <20 no no\n<20 <20 <10 no no"))
    assert score.items["autoantibodies"].open.tolist() == [True, False]


def test_an_unmeasured_optional_item_of_1999_is_not_missing() -> None:
    score = compute_iaihg_1999_pretreatment(complete("no 2.5 yes yes no"))  # HLA, SLA, LC-1, pANNA not known
    assert score.items_missing.tolist() == [""]
    assert score.category.tolist() == ["definite"]


def test_1999_titres_not_known_beside_a_positive_sla_give_at_least_1_point() -> None:
    # ANA may be 1:40 (1 point, SLA then does not count), negative (SLA: 2) or higher (3)
    score = compute_iaihg_1999_pretreatment(findings("sla\nyes"))
    item = score.items["autoantibodies"]
    assert (item.low.tolist(), item.high.tolist()) == ([1], [3])
    assert points(score, "autoantibodies") == [1]
