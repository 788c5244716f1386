"""REDCap: exports of any project, and of the project that the schema describes."""

from aih_outcomes.load.redcap.blank import write_redcap_template
from aih_outcomes.load.redcap.project import RedcapProject, read_project
from aih_outcomes.load.redcap.read import read_redcap

__all__ = ["RedcapProject", "read_project", "read_redcap", "write_redcap_template"]
