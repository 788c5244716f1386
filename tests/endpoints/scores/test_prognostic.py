"""Prognostic scores: worked by hand from the published formulas (clinic 22). Tables in mg/dL and g/dL, as published.

ln 1.2 = 0.18232, ln 1.5 = 0.40547, ln 1.6 = 0.47000, ln 1.9 = 0.64185, ln 2 = 0.69315, ln 2.5 = 0.91629,
ln 3 = 1.09861, ln 4 = 1.38629, ln 4.2 = 1.43508.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.endpoints.scores import prognostic
from tests.endpoints.scores.cells import cells

IN_CANONICAL = {"bilirubin": 17.104, "creatinine": 88.40, "albumin": 10.0}
FLAGS = {"dialysis", "adult", "under_one"}


def vectors(text: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Read a table whose last column is the score: conventional units to the package's own, yes and no to flags."""
    table = cells(text).replace({"yes": "1", "no": "0"}).apply(pd.to_numeric).astype(float)
    values = {name: table[name].to_numpy() * IN_CANONICAL.get(name, 1.0) for name in table.columns[:-1]}
    values |= {name: values[name] == 1 for name in FLAGS & set(values)}
    return values, table[table.columns[-1]].to_numpy()


def check(compute: Callable[..., np.ndarray], text: str) -> None:
    values, expected = vectors(text)
    np.testing.assert_allclose(compute(**values), expected, rtol=0, atol=1e-9)


def test_meld_of_2002_by_hand() -> None:
    # 10 × (0.957 × 0.64185 + 0.378 × 1.43508 + 1.120 × 0.47000 + 0.643) = 23.26
    check(prognostic.compute_meld_2002, """
        bilirubin inr creatinine dialysis meld
        1.0       1.0 1.0        no       6
        4.2       1.6 1.9        no       23
    """)  # fmt: skip


def test_meld_sets_what_is_below_1_to_1_and_stays_within_6_and_40() -> None:
    # 50, 10, 4: 10 × (1.32668 + 1.47877 + 2.57890 + 0.643) = 60.3
    check(prognostic.compute_meld_2002, """
        bilirubin inr creatinine dialysis meld
        0.2       0.9 0.4        no       6
        50        10  4.0        no       40
    """)  # fmt: skip


def test_meld_sets_creatinine_to_4_above_4_and_on_dialysis() -> None:
    # 10 × (0.957 × 1.38629 + 0.378 × 0.69315 + 1.120 × 0.40547 + 0.643) = 26.86
    check(prognostic.compute_meld_2002, """
        bilirubin inr creatinine dialysis meld
        2.0       1.5 4.0        no       27
        2.0       1.5 9.9        no       27
        2.0       1.5 0.8        yes      27
        2.0       1.5 -          yes      27
        2.0       1.5 -          no       -
    """)  # fmt: skip


def test_meld_na_of_2016_by_hand() -> None:
    # MELD 23: 23 + 1.32 × 9 − 0.033 × 23 × 9 = 28.05;  × 12 instead of 9: 29.73
    check(prognostic.compute_meld_na_2016, """
        bilirubin inr creatinine sodium dialysis meld
        4.2       1.6 1.9        128    no       28
        4.2       1.6 1.9        137    no       23
        4.2       1.6 1.9        150    no       23
        4.2       1.6 1.9        125    no       30
        4.2       1.6 1.9        110    no       30
        4.2       1.6 1.9        -      no       -
    """)  # fmt: skip


def test_meld_na_counts_sodium_only_above_a_meld_of_11() -> None:
    # ln 3.3 = 1.19392: 10.94, MELD 11.  ln 4.3 = 1.45862: 11.94, MELD 12: 12 + 15.84 − 4.75 = 23.09
    check(prognostic.compute_meld_na_2016, """
        bilirubin inr creatinine sodium dialysis meld
        3.3       1.0 1.0        125    no       11
        4.3       1.0 1.0        125    no       23
    """)  # fmt: skip


def test_meld_3_0_by_hand() -> None:
    # 1.5, 1.2, 1.0, 135, 3.0: 1.84892 + 1.64 − 0.19462 + 1.65730 + 0 + 0.925 − 0 + 6 = 11.88; female + 1.33 = 13.21
    # 10, 2.2, 2.5, 128, 2.8:  10.49979 + 7.38 − 4.97358 + 7.16708 + 10.20748 + 1.295 − 1.17377 + 6 = 36.40
    # 2.0, 1.5, 1.0, 137, 1.8: 3.16075 + 0 − 0 + 3.68568 + 0 + 3.145 − 0 + 6 = 15.99
    check(prognostic.compute_meld_3_0, """
        bilirubin inr creatinine sodium albumin female adult dialysis meld
        0.8       1.0 0.8        140    4.0     no     yes   no       6
        1.5       1.2 1.0        135    3.0     no     yes   no       12
        1.5       1.2 1.0        135    3.0     yes    yes   no       13
        10        2.2 2.5        128    2.8     no     yes   no       36
        10        2.2 2.5        128    2.8     yes    yes   no       38
        2.0       1.5 1.0        137    1.8     no     yes   no       16
    """)  # fmt: skip


def test_meld_3_0_gives_boys_and_girls_the_same() -> None:
    # 11.88 − 6 + 7.33 = 13.21, whatever the sex, known or not
    check(prognostic.compute_meld_3_0, """
        bilirubin inr creatinine sodium albumin female adult dialysis meld
        1.5       1.2 1.0        135    3.0     no     no    no       13
        1.5       1.2 1.0        135    3.0     yes    no    no       13
        1.5       1.2 1.0        135    3.0     -      no    no       13
        1.5       1.2 1.0        135    3.0     -      yes   no       -
    """)  # fmt: skip


