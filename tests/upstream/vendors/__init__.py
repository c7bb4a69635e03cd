"""One small simulator per vendor: its real routes, states and errors on a loopback port."""
