"""The studio: renders real clips on this machine, so that everything works before an account exists."""
