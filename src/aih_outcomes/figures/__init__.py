"""Drawing: a tidy frame and axes in, axes out; every figure at its final size, the same bytes on every run."""

from aih_outcomes.figures.alluvial import draw_alluvial
from aih_outcomes.figures.before_after import draw_before_after
from aih_outcomes.figures.canvas import figure_of, frames_of, open_figure, remember_frame, stamp_figure
from aih_outcomes.figures.case import draw_case
from aih_outcomes.figures.curves import draw_survival
from aih_outcomes.figures.export import export_figure
from aih_outcomes.figures.flow_chart import draw_flow_chart
from aih_outcomes.figures.forest import draw_forest
from aih_outcomes.figures.incidence import draw_cumulative_incidence, draw_mean_cumulative
from aih_outcomes.figures.marginal_means import draw_marginal_means
from aih_outcomes.figures.mixed_diagnostics import draw_mixed_diagnostics, draw_variogram
from aih_outcomes.figures.occupation import draw_occupation
from aih_outcomes.figures.rates import draw_rates
from aih_outcomes.figures.residuals import draw_coefficient
from aih_outcomes.figures.specification import draw_specification
from aih_outcomes.figures.timeline import draw_timeline
from aih_outcomes.figures.trajectories import draw_trajectories

__all__ = [
    "draw_alluvial",
    "draw_before_after",
    "draw_case",
    "draw_coefficient",
    "draw_cumulative_incidence",
    "draw_flow_chart",
    "draw_forest",
    "draw_marginal_means",
    "draw_mean_cumulative",
    "draw_mixed_diagnostics",
    "draw_occupation",
    "draw_rates",
    "draw_specification",
    "draw_survival",
    "draw_timeline",
    "draw_trajectories",
    "draw_variogram",
    "export_figure",
    "figure_of",
    "frames_of",
    "open_figure",
    "remember_frame",
    "stamp_figure",
]
