"""The SQL store: every table on one page, and how connections are opened."""
