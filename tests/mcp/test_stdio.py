"""`filmgate mcp`: the real command, started by the official client as a host starts it."""

import subprocess
import sys
from pathlib import Path

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.cli.running import ROOT, environment, filmgate
from tests.mcp.conftest import FILM, House, facts, refusal
from tests.serving import KEY

COMMAND = ["-m", "app.cli", "mcp"]


def command(house: House, key: str = KEY) -> StdioServerParameters:
    given = environment(FILMGATE_BASE_URL=f"{house.gateway.url}/v1", FILMGATE_API_KEY=key)
    return StdioServerParameters(command=sys.executable, args=COMMAND, env=given, cwd=str(ROOT))


async def test_a_film_over_stdin_and_stdout(house: House) -> None:
    async with Client(stdio_client(command(house))) as agent:
        film = facts(await agent.call_tool("make_video", FILM))
        while film["status"] != "completed":
            film = facts(await agent.call_tool("get_video", {"video_id": film["id"], "wait_seconds": 50}))
        assert film["price_usd"] == 0.5
    async with Client(stdio_client(command(house, house.other))) as stranger:
        assert "not_found" in refusal(await stranger.call_tool("get_video", {"video_id": film["id"]}))
    assert house.upstream.counters().jobs == 1


async def test_a_gateway_that_is_away_is_told(house: House) -> None:
    house.gateway.kill()
    async with Client(stdio_client(command(house))) as agent:
        assert "does not answer" in refusal(await agent.call_tool("list_models", {}))


def test_nothing_but_the_protocol_is_on_stdout(tmp_path: Path) -> None:
    done = filmgate("mcp", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "FILMGATE_API_KEY" in done.stderr
    junk = subprocess.run(
        [sys.executable, *COMMAND, "--api-key", "sk-x", "--base-url", "http://127.0.0.1:1/v1"],
        cwd=ROOT,
        env=environment(),
        input='{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert junk.returncode == 0, junk.stderr
    assert [line for line in junk.stdout.splitlines() if not line.startswith('{"jsonrpc":"2.0"')] == []
