"""Names of files as they may be shown: one that seems to name a patient is told by its place among the others."""

import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.load.privacy.identifiers import OF_ONE, count_patients, kinds_in


def show_file(name: str, place: int) -> str:
    """Return the name of a file that may be of one patient, or ``file <place>`` where it seems to name them.

    Examples
    --------
    >>> show_file("Chet_Thompson_17.json", 3), show_file("Observation.ndjson", 4)
    ('file 3', 'Observation.ndjson')
    """
    return _hide(name, place, OF_ONE)


def show_files(cohort: Cohort) -> dict[str, str]:
    """Return name of a file → the name under which it is shown: its place is that in the order of all names.

    A file with rows of several patients is rarely named after one: there, a name needs a known given name or a title.
    """
    report = cohort.load_report
    assert report is not None  # set by Cohort
    listed = pd.concat([report["source_file"], cohort.set_aside["source_file"]]).dropna()
    names = sorted(name for name in listed.unique() if name)
    in_file = count_patients(cohort.tables().values())
    of_many = set(in_file.index[in_file > 1])
    return {
        name: _hide(name, place, "source_file" if name in of_many else OF_ONE)
        for place, name in enumerate(names, start=1)
    }


def _hide(name: str, place: int, column: str) -> str:
    return f"file {place}" if kinds_in(name, column) else name
