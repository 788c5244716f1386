"""What else stands in the notes: events, biopsies, imaging, size, genes, adverse events; days on each child's clock."""

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.children import GENES, LIVER_FAILURE, Children
from aih_outcomes.simulate.course import NEVER, State, Step, find_stretch
from aih_outcomes.simulate.notes import Notes
from aih_outcomes.simulate.parameters import Parameters
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def _frame(child: Ints, day: Floats, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"child": child, "day": np.floor(day), **columns})


def _kept(notes: Notes, table: pd.DataFrame, last: Floats | None = None) -> pd.DataFrame:
    """Keep what happened under observation: until ``last`` (the clinic's end where it is not given)."""
    limit = notes.stop if last is None else last
    child = table["child"].to_numpy()
    day = table["day"].to_numpy(float)
    return pd.DataFrame(table[(day <= limit[child]) & (day < NEVER)]).reset_index(drop=True)


def tabulate_events(notes: Notes, p: Parameters) -> pd.DataFrame:
    """Return transplant, death, listing, complications, diagnosed relapses, transfer and documented non-adherence."""
    c, s, f, course = notes.children, notes.survival, notes.follow_up, notes.course
    u, who = open_stream("records", notes.seed, 1).random((8, c.n)), np.arange(c.n)
    listing = np.where(u[0] < 0.9, s.transplant - np.floor(5 + 190 * u[1] ** 2), NEVER)
    listing = np.where(c.presentation == LIVER_FAILURE, np.maximum(listing, s.transplant - 5), listing)
    before = np.where(s.transplant < NEVER, s.transplant, np.where(s.liver_death, s.death, NEVER))
    late = c.cirrhosis & (before < NEVER) & (before > 200)
    ascites = np.where(late & (u[2] < 0.5), before - np.floor(30 + 300 * u[3]), NEVER)
    bleed = np.where(late & (u[4] < 0.3), before - np.floor(20 + 500 * u[5]), NEVER)
    confused = np.where((c.presentation == LIVER_FAILURE) & (u[6] < 0.6), np.floor(3 * u[7]), NEVER)
    found = [
        _frame(who, day, kind=kind)
        for kind, day in (
            ("listing", np.maximum(listing, 0)),
            ("ascites", np.maximum(ascites, 30)),
            ("variceal_bleed", np.maximum(bleed, 30)),
            ("encephalopathy", confused),
        )
    ]
    child, column = np.nonzero((course.step == Step.RETREATED) & (course.start < NEVER))
    found.append(_frame(child, course.start[child, column], kind="relapse_diagnosed"))
    known = np.where(c.non_adherent, np.floor(120 + 900 * u[3]), NEVER)
    found.append(_frame(who, known, kind="non_adherence"))
    clinical = _kept(notes, pd.concat(found, ignore_index=True))
    linked = pd.concat(
        [
            _frame(who, s.transplant, kind="transplant"),
            _frame(who, f.transfer, kind="transfer"),
            _frame(who, s.death, kind="death", cause=np.where(s.liver_death, "liver", "non_liver")),
        ]
    )
    return pd.concat([clinical, _kept(notes, linked, f.end)], ignore_index=True)


