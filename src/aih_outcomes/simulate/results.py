"""What the laboratory finds at each visit: the latent course, times noise that remembers, as the centre prints it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.children import LIVER_FAILURE, Children, igg_limit
from aih_outcomes.simulate.course import NEVER, Course, Levels, follow_levels
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, IggMissing, Parameters
from aih_outcomes.simulate.streams import draw_lognormal, open_stream
from aih_outcomes.simulate.visits import Visits

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

OTHERS = ("bilirubin", "ggt", "albumin", "inr", "platelets")
AFTER_TRANSPLANT = {
    "alt": 24.0,
    "ast": 26.0,
    "igg": 10.5,
    "bilirubin": 9.0,
    "ggt": 25.0,
    "albumin": 42.0,
    "inr": 1.0,
    "platelets": 240.0,
}  # project
QUIET = {"bilirubin": 8.0, "ggt": 18.0, "albumin": 42.5, "inr": 1.02, "platelets": 265.0}  # in response; project


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """Noise-free courses of the three analytes that decide on response, in the canonical unit."""

    alt: Levels
    ast: Levels
    igg: Levels


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Noisy values (n, m) in the canonical unit, NaN where not measured; ``igg_limit`` at the age of the sample."""

    values: dict[str, Floats]
    igg_limit: Floats


def follow_latent(seed: int, children: Children, course: Course, p: Parameters, *, chunk: int = 0) -> Latent:
    """Return the noise-free courses of ALT, AST and IgG."""
    rng = open_stream("noise", seed, chunk)
    ratio = np.exp(p.ast_ratio_spread * rng.standard_normal(children.n))
    alt = follow_levels(course, children.alt, course.target * children.alt_uln[:, None], course.half_life)
    target = course.target * (ratio * children.ast_uln)[:, None]
    ast = follow_levels(course, children.ast, target, course.half_life * p.ast_half_life)
    half_life = np.full(course.start.shape, p.igg_half_life)
    igg = follow_levels(course, children.igg, course.igg_target * children.igg_uln[:, None], half_life)
    return Latent(alt, ast, igg)


def draw_noise(rng: Generator, day: Floats, correlation_days: float) -> Floats:
    """Return stationary Gaussian noise of unit variance whose correlation falls off as exp(−gap / correlation_days)."""
    fresh = rng.standard_normal(day.shape)
    noise = fresh.copy()
    for j in range(1, day.shape[1]):
        kept = np.exp(-(np.minimum(day[:, j], 2e4) - np.minimum(day[:, j - 1], 2e4)) / correlation_days)
        noise[:, j] = kept * noise[:, j - 1] + np.sqrt(1 - kept**2) * fresh[:, j]
    return noise


def add_peaks(noise: Floats, day: Floats, course: Course, correlation_days: float) -> Floats:
    """Condition the noise on its value at each decision: doctors decide on a peak, and part of a peak is noise.

    Y(t) + ρ^|t−E| (z − Y(E)) is exactly the process Y given Y(E) = z (simulation by conditioning).
    """
    for k in np.flatnonzero(np.isfinite(course.peak).any(axis=0)):
        who = np.flatnonzero(np.isfinite(course.peak[:, k]) & (course.start[:, k] < NEVER))
        if not len(who):
            continue
        at = np.floor(course.start[who, k])[:, None]
        apart = np.abs(day[who] - at)
        nearest = np.take_along_axis(noise[who], apart.argmin(axis=1)[:, None], axis=1)
        noise[who] += np.exp(-apart / correlation_days) * (course.peak[who, k][:, None] - nearest)
    return noise


def measure(
    seed: int, children: Children, course: Course, latent: Latent, visits: Visits, p: Parameters, *, chunk: int = 0
) -> dict[str, Floats]:
    """Return ALT, AST and IgG with noise at every visit, (n, m); nothing is missing yet."""
    rng = open_stream("noise", seed, chunk)
    rng.standard_normal(children.n)  # drawn in follow_latent
    day, days = visits.day, p.noise_correlation_days
    shared = add_peaks(draw_noise(rng, day, days), day, course, days)
    own, igg = draw_noise(rng, day, days), draw_noise(rng, day, days)
    r = p.alt_ast_correlation
    found = {
        "alt": latent.alt.at(day) * np.exp(p.cv_alt * shared),
        "ast": latent.ast.at(day) * np.exp(p.cv_ast * (r * shared + np.sqrt(1 - r**2) * own)),
        "igg": latent.igg.at(day) * np.exp(p.cv_igg * igg),
    }
    return {name: np.where(day < NEVER, value, np.nan) for name, value in found.items()}


