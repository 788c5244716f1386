"""One small tree of errors, each said in three parts: what and how many, the rule, the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

Place = tuple[int | str, ...]
_PLAIN = {
    "missing": "is missing",
    "tuple_type": "must be a list in brackets",
    "model_type": "must be a part with keys of its own",
    "dict_type": "must be a part with keys of its own",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
}


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


def refuse_unknown(given: object, choices: Sequence[str], noun: str) -> None:
    """Refuse what is not among the choices.

    Parameters
    ----------
    noun : what they are, with its article: ``an analyte``

    Raises
    ------
    PlanError
    """
    if given not in choices:
        close = get_close_matches(str(given).casefold(), choices, n=1)
        raise PlanError(
            f"{given!r} is not {noun}",
            f"Choices are {', '.join(choices)}",
            f"Perhaps {close[0]!r} was meant" if close else "Name one of them",
        )


def describe_invalid(
    file: str, error: ValidationError, *, text: str = "", schema: type[BaseModel] | None = None, example: str = ""
) -> tuple[str, str, str]:
    """Say in three parts which keys of a plan, mapping or definition file cannot be used, with their lines.

    Parameters
    ----------
    text : the file's TOML; without it no lines are named
    schema : what the file was read as; without it keys that do not exist are said to, and no more
    example : a file that shows each key
    """
    problems = []
    for path, words in _find_problems(error, schema):
        line = find_line(text, path)
        where = f"line {line}, " if line else ""
        problems.append(f"{where}{'.'.join(str(part) for part in path) or 'file'}: {words}")
    shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    return (
        f"{len(problems)} key(s) of {file} cannot be used ({shown})",
        "Keys and values follow the documented schema; unknown keys are errors",
        "Correct these keys" + (f"; see {example}, which shows each key" if example else ""),
    )


def _find_problems(error: ValidationError, schema: type[BaseModel] | None) -> list[tuple[Place, str]]:
    """Return where each problem lies, and what it is; what only follows from another one is left out."""
    found = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
    guesses = {item["loc"]: _guess(item, schema) for item in found if item["type"] == "extra_forbidden"}
    meant = {(*path[:-1], guess) for path, guess in guesses.items()}
    places = [item["loc"] for item in found]
    problems = []
    for item in found:
        path = item["loc"]
        within = any(len(other) > len(path) and other[: len(path)] == path for other in places)
        if not within and not (item["type"] == "missing" and path in meant):
            problems.append((path, _in_plain_words(item, guesses.get(path, ""), schema)))
    return problems


def _in_plain_words(item: ErrorDetails, guess: str, schema: type[BaseModel] | None) -> str:
    if item["type"] == "extra_forbidden":
        known = keys_at(schema, item["loc"][:-1])
        listed = f"; keys are {', '.join(known)}" if known else ""
        return "is no key here" + (f"; did you mean {guess}?" if guess else listed)
    said = item["msg"].removeprefix("Value error, ").removesuffix(".").replace(" after validation", "")
    return _PLAIN.get(item["type"]) or re.sub(r"^\w+ should (be|have)", r"must \1", said)


def _guess(item: ErrorDetails, schema: type[BaseModel] | None) -> str:
    """Return the key that was probably meant, or nothing."""
    close = get_close_matches(str(item["loc"][-1]).casefold(), keys_at(schema, item["loc"][:-1]), n=1)
    return close[0] if close else ""


def keys_at(schema: type[BaseModel] | None, path: Place) -> list[str]:
    """Return the keys of the part that stands at a path of a schema; none where it has no fixed ones."""
    found = [] if schema is None else [schema]
    for part in path:
        if isinstance(part, str):
            kinds = [model.model_fields[part].annotation for model in found if part in model.model_fields]
            found = [model for kind in kinds for model in models_in(kind)]
    return [key for model in found for key in model.model_fields]


def models_in(kind: Any) -> list[type[BaseModel]]:
    """Return the parts that a type is made of: ``tuple[Part, ...] | None`` → ``[Part]``."""
    if hasattr(kind, "model_fields"):
        return [kind]
    return [model for inner in get_args(kind) for model in models_in(inner)]


def find_line(text: str, path: tuple[int | str, ...]) -> int | None:
    r"""Return the line of a TOML text, from 1, at which the key on this path stands, or the nearest key above it.

    Examples
    --------
    >>> find_line("[response]\nterm = 1", ("response", "term"))
    2
    """
    lines = text.splitlines()
    found, start, header = None, 0, ""
    for place, part in enumerate(path):
        if isinstance(part, int):
            opened = [n for n, line in enumerate(lines) if line.strip().startswith(f"[[{header}]]")]
            line = lines[start].partition("#")[0] if lines else ""
            closed = "{" not in line and line.count("[") == line.count("]")  # a list of numbers
            inline = [n for n in range(start, len(lines)) if not closed and "{" in lines[n].partition("#")[0]]
            rows = opened or inline
            start = rows[part] if part < len(rows) else start
        else:
            header = f"{header}.{part}".strip(".")
            matches = (
                re.compile(rf"\s*\[+{re.escape(header)}\]+"),
                re.compile(rf"(.*[{{,.])?\s*{re.escape(part)}\s*[=.]"),
            )
            hit = [n for n in range(start, len(lines)) if any(match.match(lines[n]) for match in matches)]
            if not hit:
                break
            start = hit[0]
        found = start + 1 if place or lines else None
    return found
