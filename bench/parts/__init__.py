"""The parts of the table, a file each: ``measure(stage)`` gives its rows."""
