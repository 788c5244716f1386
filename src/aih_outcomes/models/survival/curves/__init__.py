"""Survival curves: Kaplan-Meier, what is read off it, and tests of its differences."""
