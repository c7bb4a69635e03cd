"""Child processes that run orders sent as lines of JSON, for work that may crash or need much memory."""
