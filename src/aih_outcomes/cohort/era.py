"""The five years in which a day falls: what stays of the calendar where dates were moved."""

import pandas as pd

ERA_YEARS = 5


def five_years_of(date: pd.Series) -> pd.Series:
    """Return the five years that hold each date, as ``2015-2019``; missing where it is.

    Examples
    --------
    >>> five_years_of(pd.Series(pd.to_datetime(["2019-12-31", "2020-01-01"]))).to_list()
    ['2015-2019', '2020-2024']
    """
    first = (date.dt.year // ERA_YEARS * ERA_YEARS).astype("Int64")
    years: pd.Series = first.astype("string") + "-" + (first + ERA_YEARS - 1).astype("string")
    return years
