"""One notebook, two plans: nothing in it belongs to one cohort."""

import shutil
from pathlib import Path

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
