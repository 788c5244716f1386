"""Begin a study: a folder with a plan, a mapping filled from the data's own columns, and the notebooks."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aih_outcomes.errors import AihError, PlanError
from aih_outcomes.load.guesses.columns import Sheet
from aih_outcomes.load.guesses.mapping_text import guess_mapping
from aih_outcomes.load.guesses.pattern import GAP, quote
from aih_outcomes.load.guesses.sheets import look_at_forms, look_at_tables
from aih_outcomes.load.sources import CODED, FoundSource, find_source, read_source
from aih_outcomes.study.overview import list_mapping_lines, offered_lines

NAME = "study"  # of the plan, by which the notebooks open it
_PLANS, _NOTEBOOKS = Path("reports", "plans"), Path("notebooks")
# 04 compares platelets between two groups, which not every centre has; 05 is of one patient, who consents to it.
_SHIPPED = "01_cohort", "02_response", "03_survival"
_PLAN = """# The analysis plan. Every key is checked; an unknown one is an error. Fix it before you look at results.
title = "Who responds to treatment, and what happens over years?"
seed = 1
disclosure = "lt5"             # counts below 5 suppressed, others rounded; no curve for fewer than 10
journal = "jhep"
# "04_trajectories" too, where platelets were read and two groups of patients are there at the landmark
notebooks = [{notebooks}]

[data]
source = "{source}"
folder = {folder}  # where your data lie, seen from this file; they stay there
{mapping}
# key = "../../../aih.key"     # pseudonyms: make the file with `aih-outcomes key aih.key`, outside the data's folder
label = "cohort"               # what the data are; printed with every figure

[cohort]                       # left out on purpose, and shown in the flow chart
exclude = ["giant_cell_hepatitis_aiha", "de_novo_aih", "drug_induced_aih_like", "other_liver_disease"]

[response]
definition = "iaihg-2022"

[survival]
landmark_days = [182, 365]     # the first is the primary one
covariates = ["age"]

[governance]                   # lines left empty are printed on page one of the report
approval = ""
legal_basis = ""
opt_out_applied_on = ""
centre_sign_off = ""
"""
_RULES = """# What the catalogue does not know of your source: units and codes of your own laboratory and pharmacy.
# Lines below are comments until you take away the sign in front of them and write the right word where {gap} stands.
# This file holds codes of your data: keep it inside your study group.

# [units]
# igg = {{ "g/L (serum)" = "g/L" }}
# [codes.labs]
# "local code or text" = "alt"
# [codes.treatments]
# "local code or text" = "prednisolone"
"""


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A study's new folder.

    Attributes
    ----------
    plan, mapping : the files; None where the data need no mapping
    data, found : the data and what they were recognised as
    written : every file that was written
    not_read : files or sheets that were passed over, and why
    """

    plan: Path
    mapping: Path | None
    data: Path
    found: FoundSource
    written: tuple[Path, ...]
    not_read: tuple[str, ...] = ()

    def next_steps(self) -> list[str]:
        """Return what is to be done next, in words."""
        steps = [f"Not read: {words}" for words in self.not_read]
        if self.mapping is not None:
            gaps = _list_gaps(self.mapping)
            lines = f" ({len(gaps)} line(s) wait to be filled: {_first(gaps)})" if gaps else ""
            steps.append(f"Open {self.mapping} and check every line marked 'guessed'{lines}")
        return [
            *steps,
            f"aih-outcomes check {self.plan}",
            f"aih-outcomes report {self.plan}, when the plan says what you want to know",
        ]


def start_study(folder: str | Path, data: str | Path) -> Started:
    """Write a plan, a mapping template where the data need one, and the notebooks into a new folder.

    Parameters
    ----------
    folder : it is made; an empty one may be there
    data : a file or folder in any format that is read; nothing is written there, and it is not copied

    Raises
    ------
    PlanError : the folder holds something already
    DataError : the format of the data is not recognised
    """
    folder, data = Path(folder), Path(data)
    found = find_source(data)
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise PlanError(
            f"'{folder.name}' holds something already",
            "A study begins in a new or empty folder: nothing is overwritten",
            "Name another folder",
        )
    text, not_read = _fill_mapping(data, found)
    plans = folder / _PLANS
    written = [_write(plans / f"{NAME}.toml", _fill_plan(plans, data, found, mapped=bool(text)))]
    mapping = _write(plans / "mapping.toml", text) if text else None
    written += [mapping] if mapping else []
    written += [_write(folder / _NOTEBOOKS / source.name, _fit_notebook(source)) for source in _shipped_notebooks()]
    return Started(written[0], mapping, data, found, tuple(written), not_read)


