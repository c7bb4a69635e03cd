"""The synchronous half: calls that pass through to an account's upstream as they are."""
