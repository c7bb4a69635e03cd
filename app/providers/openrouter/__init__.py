"""OpenRouter (``openrouter.ai/api/v1``): videos of many vendors behind one API, and relayed text."""
