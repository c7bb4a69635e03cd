"""Everything an operator configured as one JSON file, and back."""
