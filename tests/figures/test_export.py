"""The same bytes on every run, whatever the clock, the time zone, the locale or the user's settings."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from PIL import Image

from aih_outcomes.figures import draw_survival, export_figure

HERE = Path(__file__).parent
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import GROUPS, survival_of
from aih_outcomes.figures import draw_survival, export_figure
export_figure(draw_survival(survival_of(GROUPS)).get_figure(root=True), Path(sys.argv[2]) / "curve")
"""


def written_by(folder: Path, **environment: str) -> dict[str, bytes]:
    """Export in a process of its own, with these environment variables."""
    clean = {k: v for k, v in os.environ.items() if k not in ("TZ", "LC_ALL", "SOURCE_DATE_EPOCH", "PYTHONHASHSEED")}
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(HERE), str(folder)], env={**clean, **environment}, check=True, timeout=120
    )
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_bytes_do_not_depend_on_time_zone_locale_epoch_or_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = written_by(tmp_path / "a", TZ="UTC", LC_ALL="C", PYTHONHASHSEED="1")
    second = written_by(
        tmp_path / "b", TZ="Asia/Kolkata", LC_ALL="de_DE.UTF-8", PYTHONHASHSEED="2", SOURCE_DATE_EPOCH="1"
    )
    assert sorted(first) == [".pdf", ".png", ".svg"]
    assert {kind: first[kind] == second[kind] for kind in first} == dict.fromkeys(first, True)


def test_bytes_are_the_same_twice_and_under_other_settings(tmp_path: Path, survival: pd.DataFrame) -> None:
    figure = draw_survival(survival).get_figure(root=True)
    first = [path.read_bytes() for path in export_figure(figure, tmp_path / "first")]
    with matplotlib.rc_context({"font.size": 17, "svg.fonttype": "none", "savefig.dpi": 50, "savefig.bbox": "tight"}):
        again = draw_survival(survival).get_figure(root=True)
        second = [path.read_bytes() for path in export_figure(again, tmp_path / "second")]
    third = [path.read_bytes() for path in export_figure(figure, tmp_path / "first")]
    assert [a == b for a, b in zip(first, second, strict=True)] == [True] * 3
    assert [a == b for a, b in zip(first, third, strict=True)] == [True] * 3


def test_nothing_in_a_file_names_a_time_or_a_path(tmp_path: Path, survival: pd.DataFrame) -> None:
    for path in export_figure(draw_survival(survival).get_figure(root=True), tmp_path / "curve"):
        content = path.read_bytes()
        for word in (b"CreationDate", b"<dc:date>", b"Software", str(tmp_path).encode()):
            assert word not in content


def test_png_has_the_final_size_at_300_dpi(tmp_path: Path, survival: pd.DataFrame) -> None:
    figure = draw_survival(survival).get_figure(root=True)
    paths = export_figure(figure, tmp_path / "deep" / "curve")
    assert [path.name for path in paths] == ["curve.pdf", "curve.svg", "curve.png"]
    with Image.open(paths[-1]) as image:
        assert image.width == pytest.approx(90 / 25.4 * 300, abs=1)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_pdf_embeds_the_bundled_font_as_truetype(tmp_path: Path, survival: pd.DataFrame) -> None:
    pdf = export_figure(draw_survival(survival).get_figure(root=True), tmp_path / "curve")[0].read_bytes()
    assert b"DejaVuSans" in pdf
    assert b"/CIDFontType2" in pdf
