"""Small-number suppression and rounding on tidy frames: the only place where it is done.

Counts from 1 to a threshold become missing together with what rests on them; all others are rounded to a multiple of 5,
so that a hidden count does not follow by subtraction from shown ones; shares come from rounded counts, or move in steps
of as many patients; other estimates have three significant digits, medians need ten patients. A curve is read off at
fixed times, in such steps, for groups that are large enough, and ends where few are at risk.

What it does not do: compare this release with an earlier one, or one frame of a report with another (differencing), or
hide the estimates of a model whose patients are many.
"""

from aih_outcomes.disclosure.apply import apply_policy, pass_with_consent
from aih_outcomes.disclosure.policy import (
    EVENTS_TO_DATE,
    POLICIES,
    Policy,
    disclosed_policy,
    explain_hidden,
    hidden_mark,
)

__all__ = [
    "EVENTS_TO_DATE",
    "POLICIES",
    "Policy",
    "apply_policy",
    "disclosed_policy",
    "explain_hidden",
    "hidden_mark",
    "pass_with_consent",
]
