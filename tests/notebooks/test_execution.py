"""One notebook, two plans: nothing in it belongs to one cohort."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from aih_outcomes.report import build_report
from aih_outcomes.simulate import write_synthetic

ROOT = Path(__file__).resolve().parents[2]
PLAN = """
title = "{title}"
notebooks = ["03_survival"]
disclosure = "{policy}"
journal = "{journal}"
[data]
folder = "../../{name}"
label = "{title}"
[groups]
rule = "{rule}"
[survival]
landmark_days = [{day}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "reports" / "plans").mkdir(parents=True)
    (root / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "03_survival.ipynb", root / "notebooks")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "policy", "journal", "rule", "day"),
    [("first", "lt5", "jhep", "attained_or_insufficient", 182), ("second", "none", "nejm", "attained_by", 365)],
)
def test_the_same_notebook_runs_for_another_plan(project, name, policy, journal, rule, day):
    write_synthetic(project / name, seed=len(name), n_patients=150)
    plan = project / "reports" / "plans" / f"{name}.toml"
    title = f"The {name} cohort"
    text = PLAN.format(title=title, policy=policy, journal=journal, name=name, rule=rule, day=day)
    plan.write_text(text, encoding="utf-8")
    report = build_report(plan, out=project / "out" / name)
    page = report.page.read_text(encoding="utf-8")
    assert report.failed == {}
    assert f"landmark at day {day}" in page
    assert f"Data: {title}." in page
    assert (policy == "none") == ("No small-number rule" in page)
    if policy == "lt5":
        for file in sorted((report.page.parent / "figures").glob("*.csv")):
            assert_no_small_count(pd.read_csv(file))


def assert_no_small_count(frame):
    """No count from 1 to 4, every other a multiple of 5, and no curve that can be undone into single events."""
    counts = frame[[name for name in frame if name == "n" or name.startswith("n_")]]
    assert not counts.empty
    assert not ((counts > 0) & (counts < 5)).any(axis=None)
    assert (counts.isna() | (counts % 5 == 0)).all(axis=None)
    if "n_risk" in frame:
        in_fives = frame["estimate"] * frame["n"] / 5
        assert (in_fives - in_fives.round()).abs().max() < 1e-6
