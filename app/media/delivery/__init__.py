"""Stages that produce the link to a finished video: the operator's resolvers, our store, Google Drive."""
