"""The packaged growth reference: CDC 2000 (Kuczmarski et al., Vital Health Stat 11(246), 2002: public domain)."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from aih_outcomes.catalogue import read_growth_reference
from aih_outcomes.endpoints.patients.growth_reference import MEASURES, SEXES, compute_growth_z

PERCENTILES = (3, 5, 10, 25, 50, 75, 90, 95, 97)

# Rows of CDC's own files statage.csv, wtage.csv and bmiagerev.csv, from public copies other than the one that the
# catalogue was made of: 3rd, 5th, 10th, 25th, 50th, 75th, 90th, 95th, 97th percentile.
PUBLISHED = """
height female 24     78.43754166  79.25981989  80.52476467  82.63523563  84.97555512  87.31121356  89.40951159  90.66354871  91.47728689
height female 57.5   97.75525036  98.77719141  100.371589   103.0930492  106.2028921  109.405979   112.3708801  114.1833188  115.3759096
height female 102.5  119.6590402  120.9748035  123.029093   126.5396411  130.5573839  134.7023324  138.5449986  140.8967672  142.4453609
height female 120.5  125.9599043  127.4524005  129.7752299  133.7239135  138.2111552  142.8050794  147.0322225  149.6043767  151.2919534
weight male   120.5  24.19264433  24.94392079  26.20745042  28.66893932  32.08799062  36.55850564  41.96894158  46.15753154  49.41515104
weight male   165.5  35.99969112  37.36964826  39.65325233  44.01820683  49.87187409  57.12043787  65.25318239  71.07419108  75.32640513
bmi    female 120.5  13.7407435   14.03535405  14.5310003   15.49992271  16.86231366  18.69520235  21.03668675  22.98257733  24.60332779
"""  # noqa: E501

# L, M and S of the same files, read from further copies.
ROWS = """
height female 22.5   1.136564448   84.48233206  0.040586283
height female 23.5   1.093731947   85.34923624  0.040723015
height male   22.5   0.739438953   85.9956488   0.040097181
height male   24     0.941523967   86.45220101  0.040321528
height male   26.5   0.681492975   88.42326434  0.040723122
bmi    male   24     -2.01118107   16.57502768  0.080592465
bmi    male   27.5   -1.807261899  16.3922434   0.077593501
bmi    female 119.5  -2.184580762  16.81367689  0.136385276
weight male   180.5  -0.665609025  56.49095862  0.181665781
"""


def rows(text: str) -> list[tuple[str, str, float, list[float]]]:
    cells = [line.split() for line in text.strip().splitlines()]
    return [(measure, sex, float(age), [float(number) for number in rest]) for measure, sex, age, *rest in cells]


def row_of(measure: str, sex: str, age: float) -> pd.Series:
    table = read_growth_reference()
    return table[(table["measure"] == measure) & (table["sex"] == sex) & (table["age_months"] == age)].iloc[-1]


@pytest.mark.parametrize(("measure", "sex", "age", "values"), rows(PUBLISHED))
def test_published_percentiles_have_the_z_scores_of_their_names(
    measure: str, sex: str, age: float, values: list[float]
) -> None:
    row = row_of(measure, sex, age)
    z = compute_growth_z(np.array(values), l=row["l"], m=row["m"], s=row["s"])
    assert z == pytest.approx(norm.ppf(np.array(PERCENTILES) / 100), abs=1e-6)


@pytest.mark.parametrize(("measure", "sex", "age", "values"), rows(ROWS))
def test_rows_are_those_of_other_copies(measure: str, sex: str, age: float, values: list[float]) -> None:
    assert list(row_of(measure, sex, age)[["l", "m", "s"]]) == values


def test_every_row_has_a_source_and_says_how_sure_it_is() -> None:
    table = read_growth_reference()
    assert table.notna().all(axis=None)
    assert set(table["confidence"]) == {"checked"}
    assert table["source"].str.contains("public domain").all()
    assert set(table["reference"]) == {"CDC 2000"}


def test_every_month_of_the_published_tables_is_there() -> None:
    table = read_growth_reference()
    months = [0.0, *np.arange(0.5, 24), 24.0]
    childhood = [24.0, *np.arange(24.5, 240), 240.0]
    for sex in SEXES:
        found = {name: list(part["age_months"]) for name, part in table[table["sex"] == sex].groupby("measure")}
        assert found["height"] == months + childhood
        assert found["weight"] == months[:-1] + childhood
        assert found["bmi"] == [*childhood, 240.5]
    assert set(table["measure"]) == set(MEASURES)


def test_length_at_24_months_is_eight_millimetres_more_than_stature() -> None:
    table = read_growth_reference()
    both = table[(table["measure"] == "height") & (table["age_months"] == 24)]
    assert both.groupby("sex")["m"].agg(lambda m: m.iloc[0] - m.iloc[1]).round(1).to_list() == [0.8, 0.8]


def test_what_a_caller_changes_stays_his_own() -> None:
    own = read_growth_reference()
    own["m"] = 0.0
    assert (read_growth_reference()["m"] > 0).all()
