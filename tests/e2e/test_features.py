"""The feature endpoints: whole, streamed and asynchronous, told like a chat."""

import base64
import json
import re
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip, read_picture
from tests.serving import until

SMALL: dict[str, Any] = {"size": "64x64", "seconds": 1}
LINK = r"(https?://[^)'\s]+)"
VIDEO = rf"```html\n<video src='{LINK}' controls></video>\n```"
IMAGE = rf"!\[Generated Image\]\({LINK}\)"


def picture() -> str:
    return "data:image/png;base64," + base64.b64encode(make_picture()).decode()


def contents(stream: str) -> list[str]:
    frames = [part.removeprefix("data: ") for part in stream.split("\n\n") if part.startswith("data: ")]
    assert frames.pop() == "[DONE]"
    deltas = [json.loads(frame)["choices"][0]["delta"] for frame in frames]
    return [delta["content"] for delta in deltas if delta.get("content")]


def linked(pattern: str, content: str) -> str:
    match = re.fullmatch(pattern, content)
    assert match, content
    return match[1]


def finished(http: httpx2.Client, task_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(f"/v1/tasks/{task_id}").json()
        return found if found["status"] != "processing" else None

    return until(look)


CASES: dict[str, dict[str, Any]] = {
    "/v1/images/generate": {},
    "/v1/images/transform": {"image": picture()},
    "/v1/videos/generate": {"style": "anime", **SMALL},
    "/v1/videos/transform": {"image": picture(), **SMALL},
    "/v1/videos/storyboard": {
        "prompt": "[0.5s]a door [studio:fast] [0.5s]a hall",
        **SMALL,
    },
}


@pytest.mark.parametrize("path", CASES)
def test_whole_streamed_and_asynchronous(http: httpx2.Client, keyless: httpx2.Client, path: str) -> None:
    body = {"prompt": "[studio:fast] a kitten"} | CASES[path]
    model = "gpt-image" if "images" in path else "sora2-landscape-10s"
    pattern = IMAGE if "images" in path else VIDEO

    whole = http.post(path, json=body)
    document = whole.json()
    assert (whole.status_code, document["object"], document["model"]) == (200, "chat.completion", model)
    link = linked(pattern, document["choices"][0]["message"]["content"])
    made = keyless.get(link).content
    assert (read_picture(made)[1:] == (360, 360)) if "images" in path else read_clip(made).size == "64x64"

    stream = http.post(path, json=body | {"stream": True})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert keyless.get(linked(pattern, contents(stream.text)[-1])).status_code == 200

    at_once = http.post(path, json=body | {"stream": True, "async_mode": True}).json()
    assert (at_once["status"], at_once["model"], at_once["result_urls"]) == ("processing", model, [])
    done = finished(http, at_once["task_id"])
    assert (done["status"], done["progress"], done["error_message"]) == ("completed", 100.0, None)
    assert keyless.get(done["result_urls"][0]).status_code == 200


def test_remix_takes_every_form_of_a_target(http: httpx2.Client) -> None:
    body = {"prompt": "[studio:fast] a mill", "async_mode": True, **SMALL}
    task_id = http.post("/v1/videos/generate", json=body).json()["task_id"]
    finished(http, task_id)
    body["prompt"] = "[studio:reject] in snow"
    for target in (
        task_id,
        f"video_{task_id}",
        f"s_{task_id}",
        f"https://sora.chatgpt.com/p/s_{task_id}",
    ):
        made = http.post("/v1/videos/remix", json=body | {"remix_target_id": target}).json()
        source = http.get(f"/v1/videos/{made['task_id']}").json()["remixed_from_video_id"]
        assert source == f"video_{task_id}"
    body |= {"prompt": "[studio:fast] in rain", "remix_target_id": task_id, "async_mode": False}
    assert http.post("/v1/videos/remix", json=body).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/images/generate", {"prompt": " "}, "prompt"),
        ("/v1/images/generate", {"model": "sora-2"}, "model"),
        ("/v1/images/transform", {}, "image"),
        ("/v1/images/transform", {"image": "data:image/png;base64,iVBORw0KGgo="}, "image"),
        ("/v1/videos/generate", {"model": "gpt-image"}, "model"),
        ("/v1/videos/generate", {"model": "nobody-has-this"}, "model"),
        ("/v1/videos/generate", {"style": "baroque"}, "style"),
        ("/v1/videos/generate", {"stream": "perhaps"}, "stream"),
        ("/v1/videos/generate", {"async_mode": "perhaps"}, "async_mode"),
        ("/v1/videos/transform", {}, "image"),
        ("/v1/videos/remix", {}, "remix_target_id"),
        ("/v1/videos/remix", {"remix_target_id": "s_" + "0" * 32}, "remix_target_id"),
        ("/v1/videos/remix", {"remix_target_id": "the other one"}, "remix_target_id"),
        ("/v1/videos/storyboard", {"prompt": "no shots at all"}, "prompt"),
        ("/v1/videos/storyboard", {"prompt": "[5.0s]a [5.5s]b", "seconds": 10}, "prompt"),
        ("/v1/characters/create", {}, "video"),
        ("/v1/characters/create", {"video": "bm8gdmlkZW8="}, "video"),
        ("/v1/characters/generate", {}, "video"),
        ("/v1/characters/generate", {"prompt": ""}, "prompt"),
    ],
    ids=str,
)
def test_each_refusal_names_its_field(
    http: httpx2.Client, path: str, fields: dict[str, Any], param: str
) -> None:
    before = newest(http)
    answer = http.post(path, json={"prompt": "a cat", "stream": True} | fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert newest(http) == before


def newest(http: httpx2.Client) -> list[str]:
    """The id of the newest task; what becomes of it goes on."""
    return [task["task_id"] for task in http.get("/v1/tasks?limit=1").json()["data"]]


def test_the_list_of_styles_is_told(http: httpx2.Client) -> None:
    refused = http.post("/v1/videos/generate", json={"prompt": "x", "style": "baroque"})
    assert "festive, kakalaka, news" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("word", "status"), [("moderate", 400), ("fail", 502)])
