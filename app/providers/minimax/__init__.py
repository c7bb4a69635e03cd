"""MiniMax's video APIs: ``/v2`` for H3 and what follows it, ``/v1`` for Hailuo and older models."""
