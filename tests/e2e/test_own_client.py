"""`app/client`, our own client, beside openai's SDK: one program, the same objects; and what it sends again."""

import ast
import asyncio
import inspect
import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, get_type_hints

import openai
import pytest
from openai import OpenAI
from openai.resources.videos import Videos as OpenAIVideos

from app import client as own
from app.client import videos as own_videos
from app.client.calls import Options
from app.client.videos import Creation, Listing
from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip
from tests.e2e.waiting import SMALL
from tests.serving import KEY
from tests.upstream import FakeUpstream, silent_port

METHODS = (
    "create", "create_and_poll", "poll", "retrieve", "list", "delete", "remix", "edit", "extend",
    "create_character", "get_character", "download_content",
)  # fmt: skip
DIFFERENT = {
    "id",
    "created_at",
    "completed_at",
    "expires_at",
    "url",
    "remixed_from_video_id",
    "prompt",
    "first_id",
    "last_id",
    "sha256",
}
"""What no two videos have in common."""


class Awaited:
    """``client.videos`` of the asynchronous client, called from a thread that has no event loop."""

    def __init__(self, videos: Any, run: Callable[[Any], Any]) -> None:
        self._videos, self._run = videos, run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._videos, name)
        return lambda *values, **options: self._run(method(*values, **options))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module", params=["blocking", "asyncio"])
def videos(
    request: pytest.FixtureRequest, setting: Setting, loop: asyncio.AbstractEventLoop
) -> Iterator[Any]:
    if request.param == "blocking":
        with own.Filmgate(base_url=setting.base, api_key=KEY, max_retries=0) as client:
            yield client.videos
        return

    async def awaited(work: Any) -> Any:
        return await work

    def run(work: Any) -> Any:
        found: Future[Any] = asyncio.run_coroutine_threadsafe(awaited(work), loop)
        return found.result(timeout=120)

    calls = own.AsyncFilmgate(base_url=setting.base, api_key=KEY, max_retries=0)
    yield Awaited(calls.videos, run)
    run(calls.close())


def make_everything(videos: Any, picture: bytes) -> dict[str, Any]:
    """Every call of the Videos API once."""
    boat = videos.create_and_poll(prompt="[studio:fast] a boat", model="sora-2", poll_interval_ms=50, **SMALL)
    film = videos.download_content(boat.id)
    pictured = videos.create(
        prompt="[studio:fast] a picture", input_reference=("p.png", picture, "image/png"), **SMALL
    )
    remix = videos.remix(boat.id, prompt="[studio:fast] a boat at night")
    edit = videos.edit(prompt="[studio:fast] a boat in rain", video=("boat.mp4", io.BytesIO(film.read())))
    source = {"extra_body": {"video": {"id": boat.id}}}
    extension = videos.extend(prompt="[studio:fast] on", seconds="2", video=openai.omit, **source)
    character = videos.create_character(name="Boat", video=("boat.mp4", film.read(), "video/mp4"))
    ends = [videos.poll(each.id, poll_interval_ms=50) for each in (pictured, remix, edit, extension)]
    page = videos.list(limit=2)
    deleted = videos.delete(edit.id)
    found = {"boat": boat, "pictured": pictured, "remix": remix, "page": page, "deleted": deleted}
    found |= {"character": character, "again": videos.get_character(character.id)}
    found |= {f"end {number}": end for number, end in enumerate(ends)}
    return {name: value.to_dict() for name, value in found.items()} | {
        "film": read_clip(film.read()),
        "picture": videos.download_content(boat.id, variant="thumbnail").read()[:4],
    }


def same_parts(found: Any) -> Any:
    """Without what differs from one video to the next; only the names of those."""
    if isinstance(found, dict):
        return {name: name if name in DIFFERENT else same_parts(value) for name, value in found.items()}
    return [same_parts(each) for each in found] if isinstance(found, list) else found


@pytest.fixture(scope="module")
def by_openai(client: OpenAI) -> dict[str, Any]:
    return make_everything(client.videos, make_picture())


def test_one_program_gets_the_same_objects(videos: Any, by_openai: dict[str, Any]) -> None:
    assert same_parts(make_everything(_without_omitted(videos), make_picture())) == same_parts(by_openai)


def _without_omitted(videos: Any) -> Any:
    """Ours knows no ``omit``, and needs none: it sends ``video={"id": …}`` as it is."""

    def extend(*, video: object, extra_body: dict[str, Any], **rest: Any) -> Any:
        return videos.extend(video=extra_body["video"], **rest)

    return type(
        "Given", (), {"__getattr__": lambda _, name: extend if name == "extend" else getattr(videos, name)}
    )()


def test_a_receipt_is_a_file(videos: Any, tmp_path: Path) -> None:
    made = videos.create_and_poll(prompt="[studio:fast] a boat", poll_interval_ms=50, **SMALL)
    videos.receipt(made.id).write_to_file(tmp_path / "boat.json")
    said = json.loads((tmp_path / "boat.json").read_text())
    assert (f"video_{said['receipt']['task']['id']}", said["signature"]["algorithm"]) == (made.id, "Ed25519")