def test_failures(http: httpx2.Client, word: str, status: int) -> None:
    body = {"prompt": f"[studio:{word}] x", **SMALL}
    assert http.post("/v1/videos/generate", json=body).status_code == status
    stream = http.post("/v1/videos/generate", json=body | {"stream": True}).text.split("\n\n")
    assert stream[-2] == "data: [DONE]"
    assert "error" in json.loads(stream[-3].removeprefix("data: "))
    task_id = http.post("/v1/videos/generate", json=body | {"async_mode": True}).json()["task_id"]
    failed = finished(http, task_id)
    assert (failed["status"], bool(failed["error_message"])) == ("failed", True)


def test_the_same_wish_as_a_chat(http: httpx2.Client) -> None:
    """The manual promises that both ways are the same: directives in the prompt work here too."""
    body = {"prompt": "{retro} 竖屏，一只猫 [studio:reject]", "async_mode": True}
    task_id = http.post("/v1/videos/generate", json=body).json()["task_id"]
    assert http.get(f"/v1/videos/{task_id}").json()["size"] == "720x1280"
    assert http.get(f"/v1/tasks/{task_id}").json()["prompt"] == "一只猫 [studio:reject]"


def test_names_win_over_ids(http: httpx2.Client, setting: Setting) -> None:
    """`/v1/videos/generate` is no video called so, and takes only POST."""
    assert http.get("/v1/videos/generate").status_code == 404
    assert http.get("/v1/images/generate").status_code == 405
    with httpx2.Client(base_url=setting.gateway.url) as nobody:
        assert nobody.post("/v1/videos/generate", json={"prompt": "x"}).status_code == 401


def test_a_form_will_do(http: httpx2.Client) -> None:
    fields = {"prompt": "[studio:fast] form", "seconds": "1", "size": "64x64", "async_mode": "true"}
    files = {"image": ("a.png", make_picture(), "image/png")}
    made = http.post("/v1/videos/transform", data=fields, files=files).json()
    assert finished(http, made["task_id"])["status"] == "completed"
