"""The plan: every key checked, unknown ones refused, each error in three parts."""

from pathlib import Path

import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.study import read_plan

PLAN = """
title = "A study"
notebooks = ["01_cohort"]
[data]
folder = "data"
"""
ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_short_plan_gets_the_stated_defaults(tmp_path):
    plan = read_plan(write(tmp_path, PLAN))
    assert plan.disclosure == "lt5"
    assert plan.response.definition == "iaihg-2022"
    assert plan.survival.landmark_days == (182,)
    assert plan.governance.unfilled() == ["approval", "legal basis", "opt out applied on", "centre sign off"]


@pytest.mark.parametrize("name", ["synthetic", "pbcseq"])
def test_the_shipped_plans_are_valid(name):
    assert read_plan(ROOT / "reports" / "plans" / f"{name}.toml").notebooks


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("[survival]\nlandmark = 182", "survival.landmark"),
        ("[groups]\nrule = 'by eye'", "groups.rule"),
        ("[trajectory]\nscale = 'cubic'", "trajectory.scale"),
        ("[survival]\nlandmark_days = []", "survival.landmark_days"),
    ],
)
def test_a_key_that_is_unknown_or_does_not_fit_is_named(tmp_path, line, named):
    with pytest.raises(PlanError) as raised:
        read_plan(write(tmp_path, PLAN + line))
    assert named in raised.value.what
    assert raised.value.rule
    assert raised.value.way_out


def test_an_unknown_policy_is_an_error(tmp_path):
    with pytest.raises(PlanError, match="disclosure"):
        read_plan(write(tmp_path, 'disclosure = "lt1"\n' + PLAN))


@pytest.mark.parametrize("text", ["title = ", "title = 'a'\ntitle = 'b'"])
def test_what_is_not_toml_names_its_line(tmp_path, text):
    with pytest.raises(PlanError, match="line"):
        read_plan(write(tmp_path, text))


def test_a_missing_plan_is_an_error_in_three_parts(tmp_path):
    with pytest.raises(PlanError, match=r"no plan 'none.toml'.*Check the path"):
        read_plan(tmp_path / "none.toml")
