"""Ark's own SDK makes videos here: content parts with roles, flags in the text, lists, cancel and delete."""

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from volcenginesdkarkruntime import Ark
from volcenginesdkarkruntime._exceptions import ArkBadRequestError, ArkNotFoundError

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip
from tests.serving import KEY, until

PATH = "/api/v3/contents/generations/tasks"
SMALL: dict[str, Any] = {"model": "studio", "duration": 1, "extra_body": {"size": "320x180"}}


@pytest.fixture(scope="module")
def ark(setting: Setting) -> Iterator[Ark]:
    client = Ark(base_url=f"{setting.gateway.url}/api/v3", api_key=KEY, max_retries=0)
    yield client
    client.close()


def told(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def picture(role: str | None = None, **fields: Any) -> dict[str, Any]:
    address = "data:image/png;base64," + base64.b64encode(make_picture(**fields)).decode()
    part: dict[str, Any] = {"type": "image_url", "image_url": {"url": address}}
    return part | ({"role": role} if role else {})


def ended(ark: Ark, task: str) -> Any:
    def look() -> Any:
        found = ark.content_generation.tasks.get(task_id=task)
        return None if found.status in ("queued", "running") else found

    return until(look)


def test_a_task_from_create_to_download(ark: Ark, keyless: httpx2.Client) -> None:
    tasks = ark.content_generation.tasks
    made = tasks.create(content=[told("[studio:fast] a paper boat")], seed=7, watermark=False, **SMALL)
    found = ended(ark, made.id)
    assert (found.id, found.status, found.model) == (made.id, "succeeded", "studio")
    assert (found.seed, found.duration, found.ratio, found.resolution) == (7, 1, "16:9", "180p")
    assert found.framespersecond > 0
    assert found.usage.completion_tokens == found.usage.total_tokens == 0
    assert found.error is None
    assert found.updated_at >= found.created_at
    assert read_clip(keyless.get(found.content.video_url).content).size == "320x180"


@pytest.mark.parametrize(
    "pictures",
    [
        [picture()],
        [picture("first_frame")],
        [picture("first_frame"), picture("last_frame", width=64)],
        [picture("reference_image"), picture("reference_image", width=64)],
    ],
    ids=["no role", "first", "first and last", "references"],
)
def test_roles(ark: Ark, pictures: list[Any]) -> None:
    made = ark.content_generation.tasks.create(content=[told("[studio:fast] alive"), *pictures], **SMALL)
    assert ended(ark, made.id).status == "succeeded"


def test_flags_in_the_text(ark: Ark, http: httpx2.Client) -> None:
    text = "[studio:reject] a cat --rt 9:16 jumps --dur 3 --seed 11 --wm false --mood calm"
    made = ark.content_generation.tasks.create(model="sora-2", content=[told(text)])
    task = http.get(f"/v1/videos/{made.id}").json()
    assert (task["prompt"], task["seconds"]) == ("[studio:reject] a cat jumps --mood calm", "3")
    assert task["size"] == "720x1280"
    assert ark.content_generation.tasks.get(task_id=made.id).seed == 11


def test_a_field_beats_a_flag_and_minus_one_leaves_it_open(ark: Ark, http: httpx2.Client) -> None:
    tasks = ark.content_generation.tasks
    made = tasks.create(
        model="studio", content=[told("[studio:reject] x --dur 3 --rt adaptive --seed -1")], duration=2
    )
    assert http.get(f"/v1/videos/{made.id}").json()["seconds"] == "2"
    open_one = tasks.create(model="studio", content=[told("[studio:reject] x")], duration=-1, seed=-1)
    assert http.get(f"/v1/videos/{open_one.id}").json()["seconds"] == "4"


def test_a_failure_has_a_code(ark: Ark) -> None:
    made = ark.content_generation.tasks.create(content=[told("[studio:moderate] a storm")], **SMALL)
    found = ended(ark, made.id)
    assert found.status == "failed"
    assert (found.error.code, bool(found.error.message)) == ("content_policy_violation", True)
    assert found.content is None


def test_delete_cancels_first_and_then_forgets(ark: Ark) -> None:
    tasks = ark.content_generation.tasks
    made = tasks.create(content=[told("[studio:slow=30] wait")], **SMALL)
    tasks.delete(task_id=made.id)
    assert ended(ark, made.id).status == "cancelled"
    tasks.delete(task_id=made.id)
    with pytest.raises(ArkNotFoundError):
        tasks.get(task_id=made.id)


def test_lists(setting: Setting) -> None:
    """A key of its own, so that the list holds these alone."""
    ark = Ark(base_url=f"{setting.gateway.url}/api/v3", api_key=setting.keys.ark)
    tasks = ark.content_generation.tasks
    made = [
        tasks.create(content=[told(f"[studio:{word}] {number}")], **SMALL).id
        for number, word in enumerate(["fast", "moderate", "fast", "moderate", "fast"])
    ]
    for task in made:
        ended(ark, task)
    whole = tasks.list(page_num=1, page_size=3)
    assert [item.id for item in whole.items] == made[:1:-1]
    assert [item.id for item in tasks.list(page_num=2, page_size=3).items] == made[1::-1]
    assert whole.total >= 5
    assert tasks.list(page_num=1, page_size=10, status="succeeded", task_ids=made).total == 3
    assert [item.id for item in tasks.list(task_ids=made[:2], status="failed").items] == [made[1]]
    assert tasks.list(model="no-such-model").total == 0
    assert tasks.list(task_ids=["nonsense"]).total == 0
    ark.close()


def body(**fields: Any) -> dict[str, Any]:
    found = {"model": "studio", "content": [told("x")]} | fields
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (body(model=None), "model"),
        (body(model="gpt-image"), "model"),
        (body(content=None), "content"),
        (body(content=[]), "content"),
        (body(content="x"), "content"),
        (body(content=[{"type": "text"}]), "content"),
        (body(content=[{"type": "draft_task", "draft_task": {"id": "cgt-1"}}]), "content"),
        (body(content=[told("x"), picture("subject")]), "content"),
        (body(content=[told("x"), picture(), picture()]), "content"),
        (body(content=[told("x"), picture("first_frame"), picture("first_frame")]), "content"),
        (body(content=[told("x"), picture("first_frame"), picture("reference_image")]), "content"),
        (body(content=[told("x"), {"type": "image_url", "image_url": {"url": "aGk="}}]), "content"),
        (body(duration=0), "duration"),
        (body(content=[told("x --dur soon")]), "duration"),
        (body(model="sora-2", ratio="1:1"), "ratio"),
        (body(seed="x"), "seed"),
        (body(watermark="perhaps"), "watermark"),
        (body(return_last_frame=True), "return_last_frame"),
        (body(callback_url="there"), "callback_url"),
    ],
    ids=lambda value: json.dumps(value)[-60:] if isinstance(value, dict) else None,
)
def test_bad_fields(http: httpx2.Client, sent: dict[str, Any], param: str) -> None:
    answer = http.post(PATH, json=sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")


@pytest.mark.parametrize("query", ["page_num=0", "page_size=501", "page_num=x", "filter.status=sleeping"])
def test_bad_queries(http: httpx2.Client, query: str) -> None:
    answer = http.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


def test_keys_owners_and_repeats(
    http: httpx2.Client, keyless: httpx2.Client, setting: Setting, ark: Ark
) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    sent = body(content=[told("[studio:reject] once")])
    first, again = (http.post(PATH, json=sent, headers=headers).json()["id"] for _ in range(2))
    assert first == again
    assert http.post(PATH, json=body(), headers=headers).status_code == 409
    with setting.gateway.client(key=setting.keys.other) as stranger:
        assert stranger.get(f"{PATH}/{first}").status_code == 404
        assert stranger.delete(f"{PATH}/{first}").status_code == 404
        assert stranger.get(f"{PATH}?filter.task_ids={first}").json() == {"total": 0, "items": []}
    assert http.get(f"{PATH}/{first}").status_code == 200
    for method, path in (
        ("POST", PATH),
        ("GET", PATH),
        ("GET", f"{PATH}/{first}"),
        ("DELETE", f"{PATH}/{first}"),
    ):
        assert keyless.request(method, path).status_code == 401
    with pytest.raises(ArkBadRequestError, match="Invalid model"):
        ark.content_generation.tasks.create(model="gpt-99", content=[told("x")])  # type: ignore[list-item]
