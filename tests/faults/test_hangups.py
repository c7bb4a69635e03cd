"""Clients that hang up, and a server that is told to end while tasks and streams are open."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.components import Components
from app.worker import SWEEP_SECONDS
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

CHAT = {"model": "sora-2", "stream": True, "messages": [{"role": "user", "content": "a kite"}]}


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(process=True) as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, upstream: FakeUpstream) -> Iterator[GatewayProcess]:
    made = GatewayProcess(tmp_path, FILMGATE_STUDIO="off", FILMGATE_DRAIN_SECONDS="5")
    made.add_upstream(upstream.url)
    with made:
        yield made


async def slots(components: Components) -> int:
    return (await components.repository.open_counts())["slots"]


def videos(gateway: GatewayProcess) -> list[dict[str, str]]:
    with gateway.client() as client:
        found: list[dict[str, str]] = client.get("/v1/videos").json()["data"]
        return found


def is_closed(url: str) -> bool:
    """Whether nobody listens there any more, as once a drain has begun."""
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return True
    return False


def statuses(gateway: GatewayProcess) -> list[str]:
    return [video["status"] for video in videos(gateway)]


def test_hanging_up_after_the_request_makes_one_task_that_ends(
    gateway: GatewayProcess, upstream: FakeUpstream
) -> None:
    upstream.script(job_seconds=0.5)
    body = json.dumps({"model": "sora-2", "prompt": "x"}).encode()
    host, port = gateway.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/videos HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + body)
        until(lambda: upstream.counters().jobs == 1)  # and the answer is never read
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + body[:10])  # this one never says what it wants
    until(lambda: statuses(gateway) == ["completed"])
    assert upstream.counters().jobs == 1
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + body)  # gone at once: whether it is a task depends on who was faster
    gateway.stop()  # whatever it has read of that request is a task or nothing by now
    gateway.start()
    until(
        lambda: set(statuses(gateway)) == {"completed"} and upstream.counters().jobs == len(videos(gateway))
    )
    assert set(upstream.counters().submissions.values()) == {1}
    gateway.stop()
    assert gateway.prepare(slots) == 0


def test_hanging_up_a_stream_leaves_the_task_to_its_end(
    gateway: GatewayProcess, upstream: FakeUpstream
) -> None:
    upstream.script(job_seconds=1.5)
    with gateway.client() as client, client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
        next(answer.iter_lines())
    until(lambda: statuses(gateway) == ["completed"])
    assert upstream.counters().jobs == 1
    gateway.stop()
    assert gateway.prepare(slots) == 0


def test_sigterm_lets_a_stream_end_and_a_task_go_on_later(
    gateway: GatewayProcess, upstream: FakeUpstream
) -> None:
    upstream.script(job_seconds=2.0)
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
            lines = answer.iter_lines()
            next(lines)
            upstream.script(job_seconds=9.0)
            with gateway.client() as second:
                second.post("/v1/videos", json={"model": "sora-2", "prompt": "long"}).raise_for_status()
            until(lambda: upstream.counters().jobs == 2)
            assert gateway.process
            gateway.process.send_signal(signal.SIGTERM)
            told = [line for line in lines if line]
        assert told[-1] == "data: [DONE]"
        assert '"finish_reason"' in "".join(told) or '"error"' in "".join(told)
    assert gateway.stop() == 0
    gateway.start()
    until(lambda: statuses(gateway) == ["completed", "completed"])
    counters = upstream.counters()
    assert (counters.jobs, set(counters.submissions.values())) == (2, {1})


def test_sigterm_ends_a_stream_that_outlasts_the_drain(
    gateway: GatewayProcess, upstream: FakeUpstream
) -> None:
    upstream.script(job_seconds=600)
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert gateway.process
            gateway.process.send_signal(signal.SIGTERM)
            try:
                told = [line for line in lines if line]
            except httpx2.TransportError:
                told = []
        errors = [json.loads(line[6:]) for line in told if line.startswith('data: {"error"')]
        assert all("message" in one["error"] for one in errors)
    assert gateway.stop() == 0
    gateway.start()
    assert statuses(gateway)[0] in {"queued", "in_progress"}
    until(lambda: set(upstream.counters().submissions.values()) == {1})


def test_nothing_is_bought_after_sigterm_however_long_the_drain_lasts(
    tmp_path: Path, upstream: FakeUpstream, request: pytest.FixtureRequest
) -> None:
    """A relayed call holds the drain, a slot becomes free, a task waits for it; then the process is killed."""
    gateway = GatewayProcess(tmp_path, FILMGATE_STUDIO="off", FILMGATE_DRAIN_SECONDS="300")
    request.addfinalizer(gateway.kill)
    gateway.add_upstream(upstream.url, slots=1)
    gateway.start()
    upstream.script(statuses=["in_progress"], chat_words=["word "] * 3000, chat_delay=0.1)
    film = {"model": "sora-2", "prompt": "a kite"}
    with gateway.client() as client:
        client.post("/v1/videos", json=film).raise_for_status()
        until(lambda: upstream.counters().jobs == 1)
        client.post("/v1/videos", json=film | {"prompt": "another"}).raise_for_status()
        chat = {"model": "gpt-4o", "stream": True, "messages": CHAT["messages"]}
        with client.stream("POST", "/v1/chat/completions", json=chat) as answer:
            next(lines := answer.iter_lines())
            assert gateway.process
            gateway.process.send_signal(signal.SIGTERM)
            until(lambda: is_closed(gateway.url))
            upstream.script()
            upstream.fault("create", do="hang", accepts=True, times=None)
            until(lambda: gateway.prepare(slots) == 0)  # the first film is done, in the middle of the drain
            time.sleep(3 * SWEEP_SECONDS)
            next(lines)
            gateway.kill()
    upstream.script(job_seconds=0.2)
    assert upstream.counters().jobs == 1
    gateway.start()
    until(lambda: statuses(gateway) == ["completed", "completed"])
    assert set(upstream.counters().submissions.values()) == {1}