def test_a_video_has_the_same_attributes(videos: Any, client: OpenAI) -> None:
    made = client.videos.create(prompt="[studio:fail] a boat", **SMALL)
    theirs = client.videos.poll(made.id, poll_interval_ms=50)
    ours = videos.retrieve(made.id)
    assert isinstance(ours, own.Video) and ours.error is not None and theirs.error is not None
    assert (ours.error.code, ours.error.message) == (theirs.error.code, theirs.error.message)
    names = set(type(theirs).model_fields) - {"error"}
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert ours._request_id and ours._request_id.startswith("req_")


def test_pages_follow_each_other(setting: Setting) -> None:
    async def all_of(client: own.AsyncFilmgate) -> list[str]:
        async with client:
            return [video.id async for video in client.videos.list(limit=1, order="asc")]

    with own.Filmgate(base_url=setting.base, api_key=setting.keys.pages) as client:
        made = [client.videos.create(prompt=f"[studio:fast] {number}", **SMALL).id for number in range(3)]
        assert [video.id for video in client.videos.list(limit=1, order="asc")] == made
    calls = own.AsyncFilmgate(base_url=setting.base, api_key=setting.keys.pages)
    assert asyncio.run(all_of(calls)) == made


CALLS: dict[str, Callable[[Any], Any]] = {
    "seconds": lambda videos: videos.create(prompt="x", seconds="soon"),
    "model": lambda videos: videos.create(prompt="x", model="no-such-model"),
    "prompt": lambda videos: videos.create(prompt=" "),
    "reference": lambda videos: videos.create(prompt="x", input_reference=b"no picture"),
    "id": lambda videos: videos.retrieve("video_0"),
    "content": lambda videos: videos.download_content("video_0/../.."),
    "remix": lambda videos: videos.remix("video_0", prompt="x"),
    "order": lambda videos: videos.list(order="up"),
    "empty": lambda videos: videos.retrieve(""),
}


@pytest.mark.parametrize("name", CALLS)
def test_errors_are_the_same(name: str, videos: Any, client: OpenAI) -> None:
    assert failure_of(lambda: CALLS[name](videos)) == failure_of(lambda: CALLS[name](client.videos))


def failure_of(work: Callable[[], Any]) -> tuple[Any, ...]:
    with pytest.raises((own.APIStatusError, openai.APIStatusError, ValueError)) as raised:
        work()
    error: Any = raised.value
    if isinstance(error, ValueError):
        return (ValueError,)
    assert error.request_id.startswith("req_")
    assert error.body["message"] in str(error)
    return type(error).__name__, error.status_code, error.code, error.param, error.type, error.body


def test_a_wrong_key(setting: Setting) -> None:
    with own.Filmgate(base_url=setting.base, api_key="wrong") as client:
        with pytest.raises(own.AuthenticationError) as raised:
            client.videos.list()
        assert (raised.value.status_code, raised.value.code) == (401, "invalid_api_key")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["Videos", "AsyncVideos"])
def test_the_arguments_are_those_of_openai(name: str, kind: str) -> None:
    theirs = inspect.signature(getattr(OpenAIVideos, name)).parameters.keys()
    signature = inspect.signature(getattr(getattr(own_videos, kind), name))
    ours = set(signature.parameters)
    for options in (Options, Creation, Listing):
        if options.__name__ in str(
            signature.parameters.get("arguments", signature.parameters.get("options"))
        ):
            ours |= set(get_type_hints(options))
    assert set(theirs) - ours == set()


# ---- what is sent again ----


class HastyClient(own.Filmgate):
    """Writes down how long it would wait, and does not."""

    def __init__(self, **options: Any) -> None:
        super().__init__(api_key="x", **options)
        self.pauses: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        upstream.script(honour_idempotency=True)
        yield upstream


@pytest.fixture
def hasty(upstream: FakeUpstream) -> Iterator[HastyClient]:
    with HastyClient(base_url=f"{upstream.url}/v1") as client:
        yield client


@pytest.mark.parametrize("how", ["reset", "cut", "status"])
def test_a_repetition_buys_nothing_twice(how: str, upstream: FakeUpstream, hasty: HastyClient) -> None:
    upstream.fault("create", do=how, status=502, accepts=True, times=2)
    video = hasty.videos.create(prompt="a kite", input_reference=b"\x89PNG", seconds=4)
    counters = upstream.counters()
    assert (counters.jobs, list(counters.submissions.values())) == (1, [3])
    assert hasty.videos.retrieve(video.id).prompt == "a kite"
    assert len(hasty.pauses) == 2 and hasty.pauses[0] < hasty.pauses[1]


