"""Vidu's video API (``/ent/v2``)."""
