"""What the manuals promise, row by row, and their printed samples, against a running gateway."""
