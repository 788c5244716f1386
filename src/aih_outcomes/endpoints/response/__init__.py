"""Response to first-line treatment: what makes an evaluation, by a day, at a day, and its evidence."""
