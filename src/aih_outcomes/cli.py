"""The command line: begin a study, check its data, derive endpoints, build a report, write the synthetic cohort."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aih_outcomes.errors import AihError, ReportError

if TYPE_CHECKING:
    import pandas as pd

    from aih_outcomes.study.overview import Section

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
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder of the study")],
    data: Annotated[Path, typer.Option("--from", metavar="PATH", help="Your data: a file or folder; it stays there")],
) -> None:
    """Begin a study: a plan, a mapping filled from your files' own columns where one is needed, and the notebooks."""
    from aih_outcomes.study.start import start_study

    started = start_study(folder, data)
    typer.echo(f"{started.data.name} is read as {started.found.name} ({started.found.recognised_by}).\n\nWritten:")
    for path in started.written:
        typer.echo(f"  {path}")
    typer.echo("\nNext:")
    for number, step in enumerate(started.next_steps(), start=1):
        typer.echo(f"  {number}. {step}")


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A plan (.toml), or data of any format")],
    data: DataOption = None,
    mapping: Annotated[Path | None, typer.Option(metavar="FILE", help="Mapping of data without a plan")] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key of the pseudonyms, for data without a plan")
    ] = None,
    condition: Annotated[
        str | None, typer.Option(help="Whose patients are read from FHIR or OMOP; default autoimmune hepatitis")
    ] = None,
    set_aside: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows set aside to this CSV file")
    ] = None,
) -> None:
    """Read the data of a plan, or data, and print what was set aside for checking, and why.

    Nothing is written without --set-aside, and nothing printed names a patient.
    """
    from aih_outcomes.load.set_aside_file import write_set_aside
    from aih_outcomes.study.opened import open_source
    from aih_outcomes.study.overview import describe_reading

    opened = open_source(path, data=data, mapping=mapping, key=key, condition=condition)
    typer.echo(opened.title)
    for section in opened.describe():
        _print_section(section)
    cohort = opened.read()
    for section in describe_reading(cohort):
        _print_section(section)
    if set_aside is not None:
        typer.echo(f"\nRows set aside: {write_set_aside(cohort, set_aside)}")
    if opened.study is not None:
        typer.echo("\nExclusions of the plan")
        _print_table(opened.study.cohort.exclusions)
        typer.echo(f"\nPatients in the study: {opened.study.cohort.n_patients}")
        typer.echo(f"Response criteria: {opened.study.definition.describe()}")
    else:
        typer.echo(f"\nPatients read: {cohort.n_patients}")


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
            "The page shows which. One that asks what your data do not hold is taken out of 'notebooks' in the plan",
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
def template(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made if it does not exist")],
) -> None:
    """Write blank forms of the tables: an Excel workbook, and a REDCap data dictionary, each with its codebook."""
    from aih_outcomes.load.redcap.blank import write_redcap_template
    from aih_outcomes.load.spreadsheets.templates import write_workbook_template

    folder.mkdir(parents=True, exist_ok=True)
    write_workbook_template(folder / "template.xlsx")
    write_redcap_template(folder / "redcap")
    typer.echo(f"Blank workbook: {folder / 'template.xlsx'}\nBlank REDCap dictionary: {folder / 'redcap'}")


@app.command()
def key(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="New file, outside the folder of the data")],
) -> None:
    """Make a key for pseudonyms. Keep it apart from the data: who holds both can tell who the patients are."""
    from aih_outcomes.load.privacy.keys import new_key

    typer.echo(f"Key: {new_key(path)}\nName it in the plan: [data] key. Without it no pseudonym can be made again.")


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


def _print_section(section: Section) -> None:
    if len(section.table):
        typer.echo(f"\n{section.title}")
        _print_table(section.table)
    elif section.if_empty:
        typer.echo(f"\n{section.if_empty}")


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
