"""Gemini Omni's videos through the Interactions API, and Gemini's text through its OpenAI-compatible address."""
