"""Read what a centre exports into a cohort; ``sources`` knows the reader of each format."""

from aih_outcomes.load.mapping import Mapping, read_mapping
from aih_outcomes.load.spreadsheets.tables import read_tables

__all__ = ["Mapping", "read_mapping", "read_tables"]
