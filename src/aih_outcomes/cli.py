"""The command line: check a cohort, derive its endpoints, build a report, write the synthetic cohort."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aih_outcomes.errors import AihError, ReportError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    name="aih-outcomes",
    help="Long-term outcomes of autoimmune hepatitis: from a cohort's files to a paper's figures. "
    "Research software. Not a medical device; must not guide treatment of an individual.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PlanArgument = Annotated[
    Path, typer.Argument(metavar="PLAN", help="The analysis plan, e.g. reports/plans/synthetic.toml")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the data, instead of the plan's")
]


@app.callback()
def _commands() -> None:
    """Keep the commands' names even if there were one only."""


@app.command()
def check(plan: PlanArgument, data: DataOption = None) -> None:
    """Read the data of PLAN, and print what was set aside for checking, and why. Nothing is written."""
    from aih_outcomes.cohort import check_follow_up
    from aih_outcomes.study import Study, read_plan

    study = Study(read_plan(plan), plan, Path(), data)
    source = study.source
    report = source.load_report
    assert report is not None
    typer.echo(f"{study.plan.title}\n\nRows read = rows kept + rows set aside for checking")
    _print_table(report[report["n_read"] > 0])
    if len(source.set_aside):
        reasons = source.set_aside.fillna("").groupby(["table", "column", "rule", "way_out"], sort=True)["source_row"]
        typer.echo("\nSet aside for checking (line numbers of the file; the header is line 1)")
        counted = reasons.agg(n="size", lines=lambda rows: _first([int(r) for r in rows if r != ""])).reset_index()
        _print_table(counted)
    else:
        typer.echo("\nNothing was set aside.")
    typer.echo("\nFollow-up")
    found = check_follow_up(source)
    _print_table(found.assign(rows=[_first(rows) for rows in found["rows"]]))
    cohort = study.cohort
    typer.echo("\nExclusions of the plan")
    _print_table(cohort.exclusions)
    typer.echo(f"\nPatients in the study: {cohort.n_patients}\nResponse criteria: {study.definition.describe()}")


@app.command()
def report(
    plan: PlanArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; default reports/output/<plan>")
    ] = None,
    data: DataOption = None,
) -> None:
    """Run the notebooks of PLAN and write one page with its figures and tables."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from aih_outcomes.report import build_report

    folder = out if out is not None else plan.parent.parent / "output" / plan.stem
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Reading the cohort", total=None)

        def show(name: str, done: int, total: int) -> None:
            bar.update(
                task, description=f"Running {name}" if name else "Writing the report", completed=done, total=total
            )

        result = build_report(plan, out=folder, data=data, progress=show)
    typer.echo(f"Report: {result.page}")
    if result.failed:
        said = "; ".join(f"{name}: {details}" for name, details in result.failed.items())
        raise ReportError(
            f"{len(result.failed)} notebook(s) failed ({said})",
            "A report is complete when every notebook ran",
            "The page shows which; run the notebook in Jupyter to see more",
        )


@app.command()
def derive(
    plan: PlanArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; default reports/output/<plan>/internal")
    ] = None,
    data: DataOption = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", metavar="FORMAT", help="csv, xlsx, sav or dta; default csv and xlsx")
    ] = None,
) -> None:
    """Write one row per patient with every endpoint, and what to look up in the notes. For internal use only."""
    from aih_outcomes.endpoints.patients.patient_words import derive_analysis_set
    from aih_outcomes.endpoints.patients.queries import derive_queries
    from aih_outcomes.study import Study, read_plan
    from aih_outcomes.study.analysis_set import write_analysis_set
    from aih_outcomes.study.query_list import write_query_list

    folder = out if out is not None else plan.parent.parent / "output" / plan.stem / "internal"
    study = Study(read_plan(plan), plan, folder, data)
    written = write_analysis_set(derive_analysis_set(study.response), folder, formats=formats or ["csv", "xlsx"])
    written.append(write_query_list(derive_queries(study.response), folder / "query_list.xlsx"))
    for path in written:
        typer.echo(path)
    typer.echo("These files hold pseudonyms and one row per patient: they stay inside the study group.")


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the tables")],
    seed: Annotated[
        int | None, typer.Option(help="Another seed gives another cohort; default that of data/synthetic")
    ] = None,
    patients: Annotated[int, typer.Option(min=1, help="Number of children")] = 350,
) -> None:
    """Write an invented cohort, with its data dictionary, as canonical tables."""
    from aih_outcomes.simulate import SEED, write_synthetic

    write_synthetic(folder, seed=SEED if seed is None else seed, n_patients=patients)
    typer.echo(f"Invented cohort of {patients} children: {folder}")


def _first(rows: list[int], shown: int = 8) -> str:
    return ", ".join(str(row) for row in sorted(rows)[:shown]) + (" …" if len(rows) > shown else "")


def _print_table(frame: pd.DataFrame) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(*[str(c).replace("_", " ") for c in frame.columns], box=SIMPLE, show_edge=False)
    for row in frame.fillna("").astype(str).itertuples(index=False):
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, highlight=False).print(table)


def main() -> None:
    """Run the command line; an error that a user can mend is said in three parts, never as a traceback."""
    try:
        app()
    except AihError as error:
        typer.echo(f"\nError: {error.what}.\nRule: {error.rule}.\nWay out: {error.way_out}.", err=True)
        if os.environ.get("AIH_DEBUG"):
            raise
        sys.exit(error.exit_code)
