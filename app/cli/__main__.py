"""`python -m app.cli` is the same as `filmgate`."""

from app.cli import main

main()
