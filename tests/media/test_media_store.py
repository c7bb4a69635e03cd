"""One behaviour, two places: a folder, and an object store spoken to over HTTP."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from app.errors import NotFound, PollFailed, ServiceUnavailable
from app.media.store import PIECE_BYTES, MediaStore, delete_task_files, task_folders
from tests.media.bucket import Bucket
from tests.media.conftest import Serve

MEGABYTE = 1024 * 1024
TASK = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture(scope="session")
def credentials() -> None:
    # The object store reads its credentials from the environment, as everywhere.
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test-secret", AWS_REGION="us-east-1")


@pytest.fixture(params=["folder", "s3"])
async def either(
    request: pytest.FixtureRequest, tmp_path: Path, serve: Serve, bucket: Bucket, credentials: None
) -> MediaStore:
    if request.param == "folder":
        return MediaStore.open("", folder=tmp_path / "files")
    endpoint = await serve(bucket.answer)
    return MediaStore.open("s3://bucket/some/prefix", folder=tmp_path, endpoint=endpoint)


async def pieces(count: int, *, size: int = MEGABYTE, fail: bool = False) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * size
    if fail:
        raise PollFailed("cut")


async def collect(store: MediaStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    async with aclosing(store.stream(key, start, end)) as source:
        return b"".join([piece async for piece in source])


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_put_and_read_back(either: MediaStore) -> None:
    assert await either.put("inputs/1/0.png", b"abc") == 3
    assert await either.get("inputs/1/0.png") == b"abc"
    assert await either.put("inputs/1/0.png", b"replaced") == 8
    assert await either.get("inputs/1/0.png") == b"replaced"
    assert await either.put("inputs/1/empty", b"") == 0
    assert await either.get("inputs/1/empty") == b""
    assert await collect(either, "inputs/1/empty") == b""


async def test_a_put_removes_what_killed_ones_have_left(tmp_path: Path) -> None:
    store = MediaStore.open("", folder=tmp_path)
    (tmp_path / "tasks").mkdir()
    for number in range(3):
        (tmp_path / "tasks" / f"video.mp4#{number}").write_bytes(b"half a film")
    await store.put("tasks/video.mp4", pieces(12))
    assert [path.name for path in files_in(tmp_path)] == ["video.mp4"]


async def test_streams_both_ways(either: MediaStore) -> None:
    assert await either.put("tasks/1/video.mp4", pieces(12)) == 12 * MEGABYTE
    whole = b"".join([piece async for piece in pieces(12)])
    assert await collect(either, "tasks/1/video.mp4") == whole
    assert await collect(either, "tasks/1/video.mp4", 5 * MEGABYTE - 1, 5 * MEGABYTE + 2) == b"\4\5\5"
    assert await collect(either, "tasks/1/video.mp4", 12 * MEGABYTE - 1) == b"\x0b"
    found = await either.head("tasks/1/video.mp4")
    assert (found.key, found.size) == ("tasks/1/video.mp4", 12 * MEGABYTE)
    assert found.etag.startswith('"')
    assert found.etag.endswith('"')
    assert found.modified.tzinfo is not None


async def test_a_changed_file_has_another_etag(either: MediaStore) -> None:
    await either.put("a/b", b"one")
    before = await either.head("a/b")
    await either.put("a/b", b"two!")
    assert (await either.head("a/b")).etag != before.etag


async def test_a_source_that_fails_leaves_nothing(either: MediaStore, bucket: Bucket, tmp_path: Path) -> None:
    await either.put("tasks/1/kept", b"before")
    for key in ("tasks/1/kept", "tasks/1/new"):
        with pytest.raises(PollFailed, match="cut"):
            await either.put(key, pieces(12, fail=True))
    assert await either.get("tasks/1/kept") == b"before"
    with pytest.raises(NotFound):
        await either.head("tasks/1/new")
    assert bucket.uploads == {}
    assert len(files_in(tmp_path)) == (0 if bucket.objects else 1)


@pytest.mark.parametrize("same_disk", [True, False])
async def test_a_local_file_is_moved_or_copied(
    either: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_disk: bool
) -> None:
    def refuse(source: Path, target: Path) -> Path:
        if source.name == "made":
            raise OSError(errno.EXDEV, "other disk")
        return renamed(source, target)

    renamed = Path.rename
    if not same_disk:
        monkeypatch.setattr(Path, "rename", refuse)
    made = tmp_path / "made"
    for content in (b"before", b"x" * 3_000_000):
        made.write_bytes(content)
        assert await either.put_file("tasks/1/film", made, content_type="video/mp4") == len(content)
        assert await either.get("tasks/1/film") == content
    assert not [path for path in files_in(tmp_path) if "#" in path.name]
    with pytest.raises(ServiceUnavailable):
        await either.put_file("tasks/1/film", tmp_path / "missing")
    assert await either.get("tasks/1/film") == content


async def test_a_cancelled_put_leaves_nothing(store: MediaStore, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * MEGABYTE
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(store.put("tasks/1/video.mp4", stuck()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(NotFound):
        await store.head("tasks/1/video.mp4")
    await store.delete("tasks/1")
    assert files_in(tmp_path) == []


async def test_missing_files(either: MediaStore) -> None:
    await either.put("tasks/1/video.mp4", b"x")
    for key in ("tasks/2/video.mp4", "tasks/1", "nothing"):
        with pytest.raises(NotFound):
            await either.head(key)
        with pytest.raises(NotFound):
            await either.get(key)
        with pytest.raises(NotFound):
            await collect(either, key)
    await either.delete("nothing/at/all")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "a/../b",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "a\0",
        "a b",
        "é",
        "a%2e%2e/b",
        ".hidden",
        "a\n",
        "x" * 600,
    ],
)
async def test_odd_keys_are_never_found(store: MediaStore, key: str) -> None:
    with pytest.raises(NotFound):
        await store.put(key, b"x")
    with pytest.raises(NotFound):
        await store.head(key)
    with pytest.raises(NotFound):
        await store.get(key)
    with pytest.raises(NotFound):
        await collect(store, key)
    with pytest.raises(NotFound):
        await store.delete(key)
    with pytest.raises(NotFound):
        store.local_path(key)


async def test_deleting_a_task_takes_all_of_it_and_no_other(either: MediaStore) -> None:
    other = "f" * 32
    keys = [f"tasks/{TASK}/video.mp4", f"tasks/{TASK}/deep/er.webp", f"inputs/{TASK}/0.png"]
    beside = [f"tasks/{other}/video.mp4", f"tasks/{TASK}0/video.mp4", f"inputs/{other}/0.png"]
    for key in keys + beside:
        await either.put(key, b"x")
    await delete_task_files(either, TASK)
    await delete_task_files(either, TASK)
    for key in keys:
        with pytest.raises(NotFound):
            await either.head(key)
    for key in beside:
        assert (await either.head(key)).size == 1
    for wrong in ("", "..", TASK.upper(), TASK + "/x"):
        with pytest.raises(ValueError, match="task id"):
            task_folders(wrong)


async def test_deleting_one_file(either: MediaStore) -> None:
    await either.put("a/one", b"x")
    await either.put("a/one.more", b"x")
    await either.delete("a/one")
    with pytest.raises(NotFound):
        await either.head("a/one")
    assert await either.get("a/one.more") == b"x"


async def test_remains_of_a_crash_go_with_the_task(store: MediaStore, tmp_path: Path) -> None:
    await store.put(f"tasks/{TASK}/video.mp4", b"x")
    (tmp_path / "files/tasks" / TASK / "thumbnail.webp#1").write_bytes(b"half")
    await delete_task_files(store, TASK)
    assert files_in(tmp_path) == []
    assert not (tmp_path / "files/tasks" / TASK).exists()


async def test_local_path(store: MediaStore, tmp_path: Path, serve: Serve, credentials: None) -> None:
    await store.put("a/b", b"x")
    path = store.local_path("a/b")
    assert path is not None
    assert path.read_bytes() == b"x"
    assert MediaStore.open("s3://bucket", folder=tmp_path).local_path("a/b") is None


async def test_check_leaves_no_trace(either: MediaStore, bucket: Bucket, tmp_path: Path) -> None:
    await either.check()
    assert bucket.objects == {}
    assert files_in(tmp_path) == []


async def test_a_folder_that_went_read_only_is_said_so(store: MediaStore, tmp_path: Path) -> None:
    (tmp_path / "files" / "probe").write_bytes(b"a file where a folder should be")
    with pytest.raises(ServiceUnavailable):
        await store.check()


async def test_an_object_store_that_is_away(
    tmp_path: Path, serve: Serve, bucket: Bucket, credentials: None
) -> None:
    endpoint = await serve(bucket.answer)
    away = MediaStore.open("s3://bucket", folder=tmp_path, endpoint=endpoint)
    await away.put("a/b", b"x")
    bucket.broken = True
    with pytest.raises(ServiceUnavailable):
        await away.get("a/b")
    with pytest.raises(ServiceUnavailable):
        await away.put("a/c", b"x")
    with pytest.raises(ServiceUnavailable):
        await away.check()


async def test_an_object_store_that_falls_silent_is_given_up(
    tmp_path: Path, serve: Serve, bucket: Bucket, credentials: None
) -> None:
    endpoint = await serve(bucket.answer)
    store = MediaStore.open("s3://bucket", folder=tmp_path, endpoint=endpoint, stall_seconds=0.2)
    bucket.faults = ["silent"] * 10
    with pytest.raises(ServiceUnavailable):
        await store.put("a/b", b"x")
    bucket.leaving.set()
    assert bucket.objects == {}


@pytest.mark.parametrize("fault", [500, "abort"])
async def test_an_upload_that_is_cut_goes_on(
    tmp_path: Path, serve: Serve, bucket: Bucket, *, credentials: None, fault: int | str
) -> None:
    endpoint = await serve(bucket.answer)
    store = MediaStore.open("s3://bucket", folder=tmp_path, endpoint=endpoint)
    whole = b"".join([piece async for piece in pieces(12)])
    bucket.faults = [fault, fault]
    assert await store.put("a/b", pieces(12)) == len(whole)
    assert await store.get("a/b") == whole


async def test_an_upload_that_breaks_off_leaves_nothing_to_be_found(
    tmp_path: Path, serve: Serve, bucket: Bucket, credentials: None
) -> None:
    endpoint = await serve(bucket.answer)
    store = MediaStore.open("s3://bucket", folder=tmp_path, endpoint=endpoint)

    async def gone_in_the_middle() -> AsyncIterator[bytes]:
        async for piece in pieces(12):
            yield piece
            bucket.broken = len(bucket.uploads) > 0

    with pytest.raises(ServiceUnavailable):
        await store.put("a/b", gone_in_the_middle())
    bucket.broken = False
    with pytest.raises(NotFound):
        await store.head("a/b")


async def test_a_slow_reader_is_no_stalled_store(
    tmp_path: Path, serve: Serve, bucket: Bucket, credentials: None
) -> None:
    endpoint = await serve(bucket.answer)
    stall_seconds = 3.0  # long enough for the bucket on a busy machine, which answers on this very loop
    store = MediaStore.open("s3://bucket", folder=tmp_path, endpoint=endpoint, stall_seconds=stall_seconds)
    bucket.objects["a/b"] = bytes(20 * MEGABYTE)
    read = 0
    async with aclosing(store.stream("a/b")) as source:
        async for piece in source:
            if read == 0:
                await asyncio.sleep(stall_seconds * 1.3)
            read += len(piece)
    assert read == 20 * MEGABYTE
    assert [line for line in bucket.seen if line.startswith("GET")] == ["GET /bucket/a/b"]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_reader_that_leaves_lets_go_of_the_file(store: MediaStore) -> None:
    await store.put("a/b", pieces(2))
    before = open_files()
    source = store.stream("a/b")
    assert len(await anext(source)) == PIECE_BYTES
    assert open_files() == before + 1
    await source.aclose()
    assert open_files() == before


async def test_a_reader_keeps_its_file_when_it_is_replaced_or_deleted(store: MediaStore) -> None:
    await store.put("a/b", pieces(2))
    async with aclosing(store.stream("a/b")) as source:
        first = await anext(source)
        await store.put("a/b", b"new")
        await store.delete("a")
        rest = [piece async for piece in source]
    assert len(first) + sum(map(len, rest)) == 2 * MEGABYTE


@pytest.mark.parametrize("by", ["memory", "thread"])
async def test_many_readers_take_a_piece_in_each_turn_of_the_loop(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Whoever has nothing to do with them never waits behind more than a piece."""
    if by == "thread":
        monkeypatch.setattr("app.media.store.NEVER_WAITS", None)
    await store.put("a/b", pieces(1))
    taken, most = 0, 0

    async def read() -> None:
        nonlocal taken
        async with aclosing(store.stream("a/b")) as source:
            async for _ in source:
                taken += 1

    readers = [asyncio.create_task(read()) for _ in range(20)]
    while not all(reader.done() for reader in readers):
        before = taken
        await asyncio.sleep(0)
        most = max(most, taken - before)
    assert taken == 20 * MEGABYTE // PIECE_BYTES
    assert most == 1


async def test_what_is_not_in_memory_is_read_in_a_thread(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.media.store.NEVER_WAITS", None)
    await store.put("a/b", pieces(2))
    async with aclosing(store.stream("a/b", 10)) as source:
        assert len(b"".join([piece async for piece in source])) == 2 * MEGABYTE - 10
