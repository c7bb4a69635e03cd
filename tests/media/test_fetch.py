"""Downloads against real servers that are slow, greedy, broken or hostile."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from app.errors import InvalidRequest, PayloadTooLarge, PollFailed
from app.media.fetch import MediaFetcher
from app.media.guard import OutboundGuard
from tests.media.conftest import Serve

MEDIA = ("image/", "video/")


def answering(body: bytes, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, headers={"content-type": "image/png", **named})

    return answer


@asynccontextmanager
async def raw_server(*pieces: bytes, pause: float = 0.0, hold: bool = False) -> AsyncIterator[str]:
    """Sends exactly these bytes, whatever was asked, then hangs up (or not)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if hold:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


async def fetch(fetcher: MediaFetcher, url: str, limit: int = 1000) -> tuple[bytes, str]:
    return await fetcher.fetch_bytes(url, limit=limit, accept=MEDIA, param="image_url")


async def download(fetcher: MediaFetcher, url: str, limit: int = 10_000_000) -> bytes:
    async with fetcher.stream(url, limit=limit) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.fixture
async def hasty() -> AsyncIterator[MediaFetcher]:
    made = MediaFetcher(OutboundGuard(("127.0.0.1",)), seconds=0.3, result_seconds=0.6)
    yield made
    await made.close()


async def test_bytes_and_type(fetcher: MediaFetcher, serve: Serve) -> None:
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(body=b"abc", headers={"content-type": "Image/PNG; q=1"})

    base = await serve(answer)
    assert await fetch(fetcher, base + "/a.png?x=%20y") == (b"abc", "image/png")
    assert seen[0].headers["accept-encoding"] == "identity"
    assert seen[0].path_qs == "/a.png?x=%20y"
    assert await download(fetcher, base) == b"abc"


async def test_redirects_are_followed_three_times(fetcher: MediaFetcher, serve: Serve) -> None:
    async def answer(request: web.Request) -> web.Response:
        left = int(request.path.strip("/"))
        if left:
            return web.Response(status=302, headers={"location": f"/{left - 1}"})
        return web.Response(body=b"there", headers={"content-type": "image/png"})

    base = await serve(answer)
    assert (await fetch(fetcher, base + "/3"))[0] == b"there"
    assert await download(fetcher, base + "/3") == b"there"
    with pytest.raises(InvalidRequest, match="could not be fetched"):
        await fetch(fetcher, base + "/4")
    with pytest.raises(PollFailed):
        await download(fetcher, base + "/4")


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:1/",
        "http://[::1]/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://u:p@127.0.0.1/",
    ],
)
async def test_redirects_elsewhere_are_refused(fetcher: MediaFetcher, serve: Serve, target: str) -> None:
    base = await serve(answering_redirect(target))
    with pytest.raises(InvalidRequest) as caught:
        await fetch(fetcher, base)
    assert caught.value.param == "image_url"
    with pytest.raises(PollFailed):
        await download(fetcher, base)


def answering_redirect(target: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"location": target})

    return answer


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/closed",
        "http://10.0.0.1/refused",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "ftp://127.0.0.1/x",
        "http:///nohost",
        "http://user:secret@127.0.0.1/",
        "http://[::1",
        "http://exa mple.test/",
        "http://" + "a" * 70 + ".test/",
        "nonsense",
    ],
)
async def test_refused_unreachable_and_nonsense_read_the_same(fetcher: MediaFetcher, url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await fetch(fetcher, url)
    assert caught.value.message == "image_url: the address could not be fetched"
    assert caught.value.param == "image_url"
    with pytest.raises(PollFailed, match="could not be downloaded whole"):
        await download(fetcher, url)


async def test_too_large_by_its_own_word_or_by_count(fetcher: MediaFetcher, serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "video/mp4"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    stated = await serve(answering(b"x" * 1001))
    unstated = await serve(endless)
    for url in (stated, unstated):
        with pytest.raises(PayloadTooLarge, match="1000 bytes"):
            await fetch(fetcher, url)
        with pytest.raises(PayloadTooLarge, match="1000 bytes"):
            await download(fetcher, url, 1000)
    assert len((await fetch(fetcher, stated, 1001))[0]) == 1001


async def test_a_gzip_bomb_is_not_unpacked(fetcher: MediaFetcher, serve: Serve) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    base = await serve(answering(bomb, content_encoding="gzip"))
    with pytest.raises(InvalidRequest, match="could not be fetched"):
        await fetch(fetcher, base, 10_000_000)
    with pytest.raises(PollFailed):
        await download(fetcher, base)


@pytest.mark.parametrize("status", [204, 301, 403, 404, 410, 429, 500, 503])
async def test_other_answers(fetcher: MediaFetcher, serve: Serve, status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    base = await serve(answer)
    if status == 204:
        assert await download(fetcher, base) == b""
        return
    with pytest.raises(InvalidRequest, match=str(status)):
        await fetch(fetcher, base)
    with pytest.raises(PollFailed, match=str(status)) as caught:
        await download(fetcher, base)
    assert caught.value.next_step == "retry_later"


async def test_a_page_is_no_media(fetcher: MediaFetcher, serve: Serve) -> None:
    base = await serve(answering(b"<html>", content_type="text/html; charset=utf-8"))
    with pytest.raises(InvalidRequest, match="text/html"):
        await fetch(fetcher, base)
    with pytest.raises(PollFailed, match="text/html"):
        await download(fetcher, base)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"\x16\x03\x01 nothing like HTTP\r\n\r\n",
        b"",
    ],
    ids=["length", "chunked", "head", "garbage", "empty"],
)
async def test_what_is_cut_short_is_never_taken_for_whole(fetcher: MediaFetcher, answer: bytes) -> None:
    async with raw_server(answer) as url:
        with pytest.raises(InvalidRequest, match="could not be fetched"):
            await fetch(fetcher, url)
        with pytest.raises(PollFailed, match="whole"):
            await download(fetcher, url)


async def test_a_drip_is_cut(hasty: MediaFetcher) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    async with raw_server(head, *[b"x"] * 1000, pause=0.02) as url:
        with pytest.raises(InvalidRequest, match="could not be fetched"):
            await fetch(hasty, url)
        with pytest.raises(PollFailed, match="more slowly than"):
            await download(hasty, url)
    plenty = b"x" * 5000
    async with raw_server(head.replace(b"1000", b"1000000"), *[plenty] * 200, pause=0.02) as url:
        with pytest.raises(PollFailed, match=r"within 0\.6 seconds"):
            await download(hasty, url)


async def test_a_dripped_head_is_cut(hasty: MediaFetcher) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nx: ", *[b"x"] * 1000, pause=0.02) as url:
        with pytest.raises(InvalidRequest):
            await fetch(hasty, url)
        with pytest.raises(PollFailed):
            await download(hasty, url)


async def test_silence_is_cut(hasty: MediaFetcher) -> None:
    for pieces in ((), (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",)):
        async with raw_server(*pieces, hold=True) as url:
            with pytest.raises(InvalidRequest):
                await fetch(hasty, url)
            with pytest.raises(PollFailed):
                await download(hasty, url)


async def test_leaving_early_hangs_up(fetcher: MediaFetcher, serve: Serve) -> None:
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "video/mp4"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            ended.set()

    base = await serve(endless)
    async with fetcher.stream(base, limit=10**12) as pieces:
        assert await anext(pieces)
    async with asyncio.timeout(60):
        await ended.wait()
