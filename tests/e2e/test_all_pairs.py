"""A task made in any dialect is read in every other: state, progress, link and error, as each one writes them."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.components import Components
from app.dialects import registry
from app.dialects.openai_videos.answer import MANUAL_STATUS_WORDS
from app.providers.base import Account
from app.tasks.states import PUBLIC_STATES
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream
from tests.upstream.script import Script

OUTCOMES = ("completed", "failed", "cancelled", "running", "queued")
"""Each is also the name of the model that comes to it."""
WHY = "No storms, please."
SHAPE: dict[str, Any] = {"seconds": 1, "size": "64x64"}
CHAT = "/v1/chat/completions"
V2 = "/v2/videos/generations"
NEW_API = "/v1/video/generations"
ARK_TASKS = "/api/v3/contents/generations/tasks"
Told = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What a reader makes of an answer. ``error`` is text; ``progress`` is None where a dialect has none."""

    word: str
    progress: float | None
    link: str | None
    error: str | None


@dataclass(frozen=True)
class Dialect:
    """How it makes a task with a model, how it reads one, and its word for each outcome (client-api §1)."""

    make: Callable[[httpx2.Client, str], str]
    path: str
    read: Callable[[Told], Seen]
    words: dict[str, str]


def posting(path: str, body: Callable[[str], Told], name: str) -> Callable[[httpx2.Client, str], str]:
    def make(http: httpx2.Client, model: str) -> str:
        answer = http.post(path, json=body(model))
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()[name])

    return make


def by_chat(http: httpx2.Client, model: str) -> str:
    """The id stands in the first chunk; hanging up stops nothing."""
    body = {"model": model, "messages": [{"role": "user", "content": "a kite"}], "stream": True} | SHAPE
    with http.stream("POST", CHAT, json=body) as answer:
        assert answer.status_code == 200
        first = next(line for line in answer.iter_lines() if line.startswith("data: "))
    return str(json.loads(first.removeprefix("data: "))["id"])


def plain(model: str) -> Told:
    return {"model": model, "prompt": "a kite"} | SHAPE


def for_later(model: str) -> Told:
    return plain(model) | {"async_mode": True}


def in_parts(model: str) -> Told:
    part = {"type": "text", "text": "a kite"}
    return {"model": model, "content": [part], "duration": 1, "size": "64x64"}


def in_openrouter(model: str) -> Told:
    return {"model": model, "prompt": "a kite", "duration": 1, "size": "64x64"}


def video(told: Told) -> Seen:
    error = told["error"]
    return Seen(told["status"], told["progress"], told["url"], error["message"] if error else None)


def task(told: Told) -> Seen:
    links = told["result_urls"]
    return Seen(told["status"], told["progress"], links[0] if links else None, told["error_message"])


def unified(told: Told) -> Seen:
    link = told["data"]["output"] if told["data"] else None
    return Seen(told["status"], float(told["progress"][:-1]), link, told["fail_reason"] or None)


def openrouter(told: Told) -> Seen:
    links = told.get("unsigned_urls") or [None]
    return Seen(told["status"], None, links[0], told.get("error"))


def new_api(told: Told) -> Seen:
    error = told.get("error")
    return Seen(told["status"], told["progress"], told.get("url"), error["message"] if error else None)


def new_api_inside(told: Told) -> Seen:
    inner = told["data"]
    progress = float(inner["progress"][:-1])
    return Seen(inner["status"], progress, inner.get("result_url"), inner["fail_reason"] or None)


def ark(told: Told) -> Seen:
    error, content = told.get("error"), told.get("content")
    link = content["video_url"] if content else None
    return Seen(told["status"], None, link, error["message"] if error else None)


def words(*each: str) -> dict[str, str]:
    return dict(zip(OUTCOMES, each, strict=True))


OPENAI = words("completed", "failed", "failed", "in_progress", "queued")
TASKS = words("completed", "failed", "failed", "processing", "processing")
UNIFIED = words("SUCCESS", "FAILURE", "FAILURE", "IN_PROGRESS", "NOT_START")
ROUTER = words("completed", "failed", "cancelled", "in_progress", "pending")
ARK = words("succeeded", "failed", "cancelled", "running", "queued")

