"""A report is complete or not there, the same bytes every time, and a failed notebook is shown as failed."""

import json
from pathlib import Path

import nbformat
import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.report import build_report

pytestmark = pytest.mark.slow

PLAN = """
title = "A tiny study"
notebooks = ["good", "bad", "after"]
disclosure = "none"
[data]
folder = "../../data"
"""
PATIENTS = "patient_id,sex,birth_date,diagnosis_date\nP1,female,2001-01-01,2010-01-01\n"
SAVES = """
import pandas as pd
import aih_outcomes as aih
study = aih.open_study("tiny")
frame = study.disclose(pd.DataFrame({"step": ["Read"], "reason": [""], "n": [study.cohort.n_patients]}))
study.save(aih.draw_flow_chart(frame), "flow_NAME", "One patient.", story="A patient comes in.")
"""


def notebook(path: Path, title: str, code: str) -> None:
    cells = [nbformat.v4.new_markdown_cell(f"# {title}"), nbformat.v4.new_code_cell(code.strip())]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with one patient, a notebook that fails between two that do not, and an older report."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("reports/plans", "notebooks", "data"):
        (root / folder).mkdir(parents=True)
    (root / "reports/plans/tiny.toml").write_text(PLAN, encoding="utf-8")
    (root / "data/patients.csv").write_text(PATIENTS, encoding="utf-8")
    notebook(root / "notebooks/good.ipynb", "Who came?", SAVES.replace("NAME", "good"))
    notebook(
        root / "notebooks/bad.ipynb", "What broke?", SAVES.replace("NAME", "bad") + "\nraise ValueError('on purpose')"
    )
    notebook(root / "notebooks/after.ipynb", "Who came after?", SAVES.replace("NAME", "after"))
    return root


@pytest.fixture(scope="module")
def report(project):
    return build_report(project / "reports/plans/tiny.toml", out=project / "first")


def test_a_failed_notebook_is_named_and_the_others_still_run(project, report):
    page = report.page.read_text(encoding="utf-8")
    assert report.failed == {"bad": "ValueError: on purpose"}
    assert "This notebook failed" in page
    assert "ValueError: on purpose" in page
    assert (project / "first/figures/flow_after.pdf").is_file()


def test_the_page_holds_its_pictures_and_names_no_path(project, report):
    page = report.page.read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") == 3
    assert 'src="http' not in page
    assert str(project) not in page
    assert "The five-minute story" in page


def test_unfilled_lines_of_the_plan_are_printed_on_page_one(report):
    assert "approval, legal basis, opt out applied on, centre sign off" in report.page.read_text(encoding="utf-8")


def test_a_second_report_elsewhere_has_the_same_bytes(project, report, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LC_ALL", "POSIX")
    second = build_report(project / "reports/plans/tiny.toml", out=project / "else where" / "second")
    for path in sorted((project / "first").rglob("*")):
        if path.is_file() and path.name != "run.json":
            twin = second.page.parent / path.relative_to(project / "first")
            assert twin.read_bytes() == path.read_bytes(), path.name


def test_the_manifest_names_what_went_in_and_came_out_but_no_time_or_path(project, report):
    text = (report.page.parent / "manifest.json").read_text(encoding="utf-8")
    manifest = json.loads(text)
    assert set(manifest) == {"plan", "inputs", "notebooks", "packages", "seed", "figures", "tables"}
    assert "patients.csv" in manifest["inputs"]
    assert manifest["notebooks"]["bad"]["state"] == "failed"
    assert str(project) not in text
    assert "seconds" not in text


def test_a_report_that_cannot_be_built_leaves_the_old_one_untouched(project, report):
    before = report.page.read_bytes()
    broken = project / "reports/plans/broken.toml"
    broken.write_text(PLAN.replace('"after"', '"not_there"'), encoding="utf-8")
    with pytest.raises(PlanError, match=r"not_there\.ipynb"):
        build_report(broken, out=report.page.parent)
    assert report.page.read_bytes() == before
    assert not list(project.glob(".report-*"))


def test_drafts_saved_by_hand_outlive_a_new_report(project):
    out = project / "with_draft"
    build_report(project / "reports/plans/tiny.toml", out=out)
    (out / "draft").mkdir()
    (out / "draft" / "mine.txt").write_text("mine", encoding="utf-8")
    build_report(project / "reports/plans/tiny.toml", out=out)
    assert (out / "draft" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_under_a_small_number_rule_a_failure_says_rule_and_way_out_but_nothing_of_the_data(project):
    notebook(
        project / "notebooks/teller.ipynb",
        "What is told?",
        "from aih_outcomes.errors import DataError\nraise DataError('3 of 7 rows', 'A rule', 'A way')",
    )
    plan = project / "reports/plans/teller.toml"
    names = '["good", "bad", "after"]'
    plan.write_text(PLAN.replace(names, '["teller"]').replace('"none"', '"lt5"'), encoding="utf-8")
    report = build_report(plan, out=project / "told")
    written = "".join(
        path.read_text(encoding="utf-8") for path in (project / "told").rglob("*") if path.suffix in {".html", ".ipynb"}
    )
    assert "3 of 7 rows" in report.failed["teller"]
    assert "A rule. Way out: A way" in written
    assert "DataError" in written
    assert "Traceback" not in written
