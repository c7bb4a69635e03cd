"""Suno-style proxies: ``POST /suno/submit/MUSIC``, then ``POST /suno/fetch`` with the task's id."""
