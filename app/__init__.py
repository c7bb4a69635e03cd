"""Filmgate: a self-hosted, OpenAI-compatible gateway for video generation."""

__version__ = "0.2.0"
USER_AGENT = f"filmgate/{__version__}"
"""What we call ourselves in every request that we send."""
