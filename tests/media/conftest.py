"""A real web server on this machine, and a fetcher that may reach it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from app.media.fetch import MediaFetcher
from app.media.guard import OutboundGuard
from app.media.store import MediaStore
from tests.media.clips import make_clip

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Answer], Awaitable[str]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """``base = await serve(answer)``: every request goes to ``answer``."""
    async with AsyncExitStack() as stack:

        async def start(answer: Answer) -> str:
            return await stack.enter_async_context(serving(answer))

        yield start


@pytest.fixture
async def fetcher() -> AsyncIterator[MediaFetcher]:
    made = MediaFetcher(OutboundGuard(("127.0.0.1",)), seconds=5)
    yield made
    await made.close()


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore.open("", folder=tmp_path / "files")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 320x180, with sound."""
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", audio_seconds=2.0)


@pytest.fixture(scope="session")
def clip_bytes(clip: Path) -> bytes:
    return clip.read_bytes()
