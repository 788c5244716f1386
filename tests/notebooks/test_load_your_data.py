"""Notebook 00 is no part of a report: it is run on its own, as a newcomer runs it."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from aih_outcomes.report.execute import KERNEL_ARGUMENTS, SURROUNDINGS

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_load_your_data.ipynb"


def outputs_of(notebook):
    return " ".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))


def test_a_newcomer_gets_from_a_workbook_to_a_cohort(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, kernel_name="python3", extra_arguments=KERNEL_ARGUMENTS, resources=resources)
    client.execute(env={**os.environ, **SURROUNDINGS})
    shown = outputs_of(notebook)
    assert "guessed: check" in shown
    assert "igg." in shown
    assert "Error" not in shown
    (drawn,) = tmp_path.glob("clinic-*/my_study/reports/output/study/draft/figures/rows_read.svg")
    assert drawn.stat().st_size > 0
    assert list(tmp_path.glob("clinic-*/set_aside.csv"))
