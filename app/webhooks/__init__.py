"""Webhooks: inserted with the end of a task, signed, delivered at least once, logged."""
