"""The only place that rounds: numbers become words here."""

from __future__ import annotations

import numpy as np
import pandas as pd

MISSING = "–"
MINUS = "−"
FIGURE_SPACE = "\u2007"  # as wide as a digit
SMALLEST_P = 0.001


def _value(number: object) -> float:
    """Return a float, NaN where it is missing in any of pandas' ways."""
    return float("nan") if number is None or pd.isna(number) else float(number)  # type: ignore[call-overload,arg-type]  # a number by contract


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def format_number(number: object, decimals: int) -> str:
    """Write a number with so many decimals; never a negative zero.

    Examples
    --------
    >>> format_number(-0.001, 2), format_number(-1.5, 1), format_number(None, 1)
    ('0.00', '−1.5', '–')
    """
    value = _value(number)
    return MISSING if np.isnan(value) else _signed(f"{round(value, decimals) + 0.0:.{decimals}f}")


def format_count(count: object, *, hidden: str = MISSING) -> str:
    """Write a count; ``hidden`` (``disclosure.hidden_mark``) where it is missing.

    Examples
    --------
    >>> format_count(1204), format_count(None, hidden="<5")
    ('1204', '<5')
    """
    value = _value(count)
    return hidden if np.isnan(value) else f"{value:.0f}"


def format_percent(share: object, *, decimals: int = 0) -> str:
    """Write a share from 0 to 1 as per cent, without the sign; 0 and 100 only where it is exact.

    Examples
    --------
    >>> format_percent(0.642), format_percent(0.998), format_percent(0.001), format_percent(1)
    ('64', '>99', '<1', '100')
    """
    value = _value(share) * 100
    text = format_number(value, decimals)
    step = f"{10.0**-decimals:.{decimals}f}"
    if value > 0 and float(text.replace(MINUS, "-")) == 0:
        return f"<{step}"
    if value < 100 and text == format_number(100, decimals):
        return f">{format_number(100 - 10.0**-decimals, decimals)}"
    return text


def format_share(n: object, denominator: object, share: object, *, hidden: str = MISSING) -> str:
    """Write ``93/145 (64)``; the mark alone where the count is hidden.

    Examples
    --------
    >>> format_share(93, 145, 93 / 145), format_share(None, 145, None, hidden="<5")
    ('93/145 (64)', '<5/145')
    """
    whole = f"{format_count(n, hidden=hidden)}/{format_count(denominator, hidden=hidden)}"
    return whole if np.isnan(_value(share)) else f"{whole} ({format_percent(share)})"


def decimals_for(number: object) -> int:
    """Return how many decimals a measured value deserves: 0 from 100, 1 from 1, 2 below."""
    size = abs(_value(number))
    return 0 if size >= 100 else 2 if size < 1 else 1


def format_median_iqr(median: object, low: object, high: object) -> str:
    """Write ``17.3 [9.1–30.2]``, all with the median's decimals.

    Examples
    --------
    >>> format_median_iqr(17.31, 9.07, 130.2)
    '17.3 [9.1–130.2]'
    """
    if np.isnan(_value(median)):
        return MISSING
    decimals = decimals_for(median)
    text = format_number(median, decimals)
    if np.isnan(_value(low)) or np.isnan(_value(high)):
        return text
    return f"{text} [{format_number(low, decimals)}–{format_number(high, decimals)}]"


def format_interval(estimate: object, low: object, high: object, *, decimals: int = 2, factor: float = 1.0) -> str:
    """Write ``−9.1 (−15.2 to −3.0)``; the estimate alone where it has no interval.

    Examples
    --------
    >>> format_interval(-0.091, -0.152, -0.03, decimals=1, factor=100)
    '−9.1 (−15.2 to −3.0)'
    """
    value = _value(estimate)
    if np.isnan(value):
        return MISSING
    ends = [_value(end) * factor for end in (low, high)]
    text = format_number(value * factor, decimals)
    if np.isnan(ends).any():
        return text
    return f"{text} ({format_number(ends[0], decimals)} to {format_number(ends[1], decimals)})"


def format_ratio(estimate: object, low: object, high: object) -> str:
    """Write ``0.42 (0.21 to 0.84)``, or ``not estimable``.

    Examples
    --------
    >>> format_ratio(0.4181, 0.2061, 0.8402), format_ratio(None, None, None)
    ('0.42 (0.21 to 0.84)', 'not estimable')
    """
    return "not estimable" if np.isnan(_value(estimate)) else format_interval(estimate, low, high)


def format_p(p: object) -> str:
    """Write a p-value: ``< 0.001``, three decimals below 0.01, else two; never 0.000 and never 1.00.

    Examples
    --------
    >>> format_p(0.0000003), format_p(0.0042), format_p(0.0499), format_p(0.999)
    ('< 0.001', '0.004', '0.050', '> 0.99')
    """
    value = _value(p)
    if np.isnan(value):
        return MISSING
    if value < SMALLEST_P:
        return "< 0.001"
    if value > 0.99:
        return "> 0.99"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def align(cells: list[str]) -> list[str]:
    """Pad cells with figure spaces so that the units of their first numbers stand under each other.

    Examples
    --------
    >>> [text.replace("\u2007", "_") for text in align(["17.3 [9–30]", "4.1", "<5"])]
    ['17.3 [9–30]', '_4.1', '<5']
    """
    lengths = [_before_point(text) for text in cells]
    return [FIGURE_SPACE * (max(lengths) - length) + text for text, length in zip(cells, lengths, strict=True)]


def _before_point(text: str) -> int:
    for position, sign in enumerate(text):
        if not (sign.isdigit() or sign in f"{MINUS}<>≥*"):
            return position
    return len(text)
