"""Kling's video API (``/v1/videos/…``), with a plain API key or with an access key and its secret key."""
