"""Anthropic's API, for text only: what a client sends is passed on as it is."""
