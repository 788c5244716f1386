"""Everything that was drawn about a cohort: its tables and the truth about each child are read off it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.errors import DataError
from aih_outcomes.simulate.children import Children, draw_children
from aih_outcomes.simulate.copies import Copy
from aih_outcomes.simulate.course import Course
from aih_outcomes.simulate.follow_up import FollowUp, draw_follow_up
from aih_outcomes.simulate.growth import Growth, draw_growth
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, Mechanism, Parameters
from aih_outcomes.simulate.results import follow_latent
from aih_outcomes.simulate.steps import draw_course
from aih_outcomes.simulate.streams import take_rows
from aih_outcomes.simulate.survival import Survival, draw_survival
from aih_outcomes.simulate.visits import Visits, draw_visits

Floats = NDArray[np.float64]

HORIZON = 26 * DAYS_PER_YEAR  # days for which a course is drawn


@dataclass(frozen=True, slots=True, eq=False)
class Notes:
    """Everything that was drawn about a cohort, and ``stop``: the last day the clinic saw the native liver."""

    seed: int
    children: Children
    course: Course
    survival: Survival
    follow_up: FollowUp
    growth: Growth
    visits: Visits
    stop: Floats

    def patient_ids(self) -> NDArray[np.str_]:
        """Return the pseudonyms, in order of diagnosis."""
        return np.array([f"AIH-{number:04d}" for number in range(1, self.children.n + 1)])

    def uncensored(self, p: Parameters) -> Copy:
        """Return the same children with their noise-free courses, nothing censored."""
        latent = follow_latent(self.seed, self.children, self.course, p)
        return Copy(self.seed, 0, self.children, self.course, self.survival, self.follow_up, latent)


def check_size(n: int) -> None:
    """Raise ``DataError`` where fewer than one child was asked for."""
    if n < 1:
        raise DataError(f"{n} patients were asked for", "A cohort has at least one", "Give n_patients=1 or more")


def draw_notes(seed: int, n: int, p: Parameters, mechanism: Mechanism) -> Notes:
    """Draw more children than are needed and keep the first ``n`` who could have been recorded."""
    candidates = n + 20 + n // 5
    children = draw_children(seed, candidates, p)
    course = draw_course(seed, children, p, mechanism, horizon=HORIZON)
    survival = draw_survival(seed, course, children, p, mechanism)
    follow_up = draw_follow_up(seed, children, survival, p)
    rows = np.flatnonzero(follow_up.recorded)[:n]
    rows = rows[np.argsort(children.diagnosis[rows], kind="stable")]
    children, course = take_rows(children, rows), take_rows(course, rows)
    survival, follow_up = take_rows(survival, rows), take_rows(follow_up, rows)
    stop = np.minimum(follow_up.clinic_end, survival.transplant)
    visits = draw_visits(seed, course, p, until=float(follow_up.clinic_end.max()))
    return Notes(seed, children, course, survival, follow_up, draw_growth(seed, children), visits, stop)
