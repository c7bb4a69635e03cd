"""The gateway with short patience at its port, and few descriptors: ``python -m tests.security.strict_gateway serve``."""

import os
import resource

from app.cli import main, serve
from app.ops.connections import ConnectionLimits

serve.LIMITS = ConnectionLimits(
    head_seconds=2.0,
    stranger_body_seconds=3.0,
    slow_seconds=3.0,
    answered_seconds=1.0,
    stalled_seconds=3.0,
)

if __name__ == "__main__":
    files = int(os.environ.get("STRICT_FILES", "0"))
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files // 2, files))
    main()
