"""The same result under every definition: estimates in order, their choices below, and what has no estimate."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.figures import draw_specification, frames_of, open_figure

PROGNOSTIC = "Prognostic association, not a treatment effect."
CRITERIA = ("IAIHG 2022", "EASL 2015", "ESPGHAN 2018 (strict titres)", "Transaminases only")
LIMITS = ("as recorded", "fixed: ALT 40, AST 40, IgG 16")
CLOCKS = (("landmark", 182.0), ("landmark", 365.0), ("status changing with time", np.nan))


@pytest.fixture
def frame() -> pd.DataFrame:
    """48 combinations, the first declared, two of them not estimable."""
    rng = np.random.default_rng(1)
    choices = list(itertools.product(CRITERIA, LIMITS, CLOCKS, ("age, log(bilirubin)", "none")))
    rows = pd.DataFrame(
        [{"definition": d, "upper_limits": u, "design": c[0], "landmark": c[1], "adjustment": a}
         for d, u, c, a in choices]
    ).assign(rescue="ignored", n=110, n_event=12, because="", main=np.arange(48) == 0, caution=PROGNOSTIC)  # fmt: skip
    rows["estimate"] = np.exp(rng.normal(-0.7, 0.25, 48))
    spread = np.exp(1.96 * rng.uniform(0.25, 0.5, 48))
    rows["conf_low"], rows["conf_high"] = rows["estimate"] / spread, rows["estimate"] * spread
    rows.loc[[13, 25], ["estimate", "conf_low", "conf_high"]] = np.nan
    rows.loc[[13, 25], "because"] = "not estimable: no events among responders"
    return rows


def drawn(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    return figure


def words(figure: Figure) -> list[str]:
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text.get_text() for text in found if isinstance(text, Text) and text.get_text()]


def note(figure: Figure) -> str:
    return " ".join(next(text for text in words(figure) if "combinations" in text).split())


def marks(ax: Axes) -> np.ndarray:
    """Return (x, y) of every estimate drawn, by x."""
    lines = [line for line in ax.lines if line.get_linestyle() == "None"]
    points = np.concatenate([np.column_stack(line.get_data()) for line in lines])
    return points[np.argsort(points[:, 0])]


def test_estimates_stand_in_order_of_their_size(frame: pd.DataFrame) -> None:
    points = marks(draw_specification(frame))
    assert points[:, 0].tolist() == list(range(46))
    assert points[:, 1] == pytest.approx(np.sort(frame["estimate"].dropna()))


def test_each_combination_has_one_dot_per_choice_in_the_row_of_its_level(frame: pd.DataFrame) -> None:
    _, lower = drawn(draw_specification(frame)).axes
    rows = {text.get_text(): y for y, text in zip(lower.get_yticks(), lower.get_yticklabels(), strict=True)}
    ordered = frame.dropna(subset=["estimate"]).sort_values("estimate", ignore_index=True)
    black = [line for line in lower.lines if line.get_color() == "#000000" or line.get_markeredgecolor() == "#000000"]
    dots = {(float(x), float(y)) for line in black for x, y in zip(*line.get_data(), strict=True)}
    expected = {(float(x), float(rows[level])) for column in ("definition", "upper_limits", "adjustment")
                for x, level in enumerate(ordered[column])}  # fmt: skip
    assert expected <= dots
    assert len(dots) == 4 * 46


def test_design_and_landmark_are_named_together(frame: pd.DataFrame) -> None:
    shown = words(drawn(draw_specification(frame)))
    assert {"landmark at month 6", "landmark at month 12", "status changing with time"} <= set(shown)


def test_a_choice_with_one_level_takes_no_room(frame: pd.DataFrame) -> None:
    assert "Rescue treatment" not in words(drawn(draw_specification(frame)))
    several = frame.assign(rescue=np.where(np.arange(48) % 2, "ignored", "counted as failure"))
    assert "Rescue treatment" in words(drawn(draw_specification(several)))


def test_the_declared_analysis_is_marked_with_its_estimate(frame: pd.DataFrame) -> None:
    main = frame.iloc[0]
    text = f"declared analysis: {main['estimate']:.2f} ({main['conf_low']:.2f}–{main['conf_high']:.2f})"
    assert text in words(drawn(draw_specification(frame)))


def test_what_has_no_estimate_is_counted_with_its_reason(frame: pd.DataFrame) -> None:
    assert note(drawn(draw_specification(frame))).startswith(
        "46 of 48 combinations, by size of the estimate. Not shown: 2 not estimable: no events among responders."
    )


def test_a_declared_analysis_without_an_estimate_is_said(frame: pd.DataFrame) -> None:
    frame.loc[0, "estimate"] = np.nan
    frame.loc[0, "because"] = "not allowed: landmark before the window's end"
    text = note(drawn(draw_specification(frame)))
    assert "1 not allowed: landmark before the window's end" in text
    assert "The declared analysis is among these" in text


def test_statistics_rule_21_the_words_of_caution_stand_under_it_by_design(frame: pd.DataFrame) -> None:
    changing = frame["design"] == "status changing with time"
    frame.loc[changing, "caution"] = "Prognostic association, not a treatment effect; confounded by severity."
    text = note(drawn(draw_specification(frame)))
    assert "Landmark: prognostic association, not a treatment effect." in text
    assert "Status changing with time: prognostic association, not a treatment effect; confounded by severity." in text


def test_statistics_rule_23_what_the_small_number_rule_hides_is_counted_not_drawn(frame: pd.DataFrame) -> None:
    frame.loc[5, "n_event"] = 3
    shown = apply_policy(frame, "lt5")
    figure = drawn(draw_specification(shown))
    assert "1 hidden by the small-number rule" in note(figure)
    assert len(marks(figure.axes[0])) == 45
    assert frames_of(figure) == (shown,)


def test_an_interval_beyond_the_axis_ends_in_an_arrow(frame: pd.DataFrame) -> None:
    frame.loc[[3, 4], ["conf_low", "conf_high"]] = [[0.001, 1.0], [0.2, 400.0]]
    upper = drawn(draw_specification(frame)).axes[0]
    markers = [line.get_marker() for line in upper.lines]
    assert markers.count("v") == markers.count("^") == 1


@pytest.mark.parametrize(("journal", "width"), [("jhep", "double"), ("nejm", "one_and_half"), ("slide", "double")])
def test_every_text_can_be_read_and_lies_on_the_page(frame: pd.DataFrame, journal: str, width) -> None:
    ax = open_figure(journal=journal, width=width, height_mm=140).add_subplot()
    assert draw_specification(frame, ax=ax) is ax
    figure = drawn(ax)
    page = figure.bbox
    for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text()):
        assert text.get_fontsize() >= (12 if journal == "slide" else 7)
        box = text.get_window_extent()
        assert box.x0 >= -1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= -1
        assert box.y1 <= page.y1 + 1


def test_no_two_names_of_levels_overlap_at_final_size(frame: pd.DataFrame) -> None:
    figure = drawn(draw_specification(frame))
    boxes = [label.get_window_extent() for label in figure.axes[1].get_yticklabels()]
    assert all(above.y0 >= below.y1 - 0.5 for above, below in itertools.pairwise(boxes))
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(190)


def test_the_estimates_are_not_covered_by_the_name_of_the_declared_one(frame: pd.DataFrame) -> None:
    upper = drawn(draw_specification(frame)).axes[0]
    label = next(text for text in upper.texts if isinstance(text, Annotation))
    assert label.get_window_extent().y0 >= upper.get_window_extent().y1 - 1


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_combinations_and_none(frame: pd.DataFrame, rows: int) -> None:
    figure = drawn(draw_specification(frame.iloc[:rows]))
    assert any(("nothing to show" if not rows else f"{rows} of {rows} combinations") in text for text in words(figure))


def test_two_hundred_combinations_keep_their_marks_apart(frame: pd.DataFrame) -> None:
    many = pd.concat([frame.assign(definition=frame["definition"] + f" {i}", main=False) for i in range(5)])
    upper = drawn(draw_specification(many.reset_index(drop=True))).axes[0]
    each = upper.get_window_extent().width / upper.figure.dpi * 72 / 230
    assert max(line.get_markersize() for line in upper.lines if line.get_linestyle() == "None") <= 1.6
    assert each > 1.5


def test_the_frame_is_not_changed(frame: pd.DataFrame) -> None:
    before = frame.copy()
    draw_specification(frame)
    pd.testing.assert_frame_equal(frame, before)
