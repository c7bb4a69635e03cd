"""`make bench` runs: its parts once and briefly, whatever the figures are."""

import subprocess
import sys

import pytest

from bench.processes import ROOT
from bench.run import BEGIN, END

PARTS = {
    "films": ("POST /v1/videos", "films finished", "gateway CPU a task"),
    "relay": ("relay c64", "relay c1", "SSE c64"),
    "polling": ("polling",),
    "downloads": ("10 downloads",),
    "streams": ("20 open SSE streams",),
}
"""Of the others, `lookup` and `history` measure with the same code, and `start` and `scaling` start much."""


@pytest.mark.slow
def test_bench_prints_the_rows_of_its_parts() -> None:
    command = [
        sys.executable,
        "-m",
        "bench.run",
        "--quick",
        "--store",
        "sqlite",
        "--markdown",
        "--only",
        *PARTS,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [what for part in PARTS.values() for what in part]
    assert [what for what in rows if f"| {what}" not in done.stdout] == []


def test_the_readme_has_a_place_for_the_figures() -> None:
    page = (ROOT / "README.md").read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    assert page.index(BEGIN) < page.index(END)
