"""Gateways that speak the unified task form, ``POST`` and ``GET /v2/{videos,images,audio}/generations``."""
