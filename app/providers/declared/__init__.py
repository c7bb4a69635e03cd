"""Upstreams that a TOML file declares: what is sent, and where the answers hold what."""
