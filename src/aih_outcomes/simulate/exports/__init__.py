"""The simulated cohort as files: in the canonical form, and as each source would hold it."""
