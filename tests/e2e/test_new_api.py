"""new-api's video route, read both as new-api documents it and as it really answers."""

import base64
import json
import uuid
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip
from tests.serving import until

PATH = "/v1/video/generations"
BODY: dict[str, Any] = {
    "model": "studio",
    "prompt": "[studio:fast] a kite",
    "duration": 1.0,
    "size": "320x180",
}


def submitted(http: httpx2.Client, **fields: Any) -> str:
    answer = http.post(PATH, json=BODY | fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


def ended(http: httpx2.Client, task: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(f"{PATH}/{task}").json()
        return found if found["status"] in ("completed", "failed") else None

    return until(look)


def test_both_readings_of_a_success(http: httpx2.Client, keyless: httpx2.Client) -> None:
    task = submitted(http, seed=7)
    found = ended(http, task)
    assert found["task_id"] == found["id"] == found["data"]["task_id"] == task
    assert (found["status"], found["format"]) == ("completed", "mp4")
    metadata = {"duration": 1.0, "fps": 24, "width": 320, "height": 180, "seed": 7}
    assert found["metadata"] == metadata | {"fps": found["metadata"]["fps"]}
    inner = found["data"]
    assert (found["code"], inner["status"], inner["progress"]) == ("success", "SUCCESS", "100%")
    assert inner["fail_reason"] == ""
    assert found["url"].partition("?")[0] == inner["result_url"].partition("?")[0]
    for link in (found["url"], inner["result_url"], inner["data"]["output"]):
        assert read_clip(keyless.get(link).content).size == "320x180"


def test_both_readings_of_a_failure(http: httpx2.Client) -> None:
    found = ended(http, submitted(http, prompt="[studio:moderate] a storm"))
    assert (found["status"], found["data"]["status"]) == ("failed", "FAILURE")
    assert found["error"]["code"] == 400
    assert found["error"]["message"] == found["data"]["fail_reason"] != ""
    assert "url" not in found


def test_the_answer_to_a_submit(http: httpx2.Client) -> None:
    made = http.post(PATH, json=BODY | {"prompt": "[studio:reject] x"}).json()
    assert set(made) == {"id", "task_id", "object", "model", "status", "progress", "created_at"}
    assert (made["object"], made["status"], made["progress"]) == ("video", "queued", 0)


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@pytest.mark.parametrize("name", ["image", "images[]", "input_reference"])
def test_pictures(http: httpx2.Client, name: str, form: bool) -> None:
    picture = make_picture()
    if form:
        sent: dict[str, Any] = {"data": BODY, "files": {name: ("a.png", picture, "image/png")}}
    else:
        encoded = "data:image/png;base64," + base64.b64encode(picture).decode()
        sent = {"json": BODY | ({"images": [encoded]} if name == "images[]" else {name: encoded})}
    made = http.post(PATH, **sent)
    assert made.status_code == 200, made.text
    assert ended(http, made.json()["task_id"])["status"] == "completed"


def test_pixels_and_metadata(http: httpx2.Client) -> None:
    """``metadata`` may come as text, too, and never names another model."""
    fields = BODY | {"prompt": "[studio:reject] x", "width": 640, "height": 360, "duration": 0}
    del fields["size"]
    for metadata in ({"seed": 9, "seconds": "3", "model": "gpt-image"}, '{"seed": 9, "seconds": "3"}'):
        made = http.post(PATH, json=fields | {"metadata": metadata})
        assert made.status_code == 200, made.text
        video = http.get(f"/v1/videos/{made.json()['id']}").json()
        assert (video["size"], video["seconds"], video["model"]) == ("640x360", "3", "studio")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"model": None}, "model"),
        ({"model": "gpt-image"}, "model"),
        ({"duration": -1}, "duration"),
        ({"duration": "long"}, "duration"),
        ({"width": 640}, "height"),
        ({"width": 640000, "height": 10}, "width"),
        ({"n": 2}, "n"),
        ({"response_format": "b64_json"}, "response_format"),
        ({"metadata": 5}, "metadata"),
        ({"metadata": {"seed": "x"}}, "seed"),
        ({"image": "aGk="}, "image"),
        ({"image_tail": 5}, "image_tail"),
        ({"notify_hook": "there"}, "notify_hook"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_bad_fields(http: httpx2.Client, fields: dict[str, Any], param: str) -> None:
    answer = http.post(PATH, json=BODY | fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")


def test_keys_owners_and_repeats(http: httpx2.Client, keyless: httpx2.Client, setting: Setting) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = BODY | {"prompt": "[studio:reject] once"}
    first, again = (http.post(PATH, json=body, headers=headers).json() for _ in range(2))
    assert first["id"] == again["id"]
    assert http.post(PATH, json=BODY, headers=headers).status_code == 409
    assert keyless.post(PATH, json=body).status_code == 401
    assert keyless.get(f"{PATH}/{first['id']}").status_code == 401
    with setting.gateway.client(key=setting.keys.other) as stranger:
        assert stranger.get(f"{PATH}/{first['id']}").status_code == 404
