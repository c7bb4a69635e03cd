"""Measures this service against a bare pass-through: ``python -m bench.run``, or ``make bench``."""
