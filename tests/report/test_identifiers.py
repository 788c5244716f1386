"""A report is refused until identifiers are gone, and the key of the pseudonyms leaves no trace in it."""

import json
import subprocess
import sys

import nbformat
import pytest

from aih_outcomes.errors import DisclosureError
from aih_outcomes.load.privacy.keys import new_key, read_key
from aih_outcomes.report import build_report

PLAN = """
title = "A tiny study"
notebooks = ["one"]
disclosure = "none"
[data]
folder = "../../data"
"""
KEYED = 'key = "../../keys/study.key"\n'
PATIENTS = "patient_id,sex,birth_date,diagnosis_date\n943 476 5919,female,2001-01-01,2010-01-01\n"
SAVES = """import pandas as pd
import aih_outcomes as aih
study = aih.open_study("tiny")
frame = study.disclose(pd.DataFrame({"step": ["Read"], "reason": [""], "n": [study.cohort.n_patients]}))
study.save(aih.draw_flow_chart(frame), "flow", "One patient.")"""


@pytest.fixture
def project(tmp_path):
    for folder in ("reports/plans", "notebooks", "data", "keys"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "reports/plans/tiny.toml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "data/patients.csv").write_text(PATIENTS, encoding="utf-8")
    cells = [nbformat.v4.new_markdown_cell("# Who came?"), nbformat.v4.new_code_cell(SAVES)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks/one.ipynb")
    new_key(tmp_path / "keys/study.key")
    return tmp_path


def test_a_report_of_data_with_identifiers_is_refused_before_anything_runs(project):
    ran = []
    with pytest.raises(DisclosureError, match=r"NHS, CHI or H&C number in patients\.patient_id \(1 row\(s\)\)"):
        build_report(
            project / "reports/plans/tiny.toml", out=project / "out",
            progress=lambda name, done, total: ran.append(name),
        )  # fmt: skip
    assert ran == []
    assert not (project / "out").exists()


def test_the_command_line_says_so_in_three_parts_without_a_value(project):
    command = [sys.executable, "-c", "from aih_outcomes.cli import main; main()", "report", "reports/plans/tiny.toml"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode == DisclosureError.exit_code
    for part in ("Error: Identifiers stand in 1 place(s)", "Rule:", "Way out: Make a key with 'aih-outcomes key FILE'"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert "5919" not in done.stderr + done.stdout


@pytest.mark.slow
def test_with_a_key_the_report_is_written_and_holds_neither_the_key_nor_the_identifier(project):
    (project / "data/Tom_Goodwin 943 476 5919.csv").write_text("not,mapped\n", encoding="utf-8")
    (project / "reports/plans/tiny.toml").write_text(PLAN + KEYED, encoding="utf-8")
    report = build_report(project / "reports/plans/tiny.toml", out=project / "out")
    assert report.failed == {}
    key = read_key(project / "keys/study.key", data=project / "data").decode()
    for path in (project / "out").rglob("*"):
        if path.is_file():
            content = path.read_bytes() + path.name.encode()
            for secret in (key, "5919", "Goodwin"):
                assert secret.encode() not in content, path.name
    manifest = json.loads((project / "out/manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["inputs"]) == {"patients.csv", "file 1"}
