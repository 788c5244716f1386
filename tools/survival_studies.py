"""Studies of curves, ratios and designs: one data set drawn from a mechanism, one model, figures with known truth."""

from __future__ import annotations

from functools import partial

import pandas as pd
from numpy.random import Generator
from survival_study import Interval, Study, Target, find, read_rows

from aih_outcomes.models.survival.competing.cumulative_incidence import estimate_cumulative_incidence
from aih_outcomes.models.survival.competing.fine_gray import fit_fine_gray
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.naive import naive_outcome
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import Groups, TimeToEvent
from aih_outcomes.simulate.mechanisms.clocks import YEARS, Effect, days_of
from aih_outcomes.simulate.mechanisms.competing import HORIZON, draw_competing
from aih_outcomes.simulate.mechanisms.frailty import LANDMARK, Frailty, draw_status
from aih_outcomes.simulate.mechanisms.small import Sample, draw_ten_events
from aih_outcomes.simulate.mechanisms.subdistribution import Entry, draw_subdistribution
from aih_outcomes.simulate.mechanisms.truncation import Truncation, draw_truncated

N = 2_000  # patients of a data set
TOLD = (2, 5, 10)  # years
UNBARRED = 0.2  # part of the replicates where no limits are held to a bar
N_SMALL, N_TINY = 400, 40  # 60 events of each cause by 5 years; and too few, told without a bar
DAYS = {years: days_of(years) for years in YEARS}
YEARS_OF = {float(day): years for years, day in DAYS.items()}
CAUSES = ("transplant", "death")


def read_outcome(frame: pd.DataFrame, *, competing: bool = False) -> TimeToEvent:
    """Read what a mechanism drew; with ``competing`` transplant is the event and death competes with it."""
    entry = "entry" if "entry" in frame else None
    covariates = [name for name in ("treated", "exposed", "marker", "severity") if name in frame]
    return TimeToEvent.from_frame(
        frame, exit="exit", event="event", entry=entry, patient_id="patient_id", covariates=covariates,
        competing=["death"] if competing else (),
    )  # fmt: skip


def event_free(rng: Generator, *, n: int, years: tuple[int, ...]) -> dict[str, Interval]:
    """Kaplan-Meier of transplant or death."""
    found = estimate_survival(read_outcome(draw_competing(rng, n))).at([DAYS[year] for year in years])
    return read_rows(found, [f"{year} years" for year in years])


def incidence(rng: Generator, *, n: int, years: tuple[int, ...]) -> dict[str, Interval]:
    """Aalen-Johansen of transplant and of death, and mean days lost to each until the horizon."""
    outcome = read_outcome(draw_competing(rng, n), competing=True)
    curves = estimate_cumulative_incidence(outcome, conf_type="log-log")
    at, lost = curves.at([DAYS[year] for year in years]), curves.restricted_time_lost(DAYS[HORIZON])
    at, lost = (frame[frame["state"].isin(CAUSES)] for frame in (at, lost))
    found = read_rows(at, [f"{row.state}, {YEARS_OF[row.time]} years" for row in at.itertuples()])
    return found | read_rows(lost, [f"days lost to {cause}, {HORIZON} years" for cause in lost["state"]])


def restricted_mean(rng: Generator) -> dict[str, Interval]:
    """Mean event-free days until the horizon, by treatment, and their difference."""
    compared = compare_restricted_means(read_outcome(draw_competing(rng, N)), by="treated", horizon=DAYS[HORIZON])
    return read_rows(compared.tidy().iloc[:3], ["untreated", "treated", "difference"])


def cause_specific(rng: Generator, *, effect: Effect) -> dict[str, Interval]:
    """Cox models of both causes."""
    frame, found = draw_competing(rng, N, effect=effect), {}
    for cause in CAUSES:
        own = frame.assign(event=(frame["event"] == cause).astype(float))
        fit = fit_cox(read_outcome(own), covariates=["treated", "marker"])
        found |= read_rows(fit.tidy(), [f"{cause}, treated", f"{cause}, marker"])
    return found


