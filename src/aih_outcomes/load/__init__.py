"""Read what a centre exports into a cohort."""

from aih_outcomes.load.mapping import Mapping, read_mapping
from aih_outcomes.load.tables import read_tables

__all__ = ["Mapping", "read_mapping", "read_tables"]
