"""Who belongs to which group, and since when that is known."""
