"""Terms of any regression: from a formula, or a list of names, to the columns of a design matrix."""
