"""The only room that sees both sides of waist 2: a plan, its data, and what leaves the study."""

from aih_outcomes.study.plan import StudyPlan, read_plan
from aih_outcomes.study.specification import compare_designs, describe_flow
from aih_outcomes.study.study import Study, open_study, use

__all__ = ["Study", "StudyPlan", "compare_designs", "describe_flow", "open_study", "read_plan", "use"]
