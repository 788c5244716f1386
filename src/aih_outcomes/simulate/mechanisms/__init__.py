"""Mechanisms of their own: one question each, with a truth in closed form wherever there is one, and many events."""
