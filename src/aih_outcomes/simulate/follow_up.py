"""Who is followed, from when until when: referral, transfer, loss, linkage, the day the data were frozen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import Children
from aih_outcomes.simulate.laboratories import LINKED
from aih_outcomes.simulate.parameters import ADMINISTRATIVE_END, DAYS_PER_YEAR, EPOCH, Parameters
from aih_outcomes.simulate.streams import open_stream
from aih_outcomes.simulate.survival import Survival

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ONGOING, TRANSFER, LOST, WITHDRAWN, DEATH = range(5)
REASONS = ("ongoing", "transfer", "lost", "withdrawn", "death")
LAST_DAY = int((np.datetime64(ADMINISTRATIVE_END) - np.datetime64(EPOCH)).astype(int))


@dataclass(frozen=True, slots=True, eq=False)
class FollowUp:
    """Days since the first induction dose, whole; shape (n,)."""

    entry: Floats  # first seen at the reporting centre; −lag (the diagnosis) where not referred
    clinic_end: Floats  # last day on which the clinic could see the child
    end: Floats  # last known alive, or death
    reason: Ints
    linked: Flags  # known through a registry after the clinic lost sight
    transfer: Floats  # NEVER where it lies after the end
    recorded: Flags  # could be in the cohort at all: alive with the native liver when first seen, and seen in time


def draw_follow_up(seed: int, children: Children, survival: Survival, p: Parameters, *, chunk: int = 0) -> FollowUp:
    """Draw observation; it depends on age, centre and calendar, never on response."""
    rng = open_stream("follow_up", seed, chunk)
    u, wait = rng.random((3, children.n)), rng.standard_exponential(children.n)
    administrative = LAST_DAY - children.diagnosis - children.lag
    age = p.transfer_age[0] + (p.transfer_age[1] - p.transfer_age[0]) * u[0]
    entry = (children.referral_delay - children.lag).astype(float)
    transfer = np.maximum(np.ceil((age - children.age) * DAYS_PER_YEAR), np.maximum(entry, 0) + p.transfer_earliest)
    lost = np.maximum(entry, 0) + np.ceil(wait / p.lost_per_year * DAYS_PER_YEAR)
    linked = LINKED[children.centre]
    clinic_end = np.minimum(np.minimum(transfer, lost), administrative)
    end = np.where(linked & (transfer <= lost), administrative, clinic_end)
    reason = np.select(
        [end >= administrative, transfer <= lost, u[1] < p.withdrawn_share], [ONGOING, TRANSFER, WITHDRAWN], LOST
    )
    dies = survival.death <= end
    end, clinic_end = np.minimum(end, survival.death), np.minimum(clinic_end, survival.death)
    return FollowUp(
        entry=entry,
        clinic_end=clinic_end,
        end=end,
        reason=np.where(dies, DEATH, reason),
        linked=linked & (end > clinic_end),
        transfer=np.where(
            (transfer <= lost) & (transfer <= administrative) & (transfer < survival.death), transfer, np.inf
        ),
        recorded=(survival.first > entry) & (entry < administrative - 60) & (administrative > 60),
    )
