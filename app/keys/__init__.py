"""Our clients' keys."""
