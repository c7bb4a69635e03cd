"""xAI's Grok Imagine (``api.x.ai/v1``): videos, their edits and extensions, pictures, and relayed text."""
