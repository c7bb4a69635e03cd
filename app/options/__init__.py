"""Settings that the operator changes at runtime: typed documents in the database, with sealed secrets."""