def test_two_creates_are_two_wishes(upstream: FakeUpstream, hasty: HastyClient) -> None:
    assert hasty.videos.create(prompt="a kite").id != hasty.videos.create(prompt="a kite").id
    given = {"extra_headers": {"Idempotency-Key": "mine"}}
    assert (
        hasty.videos.create(prompt="a kite", **given).id == hasty.videos.create(prompt="a kite", **given).id
    )
    assert upstream.counters().jobs == 3


@pytest.mark.parametrize(
    ("headers", "pauses"),
    [
        ({"Retry-After": "7"}, [7.0]),
        ({"Retry-After": "7", "Retry-After-Ms": "1500"}, [1.5]),
        ({"Retry-After": "3600"}, None),
        ({"x-should-retry": "false"}, None),
    ],
)
def test_a_gateway_says_when(
    headers: dict[str, str], pauses: list[float] | None, upstream: FakeUpstream, hasty: HastyClient
) -> None:
    upstream.fault(
        "create", status=429, body={"error": {"message": "later", "code": "busy"}}, headers=headers
    )
    if pauses is None:
        with pytest.raises(own.RateLimitError, match="later") as raised:
            hasty.videos.create(prompt="a kite")
        assert raised.value.code == "busy"
    else:
        assert hasty.videos.create(prompt="a kite").id
    assert hasty.pauses == (pauses or [])


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_what_will_not_change_is_not_sent_again(
    status: int, upstream: FakeUpstream, hasty: HastyClient
) -> None:
    upstream.fault("create", status=status, text="<h1>A page of a proxy</h1>")
    with pytest.raises(own.APIStatusError, match="A page of a proxy") as raised:
        hasty.videos.create(prompt="a kite")
    assert (raised.value.status_code, hasty.pauses) == (status, [])


def test_a_character_is_not_made_twice(upstream: FakeUpstream, hasty: HastyClient) -> None:
    """The gateway reads no idempotency key there."""
    upstream.fault("any", do="reset", times=None)
    with pytest.raises(own.APIConnectionError):
        hasty.videos.create_character(name="Boat", video=b"film")
    assert hasty.pauses == []


def test_no_gateway_and_a_silent_one() -> None:
    with HastyClient(base_url="http://127.0.0.1:1/v1") as client:
        with pytest.raises(own.APIConnectionError) as refused:
            client.videos.create_character(name="Boat", video=b"film")
        assert not isinstance(refused.value, own.APITimeoutError)
        assert len(client.pauses) == 2  # surely not sent
    with silent_port() as port, HastyClient(base_url=f"http://127.0.0.1:{port}/v1", timeout=0.2) as client:
        with pytest.raises(own.APITimeoutError):
            client.videos.retrieve("video_1")
        assert len(client.pauses) == 2


@pytest.mark.parametrize(("told", "asked", "waits"), [(250, None, 0.25), (None, None, 1.0), (250, 40, 0.04)])
def test_the_pace_of_a_poll(
    told: int | None, asked: int | None, waits: float, upstream: FakeUpstream, hasty: HastyClient
) -> None:
    upstream.script(statuses=["queued", "in_progress", "completed"], poll_after_ms=told)
    video = hasty.videos.create_and_poll(prompt="a kite", poll_interval_ms=asked)
    assert (video.status, hasty.pauses) == ("completed", [waits, waits])


def test_the_key_and_the_address_are_taken_from_the_environment(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FILMGATE_API_KEY", "FILMGATE_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(own.ClientError, match="api_key is missing"):
        own.Filmgate()
    monkeypatch.setenv("OPENAI_BASE_URL", f"{upstream.url}/v1/")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with own.Filmgate() as client:
        client.videos.list()
    assert upstream.counters().keys == {"sk-mine": 1}


def test_files_of_every_kind(upstream: FakeUpstream, hasty: HastyClient, tmp_path: Path) -> None:
    path = tmp_path / "boat.png"
    path.write_bytes(b"12345")
    with path.open("rb") as opened:
        given = [path, opened, ("a.png", b"12345"), ("b.webp", io.BytesIO(b"12345"), "image/webp"), b"12345"]
        hasty.videos.create(prompt="a kite", input_reference=given, extra_body={"n": 1})
    seen = upstream.counters().last["create"]
    assert [each.partition(";")[2] for each in seen.files["input_reference"]] == ["5"] * 5
    assert seen.fields == {"prompt": "a kite", "n": "1"}
    hasty.videos.create(prompt="a kite", input_reference={"image_url": "https://example.org/a.png"})
    assert upstream.counters().last["create"].fields["input_reference"] == {
        "image_url": "https://example.org/a.png"
    }


def test_it_needs_nothing_of_ours_and_is_small() -> None:
    texts = [path.read_text() for path in Path(own.__file__).parent.glob("*.py")]
    assert not [text for text in texts if "import app" in text or "from app" in text]
    assert sum(lines_of_code(text) for text in texts) < 420


def lines_of_code(text: str) -> int:
    """Without blank lines, comments and docstrings."""
    bare = ast.parse(text)
    prose = [
        node for node in ast.walk(bare) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    left_out = {line for node in prose for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") for at, line in lines if at not in left_out
    )
