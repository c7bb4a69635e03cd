"""The SQL store: its tables, its connections and its migrations."""
