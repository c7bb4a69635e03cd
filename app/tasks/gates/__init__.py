"""What judges a request before any money is reserved for it: a word list, an account's moderation, the operator's webhook."""
