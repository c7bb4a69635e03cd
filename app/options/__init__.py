"""What the operator changes while the gateway runs: typed documents in the store, their secrets sealed."""
