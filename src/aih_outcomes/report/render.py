"""One self-contained page from saved files, never from cell outputs."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from aih_outcomes.report.execute import Executed


@dataclass(frozen=True, slots=True)
class Section:
    """One notebook's part of the page."""

    name: str
    title: str
    failure: str
    items: list[dict[str, Any]]


def render_page(*, sections: list[Section], facts: dict[str, Any], folder: Path) -> str:
    """Return ``index.html``: the story first, then one section per notebook; every picture inside the page.

    Parameters
    ----------
    facts : title, heading, what is unfilled, criteria in words, counts of rows; see the template
    folder : where ``figures`` and ``tables`` lie
    """
    environment = Environment(
        loader=PackageLoader("aih_outcomes.report"),
        autoescape=select_autoescape(["html", "jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for section in sections:
        for item in section.items:
            item["content"] = _content(item, folder)
    story = [item for section in sections for item in section.items if item["story"]]
    return environment.get_template("index.html.jinja").render(sections=sections, story=story, **facts)


def _content(item: dict[str, Any], folder: Path) -> str:
    if item["kind"] == "tables":
        return (folder / "tables" / f"{item['name']}.html").read_text(encoding="utf-8")
    picture = (folder / "figures" / f"{item['name']}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(picture).decode("ascii")


def section_of(executed: Executed, items: list[dict[str, Any]]) -> Section:
    """Return the page's section of one executed notebook."""
    return Section(executed.name, executed.title or executed.name, executed.failure, items)
