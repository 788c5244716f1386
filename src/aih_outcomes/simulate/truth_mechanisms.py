"""T3 (in part), T4, T6 to T11, T13 (in part), T14, T15: the truths behind the mechanisms of their own."""

from aih_outcomes.simulate.estimands import Estimand
from aih_outcomes.simulate.mechanisms.competing import truth_of_competing
from aih_outcomes.simulate.mechanisms.courses import truth_of_courses
from aih_outcomes.simulate.mechanisms.dropout import truth_of_dropout
from aih_outcomes.simulate.mechanisms.frailty import truth_of_status
from aih_outcomes.simulate.mechanisms.intervals import truth_of_intervals
from aih_outcomes.simulate.mechanisms.nominal import truth_of_visits
from aih_outcomes.simulate.mechanisms.recurrent import truth_of_recurrent
from aih_outcomes.simulate.mechanisms.small import truth_of_ten_events
from aih_outcomes.simulate.mechanisms.states import truth_of_markov, truth_of_semi_markov
from aih_outcomes.simulate.mechanisms.subdistribution import truth_of_subdistribution
from aih_outcomes.simulate.mechanisms.switches import truth_of_switches
from aih_outcomes.simulate.mechanisms.truncation import truth_of_dependent, truth_of_independent
from aih_outcomes.simulate.mechanisms.visit_process import truth_of_visit_process

FINER = 10  # times as many where a truth is counted that replicated data sets are held against closely


def truth_of_mechanisms(seed: int, n: int) -> list[Estimand]:
    """Return every estimand of the mechanisms of their own; ``n`` patients where no closed form is known."""
    return [
        *truth_of_competing(),
        *truth_of_ten_events(),
        *truth_of_subdistribution(),
        *truth_of_status(seed, n),
        *truth_of_independent(),
        *truth_of_dependent(seed, n),
        *truth_of_markov(),
        *truth_of_semi_markov(seed, FINER * n),
        *truth_of_recurrent(),
        *truth_of_intervals(),
        *truth_of_courses(),
        *truth_of_visits(),
        *truth_of_visit_process(seed, n),
        *truth_of_dropout(seed, n),
        *truth_of_switches(seed, n),
    ]
