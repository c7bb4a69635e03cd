"""Midjourney-Proxy and its descendants: ``POST /mj/submit/imagine``, settings as ``--parameters`` in the prompt."""
