"""One small tree of errors, each said in three parts: what and how many, the rule, the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class AihError(Exception):
    """Base of every error that a user can mend; ``exit_code`` is what the command line returns.

    Parameters
    ----------
    what : what is wrong and how many; never a patient's identifier or value
    rule : what is expected
    way_out : what the user can do
    """

    exit_code = 1

    def __init__(self, what: str, rule: str, way_out: str) -> None:
        self.what, self.rule, self.way_out = what, rule, way_out
        super().__init__(f"{what}. Rule: {rule}. Way out: {way_out}.")


class PlanError(AihError):
    """A plan, mapping or definition file cannot be used."""

    exit_code = 3


class DataError(AihError):
    """The data break a rule of the schema in a way that rows set aside cannot mend."""

    exit_code = 4


class OutcomeError(AihError):
    """An analysis-ready outcome is not valid."""

    exit_code = 5


class ImmortalTimeError(AihError):
    """Groups are compared from a time before anyone could know who belongs to them."""

    exit_code = 6


class DisclosureError(AihError):
    """Something would be written that the small-number rule or the consent does not cover."""

    exit_code = 7


class ReportError(AihError):
    """A report is incomplete: a notebook failed or nothing was saved."""

    exit_code = 8


def without_facts(message: str) -> str:
    """Return the rule and the way out of an error's message, without what was found in the data."""
    _, rule, rest = message.partition("Rule: ")
    return rule + rest


def describe_invalid(file: str, error: ValidationError) -> tuple[str, str, str]:
    """Say in three parts which keys of a plan, mapping or definition file cannot be used."""
    problems = [f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}" for item in error.errors()]
    shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    return (
        f"{len(problems)} key(s) of {file} cannot be used ({shown})",
        "Keys and values follow the documented schema; unknown keys are errors",
        "Correct these keys",
    )
