"""One request is one task, one task has many names, and only its owner knows any of them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from openai import ConflictError, OpenAI
from openai.types import Video

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture
from tests.e2e.waiting import SMALL, completed, ended

PROMPT = "[studio:fast] once"


@pytest.fixture(scope="module")
def finished(client: OpenAI) -> Video:
    return completed(client, "a well")


def names_of(video_id: str) -> list[str]:
    digits = video_id.removeprefix("video_")
    return [f"video_{digits}", f"task_{digits}", f"chatcmpl-{digits}", digits, str(uuid.UUID(digits))]


def test_one_task_in_every_dialect(client: OpenAI, http: httpx2.Client, finished: Video) -> None:
    for name in names_of(finished.id):
        assert client.videos.retrieve(name).id == finished.id
        found = http.get(f"/v1/tasks/{name}").json()
        assert found["task_id"] == finished.id.removeprefix("video_")
        assert found["status"] == "completed"
        assert found["progress"] == 100.0
        assert len(found["result_urls"]) == 1
        assert found["error_message"] is None
        assert found["created_at"] <= found["completed_at"]
        assert client.videos.download_content(name).response.status_code == 200


def test_a_stranger_finds_nothing(
    http: httpx2.Client, stranger: OpenAI, setting: Setting, finished: Video
) -> None:
    with setting.gateway.client(key=setting.keys.other) as other:
        for name in names_of(finished.id):
            for method, path in (
                ("GET", f"/v1/videos/{name}"),
                ("GET", f"/v1/videos/{name}/content"),
                ("HEAD", f"/v1/videos/{name}/content"),
                ("DELETE", f"/v1/videos/{name}"),
                ("POST", f"/v1/videos/{name}/remix"),
                ("GET", f"/v1/tasks/{name}"),
                ("POST", f"/v1/tasks/{name}/cancel"),
            ):
                answer = other.request(method, path, json={"prompt": "x"} if method == "POST" else None)
                assert answer.status_code == 404, (method, path)
                assert method == "HEAD" or answer.json()["error"]["code"] == "not_found"
            for path in ("edits", "extensions"):
                body = {"prompt": "x", "seconds": 1, "video": {"id": name}}
                assert other.post(f"/v1/videos/{path}", json=body).status_code == 404
            remix = {
                "model": "sora_video2",
                "messages": [{"role": "user", "content": f"s_{finished.id.removeprefix('video_')} again"}],
            }
            assert other.post("/v1/chat/completions", json=remix).status_code == 400
        assert other.get("/v1/tasks").json()["data"] == []
    assert finished.id not in [video.id for video in stranger.videos.list(limit=100)]
    assert http.get(f"/v1/videos/{finished.id}").status_code == 200


def test_a_project_shares_its_tasks(setting: Setting) -> None:
    mine, theirs = setting.keys.project
    with (
        OpenAI(base_url=setting.base, api_key=mine) as first,
        OpenAI(base_url=setting.base, api_key=theirs) as second,
    ):
        made = first.videos.create(prompt=PROMPT, **SMALL)
        assert second.videos.retrieve(made.id).id == made.id


def test_an_idempotency_key_makes_one_task(client: OpenAI) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = client.videos.create(prompt=PROMPT, extra_headers=headers, **SMALL)
    form = client.videos.create(prompt=PROMPT, extra_headers=headers, **SMALL)
    json = client.videos.create(
        prompt=PROMPT, extra_headers=headers | {"Content-Type": "application/json"}, **SMALL
    )
    assert first.id == form.id == json.id
    ended(client, first.id)
    assert client.videos.create(prompt=PROMPT, extra_headers=headers, **SMALL).id == first.id
    with pytest.raises(ConflictError) as refused:
        client.videos.create(prompt="[studio:fast] something else", extra_headers=headers, **SMALL)
    assert refused.value.code == "idempotency_conflict"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_an_idempotency_key_belongs_to_its_owner(client: OpenAI, stranger: OpenAI) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    mine = client.videos.create(prompt=PROMPT, extra_headers=headers, **SMALL)
    theirs = stranger.videos.create(prompt=PROMPT, extra_headers=headers, **SMALL)
    assert mine.id != theirs.id


def test_a_hundred_at_once_make_one_task(setting: Setting, http: httpx2.Client) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"prompt": f"[studio:fast] {headers['Idempotency-Key']}", **SMALL}

    def ask(_: int) -> httpx2.Response:
        return http.post("/v1/videos", json=body, headers=headers)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(ask, range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    listed = http.get("/v1/videos", params={"limit": 100}).json()["data"]
    assert len([video for video in listed if video["prompt"] == body["prompt"]]) == 1


@pytest.mark.parametrize("encoding", ["json", "form", "file"])
def test_what_an_sdk_sends_again_is_the_same_task(http: httpx2.Client, encoding: str) -> None:
    """SDKs repeat a POST that broke off, with no key: only their retry counter tells."""
    fields = {"prompt": f"[studio:fast] {uuid.uuid4().hex}", "seconds": "1", "size": "320x180"}
    sent: dict[str, Any] = {
        "json": {"json": fields},
        "form": {"files": {name: (None, value) for name, value in fields.items()}},
        "file": {"data": fields, "files": {"input_reference": ("a.png", make_picture(), "image/png")}},
    }[encoding]
    first = http.post("/v1/videos", headers={"x-stainless-retry-count": "0"}, **sent).json()["id"]
    again = http.post("/v1/videos", headers={"x-stainless-retry-count": "1"}, **sent).json()["id"]
    wanted = http.post("/v1/videos", headers={"x-stainless-retry-count": "0"}, **sent).json()["id"]
    assert first == again
    assert wanted != first


def test_chat_is_made_once_too(http: httpx2.Client) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {
        "model": "sora_video2",
        "messages": [{"role": "user", "content": "[studio:fast] once in chat"}],
        **SMALL,
    }
    first, second = (http.post("/v1/chat/completions", json=body, headers=headers) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["x-task-id"] == first.json()["id"].removeprefix("chatcmpl-")


def test_cancel(http: httpx2.Client, client: OpenAI) -> None:
    made = client.videos.create(prompt="[studio:slow=30] never mind", **SMALL)
    cancelled = http.post(f"/v1/tasks/{made.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "failed")
    video = client.videos.retrieve(made.id)
    assert video.status == "failed"
    assert video.error and video.error.code == "cancelled"
    assert http.post(f"/v1/tasks/{made.id}/cancel").status_code == 200


def test_cancel_leaves_what_is_done(http: httpx2.Client, finished: Video) -> None:
    assert http.post(f"/v1/tasks/{finished.id}/cancel").json()["status"] == "completed"


def test_task_list(http: httpx2.Client, finished: Video) -> None:
    listed = http.get("/v1/tasks", params={"status": "completed", "limit": 2}).json()
    assert len(listed["data"]) == 2
    assert listed["has_more"] is True
    assert {task["status"] for task in listed["data"]} == {"completed"}
    after = http.get("/v1/tasks", params={"after": listed["data"][0]["task_id"], "limit": 1}).json()
    assert after["data"][0]["task_id"] != listed["data"][0]["task_id"]
    assert http.get("/v1/tasks", params={"status": "sleeping"}).json()["error"]["param"] == "status"
