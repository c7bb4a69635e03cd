"""Backup and restore of the operator's configuration as one JSON file."""
