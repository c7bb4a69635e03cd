"""The WebSocket relay: both ways, both ends closed, every refusal with its reason."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.utils import accept_key

from app.catalog.price import read_price
from tests.relay.gateway import RelayGateway, running_gateway
from tests.relay.plain_upstream import Exchange, plain_upstream, whole_answer
from tests.upstream import closed_port

Talk = Callable[[ServerConnection], Awaitable[None]]
DONE = {"type": "response.done", "response": {"usage": {"input_tokens": 10, "output_tokens": 4}}}


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def upstream(talk: Talk = echo, **options: Any) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0, **options) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def dial(gateway: RelayGateway, query: str = "model=bot", **options: Any) -> connect:
    headers = options.pop("headers", {"Authorization": f"Bearer {gateway.key}"})
    url = f"ws://127.0.0.1:{gateway.port}/v1/realtime?{query}"
    return connect(url, additional_headers=headers, proxy=None, **options)


async def ended(connection: ClientConnection) -> tuple[int, str]:
    await connection.wait_closed()
    return connection.close_code or 0, connection.close_reason or ""


async def test_messages_pass_both_ways_and_usage_is_counted(gateway: RelayGateway) -> None:
    seen: list[Request] = []

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        await connection.send('{"type": "session.created"}')
        async for message in connection:
            await connection.send(message)

    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        async with dial(gateway, "intent=transcription&model=bot") as client:
            assert json.loads(await client.recv()) == {"type": "session.created"}
            for sent in ("ü" * 70_000, b"\x00\xff", json.dumps(DONE), json.dumps(DONE)):
                await client.send(sent)
                assert await client.recv() == sent
            await client.send('{"type": "session.update", "session": {"usage": 1}}')
            await client.recv()
    [request] = seen
    assert request.path == "/v1/realtime?intent=transcription&model=vendor-bot"
    assert request.headers["Authorization"] == "Bearer sk-up-first"
    assert "Origin" not in request.headers
    [row] = await gateway.usage_rows()
    assert (row.path, row.status, row.model) == ("/v1/realtime", 101, "bot")
    assert (row.input_tokens, row.output_tokens) == (20, 8)


async def test_browsers_send_the_key_as_a_subprotocol(gateway: RelayGateway) -> None:
    offered: list[str] = []

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers["Sec-WebSocket-Protocol"])
        await echo(connection)

    async with upstream(talk, subprotocols=["openai-beta.realtime-v1"]) as origin:
        await gateway.add_account(origin)
        protocols = ["realtime", f"openai-insecure-api-key.{gateway.key}", "openai-beta.realtime-v1"]
        async with dial(gateway, headers={}, subprotocols=protocols) as client:
            assert client.subprotocol == "openai-beta.realtime-v1"
    assert gateway.key not in offered[0]


async def test_a_subprotocol_is_chosen_when_the_upstream_chooses_none(gateway: RelayGateway) -> None:
    async with upstream(select_subprotocol=lambda *_: None) as origin:
        await gateway.add_account(origin)
        async with dial(gateway, subprotocols=["realtime"]) as client:
            assert client.subprotocol == "realtime"


async def test_a_close_by_the_upstream_reaches_the_client(gateway: RelayGateway) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(4001, "session_expired")

    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        async with dial(gateway) as client:
            assert await ended(client) == (4001, "session_expired")


async def test_a_close_by_the_client_reaches_the_upstream(gateway: RelayGateway) -> None:
    heard: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def talk(connection: ServerConnection) -> None:
        await connection.wait_closed()
        heard.put_nowait((connection.close_code, connection.close_reason))

    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        async with dial(gateway) as client:
            await client.close(3000, "enough")
        async with asyncio.timeout(60):
            assert await heard.get() == (3000, "enough")
            async with dial(gateway) as client:
                client.transport.abort()
                await heard.get()
    assert [row.status for row in await gateway.usage_rows(2)] == [101, 101]


async def test_a_broken_upstream_connection(gateway: RelayGateway) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        async with dial(gateway) as client:
            await client.send("go")
            assert await ended(client) == (1011, "The upstream broke off the connection.")
    [row] = await gateway.usage_rows()
    assert row.status == 502


async def test_a_refusal_leads_to_the_next(gateway: RelayGateway) -> None:
    def full(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(429, "too many")

    async with upstream(process_request=full) as busy, upstream() as ready:
        await gateway.add_account(busy, name="busy")
        await gateway.add_account(ready, name="ready")
        await gateway.add_account(f"http://127.0.0.1:{closed_port()}", name="dead")
        for _ in range(3):
            async with dial(gateway) as client:
                await client.send("x")
                assert await client.recv() == "x"
    now = time.time()
    resting = [
        s.account.name for s in await gateway.pool.current_statuses() if s.blocked_by("vendor-bot", now)
    ]
    assert resting == ["busy"]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, 1011, "The upstream refused the connection with status 400."),
        (429, 1011, "The upstream refused the connection with status 429."),
    ],
)
async def test_the_last_refusal_is_reported(gateway: RelayGateway, status: int, code: int, said: str) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(status, "no")

    async with upstream(process_request=refuse) as origin:
        await gateway.add_account(origin)
        async with dial(gateway, subprotocols=["realtime"]) as client:
            event = json.loads(await client.recv())
            assert (event["type"], event["error"]["message"]) == ("error", said)
            assert await ended(client) == (code, said)
    [row] = await gateway.usage_rows()
    assert row.status == 502


async def test_an_upstream_without_websockets(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"{}"))

    async with plain_upstream(answer) as plain:
        await gateway.add_account(plain.origin)
        async with dial(gateway) as client:
            assert json.loads(await client.recv())["type"] == "error"
            assert (await ended(client))[0] == 1011


@pytest.mark.parametrize("shakes_hands", [False, True])
async def test_silent_upstreams_time_out(tmp_path: Path, shakes_hands: bool) -> None:
    async def serve_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        if shakes_hands:
            key = next(line for line in request.split("\r\n") if line.startswith("Sec-WebSocket-Key: "))[19:]
            head = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            writer.write(f"{head}{accept_key(key)}\r\n\r\n".encode())
        while await reader.read(1000):
            pass
        writer.close()

    silent = await asyncio.start_server(serve_nothing, "127.0.0.1", 0)
    async with silent, running_gateway(tmp_path, silence_seconds=1) as gateway:
        await gateway.add_account(f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        async with dial(gateway) as client:
            code, reason = await ended(client)
    assert code == 1011
    assert reason in ("The upstream can't be reached.", "The upstream broke off the connection.")


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("model=bot", {}, 401, "invalid_api_key"),
        ("model=bot", {"Authorization": "Bearer no"}, 401, "invalid_api_key"),
        ("", None, 400, "invalid_request"),
        ("model=nobody", None, 400, "model_not_found"),
        ("model=resting", None, 503, "no_available_account"),
    ],
)
async def test_refused_in_the_handshake(
    gateway: RelayGateway, query: str, headers: dict[str, str] | None, status: int, code: str
) -> None:
    account = await gateway.add_account("http://127.0.0.1:9", models={"resting": "x"})
    await gateway.pool.disable(account.id, reason="test")
    await gateway.add_account("http://127.0.0.1:9", name="other", models={"bot": "y"})
    with pytest.raises(InvalidStatus) as caught:
        await dial(gateway, query, **({} if headers is None else {"headers": headers}))
    assert caught.value.response.status_code == status
    assert json.loads(caught.value.response.body)["error"]["code"] == code
    assert caught.value.response.headers["x-request-id"].startswith("req_")


async def test_the_outbound_guard_checks_every_connection(gateway: RelayGateway) -> None:
    await gateway.add_account("http://169.254.169.254")
    async with dial(gateway) as client:
        assert json.loads(await client.recv())["error"]["message"] == "The upstream can't be reached."
        with pytest.raises(ConnectionClosed):
            await client.recv()


async def test_the_official_sdk(gateway: RelayGateway) -> None:
    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            if json.loads(message)["type"] == "response.create":
                await connection.send(json.dumps({"type": "response.output_text.delta", "delta": "Hi"}))
                await connection.send(json.dumps(DONE))

    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        base = f"http://127.0.0.1:{gateway.port}/v1"
        async with (
            AsyncOpenAI(api_key=gateway.key, base_url=base) as client,
            client.realtime.connect(model="bot") as session,
        ):
            await session.response.create()
            kinds = []
            async for event in session:
                kinds.append(event.type)
                if event.type == "response.done":
                    break
    assert kinds == ["response.output_text.delta", "response.done"]


async def test_a_session_ends_when_the_keys_budget_is_used_up(gateway: RelayGateway) -> None:
    await gateway.prices.set_price("bot", read_price({"per_call": "0.01", "per_million_output": 10_000}))
    _, raw = await gateway.keys.create_key({"name": "limited", "budget_total": "0.07"})
    headers = {"Authorization": f"Bearer {raw}"}
    async with upstream() as origin:
        await gateway.add_account(origin)
        async with dial(gateway, headers=headers) as client:
            for _ in range(2):
                await client.send(json.dumps(DONE))
                assert json.loads(await client.recv()) == DONE
            code, reason = await ended(client)
    assert code == 1008
    assert "$0.00 is left of the key's total budget of $0.07" in reason
    [row] = await gateway.usage_rows()
    assert row.cost == Decimal("0.09")  # the answer that spent it was passed on, and is paid for
    with pytest.raises(InvalidStatus) as refused:
        await dial(gateway, headers=headers)
    assert json.loads(refused.value.response.body)["error"]["code"] == "insufficient_quota"


async def test_a_session_keeps_its_model_however_the_name_is_written(gateway: RelayGateway) -> None:
    seen: list[str] = []

    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            seen.append(str(message))
            await connection.send(message)

    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        for query in ("model=bot&Model=dear", "model=bot&model=dear", "MODEL=bot"):
            with pytest.raises(InvalidStatus) as refused:
                await dial(gateway, query)
            assert refused.value.response.status_code == 400
        for session in ('{"model": "dear"}', '{"Model": "dear"}', '{"mod\\u0065l": "dear"}'):
            async with dial(gateway) as client:
                await client.send('{"type": "session.update", "session": {"model": "bot", "x": 1}}')
                await client.recv()
                await client.send(f'{{"type": "session.update", "session": {session}}}')
                assert (await ended(client))[0] == 1008
    assert not any("dear" in message for message in seen)


async def test_an_answer_that_the_client_does_not_wait_for_is_charged(gateway: RelayGateway) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send('{"type": "response.created", "response": {"usage": null}}')
        async for _ in connection:
            pass

    await gateway.prices.set_price("bot", read_price({"per_million_output": 10}))
    async with upstream(talk) as origin:
        await gateway.add_account(origin)
        async with dial(gateway) as client:
            await client.recv()
        [row] = await gateway.usage_rows()
    assert (row.output_tokens, row.cost) == (None, Decimal("0.04096"))
