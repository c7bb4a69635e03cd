"""Child processes that do orders sent as lines of JSON: what may crash or swallow memory happens there."""
