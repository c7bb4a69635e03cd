"""Moving in: what another gateway holds, read from its database or its files, becomes accounts, routes, keys and prices."""
