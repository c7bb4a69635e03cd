"""Uploads to Google Drive: whole, once, and on from where they broke off."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from app.errors import DeliveryFailed, DeliveryRefused, FilmgateError
from app.media.delivery.drive import DriveUpload, DriveUploads
from app.media.delivery.options import DriveOptions
from app.media.guard import OutboundGuard
from app.media.store import MediaStore
from tests.media.conftest import Serve
from tests.media.drive_server import UNIT, DriveServer

CONTENT = secrets.token_bytes(5 * UNIT + 1000)
CHUNK = 2 * UNIT


@pytest.fixture
async def server(serve: Serve) -> DriveServer:
    made = DriveServer()
    made.url = await serve(made.answer)
    return made


@asynccontextmanager
async def uploads(server: DriveServer, **options: Any) -> AsyncIterator[DriveUploads]:
    guard = OutboundGuard(("127.0.0.1",))
    drive = DriveOptions.model_validate(server.options(**options))
    async with (
        guard.upstream_transport() as transport,
        httpx2.AsyncClient(transport=guard.http_transport(ports=None), trust_env=False) as client,
    ):
        yield DriveUploads(drive, transport, client, chunk_bytes=CHUNK)


@pytest.fixture
async def upload(store: MediaStore) -> DriveUpload:
    await store.put("tasks/1/video.mp4", CONTENT)

    def read(start: int, end: int) -> AsyncIterator[bytes]:
        return store.stream("tasks/1/video.mp4", start, end)

    return DriveUpload("1-video.mp4", "video/mp4", len(CONTENT), "1/video.mp4", read)


async def test_whole_and_shared(server: DriveServer, upload: DriveUpload) -> None:
    async with uploads(server, impersonate="films@example.com") as drive:
        link = await drive.upload_and_share(upload)
    (stored,) = server.files.values()
    assert stored.content == CONTENT
    assert stored.shared
    assert stored.meta["parents"] == ["folder-1"]
    assert stored.meta["mimeType"] == "video/mp4"
    assert server.claims[0]["sub"] == "films@example.com"
    assert server.steps == ["token", "find", "begin", "put", "put", "put", "share", "look"]
    assert link == f"{server.url}/view/file-1/view"


async def test_kept_to_itself_and_for_download(server: DriveServer, upload: DriveUpload) -> None:
    async with uploads(server, share="none", link="download") as drive:
        assert (await drive.upload_and_share(upload)).endswith("/download")
    assert "share" not in server.steps


@pytest.mark.parametrize(
    "faults",
    [
        {"put": ["break"]},
        {"put": ["silent"]},
        {"put": [503, 429]},
        {"put": ["break"], "where": [500]},
        {"put": ["gone"]},
        {"put": ["break"], "where": ["gone"]},
        {"put": ["stuck"]},
        {"begin": [500]},
        {"share": [429]},
        {"find": [401]},
        {"token": [503]},
        {"look": [500]},
    ],
    ids=str,
)
async def test_goes_on_after_a_break(
    server: DriveServer, upload: DriveUpload, faults: dict[str, Any]
) -> None:
    server.faults = faults
    async with uploads(server) as drive:
        await drive.upload_and_share(upload)
    (stored,) = server.files.values()
    assert stored.content == CONTENT
    assert stored.shared
    assert all(not left for left in server.faults.values())


async def test_a_last_answer_that_is_lost_uploads_nothing_twice(
    server: DriveServer, upload: DriveUpload
) -> None:
    server.faults = {"put": ["gone", "silent", "silent", "silent"]}
    async with uploads(server) as drive:
        await drive.upload_and_share(upload)
    assert len(server.files) == 1


async def test_a_later_run_finds_what_an_earlier_one_uploaded(
    server: DriveServer, upload: DriveUpload
) -> None:
    server.always = {"share": 500}
    async with uploads(server, tries=1) as drive:
        with pytest.raises(DeliveryFailed):
            await drive.upload_and_share(upload)
    server.always = {}
    async with uploads(server) as drive:
        await drive.upload_and_share(upload)
    (stored,) = server.files.values()
    assert stored.shared
    assert server.steps.count("begin") == 1


@pytest.mark.parametrize(
    ("step", "fault", "error"),
    [
        ("token", 400, DeliveryRefused),
        ("find", 403, DeliveryRefused),
        ("begin", 404, DeliveryRefused),
        ("put", 400, DeliveryRefused),
        ("put", "break", DeliveryFailed),
        ("put", "stuck", DeliveryFailed),
        ("put", 500, DeliveryFailed),
        ("share", 403, DeliveryRefused),
    ],
)
async def test_gives_up(
    server: DriveServer, upload: DriveUpload, step: str, *, fault: Any, error: type[FilmgateError]
) -> None:
    server.always = {step: fault}
    async with uploads(server, tries=2) as drive:
        with pytest.raises(error) as caught:
            await drive.upload_and_share(upload)
    assert "ya29" not in caught.value.message
    assert fault == "break" or server.steps.count(step) <= 2  # a break may still have moved it on
    if isinstance(fault, int) and fault in (403, 404):
        assert "The simulator says no." in caught.value.message


async def test_a_private_address_is_not_dialled(server: DriveServer, upload: DriveUpload) -> None:
    guard = OutboundGuard()
    drive = DriveOptions.model_validate(server.options(tries=1))
    async with (
        guard.upstream_transport() as transport,
        httpx2.AsyncClient(transport=guard.http_transport(ports=None), trust_env=False) as client,
    ):
        made = DriveUploads(drive, transport, client)
        with pytest.raises(DeliveryFailed):
            await made.upload_and_share(upload)
    assert server.steps == []
