"""Large copies of the mechanism, drawn in chunks, and the plain counting that truth and calibration rest on.

Nothing here estimates: shares are counted among uncensored copies. ``read_*`` and the endpoints are not used, so that a
fault of theirs cannot hide in the truth they are held against.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import Children, draw_children
from aih_outcomes.simulate.course import Course, trim
from aih_outcomes.simulate.follow_up import FollowUp, draw_follow_up
from aih_outcomes.simulate.laboratories import as_printed, limits_of, read_back
from aih_outcomes.simulate.parameters import IggMissing, Mechanism, Parameters, Strategy
from aih_outcomes.simulate.results import Latent, follow_latent, limit_at, lose_some, measure
from aih_outcomes.simulate.steps import draw_course
from aih_outcomes.simulate.survival import Survival, draw_survival
from aih_outcomes.simulate.visits import Visits, draw_visits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHUNK = 50_000  # children at a time: memory stays below 2 GB
NOT_EVALUABLE, NOT_MET, MET = -1, 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One chunk of the mechanism, nothing censored."""

    seed: int
    chunk: int
    children: Children
    course: Course
    survival: Survival
    follow_up: FollowUp
    latent: Latent


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Results of the first year: complete, and limits; (n, m)."""

    visits: Visits
    values: dict[str, Floats]
    igg_limit: Floats


def draw_copies(
    seed: int,
    n: int,
    p: Parameters,
    mechanism: Mechanism,
    *,
    horizon: float,
    carriers_only: bool = False,
    strategy: Strategy = "as treated",
    chunk_size: int = CHUNK,
) -> Iterator[Copy]:
    """Yield chunks of children whose course is known until ``horizon`` (days); ``n`` children in all."""
    for chunk, size in enumerate([chunk_size] * (n // chunk_size) + [n % chunk_size] * (n % chunk_size > 0)):
        children = draw_children(seed, size, p, chunk=chunk, carriers_only=carriers_only)
        course = draw_course(seed, children, p, mechanism, horizon=horizon, chunk=chunk, strategy=strategy)
        survival = draw_survival(seed, course, children, p, mechanism, chunk=chunk)
        follow_up = draw_follow_up(seed, children, survival, p, chunk=chunk)
        latent = follow_latent(seed, children, course, p, chunk=chunk)
        yield Copy(seed, chunk, children, course, survival, follow_up, latent)


def sample_copy(copy: Copy, p: Parameters, *, until: float) -> Samples:
    """Return every result of a copy up to ``until`` (days), as printed, none missing."""
    visits = draw_visits(copy.seed, copy.course, p, until=until, chunk=copy.chunk)
    values = measure(copy.seed, copy.children, copy.course, copy.latent, visits, p, chunk=copy.chunk)
    return Samples(visits, values, limit_at(copy.children, visits.day))


def lose_from(copy: Copy, samples: Samples, p: Parameters, how: IggMissing) -> dict[str, Floats]:
    """Return the same results with visits missed and analytes missing."""
    return lose_some(
        copy.seed, samples.values, samples.visits, copy.children, samples.igg_limit, p, how, chunk=copy.chunk
    )


def find_cbr(values: dict[str, Floats], centre: Ints, igg_limit: Floats) -> Ints:
    """Return CBR at each visit (n, m): met, not met (one value too high is enough), not evaluable."""
    centre = centre[:, None]
    limit = {"alt": limits_of("alt")[centre], "ast": limits_of("ast")[centre], "igg": igg_limit}
    high, missing = np.zeros(igg_limit.shape, bool), np.zeros(igg_limit.shape, bool)
    for name, value in values.items():
        known = np.nan_to_num(value, nan=1.0)
        digits, decimals = as_printed(known, name, centre)
        high |= ~np.isnan(value) & (read_back(digits, decimals, name, centre) > limit[name] * (1 + 1e-12))
        missing |= np.isnan(value)
    return np.where(high, NOT_MET, np.where(missing, NOT_EVALUABLE, MET))


def attained_by(cbr: Ints, day: Floats, until: float) -> Ints:
    """Return per child: met at any visit in (0, until], else not met if a visit was evaluable, else not evaluable."""
    inside = (day > 0) & (day <= until)
    met, evaluable = ((cbr == MET) & inside).any(axis=1), ((cbr != NOT_EVALUABLE) & inside).any(axis=1)
    return np.where(met, MET, np.where(evaluable, NOT_MET, NOT_EVALUABLE))


def status_at(cbr: Ints, day: Floats, window: tuple[float, float]) -> Ints:
    """Return per child the status at the last evaluable visit in [window], both ends counted."""
    inside = (day >= window[0]) & (day <= window[1]) & (cbr != NOT_EVALUABLE)
    last = day.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    status = np.take_along_axis(cbr, last[:, None], axis=1)[:, 0]
    return np.where(inside.any(axis=1), status, NOT_EVALUABLE)


def narrow_copy(copy: Copy, until: float) -> Copy:
    """Return the copy without what its levels do after ``until`` (days): the same before, and quicker to look at."""
    latent = copy.latent
    return replace(copy, latent=Latent(*(trim(levels, until) for levels in (latent.alt, latent.ast, latent.igg))))


def latent_cbr(copy: Copy, day: Floats) -> Flags:
    """Return whether noise-free ALT, AST and IgG are all within limits on each day (n, m)."""
    children = copy.children
    normal = copy.latent.alt.at(day) <= children.alt_uln[:, None]
    normal &= copy.latent.ast.at(day) <= children.ast_uln[:, None]
    return np.asarray(normal & (copy.latent.igg.at(day) <= limit_at(children, day)))


def latent_fall(copy: Copy, day: float) -> Flags:
    """Return whether noise-free ALT and AST have both fallen by half on ``day`` (n,)."""
    at = np.full((copy.children.n, 1), day)
    fell = copy.latent.alt.at(at)[:, 0] <= 0.5 * copy.children.alt
    return np.asarray(fell & (copy.latent.ast.at(at)[:, 0] <= 0.5 * copy.children.ast))
