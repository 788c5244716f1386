"""Tables: a tidy frame in, a table of words out; numbers stay numbers until ``numbers.py``."""

from aih_outcomes.tables.agreement import tabulate_agreement
from aih_outcomes.tables.baseline import tabulate_baseline
from aih_outcomes.tables.comparison import tabulate_comparison
from aih_outcomes.tables.model import tabulate_model
from aih_outcomes.tables.moves import tabulate_moves
from aih_outcomes.tables.quantiles import tabulate_quantiles
from aih_outcomes.tables.rates import tabulate_rates
from aih_outcomes.tables.sentences import write_comparison
from aih_outcomes.tables.table import Table

__all__ = [
    "Table",
    "tabulate_agreement",
    "tabulate_baseline",
    "tabulate_comparison",
    "tabulate_model",
    "tabulate_moves",
    "tabulate_quantiles",
    "tabulate_rates",
    "write_comparison",
]
