"""Run a notebook in a kernel of its own, so that two runs see the same surroundings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from aih_outcomes.errors import PlanError, without_facts

TIMEOUT_SECONDS = 1200
# The kernel listens on the loopback address only; that it says so at each start helps nobody.
KERNEL_ARGUMENTS = ["--IPKernelApp.log_level=40"]
# One BLAS thread and fixed surroundings: threads change the last bits, locale and zone change texts.
SURROUNDINGS = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "agg",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Executed:
    """One notebook after its run: ``failure`` may be written, ``details`` are for the screen of who runs it."""

    name: str
    title: str
    source: Path
    folder: Path
    failure: str = ""
    details: str = ""


def execute_notebook(source: Path, *, plan: Path, data: Path | None, folder: Path, policy: str) -> Executed:
    """Execute ``source`` for ``plan``; what it saves goes to ``folder``, the executed copy beside it.

    A generated first cell names plan and folder; it is not part of the copy. A failing cell does not raise: its error
    is in ``failure``, without what it says of the data unless the small-number rule ``policy`` is none.
    """
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    arguments = f"plan={str(plan)!r}, out={str(folder)!r}" + (f", data={str(data)!r}" if data else "")
    generated = nbformat.v4.new_code_cell(f"import aih_outcomes as aih\naih.study.use({arguments})")  # type: ignore[no-untyped-call]
    notebook.cells.insert(0, generated)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        notebook,
        extra_arguments=KERNEL_ARGUMENTS,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(source.parent)}},
    )
    failure = details = ""
    try:
        client.execute(env={**os.environ, **SURROUNDINGS})
    except CellExecutionError as error:
        details = f"{error.ename}: {_COLOUR_CODES.sub('', error.evalue)}"
        failure = details if policy == "none" else f"{error.ename}. {without_facts(details)}".strip()
    except (CellTimeoutError, DeadKernelError) as error:
        failure = details = f"{type(error).__name__}: the kernel did not finish"
    del notebook.cells[0]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:  # a traceback quotes values
            cell["outputs"] = [
                output for output in cell["outputs"] if output.output_type != "error" or policy == "none"
            ]
    nbformat.write(notebook, folder / f"{source.stem}.ipynb")  # type: ignore[no-untyped-call]
    return Executed(source.stem, _title(notebook), source, folder, failure, details)


def _title(notebook: nbformat.NotebookNode) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.splitlines()[0][2:].strip())
    return ""


def find_notebooks(names: tuple[str, ...], plan: Path) -> list[Path]:
    """Return the files of the plan's notebooks, in ``notebooks/`` of the nearest parent folder of the plan.

    Raises
    ------
    PlanError : one of them is missing
    """
    for parent in plan.resolve().parents:
        folder = parent / "notebooks"
        if folder.is_dir():
            break
    else:
        raise PlanError(
            "No folder notebooks/ was found above the plan",
            "Notebooks lie in notebooks/ beside reports/",
            "Check where the plan lies",
        )
    paths = [folder / f"{name}.ipynb" for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise PlanError(
            f"{len(missing)} notebook(s) of the plan are missing: {', '.join(missing)}",
            "Each name in 'notebooks' is a file in notebooks/",
            "Correct the names in the plan",
        )
    return paths
