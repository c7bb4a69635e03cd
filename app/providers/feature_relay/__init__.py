"""Gateways with an endpoint per feature (``/v1/videos/generate`` and its siblings), in their asynchronous mode."""
