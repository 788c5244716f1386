"""Execute notebooks, collect what they saved, and write one page that tells the story: the same bytes every time."""

from aih_outcomes.report.build import Report, build_report

__all__ = ["Report", "build_report"]
