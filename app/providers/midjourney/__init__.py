"""Midjourney-Proxy and its descendants: ``POST /mj/submit/imagine``, settings as ``--words`` of the prompt."""
