"""Labels of films that were made by a machine: in their metadata, to be seen, and signed."""
