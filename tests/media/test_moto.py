"""The object store against moto, another's implementation of S3: it believes signatures as little as Amazon does."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from app.errors import NotFound
from app.media.store import MediaStore

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stderr
    told = ""
    while not (found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", told)):
        line = server.stderr.readline()
        assert line, f"moto did not start: {told}"
        told += line
    httpx2.put(f"{found[1]}/bucket").raise_for_status()
    yield found[1]
    server.kill()
    server.communicate()


@pytest.fixture
def store(endpoint: str, tmp_path: Path) -> MediaStore:
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test-secret", AWS_REGION="us-east-1")
    return MediaStore.open("s3://bucket/some/prefix", folder=tmp_path, endpoint=endpoint)


async def film() -> AsyncIterator[bytes]:
    for number in range(12):
        yield bytes([number]) * MEGABYTE


async def test_a_film_is_kept_read_in_part_and_deleted(store: MediaStore) -> None:
    assert await store.put("tasks/1/video.mp4", film(), content_type="video/mp4") == 12 * MEGABYTE
    assert (await store.head("tasks/1/video.mp4")).size == 12 * MEGABYTE
    part = [piece async for piece in store.stream("tasks/1/video.mp4", MEGABYTE - 1, MEGABYTE + 2)]
    assert b"".join(part) == b"\0\1\1"
    await store.delete("tasks/1/video.mp4")
    with pytest.raises(NotFound):
        await store.head("tasks/1/video.mp4")


async def test_a_presigned_link_is_all_that_a_browser_needs(store: MediaStore) -> None:
    await store.put("tasks/2/video.mp4", film(), content_type="video/mp4")
    url = await store.presign("tasks/2/video.mp4", 600)
    assert url is not None
    async with httpx2.AsyncClient() as client:
        answer = await client.get(url, headers={"range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (206, bytes(10))
    assert answer.headers["content-type"] == "video/mp4"
