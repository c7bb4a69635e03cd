"""Where a finished video's link leads: the operator's resolvers, our store, Google Drive, each falling back."""
