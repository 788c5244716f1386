"""The one door into a cohort: upper limits are completed, identifiers replaced, what breaks a rule set aside."""

from collections.abc import Sequence

from aih_outcomes.cohort import Cohort
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms, pseudonymise
from aih_outcomes.load.quarantine import quarantine
from aih_outcomes.load.records import Records
from aih_outcomes.load.values.limits import UpperLimits, fill_upper_limits


def make_cohort(
    records: Sequence[Records], *, label: str, limits: UpperLimits | None = None, pseudonyms: Pseudonyms | None = None
) -> Cohort:
    """Return the cohort of what a source yielded.

    Parameters
    ----------
    records : of each table and file; rows already set aside keep their reason
    limits : where results without an upper limit of their own get one from
    pseudonyms : key and choices by which identifiers are replaced; None leaves them as they are

    Raises
    ------
    DataError : no patient is left
    """
    completed = fill_upper_limits(records, limits)
    return quarantine(completed if pseudonyms is None else pseudonymise(completed, pseudonyms), label=label)
