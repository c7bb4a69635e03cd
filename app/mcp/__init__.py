"""Tools for agents (Model Context Protocol): films and pictures through our own API, with the caller's key.

Each tool is a few calls of `app/client`, over HTTP from the command line and in process within a gateway, so that what a
key may do, what it costs and what is refused is decided in one place. Needs the extra ``filmgate[mcp]``.
"""
