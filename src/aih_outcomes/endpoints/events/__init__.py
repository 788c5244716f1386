"""Clinical events: exact ones, and those found only when someone looks."""
