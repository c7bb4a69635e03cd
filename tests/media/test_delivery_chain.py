"""The chain through the whole gateway: whatever fails in it, a finished video has a link that serves bytes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.media.delivery.chain import STAGE_BEGUN
from app.media.delivery.options import DeliveryOptions
from app.media.links import DeliveredLink, pick_link
from app.tasks.task import Task, file_link
from tests.media.conftest import Serve
from tests.media.drive_server import DriveServer
from tests.media.resolver import ResolverServer
from tests.tasks.conftest import Bench, bench, replica, settings_for, until, upstream
from tests.upstream.media import tiny_mp4

pytestmark = pytest.mark.slow

__all__ = ["bench", "upstream"]
OURS = "http://ours"
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def drive(serve: Serve) -> DriveServer:
    made = DriveServer()
    made.url = await serve(made.answer)
    return made


@pytest.fixture
async def resolver(serve: Serve, clip_bytes: bytes) -> AsyncIterator[ResolverServer]:
    made = ResolverServer(clip_bytes)
    made.url = await serve(made.answer)
    yield made
    made.leaving.set()


@pytest.fixture
async def working(bench: Bench) -> Bench:
    await bench.account()
    await bench.work()
    return bench


async def film(bench: Bench, options: dict[str, Any] | None = None, **told: Any) -> Task:
    """A finished video, made while the operator's document is this."""
    await bench.components.options.write(DeliveryOptions, options or {})
    task = await bench.ended(await bench.create(**told))
    assert task.state == "completed", task.error_message
    return task


def link_of(bench: Bench, task: Task) -> str:
    assert task.result is not None
    return file_link(task, task.result.files[0], base=OURS, signer=bench.components.signer)


async def bytes_behind(bench: Bench, task: Task) -> bytes:
    """What a client gets that follows the link."""
    url = link_of(bench, task)
    if not url.startswith(OURS):
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
            assert answer.status_code == 200
            return answer.content
    address = urlsplit(url)
    query = parse_qs(address.query)
    bench.components.signer.verify(address.path, query["expires"][0], query["signature"][0], now=0)
    assert task.result is not None
    return await bench.components.store.get(task.result.files[0].key)


async def stages(bench: Bench, task: Task) -> list[tuple[str, bool]]:
    rows = await bench.components.repository.read_timeline(task.id)
    found = [(row["event"], row["detail"]) for row in rows if row["event"].startswith("delivery.")]
    return [(event.removeprefix("delivery."), detail["ok"]) for event, detail in found]


async def test_nothing_set_gives_our_signed_link(working: Bench) -> None:
    task = await film(working)
    assert link_of(working, task).startswith(f"{OURS}/files/{task.id}/video.mp4?expires=")
    assert await stages(working, task) == []
    assert await bytes_behind(working, task) == tiny_mp4()


async def test_the_resolvers_file_is_what_we_keep(
    working: Bench, resolver: ResolverServer, clip_bytes: bytes
) -> None:
    task = await film(working, {"resolvers": [resolver.options()]})
    assert await bytes_behind(working, task) == clip_bytes
    assert link_of(working, task).startswith(OURS)
    ((asked, secret),) = resolver.asked
    assert secret == "resolver-secret"
    assert asked["task_id"] == task.id
    assert task.operation is not None
    assert asked["operation_id"] == task.operation.id
    assert await stages(working, task) == [("resolver", True)]


@one_store
async def test_resolvers_are_asked_in_order(
    working: Bench, resolver: ResolverServer, clip_bytes: bytes
) -> None:
    first = resolver.options(name="gone", url=f"{OURS}:1/")
    task = await film(
        working, {"resolvers": [first, resolver.options(name="two")], "store": {"links": "none"}}
    )
    assert await stages(working, task) == [("resolver", False), ("resolver", True)]
    assert link_of(working, task) == f"{resolver.url}/clip.mp4"
    assert await working.components.store.get(f"tasks/{task.id}/video.mp4") == clip_bytes


