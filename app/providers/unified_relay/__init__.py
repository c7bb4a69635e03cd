"""Gateways with the unified task API, ``POST`` and ``GET /v2/{videos,images,audio}/generations``."""
