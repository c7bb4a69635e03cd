"""The declarative file: accounts, routes, keys and prices that a deployment brings with it."""
