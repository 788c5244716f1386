"""What the survival functions answer when data say little: an estimate, "not estimable" with why, or a refusal."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import AihError
from aih_outcomes.models.survival.competing.cause_specific import fit_cause_specific
from aih_outcomes.models.survival.competing.cumulative_incidence import estimate_cumulative_incidence
from aih_outcomes.models.survival.competing.fine_gray import fit_fine_gray
from aih_outcomes.models.survival.competing.gray import compare_cumulative_incidence
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.multi_state import as_states
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.models.survival.intervals.interval_hazards import fit_interval_hazards
from aih_outcomes.models.survival.intervals.interval_survival import estimate_interval_survival
from aih_outcomes.models.survival.recurrent.comparison import compare_mean_cumulative
from aih_outcomes.models.survival.recurrent.fit import fit_recurrent
from aih_outcomes.models.survival.states.state_occupation import estimate_state_occupation
from aih_outcomes.models.survival.states.transition_probabilities import estimate_transitions
from aih_outcomes.outcomes import Groups, IntervalTime, RecurrentEvents, TimeToEvent

N, LANDMARK = 40, 60
COLUMNS = {"patient_id": "id", "covariates": ["x", "g"], "weight": "w"}


def patients():
    number = np.arange(N)
    return pd.DataFrame({
        "id": [f"P{n}" for n in number], "entry": 0, "exit": 70 + (number * 37) % 301, "dead": (number * 7) % 10 < 6,
        "x": np.sin(number), "g": np.where(number % 2, "a", "b"), "w": 1.0, "transplant": number % 5 == 0,
    })  # fmt: skip


SITUATIONS = {
    "plenty": {},
    "no events": {"dead": False},
    "one group empty": {"g": "a"},
    "all censored before the landmark": {"dead": False, "exit": 30},
    "perfect separation": {"dead": np.arange(N) % 2 == 1},
    "ties everywhere": {"exit": 100, "dead": True},
    "entry after exit": {"entry": 500},
    "NaN covariates": {"x": np.where(np.arange(N) % 4 == 0, np.nan, 1.0 * np.arange(N))},
    "weights of 0": {"w": 0.0},
}


def to_event(frame, **how):
    return TimeToEvent.from_frame(
        frame, entry="entry", exit="exit", event="dead", label="death", time_zero="induction", **COLUMNS, **how
    )


def competing(frame):
    ends = np.where(frame["dead"], np.where(frame["transplant"], "transplant", "death"), "censored")
    return to_event(frame.assign(dead=ends), competing=["transplant"])


def recurrent(frame):
    flares = frame.assign(dead=np.where(frame["dead"], "flare", "censored"))
    return RecurrentEvents.from_frame(flares, entry="entry", exit="exit", event="dead", label="flare", **COLUMNS)


def interval(frame):
    looks = frame.assign(left=frame["exit"] - 30, right=frame["exit"].where(frame["dead"]))
    looks["left"] = np.where(frame["entry"] > frame["exit"], looks["left"] + 60, looks["left"])
    return IntervalTime.from_frame(looks, left="left", right="right", label="cirrhosis", **COLUMNS)


def responders(frame):
    rows = pd.DataFrame({"patient_id": frame["id"], "label": np.where(frame["g"] == "a", "responder", "other")})
    rows = rows.assign(onset=20, known_at=40)
    return Groups(rows, "response", ("other", "responder"), "induction", irreversible=True)


FUNCTIONS = {
    "estimate_survival": lambda f: estimate_survival(to_event(f), by="g"),
    "compare_survival": lambda f: compare_survival(to_event(f), by="g"),
    "compare_restricted_means": lambda f: compare_restricted_means(to_event(f), by="g"),
    "fit_cox": lambda f: fit_cox(to_event(f), by="g", covariates=["x"]),
    "fit_cox, Firth": lambda f: fit_cox(to_event(f), by="g", covariates=["x"], penalty="firth"),
    "compare_groups": lambda f: compare_groups(to_event(f), by="g"),
    "landmark": lambda f: compare_groups(landmark(to_event(f), responders(f), day=LANDMARK), by="group"),
    "time_varying": lambda f: compare_groups(time_varying(to_event(f), responders(f)), by="group"),
    "estimate_cumulative_incidence": lambda f: estimate_cumulative_incidence(competing(f), by="g"),
    "compare_cumulative_incidence": lambda f: compare_cumulative_incidence(competing(f), by="g"),
    "fit_cause_specific": lambda f: fit_cause_specific(competing(f), by="g"),
    "fit_fine_gray": lambda f: fit_fine_gray(competing(f), by="g", covariates=["x"]),
    "estimate_state_occupation": lambda f: estimate_state_occupation(as_states(to_event(f), responders(f))),
    "estimate_transitions": lambda f: estimate_transitions(as_states(to_event(f), responders(f)), from_day=LANDMARK),
    "compare_mean_cumulative": lambda f: compare_mean_cumulative(recurrent(f), by="g"),
    "fit_recurrent": lambda f: fit_recurrent(recurrent(f), by="g", covariates=["x"]),
    "estimate_interval_survival": lambda f: estimate_interval_survival(interval(f), by="g"),
    "fit_interval_hazards": lambda f: fit_interval_hazards(interval(f), by="g", covariates=["x"]),
    "fit_accelerated_failure": lambda f: fit_accelerated_failure(interval(f), by="g", covariates=["x"]),
}


def answer(function, situation):
    frame = patients().assign(**SITUATIONS[situation])
    try:
        found = FUNCTIONS[function](frame)
    except AihError as error:
        leaks = any(name in str(error) for name in frame["id"])
        return "an identifier in a message" if leaks else f"refused: {error.rule}"
    found.tidy()
    words = found.describe()
    assert "p = 0.000" not in words
    assert "nan" not in words
    reason = found.glance()["not_estimable"]
    return f"not estimable: {reason}" if reason else "estimated"


NO_ONE = "not estimable: no rows with a weight and every covariate"
SEPARATES = '; Firth\'s penalty would give a finite estimate: penalty="firth"'
ORDER = "refused: A spell is (entry, exit] with entry < exit"
LOOKS = "refused: An interval is (left, right] with left < right; left = right is an exact time"
CURVE = "refused: A curve needs someone at risk"
MISSING = "refused: A missing value is never a normal one"
DESCRIBED = (
    "estimate_survival", "compare_restricted_means", "estimate_cumulative_incidence", "estimate_state_occupation",
    "estimate_interval_survival",
)  # fmt: skip
ON_SPELLS = tuple(name for name in FUNCTIONS if "interval" not in name and "accelerated" not in name)
ON_LOOKS = tuple(name for name in FUNCTIONS if name not in ON_SPELLS)


def all_say(words, functions):
    return dict.fromkeys(functions, words)


ANSWERS = {
    "plenty": all_say("estimated", set(FUNCTIONS) - {"time_varying"})
    | {"time_varying": f"not estimable: no events in group: undetermined{SEPARATES}"},
    "no events": all_say("estimated", (*DESCRIBED, "compare_cumulative_incidence", "estimate_transitions"))
    | all_say("not estimable: no events", (
        "compare_survival", "fit_cox", "fit_cox, Firth", "compare_groups", "landmark", "time_varying", "fit_fine_gray",
        "compare_mean_cumulative", "fit_recurrent", "fit_interval_hazards", "fit_accelerated_failure",
    ))
    | {"fit_cause_specific": "refused: Cause-specific models need causes"},
    "one group empty": all_say("estimated", (*DESCRIBED, "estimate_transitions"))
    | all_say("not estimable: only one group", ("compare_survival", "compare_mean_cumulative"))
    | all_say("not estimable: only one group in group", (
        "fit_cox", "fit_cox, Firth", "compare_groups", "landmark", "fit_fine_gray", "fit_recurrent",
        "fit_interval_hazards", "fit_accelerated_failure",
    ))
    | {
        "time_varying": f"not estimable: no events in group: undetermined{SEPARATES}",
        "compare_cumulative_incidence": "not estimable: death: only one group; transplant: only one group",
        "fit_cause_specific": "not estimable: death: only one group in group; transplant: only one group in group",
    },
    "all censored before the landmark": all_say("estimated", (*DESCRIBED, "compare_cumulative_incidence"))
    | all_say("not estimable: no events", (
        "compare_survival", "fit_cox", "fit_cox, Firth", "compare_groups", "fit_fine_gray", "compare_mean_cumulative",
        "fit_recurrent",
    ))
    | all_say("not estimable: no rows that say anything about the time", (
        "fit_interval_hazards", "fit_accelerated_failure",
    ))
    | {
        "landmark": "refused: A landmark analysis follows those at risk after the landmark",
        "time_varying": "not estimable: only one group in group",
        "fit_cause_specific": "refused: Cause-specific models need causes", "estimate_transitions": CURVE,
    },
    "perfect separation": all_say("estimated", (
        *DESCRIBED, "compare_survival", "fit_cox, Firth", "compare_cumulative_incidence", "estimate_transitions",
        "compare_mean_cumulative",
    ))
    | all_say(f"not estimable: no events in group: b{SEPARATES}", ("fit_cox", "compare_groups"))
    | all_say("not estimable: no events in group: b", (
        "fit_recurrent", "fit_fine_gray", "fit_interval_hazards", "fit_accelerated_failure",
    ))
    | {
        "landmark": f"not estimable: no events in group: other{SEPARATES}",
        "time_varying": f"not estimable: no events in group: undetermined{SEPARATES}",
        "fit_cause_specific": f"not estimable: death: no events in group: b{SEPARATES}; "
        f"transplant: no events in group: b{SEPARATES}",
    },
    "ties everywhere": all_say("estimated", (
        *DESCRIBED, "fit_cox", "fit_cox, Firth", "compare_groups", "landmark", "compare_cumulative_incidence",
        "fit_cause_specific", "fit_fine_gray", "fit_recurrent", "estimate_transitions",
    ))
    | all_say("not estimable: no time at which two groups are at risk and an event falls", (
        "compare_survival", "compare_mean_cumulative",
    ))
    | {
        "time_varying": f"not estimable: no events in group: undetermined{SEPARATES}",
        "fit_interval_hazards": "not estimable: all intervals share a time: they do not tell patients apart",
        "fit_accelerated_failure": "not estimable: the likelihood has no maximum: the covariates separate the events, "
        "or the intervals do not fix the scale",
    },
    "entry after exit": all_say(ORDER, ON_SPELLS) | all_say(LOOKS, ON_LOOKS),
    "NaN covariates": all_say("estimated", set(FUNCTIONS))
    | all_say(MISSING, (
        "fit_cox", "fit_cox, Firth", "fit_fine_gray", "fit_recurrent", "fit_interval_hazards",
        "fit_accelerated_failure",
    ))
    | {"time_varying": f"not estimable: no events in group: undetermined{SEPARATES}"},
    "weights of 0": all_say(CURVE, (
        "estimate_survival", "compare_restricted_means", "compare_groups", "landmark", "time_varying",
        "estimate_cumulative_incidence", "estimate_state_occupation", "estimate_transitions",
    ))
    | all_say(NO_ONE, ("fit_cox", "fit_cox, Firth", "fit_recurrent"))
    | all_say("not estimable: no rows that say anything about the time", (
        "fit_interval_hazards", "fit_accelerated_failure",
    ))
    | {
        "compare_survival": "not estimable: no events", "fit_fine_gray": "not estimable: only one group in group",
        "compare_cumulative_incidence": "refused: Gray's test counts each patient once",
        "fit_cause_specific": f"not estimable: death: {NO_ONE[15:]}; transplant: {NO_ONE[15:]}",
        "compare_mean_cumulative": "refused: A mean needs someone at risk",
        "estimate_interval_survival": "refused: A curve needs someone who was looked at",
    },
}  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_answers_or_says_why_not(function, situation):
    assert answer(function, situation) == ANSWERS[situation][function]