@one_store
async def test_a_page_is_handed_out_and_the_vendors_file_kept(
    working: Bench, resolver: ResolverServer
) -> None:
    resolver.manner = "page"
    options = {"resolvers": [resolver.options(answers="page")], "store": {"links": "none"}}
    task = await film(working, options)
    assert link_of(working, task) == f"{resolver.url}/page"
    assert await working.components.store.get(f"tasks/{task.id}/video.mp4") == tiny_mp4()


async def test_drives_link_is_the_last_that_worked(working: Bench, drive: DriveServer) -> None:
    task = await film(working, {"drive": drive.options()})
    assert link_of(working, task) == f"{drive.url}/view/file-1/view"
    assert await bytes_behind(working, task) == tiny_mp4()
    assert await stages(working, task) == [("drive", True)]


@one_store
async def test_a_private_task_leaves_nowhere(
    working: Bench, drive: DriveServer, resolver: ResolverServer
) -> None:
    options = {"resolvers": [resolver.options()], "drive": drive.options()}
    task = await film(working, options, private=True)
    assert link_of(working, task) == f"{OURS}/files/{task.id}/video.mp4"
    assert (drive.steps, resolver.asked) == ([], [])


@one_store
async def test_a_run_that_ends_in_the_midst_of_an_upload_copies_nothing_again(
    tmp_path: Path, upstream: Any, database_url: str, drive: DriveServer
) -> None:
    drive.always = {"begin": 503}
    async with replica(settings_for(tmp_path, database_url), upstream) as bench:
        await bench.account()
        await bench.components.options.write(DeliveryOptions, {"drive": drive.options(tries=10)})
        await bench.work()
        task = await bench.create()

        async def tried() -> bool:
            return "begin" in drive.steps

        await until(tried)
        assert await stages_begun(bench, task) == ["publish", "drive"]  # while the upload has not ended
    drive.always = {}
    upstream.fault("content", status=500, times=None)
    async with replica(settings_for(tmp_path, database_url), upstream) as bench:
        await bench.work()
        ended = await bench.ended(task)
        assert ended.state == "completed"
        assert await bytes_behind(bench, ended) == tiny_mp4()
    assert len(drive.files) == 1


BAD_MANNERS = (
    "broken",
    "lies",
    "garbage",
    "silent",
    "endless",
    "huge",
    "redirect",
    "inside",
    "list",
    500,
    404,
)
RESOLVERS = st.sampled_from([None, "ok", *BAD_MANNERS])
STORES = st.sampled_from(["signed", "presigned", "none"])
DRIVES = st.sampled_from(
    [None, "put break", *(f"{s} {f}" for s in ("token", "find", "begin", "put", "share") for f in (403, 500))]
)


@one_store
@pytest.mark.parametrize("manner", BAD_MANNERS)
async def test_whatever_a_resolver_answers_the_vendors_file_is_kept(
    working: Bench, resolver: ResolverServer, manner: str | int
) -> None:
    resolver.manner = manner
    options = {"resolvers": [resolver.options(timeout_seconds=0.3)], "store": {"links": "none"}}
    task = await film(working, options)
    assert await bytes_behind(working, task) == tiny_mp4()
    assert await stages(working, task) == [("resolver", False)]
    [row] = [
        row
        for row in await working.components.repository.read_timeline(task.id)
        if "resolver" in row["event"]
    ]
    assert row["detail"]["error"]
    assert "resolver-secret" not in str(row)


async def stages_begun(bench: Bench, task: Any) -> list[str]:
    rows = await bench.components.repository.read_timeline(task.id)
    return [row["detail"]["stage"] for row in rows if row["event"] == STAGE_BEGUN]


