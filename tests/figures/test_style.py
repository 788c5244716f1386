"""One colour per meaning, distinct in grey too; sizes as the journals ask."""

import itertools

import pytest
from matplotlib.colors import to_rgb

from aih_outcomes.errors import PlanError
from aih_outcomes.figures import open_figure
from aih_outcomes.figures.style import GROUP_STYLES, UNKNOWN_STYLES, ink, journal_style, styles_of


def luminance(colour: str) -> float:
    return sum(w * part for w, part in zip((0.299, 0.587, 0.114), to_rgb(colour), strict=True))


def test_a_group_keeps_its_colour_whatever_stands_beside_it() -> None:
    alone = styles_of(["Non-response"])["Non-response"]
    among = styles_of(["Type 1", *GROUP_STYLES])["Non-response"]
    assert alone == among
    assert alone.colour == "#D55E00"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Responder (CBR by 6 months)", "Responder"),
        ("Responder on second line", "Responder on second line"),
        ("steroid responder", "Responder"),
        ("Non-response at 4 weeks", "Non-response"),
        ("Not evaluable", "Not evaluable"),
    ],
)
def test_meaning_is_read_from_the_longest_name(label: str, name: str) -> None:
    assert styles_of([label])[label] == GROUP_STYLES[name]


def test_every_meaning_has_a_colour_and_a_marker_of_its_own() -> None:
    known = [style for name, style in GROUP_STYLES.items() if name != "All patients"]
    assert len({style.colour for style in known}) == len(known)
    assert len({style.marker for style in known}) == len(known)


@pytest.mark.parametrize("pair", list(itertools.combinations(GROUP_STYLES, 2)))
def test_groups_differ_in_grey(pair: tuple[str, str]) -> None:
    a, b = (GROUP_STYLES[name] for name in pair)
    differs = abs(luminance(a.colour) - luminance(b.colour)) > 0.1
    assert a.line != b.line or (differs and (a.marker != b.marker or a.weight != b.weight)) or (
        a.weight != b.weight and a.marker != b.marker
    )  # fmt: skip


def test_unknown_groups_take_what_is_left_in_order() -> None:
    styles = styles_of(["Type 1", "Type 2", "Not yet in response"])
    left = [style.colour for style in UNKNOWN_STYLES if style.colour != GROUP_STYLES["Not yet in response"].colour]
    assert [styles[name].colour for name in ("Type 1", "Type 2")] == left[:2]


def test_more_unknown_groups_than_colours_still_differ() -> None:
    styles = styles_of([f"centre {number}" for number in range(9)])
    assert len(set(styles.values())) == 9


@pytest.mark.parametrize("name", list(GROUP_STYLES))
def test_words_are_dark_enough(name: str) -> None:
    linear = [
        v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(ink(GROUP_STYLES[name].colour))
    ]
    assert 1.05 / (sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05) >= 4.49


@pytest.mark.parametrize(
    ("journal", "widths"),
    [("jhep", (90, 140, 190)), ("nejm", (89, 135, 181)), ("hepatology", (84, 127, 174)), ("jpgn", (85, 127, 174))],
)
def test_figures_are_drawn_at_their_final_width(journal: str, widths: tuple[float, ...]) -> None:
    for name, width in zip(("single", "one_and_half", "double"), widths, strict=True):
        figure = open_figure(journal=journal, width=name, height_mm=70)  # type: ignore[arg-type]
        assert figure.get_size_inches() * 25.4 == pytest.approx([width, 70])
        assert min(journal_style(journal).text, journal_style(journal).small) >= 7


def test_a_slide_is_ten_inches_wide() -> None:
    assert open_figure(journal="slide", width="double", height_mm=143).get_size_inches() * 25.4 == pytest.approx(
        [254, 143]
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PlanError, match="at most 230"):
        open_figure(height_mm=400)
    with pytest.raises(PlanError, match="jhep, nejm"):
        open_figure(journal="lancet")