def ten_events(rng: Generator, *, sample: Sample) -> dict[str, Interval]:
    """Ten events: Cox as it is, and with Firth's penalty."""
    outcome = read_outcome(draw_ten_events(rng, sample=sample))
    plain, firth = (fit_cox(outcome, covariates=outcome.covariates, penalty=penalty) for penalty in (None, "firth"))
    return read_rows(plain.tidy().iloc[:1], ["plain"]) | read_rows(firth.tidy().iloc[:1], ["Firth"])


def subdistribution(rng: Generator, *, entry: Entry, effect: Effect) -> dict[str, Interval]:
    """Fine and Gray's model of transplant."""
    outcome = read_outcome(draw_subdistribution(rng, N, entry=entry, effect=effect), competing=True)
    convention = "finegray" if entry == "late" else "crr"  # cmprsk's covers no late entry
    fit = fit_fine_gray(outcome, covariates=["treated", "marker"], convention=convention)
    return read_rows(fit.tidy(), ["treated", "marker"])


def status(rng: Generator, *, frailty: Frailty, effect: Effect) -> dict[str, Interval]:
    """Time-varying, landmark and naive Cox models of a status."""
    frame = draw_status(rng, N, frailty=frailty, effect=effect)
    outcome, groups, fixed = read_outcome(frame), name_groups(frame), name_groups(frame, by=LANDMARK)
    designs = {
        "marginal": time_varying(outcome, groups),
        "landmark": landmark(outcome, fixed, day=LANDMARK),
        "naive": naive_outcome(outcome, groups, never="not yet"),
    }
    found = {}
    for name, designed in designs.items():
        tidy = fit_cox(designed, by="group").tidy()
        found |= read_rows(tidy[tidy["term"].str.contains("changed") & tidy["estimate"].notna()], [name])
    return found


def name_groups(frame: pd.DataFrame, *, by: int | None = None) -> Groups:
    """Return who has changed, since when; by a landmark also who has not, known then."""
    changed = frame.loc[frame["changed"].notna(), ["patient_id", "changed"]]
    if by is not None:
        changed = changed[changed["changed"] <= by]
    rows = pd.DataFrame({"patient_id": changed["patient_id"], "label": "changed", "onset": changed["changed"]})
    rows["known_at"] = rows["onset"]
    if by is not None:
        others = frame.loc[~frame["patient_id"].isin(changed["patient_id"]), ["patient_id"]]
        rows = pd.concat([rows, others.assign(label="not yet", onset=float(by), known_at=float(by))])
    rows["patient_id"] = rows["patient_id"].astype("string")
    return Groups(rows.reset_index(drop=True), "status", ("not yet", "changed"), irreversible=True, landmark=by)


def truncated(rng: Generator, *, truncation: Truncation) -> dict[str, Interval]:
    """Kaplan-Meier and Cox with delayed entry, and with entry ignored."""
    frame, found = draw_truncated(rng, N, truncation=truncation), {}
    for how, rows in (("delayed entry", frame), ("entry ignored", frame.assign(entry=0.0))):
        outcome = read_outcome(rows)
        curve = estimate_survival(outcome, from_day=0).at([DAYS[year] for year in TOLD])
        found |= read_rows(curve, [f"{how}, {year} years" for year in TOLD])
        if truncation == "independent":
            found |= read_rows(fit_cox(outcome, covariates=["treated"]).tidy(), [f"{how}, log hazard ratio"])
    return found


def _curves() -> list[Study]:
    cif, mean = "cumulative incidence, {} years".format, f"restricted mean, {HORIZON} years"
    sizes = {N: (YEARS, "patients", True), N_SMALL: ((5,), "patients", True),
             N_TINY: ((1, 2, 5), "patients, too few for a bar", False)}  # fmt: skip
    found = []
    for n, (years, words, barred) in sizes.items():
        free = {f"{y} years": find(cif(y), "competing causes", "event_free", barred=barred) for y in years}
        title = f"T3 event-free survival, {n} {words}, Kaplan-Meier (log-log)"
        part = 1.0 if barred else UNBARRED
        found.append(Study(title, partial(event_free, n=n, years=years), free, part))
        each = {f"{c}, {y} years": find(cif(y), "competing causes", c, barred=barred) for c in CAUSES for y in years}
        for cause in CAUSES:
            figure = f"days lost to {cause}, {HORIZON} years"
            each[figure] = find(mean, "competing causes", f"lost_to_{cause}", barred=barred)
        title = f"T3 cumulative incidence, {n} {words}, Aalen-Johansen (log-log)"
        found.append(Study(title, partial(incidence, n=n, years=years), each, part))
    arms = {arm: find(mean, "competing causes", f"event_free_{arm}") for arm in ("treated", "untreated")}
    arms["difference"] = Target(arms["treated"].value - arms["untreated"].value)
    return [*found, Study(f"T3 event-free days to {HORIZON} years", restricted_mean, arms)]


