"""The client side: one package per dialect reads requests into `app.generation` and writes tasks in its own words."""
