"""Lints and formats admin_static: ``python -m tests.panel.style`` checks, with ``--fix`` it writes (needs Node.js and npm)."""

import os
import subprocess
import sys
from pathlib import Path

from tests.node_packages import has_node, install_packages

ROOT = Path(__file__).parent.parent.parent
PACKAGES = Path(__file__).parent / "node"
SOURCES = [
    "admin_static/**/*.{js,css,html}",
    "!admin_static/vendor/**",
    "tests/panel/node/*.js",
    "clients/node/*.{js,ts}",
]


def main() -> int:
    """The exit code: 0 when everything is in style, or when Node.js is missing and not required."""
    if not has_node():
        print("admin_static is not checked: Node.js and npm are not installed")
        return 1 if os.environ.get("FILMGATE_TEST_REQUIRE_ALL") == "1" else 0
    install_packages(PACKAGES)
    fix = "--fix" in sys.argv[1:]
    lint = ["eslint", "--config", "tests/panel/node/eslint.config.js", "--max-warnings", "0", "admin_static"]
    layout = ["prettier", "--config", "tests/panel/node/prettier.json", "--log-level", "warn", *SOURCES]
    results = [
        run_tool(*lint, *(["--fix"] if fix else [])),
        run_tool(*layout, "--write" if fix else "--check"),
    ]
    return max(results)


def run_tool(name: str, *arguments: str) -> int:
    return subprocess.run([PACKAGES / "node_modules" / ".bin" / name, *arguments], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
