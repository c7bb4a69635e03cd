"""PixVerse's video API (``/openapi/v2``): images are uploaded first, errors are HTTP 200 with a code."""