async def test_every_attempt_is_on_the_timeline(
    working: Bench, resolver: ResolverServer, drive: DriveServer
) -> None:
    resolver.manners = [503, "garbage", 429]
    drive.faults = {"put": ["break", 500]}
    first = resolver.options(name="first", tries=3)
    second = resolver.options(name="second", tries=3)
    task = await film(working, {"resolvers": [first, second], "drive": drive.options()})
    rows = [
        row
        for row in await working.components.repository.read_timeline(task.id)
        if "delivery." in row["event"]
    ]
    told = [(row["event"], row["detail"].get("name"), row["detail"]["ok"]) for row in rows]
    assert told == [
        ("delivery.resolver", "first", False),  # 503, which may pass
        ("delivery.resolver", "first", False),  # garbage, which will not
        ("delivery.resolver", "second", False),
        ("delivery.resolver", "second", True),
        ("delivery.drive", None, False),
        ("delivery.drive", None, False),
        ("delivery.drive", None, True),
    ]
    assert [row["detail"].get("attempt") for row in rows] == [1, None, 1, None, 1, 2, None]
    assert await stages_begun(working, task) == ["publish", "resolver", "resolver", "drive"]
    assert len(drive.files) == 1


@one_store
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(manner=RESOLVERS, links=STORES, broken=DRIVES, uploads=st.booleans())
async def test_a_finished_video_always_has_a_link(
    working: Bench,
    resolver: ResolverServer,
    drive: DriveServer,
    *,
    manner: str | int | None,
    links: str,
    broken: str | None,
    uploads: bool,
) -> None:
    options: dict[str, Any] = {"store": {"links": links}}
    if manner is not None:
        resolver.manner = manner
        options["resolvers"] = [resolver.options(timeout_seconds=0.2)]
    if uploads:
        step, _, status = (broken or "").partition(" ")
        drive.always = {step: int(status) if status.isdigit() else status} if broken else {}
        options["drive"] = drive.options(tries=1)
    task = await film(working, options)
    assert await bytes_behind(working, task) in (tiny_mp4(), resolver.clip)
    assert task.result is not None
    assert await working.components.store.get(task.result.files[0].key)


@one_store
async def test_the_operator_can_try_it(working: Bench, drive: DriveServer, resolver: ResolverServer) -> None:
    bad = resolver.options(name="gone", url=f"{OURS}:1/")
    options = {"resolvers": [resolver.options(), bad], "drive": drive.options()}
    await working.components.options.write(DeliveryOptions, options | {"store": {"links": "presigned"}})
    tried = await working.components.chain.test_stages()
    assert [(one.stage, one.ok) for one in tried] == [
        ("resolver", True),
        ("resolver", False),
        ("store", False),
        ("drive", True),
    ]
    assert resolver.asked[0][0]["test"] is True


def test_an_expired_link_falls_back() -> None:
    links = [
        DeliveredLink(kind="store", file="a", url="https://store/", expires_at=1000.0),
        DeliveredLink(kind="drive", file="a", url="https://drive/", expires_at=500.0),
        DeliveredLink(kind="drive", file="b", url="https://other/"),
    ]
    assert pick_link(links, "a", now=0) == "https://drive/"
    assert pick_link(links, "a", now=600) == "https://store/"
    assert pick_link(links, "a", now=2000) is None


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"resolvers": [{"name": "a", "url": "nowhere"}]}, "resolvers.0.url"),
        ({"resolvers": [{"name": "a", "url": "https://a/"}] * 2}, "resolvers"),
        ({"resolvers": [{"name": "a", "url": "https://a/", "secret": "a\nb"}]}, "resolvers.0.secret"),
        ({"store": {"ttl_seconds": 1}}, "store.ttl_seconds"),
        ({"drive": {"service_account": "{}"}}, "drive.service_account"),
        ({"drive": {"folder_id": "a/b"}}, "drive.folder_id"),
    ],
)
@one_store
async def test_a_wrong_document_is_refused(bench: Bench, wanted: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await bench.components.options.write(DeliveryOptions, wanted)
    assert caught.value.param == param