def test_meld_3_0_bounds_creatinine_at_3_and_albumin_at_1_5_and_3_5() -> None:
    # 2, 1.5, 3, 137, 3.5: 3.16075 + 3.68568 + 11.14 × 1.09861 + 6 = 25.08
    # 2, 1.5, 1, 137, 1.5: 3.16075 + 3.68568 + 1.85 × 2 + 6 = 16.55
    check(prognostic.compute_meld_3_0, """
        bilirubin inr creatinine sodium albumin female adult dialysis meld
        2.0       1.5 3.0        137    3.5     no     yes   no       25
        2.0       1.5 4.0        137    5.0     no     yes   no       25
        2.0       1.5 0.7        137    3.5     no     yes   yes      25
        2.0       1.5 1.0        137    1.5     no     yes   no       17
        2.0       1.5 1.0        137    0.9     no     yes   no       17
    """)  # fmt: skip


def test_peld_of_2002_by_hand() -> None:
    # 3.0, 1.5, 2.5: 4.80 × 1.09861 + 18.57 × 0.40547 − 6.87 × 0.91629 = 6.51; + 4.36, + 6.67
    # normal: − 6.87 × 1.38629 = −9.52
    check(prognostic.compute_peld_2002, """
        bilirubin inr albumin under_one growth_failure peld
        3.0       1.5 2.5     no        no             7
        3.0       1.5 2.5     yes       no             11
        3.0       1.5 2.5     no        yes            13
        3.0       1.5 2.5     yes       yes            18
        0.3       1.0 4.0     no        no             -10
        3.0       1.5 2.5     no        -              -
    """)  # fmt: skip


def test_peld_sets_what_is_below_1_to_1_albumin_too() -> None:
    # 2.0, 1.2, 1.0: 3.32711 + 3.38571 − 0 = 6.71
    check(prognostic.compute_peld_2002, """
        bilirubin inr albumin under_one growth_failure peld
        2.0       1.2 1.0     no        no             7
        2.0       1.2 0.4     no        no             7
        0.5       0.9 1.0     no        no             0
    """)  # fmt: skip


def test_apri_and_fib4_by_hand() -> None:
    check(prognostic.compute_apri_2003, """
        ast_xuln platelets apri
        2.0      100       2.0
        0.5      250       0.2
        -        250       -
    """)  # fmt: skip
    check(prognostic.compute_fib4_2006, """
        age ast alt platelets fib4
        40  40  25  200       1.6
        60  90  81  150       4.0
    """)  # fmt: skip


def test_albi_by_hand_in_umol_and_grams_per_litre() -> None:
    # 0.66 × 1 − 0.085 × 40 = −2.74;  0.66 × 2 − 0.085 × 30 = −1.23
    bilirubin, albumin = np.array([10.0, 10.0, 100.0, np.nan]), np.array([40.0, 30.0, 30.0, 30.0])
    albi = prognostic.compute_albi_2015(bilirubin=bilirubin, albumin=albumin)
    np.testing.assert_allclose(albi, [-2.74, -1.89, -1.23, np.nan], rtol=0, atol=1e-12)
    assert prognostic.grade_albi_2015(albi).tolist() == ["grade 1", "grade 2", "grade 3", ""]


def test_an_albi_at_a_limit_has_the_better_grade() -> None:
    grades = prognostic.grade_albi_2015(np.array([-2.60, -2.59, -1.39, -1.38]))
    assert grades.tolist() == ["grade 1", "grade 2", "grade 2", "grade 3"]


CHILD_PUGH = """
    bilirubin albumin inr  ascites encephalopathy points class
    20        40      1.0  0       0              5      A
    33.9      40      1.0  0       0              5      A
    34        40      1.0  0       0              6      A
    51        40      1.0  0       0              6      A
    51.1      40      1.0  0       0              7      B
    20        35.1    1.0  0       0              5      A
    20        35      1.0  0       0              6      A
    20        28      1.0  0       0              6      A
    20        27.9    1.0  0       0              7      B
    20        40      1.69 0       0              5      A
    20        40      1.7  0       0              6      A
    20        40      2.3  0       0              6      A
    20        40      2.31 0       0              7      B
    20        40      1.0  1       0              6      A
    20        40      1.0  2       0              7      B
    20        40      1.0  3       0              7      B
    20        40      1.0  0       1              6      A
    20        40      1.0  0       2              6      A
    20        40      1.0  0       3              7      B
    20        40      1.0  0       4              7      B
    60        27      1.0  0       0              9      B
    60        27      1.7  0       0              10     C
    60        27      2.5  3       4              15     C
    -         40      1.0  0       0              -      -
"""


def test_child_pugh_at_its_limits() -> None:
    table = cells(CHILD_PUGH.replace("class", "letter"))
    letters = table.pop("letter").fillna("").tolist()
    values = {name: pd.to_numeric(table[name]).to_numpy(float) for name in table}
    expected = values.pop("points")
    points = prognostic.compute_child_pugh_1973(**values)
    np.testing.assert_array_equal(points, expected)
    assert prognostic.classify_child_pugh_1973(points).tolist() == letters


@pytest.mark.parametrize("per_mg_dl", [17.1, 17.104])
def test_the_conventional_factor_gives_the_same_meld(per_mg_dl: float) -> None:
    numbers = {"inr": np.array([1.6]), "creatinine": np.array([1.9 * 88.4]), "dialysis": np.array([False])}
    assert prognostic.compute_meld_2002(bilirubin=np.array([4.2 * per_mg_dl]), **numbers).tolist() == [23]


def test_nobody_gives_nothing() -> None:
    nobody = np.empty(0)
    assert len(prognostic.compute_albi_2015(bilirubin=nobody, albumin=nobody)) == 0
    assert len(prognostic.classify_child_pugh_1973(nobody)) == 0
