"""xAI's Grok Imagine (``api.x.ai/v1``): videos, edits, extensions, images, and relayed text."""
