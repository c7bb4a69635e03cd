"""Replicate (``api.replicate.com``): predictions of any model, by name, by version or by deployment."""
