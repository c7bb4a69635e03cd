"""Together's video API (``/v2/videos``)."""
