"""Signed callbacks out: written down with the task's end, delivered at least once, logged."""
