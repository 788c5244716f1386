"""T1 and T2: courses and response, counted."""

import numpy as np

from aih_outcomes.simulate.copies import MET, NOT_EVALUABLE, NOT_MET
from aih_outcomes.simulate.course import NEVER
from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted, median, share
from aih_outcomes.simulate.parameters import DEFAULT
from aih_outcomes.simulate.truth_population import CBR_DAYS, MISSING, WINDOWS, Population

CODES = {"met": MET, "not_met": NOT_MET, "not_evaluable": NOT_EVALUABLE}


def truth_of_courses(pop: Population) -> list[Estimand]:
    """T1: latent classes and their courses; when response is there, and when it can be seen."""
    names = ("rapid", "slow", "non_responder")
    shares = closed(
        "T1",
        "latent class",
        "Share of each latent class among all children",
        dict(zip(names, DEFAULT.classes, strict=True)),
    )
    numbers: dict[str, Number] = {"baseline_alt": median(pop["alt"])}
    for code, name in enumerate(names):
        of = pop["class"] == code
        numbers[f"{name}_half_life"] = median(pop["half_life"][of])
        numbers[f"{name}_plateau_xuln"] = median(pop["plateau"][of])
        numbers[f"{name}_true_onset"] = median(np.minimum(pop["cbr"], pop["first"])[of])
        numbers[f"{name}_onset_full_data"] = median(pop["seen_full"][of & (pop["seen_full"] < NEVER)])
        numbers[f"{name}_onset_recorded"] = median(pop["seen_mcar"][of & (pop["seen_mcar"] < NEVER)])
    text = (
        "Medians by class: ALT at day 0 (U/L), half-life of the first fall (days), its target (× ULN), first "
        "day of noise-free CBR among all, first day seen at visits within a year with full data and as recorded, "
        "among those seen; clock: first induction dose"
    )
    return [shares, counted("T1", "course by class", text, numbers, n=pop.n)]


def truth_of_response(pop: Population) -> list[Estimand]:
    """T2: CBR attained by and status at a day, noise-free, with full data, and as it would be recorded."""
    found = []
    for until in CBR_DAYS:
        grid = f"{WINDOWS[until][0]} to {until}"
        numbers = {"attained_by": share(pop["cbr"] <= until), "status_at": share(pop[f"latent_{until}"] == 1)}
        text = (
            f"Noise-free ALT, AST and IgG all ≤ ULN on any weekly look until day {until} (attained_by), and on it "
            "(status_at); transplant and death ignored"
        )
        found.append(counted("T2", f"latent CBR, day {until}", text, numbers, n=pop.n))
        for how in ("full", *MISSING):
            for kind, rule in (
                ("attained", f"at any visit of days 1 to {until}"),
                ("status", f"at the last evaluable visit of days {grid}"),
            ):
                codes = pop[f"{kind}_{how}_{until}"]
                numbers = {word: share(codes == code) for word, code in CODES.items()}
                known = codes != NOT_EVALUABLE
                numbers["met_of_evaluable"] = share(codes[known] == MET) if known.any() else (0.0, 0.0)
                data = "full data" if how == "full" else f"visits and IgG missing ({how.upper()})"
                text = f"CBR {rule}, same day, printed values; one value too high is not met; {data}; events ignored"
                found.append(counted("T2", f"CBR {kind}, day {until}, {how}", text, numbers, n=pop.n))
    return found
