"""Events, arms, forms and data access groups of a project: their unique names behind labels."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aih_outcomes.load.redcap.files import ProjectFiles


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What the lists beside the data say of events; empty where there are none.

    Attributes
    ----------
    names : unique name or label of an event as a data file has it → unique name
    forms : name or label of a form as a data file has it → name
    labels, arms, days : unique name → label, number of the arm, days since the start
    """

    names: dict[str, str] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    arms: dict[str, str] = field(default_factory=dict)
    days: dict[str, str] = field(default_factory=dict)

    def described(self) -> list[tuple[str, dict[str, str]]]:
        """Return name of a column → unique name → label, arm or day, for those that are known."""
        known = {"redcap_event_label": self.labels, "redcap_arm": self.arms, "redcap_day_offset": self.days}
        return [(name, words) for name, words in known.items() if words]


def read_events(files: ProjectFiles, forms: Iterable[str]) -> Events:
    """Return the events of a project; a label of two arms counts with its arm: ``Visit (Arm 1: Drug A)``."""
    labels = files.pairs("events", "unique_event_name", "event_name")
    arms = files.pairs("events", "unique_event_name", "arm_num")
    titles = files.pairs("arms", "arm_num", "name")
    names = {unique: unique for unique in labels}
    for unique, label in labels.items():
        arm = arms.get(unique, "")
        names.setdefault(f"{label} (Arm {arm}: {titles.get(arm, '')})", unique)
        if list(labels.values()).count(label) == 1:
            names.setdefault(label, unique)
    return Events(
        names, _name_forms(files, forms), labels, arms, files.pairs("events", "unique_event_name", "day_offset")
    )


def _name_forms(files: ProjectFiles, forms: Iterable[str]) -> dict[str, str]:
    listed = files.pairs("instruments", "instrument_label", "instrument_name")
    names = {form: form for form in forms}
    return names | {label: form for label, form in listed.items() if form in names and label not in names}


def find_name(cell: str, names: Mapping[str, str]) -> str:
    """Return the unique name that a cell stands for, nothing where none is known; REDCap makes names of labels.

    Examples
    --------
    >>> find_name("Blood results", {"blood_results": "blood_results"})
    'blood_results'
    """
    return names.get(cell) or names.get(re.sub(r"\W+", "_", cell.lower()).strip("_"), "")
