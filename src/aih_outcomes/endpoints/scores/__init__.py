"""Scores: prognostic ones from laboratory results, diagnostic ones from items; each with its version and source."""