def _ratios() -> list[Study]:
    name, keys = "cause-specific log hazard ratios", [(c, x) for c in CAUSES for x in ("treated", "marker")]
    effect = {f"{c}, {x}": find(name, "competing causes", f"{c}_{x}") for c, x in keys}
    null = {f"{c}, treated": find(name, "competing causes, null", f"{c}_treated") for c in CAUSES}
    found = [
        Study("T3 cause-specific log hazard ratio, Cox", partial(cause_specific, effect="default"), effect),
        Study("T3 null, cause-specific log hazard ratio, Cox", partial(cause_specific, effect="none"), null),
    ]
    name = "log subdistribution hazard ratios"
    both = {x: find(name, "subdistribution", x) for x in ("treated", "marker")}
    null = {"treated": find(name, "subdistribution, null", "treated")}
    title = "log subdistribution hazard ratio, Fine-Gray"
    start, late = (partial(subdistribution, entry=entry) for entry in ("at time zero", "late"))
    return [
        *found,
        Study(f"T4 {title}", partial(start, effect="default"), both),
        Study(f"T4 late entry, {title}", partial(late, effect="default"), both),
        Study(f"T4 null, {title}", partial(start, effect="none"), null),
    ]


def _designs() -> list[Study]:
    found = []
    kinds: list[tuple[Frailty, Effect]] = [("shared", "default"), ("shared", "none"), ("of death", "default"),
                                           ("none", "default"), ("none", "none")]  # fmt: skip
    for frailty, effect in kinds:
        mechanism = f"status, frailty {frailty}{'' if effect == 'default' else ', null'}"
        conditional = find("conditional log hazard ratio", mechanism, "log_hazard_ratio").value
        targets = {}
        for design in ("marginal", "landmark", "naive"):
            honest = frailty == "none" and design != "naive"
            missed = None if honest and (design == "marginal" or effect == "none") else conditional
            targets[design] = find(f"{design} log hazard ratio", mechanism, "log_hazard_ratio", missed=missed)
        part = 1.0 if frailty == "none" else UNBARRED
        found.append(Study(f"T6 {mechanism}, Cox", partial(status, frailty=frailty, effect=effect), targets, part))
    return found


def _truncation() -> list[Study]:
    found = []
    for kind in ("independent", "dependent"):
        mechanism = f"truncation, {kind}"
        delayed = "survival" if kind == "independent" else "survival, delayed entry"
        targets = {}
        for how, name in (("delayed entry", delayed), ("entry ignored", "survival, entry ignored")):
            for year in TOLD:
                truth = find("survival", mechanism, f"years_{year}").value
                missed = None if name == "survival" else truth
                targets[f"{how}, {year} years"] = find(name, mechanism, f"years_{year}", missed=missed)
        if kind == "independent":
            truth = find("log hazard ratio", mechanism, "treated")
            ignored = find("log hazard ratio, entry ignored", mechanism, "treated", missed=truth.value)
            targets |= {"delayed entry, log hazard ratio": truth, "entry ignored, log hazard ratio": ignored}
        part = 1.0 if kind == "independent" else UNBARRED
        found.append(Study(f"T7 {mechanism}", partial(truncated, truncation=kind), targets, part))
    return found


def list_studies() -> list[Study]:
    """Return the studies of curves, ratios and designs."""
    return [*_curves(), *_ratios(), *_designs(), *_truncation()]
