"""The async flow: from an accepted request to a stored, delivered result."""
