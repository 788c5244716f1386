"""Competing risks: cumulative incidence, cause-specific and subdistribution hazards."""
