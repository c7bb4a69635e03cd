"""What was used: one row per relayed call."""
