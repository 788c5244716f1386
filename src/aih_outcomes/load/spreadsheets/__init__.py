"""Workbooks, CSV files of any kind, SPSS and Stata, in canonical form or through a mapping."""