def limit_at(children: Children, day: Floats) -> Floats:
    """Return IgG's upper limit at the age of each sample, (n, m)."""
    return igg_limit(children.age[:, None] + (np.minimum(day, 2e4) + children.lag[:, None]) / DAYS_PER_YEAR)


def igg_missing(
    u: Floats,
    visits: Visits,
    values: dict[str, Floats],
    children: Children,
    limit: Floats,
    p: Parameters,
    how: IggMissing,
) -> Flags:
    """Return where IgG is missing: at random, by the ALT that was seen (MAR), or by the IgG itself (MNAR)."""
    if how == "mcar":
        chance = np.full(u.shape, p.igg_missing)
    else:
        seen = values["alt"] / children.alt_uln[:, None] if how == "mar" else values["igg"] / limit
        intercept, slope = p.igg_mar if how == "mar" else p.igg_mnar
        chance = 1 / (1 + np.exp(-(intercept + slope * np.log(np.nan_to_num(seen, nan=1.0)))))
    return np.asarray(u < np.where(visits.first, p.igg_missing_first, chance))


def lose_some(
    seed: int,
    values: dict[str, Floats],
    visits: Visits,
    children: Children,
    limit: Floats,
    p: Parameters,
    how: IggMissing,
    *,
    chunk: int = 0,
) -> dict[str, Floats]:
    """Return ALT, AST and IgG as they reach the record: missed visits and missing analytes are NaN."""
    u = open_stream("missing", seed, chunk).random((2, *visits.day.shape))
    ast_lost = u[0] < np.where(visits.first, 0.03, p.ast_missing)
    lost = {
        "alt": ~visits.held,
        "ast": ~visits.held | ast_lost,
        "igg": ~visits.held | igg_missing(u[1], visits, values, children, limit, p, how),
    }
    return {name: np.where(lost[name], np.nan, value) for name, value in values.items()}


def measure_others(
    seed: int, children: Children, latent: Latent, visits: Visits, p: Parameters, *, chunk: int = 0
) -> dict[str, Floats]:
    """Return bilirubin, GGT, albumin, INR and platelets: between the first value and quiet, as active as ALT is."""
    rng = open_stream("antibodies", seed, chunk)
    n, day = children.n, visits.day
    first, quiet = _first_and_quiet(rng, children, p)
    xuln = latent.alt.at(day) / children.alt_uln[:, None]
    begin = np.maximum(children.alt / children.alt_uln, 2.0)[:, None]
    active = np.clip(np.log(np.maximum(xuln, 1.0)) / np.log(begin), 0, 1.2) ** 1.5
    found = {}
    for name, cv, lost in zip(OTHERS, p.cv_other, p.other_missing, strict=True):
        low, high = np.log(quiet[name])[:, None], np.log(first[name])[:, None]
        value = np.exp(low + (high - low) * active + cv * draw_noise(rng, day, p.noise_correlation_days))
        gone = rng.random((n, day.shape[1])) < np.where(visits.first, 0.05, lost)
        found[name] = np.where(gone | ~visits.held, np.nan, value)
    return found


def _first_and_quiet(rng: Generator, children: Children, p: Parameters) -> tuple[dict[str, Floats], dict[str, Floats]]:
    n, z = children.n, rng.standard_normal((6, children.n))
    failing, cirrhosis = children.presentation == LIVER_FAILURE, children.cirrhosis
    inr = np.where(failing, draw_lognormal(rng, n, *p.inr_liver_failure), p.inr[0] * np.exp(p.inr[1] * z[3]))
    few = np.where(cirrhosis, p.platelets_cirrhosis[0], p.platelets[0])
    first = {
        "bilirubin": np.clip(p.bilirubin[0] * np.exp(p.bilirubin[1] * z[0]) * np.where(failing, 2.5, 1.0), 5, 600),
        "ggt": np.clip(np.where(children.asc, p.ggt_asc[0], p.ggt[0]) * np.exp(p.ggt[1] * z[1]), 12, 900),
        "albumin": np.clip(p.albumin[0] + p.albumin[1] * z[2] - np.where(cirrhosis, 2.0, 0.0), 18, 50),
        "inr": np.clip(np.maximum(inr, np.where(children.persistent_inr, 1.35, 0.9)), 0.9, 8.0),
        "platelets": np.clip(few * np.exp(p.platelets[1] * z[4]), 40, 700),
    }
    quiet = {
        name: QUIET[name] * np.exp(0.12 * z[5]) if name != "albumin" else np.full(n, QUIET[name]) for name in OTHERS
    }
    quiet["inr"] = np.where(children.persistent_inr, 1.32, QUIET["inr"])
    quiet["ggt"] = np.where(children.asc, 3.2, 1.0) * quiet["ggt"]
    quiet["platelets"] = np.where(cirrhosis, 0.65, 1.0) * quiet["platelets"]
    return first, quiet
