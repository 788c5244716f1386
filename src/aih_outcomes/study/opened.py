"""What ``check`` is asked to look at: a plan with its data, or data alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import PlanError
from aih_outcomes.load.mapping import read_mapping
from aih_outcomes.load.mapping_parts import Reading
from aih_outcomes.load.privacy.file_names import show_file
from aih_outcomes.load.privacy.keys import read_key
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms
from aih_outcomes.load.sources import FoundSource, find_source, read_source
from aih_outcomes.study.overview import Section, first_rows
from aih_outcomes.study.plan import read_plan
from aih_outcomes.study.start import refuse_gaps
from aih_outcomes.study.study import Study


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """Data that are about to be read.

    Attributes
    ----------
    path, found : the file or folder and what it was recognised as
    study : where a plan was named; the plan then says how its data are read
    mapping : how the data are read, by the plan or for data alone
    key, condition : how data alone are read
    """

    path: Path
    found: FoundSource
    study: Study | None = None
    mapping: Path | None = None
    key: Path | None = None
    condition: str | None = None

    @property
    def title(self) -> str:
        """What is read, in one line."""
        read = f"{show_file(self.path.name, 1)} is read as {self.found.name} ({self.found.recognised_by})"
        return f"{self.study.plan.title}\n{read}" if self.study is not None else read

    def read(self) -> Cohort:
        """Read the cohort.

        Raises
        ------
        DataError, PlanError : the data, mapping or key cannot be used
        """
        if self.study is not None:
            return self.study.source
        pseudonyms = Pseudonyms(read_key(self.key, data=self.path)) if self.key is not None else None
        return read_source(
            self.path, self.mapping, source=self.found.name, condition=self.condition, pseudonyms=pseudonyms
        )

    def describe(self) -> Iterator[Section]:
        """Describe what is there before a cohort is made of it, so that data of another disease are told too."""
        if self.found.name == "redcap":
            from aih_outcomes.load.redcap.project import read_project

            reading = read_mapping(self.mapping).reading if self.mapping is not None else Reading()
            project = read_project(self.path, missing=reading.missing, encoding=reading.encoding)
            rows = [
                {"form": form, "lines": source.n_lines, "fields": source.cells.shape[1]}
                for form, source in project.forms.items()
            ]
            yield Section("Forms of the project", pd.DataFrame(rows), "The export holds no form with records.")
            if project.notes:
                yield Section("Of the export as a whole", pd.DataFrame({"told": project.notes}), "")
            by = project.problems.groupby(["file", "field", "rule"], sort=False, dropna=False)["row"]
            problems = by.agg(n="size", rows=lambda rows: first_rows([int(row) for row in rows.dropna()]))
            yield Section(
                "Cells that are not as the dictionary says",
                problems.reset_index(),
                "All cells are as the dictionary says.",
            )


def open_source(
    path: Path, *, data: Path | None = None, mapping: Path | None = None, key: Path | None = None,
    condition: str | None = None,
) -> Opened:  # fmt: skip
    """Open a plan (``.toml``) with its data, or data of any format.

    Parameters
    ----------
    data : takes the place of the plan's data
    mapping, key, condition : how data alone are read; a plan says this itself

    Raises
    ------
    PlanError : the plan or mapping cannot be used, waits to be filled, or an option does not go with ``path``
    DataError : the format of the data is not recognised
    """
    given = {"--mapping": mapping, "--key": key, "--condition": condition} if _is_plan(path) else {"--data": data}
    useless = [name for name, value in given.items() if value is not None]
    if useless:
        raise PlanError(
            f"{' and '.join(useless)} does not go with '{path.name}'",
            "A plan says itself how its data are read; data alone are named where the plan would be",
            "Write it into the plan, [data], or name the data themselves",
        )
    if not _is_plan(path):
        if mapping is not None:
            refuse_gaps(mapping)
        return Opened(path, find_source(path), None, mapping, key, condition)
    study = Study(read_plan(path), path, Path(), data)
    mapping = path.parent / study.plan.data.mapping if study.plan.data.mapping else None
    if mapping is not None:
        refuse_gaps(mapping)
    return Opened(study.data_folder, FoundSource(study.plan.data.source, "as the plan says"), study, mapping)


def _is_plan(path: Path) -> bool:
    return path.suffix.lower() == ".toml"
