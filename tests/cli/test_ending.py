"""A command's process ends at once when its work is done: nothing calls into an interpreter that is torn down."""

import subprocess
import sys

import pytest

from tests.cli.running import ROOT, environment


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [(["--version"], 0, "filmgate "), (["bogus"], 2, ""), (["providers", "--json"], 0, '"studio"')],
)
def test_interpreter_is_not_torn_down(arguments: list[str], code: int, printed: str) -> None:
    done = subprocess.run(
        # -v tells each import, and what is removed when the interpreter is torn down.
        [sys.executable, "-v", "-m", "app.cli", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr[-2000:]
    assert printed in done.stdout
    assert "import 'app.cli.output'" in done.stderr
    assert "# cleanup" not in done.stderr
