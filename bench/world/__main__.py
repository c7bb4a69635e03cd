"""``python -m bench.world``: runs seeds, and says how to replay those that fail."""

import sys

from bench.world.runner import main

if __name__ == "__main__":
    sys.exit(main())
