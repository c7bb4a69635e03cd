"""Defects that other gateways have shown their clients, each looked for in every dialect."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from app.components import Components
from app.providers.base import Account
from tests.e2e.test_all_pairs import ANSWERED, ARK_TASKS, CHAT, NEW_API, SHAPE, V2
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream, closed_port

PUBLIC = "https://films.example.com"
KEYS: dict[str, dict[str, Any]] = {
    "narrow": {"models": ["veo*"], "project": "film"},
    "wide": {"project": "film"},
    "stranger": {},
}


@dataclass
class Place:
    """``done`` is a finished task of the key ``wide``, ``odd`` one whose upstream says a word of its own."""

    gateway: GatewayProcess
    upstream: FakeUpstream
    keys: dict[str, str]
    done: str = ""
    odd: str = ""

    def client(self, name: str = "wide") -> httpx2.Client:
        return self.gateway.client(key=self.keys[name])

    def shown(self, reader: str, task: str, *, key: str = "wide") -> httpx2.Response:
        with self.client(key) as http:
            return http.get(ANSWERED[reader].path.format(task))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("neighbours"), FILMGATE_STUDIO="off", FILMGATE_PUBLIC_URL=PUBLIC
    )
    with ExitStack() as stack:
        usual, strange = (stack.enter_context(FakeUpstream()) for _ in range(2))
        strange.script(statuses=["unknown"])

        async def fill(components: Components) -> dict[str, str]:
            account = Account(
                id="", provider="openai_compatible", name="usual", base_url=usual.url, secret="x", slots=20,
                models={"film": "film"}, kinds=frozenset({"video"}),
            )  # fmt: skip
            await components.pool.add(account)
            await components.pool.add(
                replace(account, name="odd", base_url=strange.url, models={"odd": "odd"})
            )
            return {
                name: (await components.keys.create_key({"name": name} | more))[1]
                for name, more in KEYS.items()
            }

        found = Place(gateway, usual, gateway.prepare(fill))
        stack.enter_context(gateway)
        with found.client() as http:
            made = http.post("/v1/videos", json={"model": "film", "prompt": "a kite"} | SHAPE)
            found.done = made.json()["id"].removeprefix("video_")
            made = http.post("/v1/videos", json={"model": "odd", "prompt": "a kite"} | SHAPE)
            found.odd = made.json()["id"].removeprefix("video_")
            until(lambda: http.get(f"/v1/videos/{found.done}").json()["status"] == "completed")
            until(lambda: http.get(f"/v1/videos/{found.odd}").json()["status"] == "in_progress")
        yield found


@pytest.mark.parametrize("reader", ANSWERED)
def test_a_word_nobody_knows_reaches_no_client(place: Place, reader: str) -> None:
    answer = place.shown(reader, place.odd)
    assert ANSWERED[reader].read(answer.json()).word == ANSWERED[reader].words["running"]
    assert "unknown" not in answer.text


@pytest.mark.parametrize("reader", ANSWERED)
def test_a_link_points_at_the_public_address(place: Place, reader: str) -> None:
    answer = place.shown(reader, place.done)
    link = ANSWERED[reader].read(answer.json()).link
    assert link is not None and link.startswith(f"{PUBLIC}/files/")
    assert "127.0.0.1" not in answer.text


def test_so_do_all_other_links(place: Place) -> None:
    with place.client() as http:
        chat = {"model": "film", "messages": [{"role": "user", "content": "a kite"}]} | SHAPE
        cameo = {"url": f"{place.upstream.url}/files/video.mp4", "timestamps": "0,1"}
        told = [
            http.post(CHAT, json=chat),
            http.post("/sora/v1/characters", json=cameo),
            http.post("/api/v1/videos", json={"model": "odd", "prompt": "a kite", "duration": 1}),
            http.get("/v1/videos"),
        ]
    assert [answer.status_code for answer in told] == [200, 200, 202, 200]
    for answer in told:
        assert PUBLIC in answer.text and "127.0.0.1" not in answer.text, answer.text


@pytest.mark.parametrize("reader", ANSWERED)
def test_a_keys_list_of_models_is_for_making_not_for_reading(place: Place, reader: str) -> None:
    assert place.shown(reader, place.done, key="narrow").status_code == 200


@pytest.mark.parametrize("reader", ANSWERED)
def test_nobody_sees_anothers_video(place: Place, reader: str) -> None:
    path = ANSWERED[reader].path.format(place.done)
    with place.client("stranger") as stranger:
        assert stranger.get(path).status_code == 404
        assert stranger.delete(path).status_code in (404, 405)
        assert stranger.get(f"/v1/videos/{place.done}/content").status_code == 404
    assert place.shown(reader, place.done).status_code == 200


def one_image(part: dict[str, Any]) -> dict[str, Any]:
    return {"type": "image_url", "image_url": part}


TAKERS: dict[str, tuple[str, str, Callable[[str], dict[str, Any]]]] = {
    "a bare address": ("/v1/videos", "input_reference", lambda url: {"input_reference": url}),
    "an object": ("/v1/videos", "input_reference", lambda url: {"input_reference": {"image_url": url}}),
    "unified": (V2, "images", lambda url: {"images": [url]}),
    "features": ("/v1/videos/transform", "image", lambda url: {"image": url, "async_mode": True}),
    "openrouter": (
        "/api/v1/videos",
        "frame_images",
        lambda url: {"frame_images": [one_image({"url": url}) | {"frame_type": "first_frame"}]},
    ),
    "new-api": (NEW_API, "image", lambda url: {"image": url}),
    "ark": (
        ARK_TASKS,
        "content",
        lambda url: {"content": [{"type": "text", "text": "a kite"}, one_image({"url": url})]},
    ),
    "chat": (
        CHAT,
        "image_url",
        lambda url: {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, one_image({"url": url})]}
            ]
        },
    ),
}
"""Where a picture's address may stand: the path, the field's name in a refusal, and the body."""


@pytest.mark.parametrize("taker", TAKERS)
def test_a_pictures_address_is_never_dropped(place: Place, taker: str) -> None:
    path, _, body = TAKERS[taker]
    with place.client() as http:
        told = body(f"{place.upstream.url}/files/image.png")
        words = {} if told.keys() & {"messages", "content"} else {"prompt": f"with a picture, {taker}"}
        answer = http.post(path, json={"model": "film"} | words | told)
        assert answer.status_code in (200, 202), answer.text
        made = answer.json()
        task = made.get("task_id") or made["id"]
        until(lambda: http.get(f"/v1/videos/{task}").json()["status"] == "completed")
    assert list(place.upstream.counters().last["create"].files) == ["input_reference"]


@pytest.mark.parametrize("taker", TAKERS)
def test_a_pictures_address_that_leads_nowhere_is_told(place: Place, taker: str) -> None:
    path, param, body = TAKERS[taker]
    with place.client() as http:
        asked = {"model": "film", "prompt": "a kite"} | body(f"http://127.0.0.1:{closed_port()}/a.png")
        answer = http.post(path, json=asked)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert param in (error.get("param"), error.get("metadata", {}).get("param"))


def test_a_second_clip_is_refused_not_dropped(place: Place) -> None:
    clip = {"type": "video_url", "video_url": {"url": f"{place.upstream.url}/files/video.mp4"}}
    content = [{"type": "text", "text": "a kite"}, clip, clip]
    with place.client() as http:
        answer = http.post(CHAT, json={"model": "film", "messages": [{"role": "user", "content": content}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "video_url")


def test_links_outlive_a_restart(place: Place) -> None:
    """Last of this file, as the gateway gets another port."""
    with place.client() as http:
        url = http.get(f"/v1/videos/{place.done}").json()["url"]
        content = http.get(f"/v1/videos/{place.done}/content").content
    place.gateway.stop()
    place.gateway.start()
    address = urlsplit(url)
    answer = httpx2.get(f"{place.gateway.url}{address.path}?{address.query}")
    assert (answer.status_code, answer.content) == (200, content)
    for reader in ANSWERED:
        assert place.shown(reader, place.done).status_code == 200