def refuse_gaps(mapping: Path) -> None:
    """Refuse a mapping in which lines still wait to be filled.

    Raises
    ------
    PlanError : the lines are named
    """
    gaps = _list_gaps(mapping)
    if gaps:
        raise PlanError(
            f"{len(gaps)} line(s) of '{mapping.name}' wait to be filled: {_first(gaps)}",
            f"Each line marked 'fill in' says what belongs where {GAP} stands",
            "Fill or delete these lines, then check again",
        )


def _fill_mapping(data: Path, found: FoundSource) -> tuple[str, tuple[str, ...]]:
    """Return the text of the mapping, nothing where the data are read without one, and what was passed over."""
    try:
        cohort = read_source(data, source=found.name)
    except AihError as error:
        if found.name in CODED:
            return _write_rules([error.what, *offered_lines(error.way_out)]), ()
        sheets = look_at_forms(data) if found.name == "redcap" else look_at_tables(data)
        text = guess_mapping(sheets.sheets, reading=sheets.reading)
        return text, (*sheets.not_read, *_list_idle(text, sheets.sheets))
    if found.name not in CODED:
        return "", ()
    lines = list_mapping_lines(cohort).itertuples(index=False)
    return _write_rules([f"{place} {line}  # {n} row(s) wait for it" for place, line, n in lines]), ()


def _list_idle(text: str, sheets: Sequence[Sheet]) -> list[str]:
    """Return the sheets for which no block could be guessed: nothing of theirs is read until one is written."""
    read = [block for blocks in tomllib.loads(text).values() if isinstance(blocks, list) for block in blocks]
    used = {(block["file"], block.get("sheet")) for block in read}
    idle = [place for one in sheets if ((place := one.place)["file"], place.get("sheet")) not in used]
    return [
        f"'{place.get('sheet', place['file'])}': no line of the mapping reads it; its columns stand at the end of it"
        for place in idle
    ]


def _write_rules(found: Sequence[str]) -> str:
    told = "".join(f"# {line}\n" for line in found)
    return _RULES.format(gap=GAP) + (f"\n# Found when your data were read:\n{told}" if told else "")


def _fill_plan(plans: Path, data: Path, found: FoundSource, *, mapped: bool) -> str:
    where = Path(os.path.relpath(data.resolve(), plans.resolve())).as_posix()
    return _PLAN.format(
        notebooks=", ".join(map(quote, _SHIPPED)), source=found.name, folder=quote(where),
        mapping='mapping = "mapping.toml"' if mapped else "# mapping: the data are read without one",
    )  # fmt: skip


def _shipped_notebooks() -> list[Path]:
    """Return the notebooks: within the package where it was installed from a wheel, else those of the checkout."""
    package = Path(__file__).resolve().parents[1]
    folders = (package / _NOTEBOOKS, package.parents[1] / _NOTEBOOKS)
    return sorted(path for folder in folders for path in folder.glob("0*.ipynb"))


def _fit_notebook(source: Path) -> str:
    """Return a shipped notebook that opens the new study instead of the synthetic one."""
    return re.sub(r'open_study\(\\"\w+\\"\)', f'open_study(\\\\"{NAME}\\\\")', source.read_text(encoding="utf-8"))


def _list_gaps(mapping: Path) -> list[int]:
    lines = mapping.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if GAP in line.partition("#")[0]]


def _first(numbers: list[int], shown: int = 12) -> str:
    return "lines " + ", ".join(map(str, numbers[:shown])) + (" …" if len(numbers) > shown else "")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8", newline="\n") as file:  # "x": what is there is never overwritten
        file.write(text)
    return path
