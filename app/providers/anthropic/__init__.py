"""Anthropic's API, for text only."""
