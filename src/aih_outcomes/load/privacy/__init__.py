"""Identifiers: replaced at the door, and looked for."""
