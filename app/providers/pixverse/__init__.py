"""PixVerse's video API (``/openapi/v2``): pictures are uploaded first, codes come in an HTTP 200."""
