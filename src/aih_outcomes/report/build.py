"""Build a report beside the old one and put it in its place only when it is complete."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aih_outcomes.disclosure import hidden_mark
from aih_outcomes.errors import ReportError
from aih_outcomes.load.privacy.identifiers import check_identifiers, kinds_in
from aih_outcomes.load.sources import list_files
from aih_outcomes.report.execute import Executed, execute_notebook, find_notebooks
from aih_outcomes.report.manifest import hash_file, render_manifest
from aih_outcomes.report.render import render_page, section_of
from aih_outcomes.study import Study, read_plan
from aih_outcomes.study.output import DRAFT, SAVED
from aih_outcomes.tables.numbers import format_count

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report: its page, and the notebooks that failed with what they said (for the screen only)."""

    page: Path
    failed: dict[str, str]


def build_report(
    plan: Path, *, out: Path, data: Path | None = None, progress: Progress = lambda name, done, total: None
) -> Report:
    """Execute the plan's notebooks and write figures, tables, ``index.html`` and ``manifest.json`` to ``out``.

    A notebook that fails is shown as failed and the others still run. What stood in ``out`` stays untouched until the
    new report is complete.

    Raises
    ------
    PlanError, DataError : the plan or the data cannot be used; nothing is written
    DisclosureError : identifiers stand in the data; nothing is written
    """
    study = Study(read_plan(plan), plan.resolve(), out.resolve(), data and data.resolve())  # kernels start elsewhere
    notebooks = find_notebooks(study.plan.notebooks, plan)
    check_identifiers(study.source)
    facts = _facts(study)
    study.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=study.out.parent) as scratch:
        new = Path(scratch) / "new"
        executed, seconds = _run(study, notebooks, Path(scratch) / "runs", progress)
        items = {run.name: _collect(run, new) for run in executed}
        sections = [section_of(run, items[run.name]) for run in executed]
        _write(new / "index.html", render_page(sections=sections, facts=facts, folder=new))
        states = {
            run.name: {"sha256": hash_file(run.source), "state": "failed" if run.failure else "ok"} for run in executed
        }
        manifest = render_manifest(plan=plan, inputs=_inputs(study), notebooks=states, folder=new, seed=study.plan.seed)
        _write(new / "manifest.json", manifest)
        _write(new / "run.json", json.dumps({"seconds": seconds}, indent=1) + "\n")
        _replace(new, study.out)
    return Report(out / "index.html", {run.name: run.details for run in executed if run.failure})


def _run(
    study: Study, notebooks: list[Path], folder: Path, progress: Progress
) -> tuple[list[Executed], dict[str, float]]:
    executed, seconds = [], {}
    for number, source in enumerate(notebooks):
        progress(source.stem, number, len(notebooks))
        started = time.perf_counter()
        executed.append(
            execute_notebook(
                source, plan=study.path, data=study.data, folder=folder / source.stem, policy=study.plan.disclosure
            )
        )
        seconds[source.stem] = round(time.perf_counter() - started, 2)
    progress("", len(notebooks), len(notebooks))
    return executed, seconds


def _facts(study: Study) -> dict[str, Any]:
    report = study.source.load_report
    assert report is not None
    return {
        "title": study.plan.title,
        "heading": study.plan.heading,
        "synthetic": study.plan.data.synthetic,
        "policy": study.plan.disclosure,
        "unfilled": study.plan.governance.unfilled(),
        "criteria": study.definition.describe(),
        "criteria_title": study.definition.title,
        "endpoint": study.endpoint.label,
        "n_rows": f"{int(report['n_read'].sum()):,}".replace(",", " "),
        **_numbers(study, patients_read=study.source.n_patients, patients=study.cohort.n_patients),
        **_numbers(study, set_aside=int(report["n_set_aside"].sum())),
    }


def _numbers(study: Study, **counts: int) -> dict[str, str]:
    """Return counts as the plan's small-number rule lets them be written."""
    frame = study.disclose(pd.DataFrame({"n": counts.values()}))
    return {name: format_count(n, hidden=hidden_mark(frame)) for name, n in zip(counts, frame["n"], strict=True)}


def _collect(run: Executed, new: Path) -> list[dict[str, Any]]:
    """Move what a notebook saved into the report; a name used twice would lose a figure."""
    for kind in ("figures", "tables"):
        (new / kind).mkdir(parents=True, exist_ok=True)
        for file in sorted((run.folder / kind).glob("*")):
            if (new / kind / file.name).exists():
                raise ReportError(
                    f"Two notebooks save {file.name}", "A name is unique in a report", f"Rename it in {run.name}"
                )
            shutil.move(file, new / kind / file.name)
    (new / "notebooks").mkdir(exist_ok=True)
    shutil.move(run.folder / f"{run.name}.ipynb", new / "notebooks" / f"{run.name}.ipynb")
    saved = run.folder / SAVED
    items: list[dict[str, Any]] = json.loads(saved.read_text(encoding="utf-8")) if saved.is_file() else []
    return items


def _inputs(study: Study) -> dict[str, Path]:
    """Return the files that the report rests on by name: data, mapping and a user's own criteria.

    The key of the pseudonyms is not among them. A file of the data whose name may say who somebody is, is numbered.
    """
    plan, report = study.plan, study.source.load_report
    assert report is not None
    read = set(report["source_file"])  # as the cohort names them: identifiers are replaced
    files = list_files(study.data_folder, plan.data.source)
    named = [
        (path.name in read or not plan.data.key) and not kinds_in(path.name, column="source_file") for path in files
    ]
    data = {
        path.name if plain else f"file {number}": path
        for number, (path, plain) in enumerate(zip(files, named, strict=True), 1)
    }
    own = [plan.data.mapping, plan.response.definition if plan.response.definition.endswith(".toml") else ""]
    return data | {Path(name).name: study.path.parent / name for name in own if name}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _replace(new: Path, out: Path) -> None:
    """Put the complete report in place of the old one: two renames, so that a reader never sees half a report."""
    old = new.with_name("old")
    if out.exists():
        out.rename(old)
        if (old / DRAFT).is_dir():  # what notebooks saved by hand stays
            (old / DRAFT).rename(new / DRAFT)
    new.rename(out)
