"""Runway's developer API: its own models and those it hosts, videos and images, all as tasks."""
