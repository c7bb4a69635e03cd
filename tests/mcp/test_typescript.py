"""The official client in TypeScript, over HTTP."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import leave_out
from tests.mcp.conftest import FILM, House
from tests.node_packages import has_node, install_packages
from tests.serving import KEY

NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node() -> Path:
    if not has_node():
        leave_out("Node.js and npm are not installed")
    given = os.environ.get("FILMGATE_TEST_NODE_FOLDER")
    if given:
        return Path(given)
    install_packages(NODE)
    return NODE


def test_a_film_with_progress_and_a_refusal(house: House, node: Path) -> None:
    house.upstream.script(job_seconds=3)
    done = subprocess.run(
        ["node", "agent.mjs", f"{house.gateway.url}/mcp", KEY, json.dumps(FILM)],
        cwd=node,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert {"make_video", "quote_video", "list_models", "get_video", "cancel_video"} <= set(heard["tools"])
    assert heard["progress"]
    assert (heard["film"]["status"], heard["film"]["price_usd"]) == ("completed", 0.5)
    assert heard["refused"]["isError"] and "seconds" in heard["refused"]["text"]
    assert house.upstream.counters().jobs == 1
