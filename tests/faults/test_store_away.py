"""The object store answers 500, cuts uploads, is gone for a while: no video is lost, none is bought twice."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.media.bucket import Bucket
from tests.media.conftest import Serve, serve
from tests.tasks.conftest import Bench, replica, settings_for, until, upstream
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4

__all__ = ["serve", "upstream"]
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FAULTS = st.lists(st.sampled_from([500, 503, 403, "abort"]), max_size=6)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
async def on_s3(
    tmp_path: Path, database_url: str, upstream: FakeUpstream, *, serve: Serve, bucket: Bucket
) -> AsyncIterator[Bench]:
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test-secret", AWS_REGION="us-east-1")
    endpoint = await serve(bucket.answer)
    made = settings_for(tmp_path, database_url, storage_url="s3://bucket/films", s3_endpoint=endpoint)
    async with replica(made, upstream) as bench:
        await bench.account()
        await bench.work()
        yield bench


@one_store
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(faults=FAULTS)
async def test_uploads_that_fail_only_delay(on_s3: Bench, bucket: Bucket, *, faults: list[int | str]) -> None:
    jobs = on_s3.upstream.counters().jobs
    bucket.faults = list(faults)
    task = await on_s3.ended(await on_s3.create())
    assert (task.state, task.error_message) == ("completed", None)
    assert task.result is not None
    assert await on_s3.components.store.get(task.result.files[0].key) == tiny_mp4()
    assert on_s3.upstream.counters().jobs == jobs + 1


async def test_a_store_that_is_gone_for_a_while(on_s3: Bench, bucket: Bucket) -> None:
    bucket.broken = True
    task = await on_s3.create()
    await on_s3.reaches(task, "storing")

    async def tried() -> bool:
        return "delivery.copy" in await on_s3.timeline(task)

    await until(tried)
    assert (await on_s3.reaches(task, "storing")).error_code is None
    bucket.broken = False
    ended = await on_s3.ended(task)
    assert ended.state == "completed"
    assert on_s3.upstream.counters().jobs == 1
    rows = [row["detail"] for row in await on_s3.components.repository.read_timeline(task.id)]
    assert {"ok": False, "attempt": 1, "error": "The file store can't be used just now."} in rows
