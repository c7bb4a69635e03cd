"""A call that is sent twice buys one film: at once, after the gateway was killed, and at another process."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.mcp.conftest import FILM, House, facts
from tests.serving import until

ACCEPT = {"accept": "application/json, text/event-stream"}
OPENING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture
def processes() -> int:
    return 2


class RawAgent:
    """Sends the same bytes as often as a test wants, as a host does that repeats a request."""

    def __init__(self, house: House) -> None:
        self._house = house
        answer = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": OPENING})
        self.session = answer.headers["mcp-session-id"]

    def post(self, message: dict[str, Any], **headers: str) -> httpx2.Response:
        with self._house.gateway.client(timeout=150) as client:
            return client.post("/mcp", json=message, headers=ACCEPT | headers)

    def make(self, number: int, **arguments: Any) -> dict[str, Any]:
        params = {"name": "make_video", "arguments": FILM | {"wait_seconds": 0} | arguments}
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        answer = self.post(message, **{"mcp-session-id": self.session, "mcp-protocol-version": "2025-11-25"})
        assert answer.status_code == 200, answer.text
        [data] = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        found: dict[str, Any] = json.loads(data.removeprefix("data: "))["result"]["structuredContent"]
        return found


def test_the_same_call_twice_buys_once(house: House) -> None:
    house.upstream.script(statuses=["in_progress"])
    agent = RawAgent(house)
    with ThreadPoolExecutor(6) as pool:
        ids = {film["id"] for film in pool.map(agent.make, [7] * 6)}
    assert len(ids) == 1
    second, stranger = agent.make(8), RawAgent(house).make(7)
    assert len(ids | {second["id"], stranger["id"]}) == 3
    until(lambda: house.upstream.counters().jobs == 3)
    assert agent.make(7)["id"] in ids


@pytest.mark.slow
def test_a_call_that_is_repeated_after_a_kill_buys_once(house: House) -> None:
    house.upstream.script(statuses=["in_progress"])
    agent = RawAgent(house)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(agent.make, 7, wait_seconds=50)
        until(lambda: house.upstream.counters().jobs == 1)
        house.gateway.kill()
        waiting.exception()  # cut off, unless a process has answered that outlived its supervisor
    house.gateway.start()
    house.upstream.script()
    again = agent.make(7, wait_seconds=50)
    with house.gateway.client() as client:
        [only] = client.get("/v1/videos").json()["data"]
    assert again["id"] == only["id"]
    assert house.upstream.counters().jobs == 1


async def test_a_wish_is_named_where_there_is_no_session(house: House) -> None:
    house.upstream.script(statuses=["in_progress"])
    wish = FILM | {"wait_seconds": 0}
    async with house.agent() as agent:
        first = facts(await agent.call_tool("make_video", wish | {"idempotency_key": "boat 1"}))
    async with house.agent() as agent:
        again = facts(await agent.call_tool("make_video", wish | {"idempotency_key": "boat 1"}))
        other = facts(await agent.call_tool("make_video", wish | {"idempotency_key": "boat 2"}))
        unnamed = [facts(await agent.call_tool("make_video", wish)) for _ in range(2)]
    assert first["id"] == again["id"]
    assert len({first["id"], other["id"], *(film["id"] for film in unnamed)}) == 4


@pytest.mark.slow
async def test_a_stop_answers_what_waits_and_the_film_goes_on(house: House) -> None:
    house.upstream.script(statuses=["in_progress"])
    async with house.agent() as agent:
        await agent.list_tools()  # else the client asks for them after its call, to check the answer
        with ThreadPoolExecutor(1) as pool:

            def stop_once_it_is_made() -> int:
                until(lambda: house.upstream.counters().jobs == 1)
                return house.gateway.stop()

            stopping = pool.submit(stop_once_it_is_made)
            film = facts(await agent.call_tool("make_video", FILM))
            assert film["status"] in ("queued", "in_progress")
            assert stopping.result() in (0, -signal.SIGTERM)
    house.upstream.script()
    house.gateway.start()
    with house.gateway.client() as client:
        until(lambda: client.get(f"/v1/videos/{film['id']}").json()["status"] == "completed")
    assert house.upstream.counters().jobs == 1
