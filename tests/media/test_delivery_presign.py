"""Links signed by the object store itself."""

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from app.media.delivery.options import DeliveryOptions
from app.media.links import pick_link
from app.media.store import MediaStore
from app.tasks.task import file_link
from tests.media.bucket import Bucket
from tests.media.conftest import Serve
from tests.tasks.conftest import replica, settings_for, upstream
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4

__all__ = ["upstream"]


@pytest.fixture(scope="session")
def credentials() -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test-secret", AWS_REGION="us-east-1")


async def test_a_presigned_link_serves_the_bytes(serve: Serve, tmp_path: Path, credentials: None) -> None:
    bucket = Bucket()
    endpoint = await serve(bucket.answer)
    store = MediaStore.open("s3://bucket/some/prefix", folder=tmp_path, endpoint=endpoint)
    await store.put("tasks/1/video.mp4", b"film", content_type="video/mp4")
    url = await store.presign("tasks/1/video.mp4", 600)
    assert url is not None
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == ["600"]
    assert "test-secret" not in url
    async with httpx2.AsyncClient() as client:
        answer = await client.get(url)
    assert answer.content == b"film"
    assert answer.headers["content-type"] == "video/mp4"
    outside = await store.presign("tasks/1/video.mp4", 600, endpoint="https://files.example.com")
    assert outside is not None
    assert outside.startswith("https://files.example.com/bucket/some/prefix/tasks/1/video.mp4?")


async def test_a_finished_videos_link_is_the_stores_own(
    tmp_path: Path, database_url: str, upstream: FakeUpstream, *, serve: Serve, credentials: None
) -> None:
    bucket = Bucket()
    endpoint = await serve(bucket.answer)
    settings = settings_for(tmp_path, database_url, storage_url="s3://bucket/films", s3_endpoint=endpoint)
    async with replica(settings, upstream) as bench:
        await bench.account()
        await bench.work()
        await bench.components.options.write(DeliveryOptions, {"store": {"links": "presigned"}})
        task = await bench.ended(await bench.create())
        assert task.result is not None
        [link] = task.result.delivered
        url = file_link(task, task.result.files[0], base="http://ours", signer=bench.components.signer)
        assert url == link.url
        async with httpx2.AsyncClient() as client:
            assert (await client.get(url)).content == tiny_mp4()
        assert "delivery.store" in await bench.timeline(task)
    assert link.expires_at is not None
    assert pick_link([link], link.file, now=link.expires_at) is None  # ours again, which always works


async def test_a_folder_signs_nothing(store: MediaStore) -> None:
    await store.put("a/b", b"x")
    assert await store.presign("a/b", 60) is None
