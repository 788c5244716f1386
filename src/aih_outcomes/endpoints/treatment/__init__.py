"""What was given, when, how much, and in which line."""