DIALECTS = {
    "openai_videos": Dialect(posting("/v1/videos", plain, "id"), "/v1/videos/{}", video, OPENAI),
    "chat": Dialect(by_chat, "/v1/videos/{}", video, OPENAI),
    "unified": Dialect(posting(V2, plain, "task_id"), V2 + "/{}", unified, UNIFIED),
    "features": Dialect(posting("/v1/videos/generate", for_later, "task_id"), "/v1/tasks/{}", task, TASKS),
    "openrouter": Dialect(
        posting("/api/v1/videos", in_openrouter, "id"), "/api/v1/videos/{}", openrouter, ROUTER
    ),
    "new-api": Dialect(posting(NEW_API, plain, "task_id"), NEW_API + "/{}", new_api, OPENAI),
    "new-api, inside": Dialect(posting(NEW_API, plain, "id"), NEW_API + "/{}", new_api_inside, UNIFIED),
    "ark": Dialect(posting(ARK_TASKS, in_parts, "id"), ARK_TASKS + "/{}", ark, ARK),
}
ANSWERED = {name: dialect for name, dialect in DIALECTS.items() if name != "chat"}
"""Chat answers while one waits; what it made is read elsewhere."""
SCRIPTS = {
    "completed": Script(),
    "failed": Script(final="failed", error={"code": "content_policy_violation", "message": WHY}),
    "cancelled": Script(statuses=["in_progress"]),
    "running": Script(statuses=["in_progress"]),
    "queued": Script(statuses=["in_progress"]),
}


@dataclass(frozen=True)
class Place:
    """A client of a gateway, and the ids that each dialect gave its tasks, by outcome."""

    http: httpx2.Client
    ids: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("pairs"), FILMGATE_STUDIO="off")
    with ExitStack() as stack:
        upstreams = {name: stack.enter_context(FakeUpstream()) for name in OUTCOMES}
        gateway.prepare(lambda components: fill(components, upstreams))
        for name, upstream in upstreams.items():
            upstream.script(**SCRIPTS[name].model_dump())
        stack.enter_context(gateway)
        with gateway.client() as http:
            http.post("/v1/videos", json=plain("queued"))  # takes the one slot there is
            ids = {
                name: {outcome: dialect.make(http, outcome) for outcome in OUTCOMES}
                for name, dialect in DIALECTS.items()
            }
            for each in ids.values():
                http.post(f"/v1/tasks/{each['cancelled']}/cancel")
            until(lambda: all(arrived(http, each) for each in ids.values()))
            yield Place(http, ids)


async def fill(components: Components, upstreams: dict[str, FakeUpstream]) -> None:
    for name, upstream in upstreams.items():
        account = Account(
            id="",
            provider="openai_compatible",
            name=name,
            base_url=f"{upstream.url}/v1",
            secret="x",
            models={name: name},
            kinds=frozenset({"video"}),
            slots=1 if name == "queued" else 20,
        )
        await components.pool.add(account)


def arrived(http: httpx2.Client, ids: dict[str, str]) -> bool:
    return all(
        http.get(f"/v1/videos/{ids[outcome]}").json()["status"] == OPENAI[outcome] for outcome in OUTCOMES
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("reader", ANSWERED)
@pytest.mark.parametrize("maker", DIALECTS)
def test_a_pair(place: Place, maker: str, reader: str, outcome: str) -> None:
    dialect, name = DIALECTS[reader], place.ids[maker][outcome]
    answer = place.http.get(dialect.path.format(name))
    assert answer.status_code == 200, answer.text
    seen = dialect.read(answer.json())
    assert seen.word == dialect.words[outcome]
    assert bool(seen.link) == (outcome == "completed")
    assert seen.error == {"failed": WHY, "cancelled": "Cancelled."}.get(outcome)
    if seen.progress is not None:
        assert progress_fits(seen.progress, outcome, full=dialect.words is UNIFIED)


def progress_fits(progress: float, outcome: str, *, full: bool) -> bool:
    """Only completed is 100; but the unified tasks write 100% for FAILURE too, as their manual does."""
    if outcome == "completed" or (full and outcome in ("failed", "cancelled")):
        return progress == 100
    return progress == 0 if outcome == "queued" else 0 <= progress < 100


@pytest.mark.parametrize("reader", ANSWERED)
def test_every_link_leads_to_the_video(place: Place, reader: str) -> None:
    """Without any header, and the same bytes whoever gave the link."""
    dialect, name = DIALECTS[reader], place.ids["openai_videos"]["completed"]
    link = dialect.read(place.http.get(dialect.path.format(name)).json()).link
    content = place.http.get(f"/v1/videos/{name}/content").content
    assert link is not None
    assert httpx2.get(link).content == content


@pytest.mark.parametrize("maker", DIALECTS)
def test_a_task_goes_by_every_form_of_its_id(place: Place, maker: str) -> None:
    bare = registry.task_id_of(place.ids[maker]["completed"])
    assert bare is not None
    forms = (bare, f"video_{bare}", f"task_{bare}", f"chatcmpl-{bare}", f"cgt-{bare}", f"gen-vid-{bare}")
    for form in (*forms, str(uuid.UUID(bare))):
        for dialect in ANSWERED.values():
            assert place.http.get(dialect.path.format(form)).status_code == 200


def test_every_vocabulary_has_a_word_for_every_state() -> None:
    vocabularies = [dialect.status_words for dialect in registry.DIALECTS if dialect.status_words]
    assert len(vocabularies) == 7
    for words in (*vocabularies, MANUAL_STATUS_WORDS):
        assert tuple(words) == PUBLIC_STATES