def tabulate_biopsies(notes: Notes) -> pd.DataFrame:
    """Return the diagnostic biopsy, one at two years in some, and one before each withdrawal and at failures."""
    c, course = notes.children, notes.course
    rng = open_stream("records", notes.seed, 2)
    u, who = rng.random((4, c.n)), np.arange(c.n)
    first = np.where(u[0] < 0.94, -c.lag, NEVER).astype(float)
    second = np.where(u[1] < 0.30, 700 + np.floor(120 * u[2]), NEVER)
    chosen = (course.step == Step.WITHDRAWAL) | (
        (course.step == Step.DECISION) & (np.cumsum(course.step == Step.DECISION, axis=1) == 2)
    )
    child, column = np.nonzero(chosen & (course.start < NEVER))
    more = _frame(child, course.start[child, column] - 20)
    table = _kept(notes, pd.concat([_frame(who, first), _frame(who, second), more], ignore_index=True))
    day, child = table["day"].to_numpy(), table["child"].to_numpy()
    state = notes.course.state[child, find_stretch(notes.course.start[child], day[:, None])[:, 0]]
    quiet = (day > 0) & (state == State.RESPONSE)
    active = np.where(day <= 0, 9.0, np.where(quiet, 2.4, 7.5))
    hai = np.clip(np.rint(active + np.where(quiet, 1.3, 2.3) * rng.standard_normal(len(table))), 0, 18) + 0.0
    stage = np.where(c.cirrhosis[child], 5 + (rng.random(len(table)) < 0.4), np.floor(5 * rng.random(len(table))))
    adequate = rng.random(len(table)) < 0.93
    return table.assign(
        hai=np.where(adequate, hai, np.nan), ishak_fibrosis=np.where(adequate, stage, np.nan), adequate=adequate
    )


def cholangiogram(notes: Notes) -> tuple[NDArray[np.str_], Floats]:
    """Return ``asc_at_baseline`` and the day of a later conversion (NEVER for most); 3 of 54 in Di Giorgio 2020."""
    c = notes.children
    u = open_stream("records", notes.seed, 3).random((3, c.n))
    baseline = np.where(c.asc, "asc", np.where(u[0] < 0.68, "normal", "not_imaged"))
    return baseline, np.where(~c.asc & (u[1] < 0.06), np.floor(250 + 3000 * u[2]), NEVER)


def tabulate_imaging(notes: Notes) -> pd.DataFrame:
    """Return MRCP, ultrasound, endoscopy and elastography, the normal ones included."""
    c = notes.children
    rng = open_stream("records", notes.seed, 4)
    u, who = rng.random((12, c.n)), np.arange(c.n)
    baseline, converts = cholangiogram(notes)
    imaged = np.where(baseline != "not_imaged", np.floor(40 * u[0]) - c.lag, NEVER)
    found = [_frame(who, imaged, modality="mrcp", finding=np.where(c.asc, "abnormal", "normal"))]
    for j, (low, high) in enumerate(((500, 1000), (1500, 2400), (3000, 4200))):
        again = np.where(u[1 + j] < 0.45, np.floor(low + (high - low) * u[4 + j]), NEVER)
        abnormal = c.asc | (again >= converts)
        found.append(_frame(who, again, modality="mrcp", finding=np.where(abnormal, "abnormal", "normal")))
    looked = np.where(c.cirrhosis | (u[7] < 0.1), np.floor(60 + 400 * u[8]), NEVER)
    varices = c.cirrhosis & (u[9] < 0.35)
    found.append(_frame(who, looked, modality="endoscopy", finding=np.where(varices, "abnormal", "normal")))
    coarse = np.where(c.cirrhosis & (u[10] < 0.9), "abnormal", np.where(u[10] < 0.08, "indeterminate", "normal"))
    found.append(_frame(who, -c.lag.astype(float), modality="ultrasound", finding=coarse))
    return _kept(notes, pd.concat([*found, _elastography(c, rng)], ignore_index=True))


def _elastography(c: Children, rng: Generator) -> pd.DataFrame:
    """Return stiffness about yearly in a quarter of the years, from 2011 on."""
    years = np.arange(1, 13)
    day = 365.0 * years + np.floor(60 * rng.random((c.n, len(years))))
    done = (rng.random((c.n, len(years))) < 0.28) & (c.diagnosis[:, None] + day > 4000)
    kpa = np.where(c.cirrhosis[:, None], 16.0, 6.2) * np.exp(0.25 * rng.standard_normal(day.shape))
    child, column = np.nonzero(done)
    stiff = np.clip(np.round(kpa[child, column], 1), 2.5, 75)
    finding = np.where(stiff > 12, "abnormal", "normal")
    when = np.asarray(day[child, column], dtype=np.float64)
    return _frame(child, when, modality="elastography", stiffness=stiff, finding=finding)


