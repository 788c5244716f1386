"""The panels of a mixed model's diagnostics and the variogram."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.figures import frames_of, open_figure
from aih_outcomes.figures.mixed_diagnostics import draw_mixed_diagnostics, draw_variogram


@pytest.fixture
def lags() -> pd.DataFrame:
    time = np.array([60.0, 180, 400, 800, 1500])
    frame = pd.DataFrame({"label": "ALT", "term": "lag", "time": time, "n": 40, "n_pairs": 90, "estimate": time / 1e3,
                          "conf_low": time / 2e3, "conf_high": time / 500, "expected": 0.1 + time / 1e3})  # fmt: skip
    frame.attrs = {"time_unit": "days"}
    return frame.astype({"n": "Int64", "n_pairs": "Int64"})


@pytest.fixture
def frames() -> tuple[pd.DataFrame, ...]:
    rng = np.random.default_rng(4)
    n = 90
    residuals = pd.DataFrame({"patient_id": np.repeat(np.arange(30), 3).astype(str), "predicted": rng.normal(size=n),
                              "decorrelated": rng.normal(size=n), "quantile": np.linspace(-2, 2, n)})  # fmt: skip
    effects = pd.DataFrame({"patient_id": np.tile(np.arange(30).astype(str), 2),
                            "effect": ["intercept"] * 30 + ["slope"] * 30, "estimate": rng.normal(size=60),
                            "quantile": np.tile(np.linspace(-2, 2, 30), 2)})  # fmt: skip
    predicted = pd.DataFrame({"strata": ["patient left out"] * 3 + ["value left out"] * 3, "predicted": [1, 2, 3.0] * 2,
                              "estimate": [1, 2.2, 3.1] * 2, "conf_low": [0.5, 1.5, 2.5] * 2,
                              "conf_high": [1.5, 2.5, 3.5] * 2, "n": 20})  # fmt: skip
    influence = pd.DataFrame({"patient_id": np.arange(30).astype(str), "cook": np.linspace(0.4, 0, 30)})
    return residuals, effects, predicted, influence


def words(figure) -> list[str]:
    figure.draw_without_rendering()
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text())
    # A tick beyond the limits of its axis keeps a text that is not drawn.
    ticks = [tick.label1 for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.majorTicks]
    for text in found:
        assert text.get_fontsize() >= 7
        box = text.get_window_extent()
        assert text in ticks or (box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1)
    return [text.get_text() for text in found]


def test_the_variogram_is_in_years_where_lags_are_long_and_starts_at_nought(lags):
    ax = draw_variogram(lags)
    assert ax.get_xlabel() == "Years between two values of a patient"
    assert ax.get_ylim()[0] == ax.get_xlim()[0] == 0
    assert {"observed (95 % CI)", "expected by the model"} <= set(words(ax.figure))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), lags["expected"])


def test_short_lags_are_in_days(lags):
    assert draw_variogram(lags.assign(time=lags["time"] / 30)).get_xlabel().startswith("Days")


def test_another_unit_of_time_is_kept(lags):
    lags.attrs["time_unit"] = "months"
    assert draw_variogram(lags).get_xlabel().startswith("Months")


@pytest.mark.parametrize("policy", ["none", "lt5"])
def test_the_variogram_passes_the_small_number_rule(lags, policy):
    shown = apply_policy(lags, policy)
    ax = draw_variogram(shown)
    assert frames_of(ax.figure) == (shown,)


def test_an_empty_variogram_says_so(lags):
    assert any("nothing to show" in text for text in words(draw_variogram(lags.iloc[:0]).figure))


def test_four_panels_with_letters_and_the_most_influential_named(frames):
    panels = draw_mixed_diagnostics(*frames)
    listed = words(panels[0].figure)
    assert [letter for letter in "abcd" if letter in listed] == list("abcd")
    assert "From the left: 0, 1, 2" in listed
    assert {"residuals", "random intercept", "random slope", "patient left out", "value left out"} <= set(listed)
    assert len(frames_of(panels[0].figure)) == 4


@pytest.mark.parametrize("journal", ["nejm", "slide"])
def test_panels_fit_any_journal(frames, journal):
    figure = open_figure(journal=journal, width="double", height_mm=140)
    assert draw_mixed_diagnostics(*frames, figure=figure)[0].figure is figure
    words(figure)


def test_panels_without_random_effects_and_without_rows(frames):
    residuals, effects, predicted, influence = frames
    words(draw_mixed_diagnostics(residuals, effects.iloc[:0], predicted.iloc[:0], influence.iloc[:0])[0].figure)
    empty = draw_mixed_diagnostics(*(frame.iloc[:0] for frame in frames))
    assert sum("nothing to show" in text for text in words(empty[0].figure)) == 4


def test_frames_are_not_changed(frames):
    before = [frame.copy() for frame in frames]
    draw_mixed_diagnostics(*frames)
    for one, other in zip(frames, before, strict=True):
        pd.testing.assert_frame_equal(one, other)
