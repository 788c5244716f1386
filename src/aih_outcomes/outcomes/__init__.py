"""Analysis-ready outcomes, validated at birth: the second waist, where every model begins.

Time is whole days since time zero wherever the source has days, so that ties and risk sets are decided on integers.
"""

from aih_outcomes.outcomes.checks import (
    CENSORED,
    DAYS_PER_UNIT,
    HALF_DAY,
    UNDETERMINED,
    TimeUnit,
    Vector,
    no_exclusions,
)
from aih_outcomes.outcomes.groups import Groups
from aih_outcomes.outcomes.histories import IntervalTime, StateHistory
from aih_outcomes.outcomes.recurrent_events import RecurrentEvents
from aih_outcomes.outcomes.repeated_measures import RepeatedMeasures
from aih_outcomes.outcomes.switches import Switches
from aih_outcomes.outcomes.time_to_event import TimeToEvent

__all__ = [
    "CENSORED",
    "DAYS_PER_UNIT",
    "HALF_DAY",
    "UNDETERMINED",
    "Groups",
    "IntervalTime",
    "RecurrentEvents",
    "RepeatedMeasures",
    "StateHistory",
    "Switches",
    "TimeToEvent",
    "TimeUnit",
    "Vector",
    "no_exclusions",
]
