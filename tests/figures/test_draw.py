"""Every drawing: a normal frame, one group, nothing at all, and a frame under the small-number rule."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import DisclosureError
from aih_outcomes.figures import (
    draw_alluvial,
    draw_flow_chart,
    draw_forest,
    draw_rates,
    draw_survival,
    draw_timeline,
    draw_trajectories,
    frames_of,
    open_figure,
)

DRAW: dict[str, Callable[[pd.DataFrame], Axes]] = {
    "survival": draw_survival, "late_survival": draw_survival, "forest": draw_forest, "flows": draw_alluvial,
    "trajectories": draw_trajectories, "exclusions": draw_flow_chart,
}  # fmt: skip
KINDS = list(DRAW)


def figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    return figure


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in shown_texts(figure)]


def shown_texts(figure: Figure) -> list[Text]:
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text())
    return [text for text in found if isinstance(text, Text)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["none", "lt5", "hes7"])
def test_every_text_can_be_read_and_lies_on_the_page(kind: str, policy: str, request: pytest.FixtureRequest) -> None:
    figure = figure_of(DRAW[kind](apply_policy(request.getfixturevalue(kind), policy)))
    page = figure.bbox
    for text in shown_texts(figure):
        assert text.get_fontsize() >= 7
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.x1 <= page.x1 + 1 and box.y0 >= -1 and box.y1 <= page.y1 + 1
        assert inside or not is_drawn(text), text.get_text()


def is_drawn(text: Text) -> bool:
    """A tick beyond the axis limits keeps a text that is not drawn."""
    ax = text.axes
    return ax is None or text not in [*ax.get_xticklabels(which="both"), *ax.get_yticklabels(which="both")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_figure_remembers_its_frame(kind: str, request: pytest.FixtureRequest) -> None:
    frame = request.getfixturevalue(kind)
    (remembered,) = frames_of(figure_of(DRAW[kind](frame)))
    assert remembered is frame


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_frame_says_so(kind: str, request: pytest.FixtureRequest) -> None:
    frame = apply_policy(request.getfixturevalue(kind).iloc[:0], "lt5")
    assert any("nothing to show" in text for text in words(figure_of(DRAW[kind](frame))))


@pytest.mark.parametrize("kind", KINDS)
def test_one_group_can_be_drawn(kind: str, request: pytest.FixtureRequest) -> None:
    frame = request.getfixturevalue(kind)
    column = next(c for c in ("strata", "design", "time", "step") if c in frame)
    figure_of(DRAW[kind](frame[frame[column] == frame[column].iloc[0]]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("journal", ["nejm", "slide"])
def test_axes_of_any_journal_can_be_given(kind: str, journal: str, request: pytest.FixtureRequest) -> None:
    ax = open_figure(journal=journal, width="double", height_mm=140).add_subplot()
    assert DRAW[kind](apply_policy(request.getfixturevalue(kind), "none"), ax=ax) is ax
    smallest = {"nejm": 7, "slide": 12}[journal]
    assert min(text.get_fontsize() for text in shown_texts(figure_of(ax))) >= smallest


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_not_changed(kind: str, request: pytest.FixtureRequest) -> None:
    frame = request.getfixturevalue(kind)
    before = frame.copy()
    DRAW[kind](frame)
    pd.testing.assert_frame_equal(frame, before)


def test_survival_starts_at_a_hundred_and_its_axis_at_nought(survival: pd.DataFrame) -> None:
    ax = draw_survival(survival)
    assert ax.get_ylim() == (0, 100)
    assert ax.get_xlim()[0] == 0
    curves = [line for line in ax.lines if len(line.get_xdata()) > 3]
    assert {tuple(np.column_stack(line.get_data())[0]) for line in curves} == {(0.0, 100.0)}
    assert list(ax.get_xticks()) == [0, 2, 4, 6, 8]
    assert ax.get_xlabel() == "Years since month 6"


def test_numbers_at_risk_are_those_of_the_frame(survival: pd.DataFrame) -> None:
    listed = words(figure_of(draw_survival(survival)))
    assert "Responder (n = 221)" in listed
    first = survival[survival["strata"] == "Responder"]
    for tick in (2, 4, 6):
        assert str(first.loc[first["time"] >= tick, "n_risk"].iloc[0]) in listed
        assert str(first.loc[first["time"] <= tick, "n_event"].sum()) in listed


def test_numbers_at_risk_rise_under_late_entry(late_survival: pd.DataFrame) -> None:
    responder = late_survival[late_survival["strata"] == "Responder"]
    assert responder["n_risk"].iloc[0] < responder["n_risk"].max()
    assert "Responder (n = 221)" in words(figure_of(draw_survival(late_survival)))


def test_groups_left_out_are_named(survival: pd.DataFrame) -> None:
    listed = words(figure_of(draw_survival(apply_policy(survival, "lt5"))))
    assert any("Not shown (fewer than 10 patients): Targeted therapy" in text.replace("\n", " ") for text in listed)
    assert not any(text.startswith("Targeted therapy") for text in listed)


def test_a_curve_ends_where_few_are_at_risk(survival: pd.DataFrame) -> None:
    ax = draw_survival(survival[survival["strata"] == "Responder"])
    last = max(line.get_xdata()[-1] for line in ax.lines if len(line.get_xdata()) > 3)
    few = survival[(survival["strata"] == "Responder") & (survival["n_risk"] < 22.1)]
    assert last < few["time"].min()


def test_the_note_is_written_above_the_curves(survival: pd.DataFrame) -> None:
    note = "Hazard ratio 0.27 (95 % CI 0.15 to 0.48); at 10 years 21 % more alive with their own liver"
    assert note in [text.replace("\n", " ") for text in words(figure_of(draw_survival(survival, note=note)))]


def test_forest_names_designs_and_what_is_biased(forest: pd.DataFrame) -> None:
    listed = words(figure_of(draw_forest(apply_policy(forest, "lt5"))))
    assert "Comparison from day 0 – biased" in listed
    assert "0.12 (0.07–0.21) biased" in listed
    assert "not estimable" in listed  # three events: hidden
    assert "<5" in listed


def test_forest_axis_is_logarithmic_and_human(forest: pd.DataFrame) -> None:
    ax = draw_forest(forest.iloc[:1])
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.25", "0.5", "1", "2", "4"]
    wide = draw_forest(forest.assign(conf_low=0.06, conf_high=12.0))
    assert [text.get_text() for text in wide.get_xticklabels()] == ["0.1", "0.25", "0.5", "1", "2", "4", "10"]


def rows_apart(ax: Axes) -> float:
    """Millimetres between the rows of a forest."""
    figure = figure_of(ax)
    (_, first), (_, second) = ax.transData.transform([(1, 0), (1, -1)])
    return float((first - second) / figure.dpi * 25.4)


def test_forest_gives_back_the_paper_it_does_not_need(forest: pd.DataFrame) -> None:
    high = open_figure(width="double", height_mm=140)
    ax = draw_forest(forest, ax=high.add_subplot())
    assert rows_apart(ax) == pytest.approx(5.2, abs=0.6)
    assert high.get_size_inches()[0] * 25.4 == pytest.approx(190)
    assert high.get_size_inches()[1] * 25.4 < 80
    beside = open_figure(width="double", height_mm=140)
    draw_forest(forest, ax=beside.subplots(2, 1)[0])
    assert beside.get_size_inches()[1] * 25.4 == pytest.approx(140)


def test_no_line_runs_through_a_heading_of_the_forest(forest: pd.DataFrame) -> None:
    ax = draw_forest(forest)
    headings = [text for text in ax.texts if text.get_text() in ("Landmark at month 6", "Status changes with time")]
    assert len(headings) == 2
    assert all(text.get_bbox_patch() is not None and text.get_zorder() > 1 for text in headings)


def test_forest_fits_narrow_paper_too(forest: pd.DataFrame) -> None:
    long = "landmark at month 6: response to first-line treatment (IAIHG 2022), attained by day 182, "
    long += "incident patients only"
    forest = forest.assign(term="Responder vs Not yet in response", n_reference=120, n_event_reference=20)
    forest["design"] = [long, long, *forest["design"].iloc[2:]]
    ax = draw_forest(forest, ax=open_figure(width="one_and_half", height_mm=90).add_subplot())
    listed = words(figure_of(ax))
    assert "307" in listed
    assert "307 vs 120" not in listed
    assert ax.get_position().width > 0.2
    (heading,) = [text for text in ax.texts if text.get_text().startswith("Landmark at month 6:")]
    assert "\n" in heading.get_text()
    assert heading.get_window_extent().x1 <= ax.figure.bbox.x1


def test_forest_counts_both_sides_of_a_contrast(forest: pd.DataFrame) -> None:
    forest = forest.assign(n_reference=pd.array([120, 40, 12, 60], "Int64"))
    forest["n_event_reference"] = pd.array([20, 8, None, 20], "Int64")
    listed = words(figure_of(draw_forest(forest)))
    assert "307 vs 120" in listed
    assert "3 vs –" in listed


def test_alluvial_draws_nothing_under_the_threshold(flows: pd.DataFrame) -> None:
    shown = apply_policy(flows, "lt5")
    listed = words(figure_of(draw_alluvial(shown)))
    assert "3" not in listed
    assert any("not drawn" in text for text in listed)


def test_alluvial_keeps_not_evaluable_at_the_bottom(flows: pd.DataFrame) -> None:
    ax = draw_alluvial(flows, order=["Not evaluable", "Responder"])
    figure_of(ax)
    at = {text.get_text(): text.xy[1] for text in ax.texts if hasattr(text, "xy")}
    assert at["Not evaluable"] < at["Insufficient response"] < at["Responder"]


def test_numbers_of_thin_nodes_stand_above_them(flows: pd.DataFrame) -> None:
    few = pd.DataFrame(
        [("4 weeks", "Non-response", "6 months", "Transplant or death", 2, 43, 2)], columns=flows.columns
    )
    flows = pd.concat([flows, few.astype(flows.dtypes.to_dict())], ignore_index=True)
    ax = draw_alluvial(flows)
    figure_of(ax)
    (number,) = [text for text in ax.texts if isinstance(text, Annotation) and text.get_text() == "2"]
    bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    (thin,) = [bar for bar in bars if bar.get_height() == 2]
    assert number.xy[1] == thin.get_y() + 2
    assert number.xyann[1] > 0
    assert number.get_va() == "baseline"  # digits have nothing below it
    box = number.get_window_extent()
    assert not any(box.overlaps(bar.get_window_extent()) for bar in bars if bar is not thin)
    assert number.get_color() != "white"


def test_words_in_an_alluvial_do_not_meet(flows: pd.DataFrame) -> None:
    ax = draw_alluvial(flows)
    figure_of(ax)
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) > 10
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_trajectories_have_a_log_axis_with_the_upper_limit_named(trajectories: pd.DataFrame) -> None:
    ax = draw_trajectories(trajectories, y_label="× ULN")
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.2", "0.5", "1", "2", "5", "10", "20", "50"]
    assert "ULN" in words(figure_of(ax))
    assert "221" in words(figure_of(ax))


def test_trajectories_refuse_single_patients_under_a_rule(trajectories: pd.DataFrame) -> None:
    single = pd.DataFrame({"patient_id": ["a", "a"], "strata": "Responder", "time": [0, 14], "value": [20.0, 9.0]})
    draw_trajectories(trajectories, individuals=single)
    with pytest.raises(DisclosureError, match="1 single courses"):
        draw_trajectories(apply_policy(trajectories, "lt5"), individuals=single)


def test_numbers_do_not_run_into_each_other_beside_another_panel(trajectories: pd.DataFrame) -> None:
    figure = open_figure(width="double", height_mm=100)
    ax = draw_trajectories(trajectories, ax=figure.subplots(1, 2)[1])
    figure_of(ax)
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text().isdigit()]
    assert len(boxes) > 6
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_medians_of_few_are_counted_and_not_drawn(trajectories: pd.DataFrame) -> None:
    ax = draw_trajectories(trajectories)
    drawn = {len(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) > 3}
    assert drawn == {6, 4}  # of the twelve on targeted therapy, four and two are left at the last visits
    listed = words(figure_of(ax))
    assert "Medians of fewer than 5 patients are not drawn." in listed
    assert {"4", "2"} <= set(listed)


def test_ticks_stand_at_visits(trajectories: pd.DataFrame) -> None:
    assert [text.get_text() for text in draw_trajectories(trajectories).get_xticklabels()] == ["0", "1", "3", "6", "12"]
    earlier = trajectories.assign(time=trajectories["time"].replace(14, 56))
    labels = [text.get_text() for text in draw_trajectories(earlier).get_xticklabels()]
    assert labels == ["0", "1", "2", "3", "6", "12"]


def test_logarithms_are_not_drawn_on_a_log_axis(trajectories: pd.DataFrame) -> None:
    ax = draw_trajectories(trajectories, y_label="log2 10*9/L")
    assert ax.get_yscale() == "linear"
    assert ax.get_ylabel() == "log₂ 10⁹/L"


def test_lines_that_lie_on_each_other_are_named_on_their_sides(trajectories: pd.DataFrame) -> None:
    responder = trajectories[trajectories["strata"] == "Responder"]
    other = responder.assign(strata="Not evaluable", **{c: responder[c] * 1.03 for c in ("estimate",)})
    ax = draw_trajectories(pd.concat([responder, other]))
    figure_of(ax)
    named = [text for text in ax.texts if text.get_text() in ("Responder", "Not evaluable") and hasattr(text, "xyann")]
    assert len(named) == 2


def test_trajectory_breaks_where_a_visit_is_hidden(trajectories: pd.DataFrame) -> None:
    ax = draw_trajectories(apply_policy(trajectories, "lt5"))
    lines = [line for line in ax.lines if len(line.get_xdata()) == 6]
    assert sum(np.isnan(line.get_ydata()).any() for line in lines) == 1


def test_flow_chart_shows_hidden_numbers_as_hidden(exclusions: pd.DataFrame) -> None:
    text = " ".join(words(figure_of(draw_flow_chart(apply_policy(exclusions, "lt5"))))).replace("\u00a0", " ")
    assert "n = 410" in text
    assert "n <5" in text
    assert "n = 3 " not in f"{text} "


def test_flow_chart_gives_back_the_paper_it_does_not_need(exclusions: pd.DataFrame) -> None:
    figure = open_figure(width="double", height_mm=200)
    ax = draw_flow_chart(apply_policy(exclusions, "lt5"), ax=figure.add_subplot())
    figure_of(ax)
    bottom = min(patch.get_window_extent().y0 for patch in ax.patches if isinstance(patch, Rectangle))
    (note,) = [text for text in ax.texts if text.get_text().startswith("<5")]
    assert 0 < bottom - note.get_window_extent().y1 < 12 / 72 * figure.dpi
    assert note.get_window_extent().y0 / figure.dpi * 25.4 < 5
    assert figure.get_size_inches()[1] * 25.4 < 100


def rates() -> pd.DataFrame:
    rows = [("CBR by 6 months", 110, 130, 100, 0.46, 0.40, 0.52, 0.32, 0.61, 0.53),
            ("CBR at 6 months, tolerant window", 3, 12, 5, 0.2, 0.05, 0.48, 0.15, 0.4, None)]  # fmt: skip
    columns = ["label", "n_met", "n_not_met", "n_not_evaluable", "estimate", "conf_low", "conf_high"]
    columns += ["bound_low", "bound_high", "corrected"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:4], "Int64"))


def test_rates_stand_on_their_bounds_with_their_denominators() -> None:
    ax = draw_rates(rates())
    listed = words(figure_of(ax))
    assert {"110/240", "100", "3/15", "5"} <= set(listed)
    assert ax.get_xlim() == (0, 100)
    bounds, intervals = (np.concatenate(lines.get_segments()) for lines in ax.collections)
    assert bounds[:2, 0].tolist() == [32, 61]
    assert intervals[:2, 0].tolist() == [40, 52]
    assert bounds[0, 1] == 0 > bounds[2, 1]  # the first row is on top


def test_rates_under_a_rule_hide_their_counts_and_say_so() -> None:
    listed = words(figure_of(draw_rates(apply_policy(rates(), "lt5"))))
    assert "3/15" not in listed
    assert any(text.startswith("<5: fewer than 5 patients") for text in listed) or "<5/<5" not in listed


def test_rates_explain_bar_line_and_diamond_only_where_drawn() -> None:
    assert "corrected for missing results" in words(figure_of(draw_rates(rates())))
    assert "corrected for missing results" not in words(figure_of(draw_rates(rates().drop(columns="corrected"))))


def test_words_of_rates_do_not_meet() -> None:
    figure = figure_of(draw_rates(rates(), ax=open_figure(width="one_and_half", height_mm=60).add_subplot()))
    boxes = [text.get_window_extent() for text in shown_texts(figure)]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert figure.get_size_inches()[1] * 25.4 < 55
    assert figure.axes[0].get_position().width > 0.3


def test_rates_of_nothing_say_so() -> None:
    assert any("nothing to show" in text for text in words(figure_of(draw_rates(rates().iloc[:0]))))


def test_a_biased_comparison_says_so_on_the_figure(survival: pd.DataFrame) -> None:
    ax = draw_survival(survival.assign(label="native-liver survival, comparison from day 0 (biased)"), note="A note")
    figure_of(ax)
    at = {text.get_text(): text for text in ax.texts}
    caution = at["Comparison from day 0 (biased)"]
    assert "Bold" in str(caution.get_fontproperties().get_file())
    assert caution.get_window_extent().y0 >= at["A note"].get_window_extent().y1


def test_a_long_note_breaks_after_a_comma(survival: pd.DataFrame) -> None:
    note = (
        "Responder vs Insufficient response: hazard ratio 0.74 (95 % CI 0.30 to 1.84), risk difference 0.6 % (−4 to 5)"
    )
    ax = open_figure(width="one_and_half", height_mm=110).add_subplot()
    listed = words(figure_of(draw_survival(survival, ax=ax, note=note)))
    assert note.replace(", ", ",\n") in listed


def test_late_entry_is_said_where_numbers_at_risk_rise(survival: pd.DataFrame, late_survival: pd.DataFrame) -> None:
    assert any("late entry" in text for text in words(figure_of(draw_survival(late_survival))))
    assert not any("late entry" in text for text in words(figure_of(draw_survival(survival))))


def test_timeline_has_three_aligned_panels_and_its_stamp(course: tuple[pd.DataFrame, ...]) -> None:
    axes = draw_timeline(*course)
    figure = figure_of(axes[0])
    left = {round(ax.get_window_extent().x0, 3) for ax in axes}
    assert len(axes) == 3
    assert len(left) == 1
    listed = words(figure)
    assert "Invented; not a published patient; not dosing advice" in listed
    assert "no values" in listed
    assert {"biopsy", "relapse", "gene result"} <= set(listed)
    assert len(frames_of(figure)) == 3
    assert min(text.get_fontsize() for text in shown_texts(figure)) >= 7


def test_words_of_events_do_not_meet(course: tuple[pd.DataFrame, ...]) -> None:
    figure = figure_of(draw_timeline(*course)[0])
    marks = set(course[2]["words"])
    boxes = [text.get_window_extent() for text in shown_texts(figure) if text.get_text() in marks]
    assert len(boxes) == len(course[2])
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_timeline_of_nothing_says_so(course: tuple[pd.DataFrame, ...]) -> None:
    axes = draw_timeline(*(frame.iloc[:0] for frame in course))
    assert any("nothing to show" in text for text in words(figure_of(axes[0])))
