"""Hepatology: response criteria, treatment, events, groups. A cohort and a definition in, an outcome or a table out."""
