"""Downloads as clients see them, over a real server: ranges, caches, odd names, hang-ups."""

import asyncio
import os
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import RangeNotSatisfiable
from app.media.serve import content_disposition, file_response
from app.media.store import MediaStore

CONTENT = bytes(range(256)) * 4
NAME = 'Fünf "Katzen"\r\nset-cookie: x=1/../视频.mp4'


@pytest.fixture
async def base(store: MediaStore) -> AsyncIterator[str]:
    await store.put("tasks/1/video.mp4", CONTENT)
    await store.put("tasks/1/empty.mp4", b"")

    async def download(request: Request) -> Response:
        stored = await store.head("tasks/1/" + request.path_params["name"])
        return file_response(
            store,
            stored,
            request_headers=request.headers,
            method=request.method,
            content_type="video/mp4",
            file_name=NAME,
        )

    async def outside(request: Request, error: Exception) -> Response:
        assert isinstance(error, RangeNotSatisfiable)
        return JSONResponse({}, status_code=error.status, headers={"content-range": f"bytes */{error.size}"})

    app = Starlette(routes=[Route("/{name}", download)], exception_handlers={RangeNotSatisfiable: outside})
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
async def client(base: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=base, trust_env=False) as made:
        yield made


async def test_whole(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/video.mp4")
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private"
    assert "set-cookie" not in answer.headers
    assert (await client.get("/empty.mp4")).content == b""


async def test_head_says_the_same_without_a_body(client: httpx2.AsyncClient) -> None:
    whole = await client.get("/video.mp4")
    head = await client.head("/video.mp4", headers={"range": "bytes=0-9"})
    assert (head.status_code, head.content) == (200, b"")
    volatile = {"date", "server"}
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in whole.headers.items() if k not in volatile
    }


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 1024),
        ("bytes=1-9", 1, 10),
        ("Bytes = 1000 -", 1000, 1024),
        ("bytes=1000-99999", 1000, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-99999", 0, 1024),
    ],
)
async def test_ranges(client: httpx2.AsyncClient, asked: str, start: int, end: int) -> None:
    answer = await client.get("/video.mp4", headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=-", "bytes=9-1", "items=0-1", "bytes=a-b", "bytes", "bytes=١-٢", "9" * 500],
)
async def test_what_is_no_single_range_gets_the_whole(client: httpx2.AsyncClient, asked: str) -> None:
    answer = await client.get("/video.mp4", headers={"range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=99999-100000", "bytes=-0"])
async def test_ranges_outside(client: httpx2.AsyncClient, asked: str) -> None:
    answer = await client.get("/video.mp4", headers={"range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */1024"
    empty = await client.get("/empty.mp4", headers={"range": "bytes=0-"})
    assert empty.status_code == 416


async def test_if_range(client: httpx2.AsyncClient) -> None:
    first = (await client.head("/video.mp4")).headers
    same = [first["etag"], first["last-modified"]]
    other = ['"other"', "W/" + first["etag"], "Wed, 21 Oct 2015 07:28:00 GMT", "nonsense", '"']
    assert parsedate_to_datetime(first["last-modified"]) is not None
    for value in same:
        answer = await client.get("/video.mp4", headers={"range": "bytes=0-0", "if-range": value})
        assert answer.status_code == 206, value
    for value in other:
        answer = await client.get("/video.mp4", headers={"range": "bytes=0-0", "if-range": value})
        assert answer.status_code == 200, value


async def test_if_none_match(client: httpx2.AsyncClient) -> None:
    etag = (await client.head("/video.mp4")).headers["etag"]
    for value in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/video.mp4", headers={"if-none-match": value})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
    answer = await client.get("/video.mp4", headers={"if-none-match": '"x"'})
    assert answer.status_code == 200


def test_any_name_becomes_one_token() -> None:
    for name in (NAME, 'a";b', "\0\x7f\r\n", "../../etc/passwd", "\ud800", "文件 名.mp4", ""):
        value = content_disposition(name)
        assert value.startswith("inline; filename*=UTF-8''")
        assert value.isascii()
        assert not set(value[len("inline; filename*=UTF-8''") :]) & set('"\\/;\r\n\0 ')


def readers_of(path: Path) -> int:
    count = 0
    for entry in os.scandir("/proc/self/fd"):
        try:
            count += Path(entry.path).readlink() == path
        except OSError:
            continue
    return count


async def test_a_client_that_hangs_up_leaves_no_open_file(base: str, store: MediaStore) -> None:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 1024 * 1024

    await store.put("tasks/1/large.mp4", large())
    path = store.local_path("tasks/1/large.mp4")
    assert path is not None
    host, port = base.removeprefix("http://").split(":")
    writers = []
    for _ in range(5):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /large.mp4 HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readexactly(100)
        writers.append(writer)
    assert readers_of(path) == 5
    for writer in writers:
        writer.close()
    async with asyncio.timeout(60):
        while readers_of(path):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