def tabulate_measurements(notes: Notes) -> pd.DataFrame:
    """Return weight and height at some visits: the first, about quarterly in the first two years, yearly later."""
    day, held = notes.visits.day, notes.visits.held
    rng = open_stream("growth", notes.seed, 1)
    asked = rng.random(day.shape) < np.where(day <= 0, 1.0, np.where(day < 730, 0.42, 0.40))
    child, column = np.nonzero(held & asked & (day <= notes.stop[:, None]))
    when = day[child, column]
    weight = notes.growth.weight(child, when) * (1 + 0.01 * rng.standard_normal(len(child)))
    weighed = _frame(child, when, measure="weight", value=np.round(weight, 1))
    tall = rng.random(len(child)) < 0.55
    height = _frame(child[tall], when[tall], measure="height", value=notes.growth.height(child[tall], when[tall]))
    spleen = np.flatnonzero(notes.children.cirrhosis & (rng.random(notes.children.n) < 0.6))
    size = np.round(1 + 4 * rng.random(len(spleen)), 0)
    palpable = _frame(spleen, np.zeros(len(spleen)), measure="spleen_below_costal_margin", value=size)
    return _kept(notes, pd.concat([weighed, height, palpable], ignore_index=True))


def tabulate_variants(notes: Notes, p: Parameters) -> pd.DataFrame:
    """Return gene results: a variant in carriers, a variant of uncertain significance in some, else ``no_variant``."""
    c, course = notes.children, notes.course
    u = open_stream("variants", notes.seed).random((3, c.n))
    tested = np.flatnonzero(course.panel < NEVER)
    gene, vus = c.gene[tested], u[0, tested] < p.vus
    of = np.where(gene >= 0, gene, np.floor(u[1, tested] * len(GENES)).astype(int))
    gene_of, mechanism_of, zygosity_of = (np.array([row[j] for row in GENES], dtype=object)[of] for j in range(3))
    carrier, found = pd.Series(gene >= 0), pd.Series((gene >= 0) | vus)
    table = _frame(
        tested,
        course.panel[tested],
        result=np.where(found, "variant", "no_variant"),
        gene=pd.Series(gene_of).where(found),
        zygosity=pd.Series(zygosity_of).where(found),
        mechanism=pd.Series(np.where(carrier, mechanism_of, "unknown")).where(found),
        acmg_class=pd.Series(np.where(carrier, np.where(u[2, tested] < 0.6, 5.0, 4.0), 3.0)).where(found),
        mechanism_confirmed=carrier.astype("boolean").where(found),
    )
    return _kept(notes, table)


# kind, events per year on steroid and immunosuppression, drug it is put down to: project
ADVERSE: tuple[tuple[str, float, str], ...] = (
    ("cushingoid", 0.060, "prednisolone"),
    ("growth", 0.020, "prednisolone"),
    ("fracture", 0.004, "prednisolone"),
    ("diabetes", 0.004, "prednisolone"),
    ("infection", 0.060, "azathioprine"),
    ("zoster", 0.006, "azathioprine"),
    ("cytopenia", 0.015, "azathioprine"),
    ("lipids", 0.004, "prednisolone"),
    ("other", 0.030, ""),
)


def tabulate_adverse_events(notes: Notes) -> pd.DataFrame:
    """Return adverse events: at most two of a kind per child, earlier rather than later for those of steroid."""
    rng, n = open_stream("records", notes.seed, 5), notes.children.n
    found = []
    for kind, rate, drug in ADVERSE:
        early = 4.0 if drug == "prednisolone" else 1.0
        day = np.cumsum(rng.standard_exponential((n, 2)) / (rate * early / 365.25), axis=1)
        grade = 1 + np.floor(3 * rng.random((n, 2)) ** 1.5)
        child, column = np.nonzero(day < (720.0 if early > 1 else NEVER))
        found.append(
            _frame(
                child,
                day[child, column] + 20,
                kind=kind,
                grade=grade[child, column],
                serious=grade[child, column] >= 3,
                related_drug=drug or None,
            )
        )
    return _kept(notes, pd.concat(found, ignore_index=True))
