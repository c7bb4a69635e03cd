"""`/v2/{scope}/generations`: the platform manual's unified tasks, from submission to the file."""

import base64
import json
import re
import uuid
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip, read_picture
from tests.serving import until
from tests.webhooks.receiver import Receiver

WORDS = ["NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "SUCCESS"]
SMALL: dict[str, Any] = {"model": "studio", "duration": 1, "size": "64x64"}


def started(http: httpx2.Client, scope: str = "videos", **fields: Any) -> str:
    answer = http.post(f"/v2/{scope}/generations", json=fields)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"task_id"}
    return str(answer.json()["task_id"])


def ended(http: httpx2.Client, task_id: str, *, seen: list[str] | None = None) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(f"/v2/videos/generations/{task_id}").json()
        if seen is not None:
            seen.append(found["status"])
        return found if found["status"] in ("SUCCESS", "FAILURE") else None

    return until(look)


def refused(http: httpx2.Client, **fields: Any) -> tuple[int, str]:
    body = {"prompt": "a cat", "model": "sora-2"} | fields
    answer = http.post("/v2/videos/generations", json=body)
    assert answer.json()["error"]["message"]
    return answer.status_code, answer.json()["error"]["param"]


def test_from_submission_to_the_file(http: httpx2.Client, keyless: httpx2.Client) -> None:
    task_id = started(http, prompt="[studio:slow=1] two foxes", **SMALL)
    assert str(uuid.UUID(task_id)) == task_id
    early = http.get(f"/v2/videos/generations/{task_id}").json()
    assert (early["data"], early["finish_time"], early["fail_reason"]) == (None, 0, "")
    seen: list[str] = []
    done = ended(http, task_id, seen=seen)
    order = [WORDS.index(word) for word in seen]
    assert order == sorted(order)
    assert done["task_id"] == task_id
    assert (done["status"], done["progress"], done["search_item"]) == ("SUCCESS", "100%", "")
    assert 0 < done["submit_time"] <= done["start_time"] <= done["finish_time"]
    assert done["data"]["outputs"] == [done["data"]["output"]]
    assert read_clip(keyless.get(done["data"]["output"]).content).size == "64x64"


def test_the_platform_and_action_of_the_manuals_names(http: httpx2.Client) -> None:
    told = {}
    for model in ("sora-2", "veo3", "studio"):
        found = ended(http, started(http, prompt="[studio:reject] x", model=model))
        told[model] = (found["platform"], found["action"])
    assert told == {
        "sora-2": ("openai", "sora-video"),
        "veo3": ("google", "google-videos"),
        "studio": ("filmgate", "video-generate"),
    }


def test_a_failure(http: httpx2.Client) -> None:
    found = ended(http, started(http, prompt="[studio:moderate] x", **SMALL))
    assert (found["status"], found["progress"], found["data"]) == ("FAILURE", "100%", None)
    assert "content policy" in found["fail_reason"]


@pytest.mark.parametrize(
    ("fields", "size", "seconds"),
    [
        ({}, "720x1280", "10"),
        ({"aspect_ratio": "16:9"}, "1280x720", "10"),
        ({"aspect_ratio": "9:16", "duration": 15}, "720x1280", "15"),
        ({"duration": "15", "aspect_ratio": "16:9"}, "1280x720", "15"),
        ({"model": "sora-2-pro", "duration": "25"}, "720x1280", "25"),
        ({"model": "sora2-landscape-15s", "aspect_ratio": "9:16"}, "720x1280", "15"),
        ({"model": "studio", "duration": 5, "size": "320x180"}, "320x180", "5"),
    ],
)
def test_shape_and_length(http: httpx2.Client, fields: dict[str, Any], size: str, seconds: str) -> None:
    task_id = started(http, **({"prompt": "[studio:reject] x", "model": "sora-2"} | fields))
    video = http.get(f"/v1/videos/{task_id}").json()
    assert (video["size"], video["seconds"]) == (size, seconds)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"model": ""}, "model"),
        ({"model": "nobody-has-this"}, "model"),
        ({"model": "gpt-image"}, "model"),
        ({"duration": 5}, "duration"),
        ({"duration": "ten"}, "duration"),
        ({"duration": 25}, "duration"),
        ({"hd": True}, "hd"),
        ({"hd": "perhaps"}, "hd"),
        ({"aspect_ratio": "1:1"}, "aspect_ratio"),
        ({"model": "veo3", "aspect_ratio": "4:3"}, "aspect_ratio"),
        ({"size": "large"}, "size"),
        ({"style": "baroque"}, "style"),
        ({"images": ["no picture"]}, "images"),
        ({"model": "veo3-fast-frames", "images": ["a", "b", "c"]}, "images"),
        ({"videos": ["bm8gdmlkZW8="]}, "videos"),
        ({"character_url": "http://127.0.0.1:1/x.mp4"}, "character_url"),
        ({"character_timestamps": "1,3"}, "character_timestamps"),
        ({"character_url": "eA==", "character_timestamps": "1,9"}, "character_timestamps"),
        ({"character_url": "eA==", "character_timestamps": "1,1.5"}, "character_timestamps"),
        ({"character_url": "eA==", "character_timestamps": "soon"}, "character_timestamps"),
        ({"notify_hook": "ftp://example.com/hook"}, "notify_hook"),
        ({"prompt": "[10s]one [10s]two"}, "prompt"),
    ],
    ids=str,
)
def test_each_rule_names_its_field(http: httpx2.Client, fields: dict[str, Any], param: str) -> None:
    assert refused(http, **fields) == (400, param)


def test_hd_is_for_pro_and_has_no_effect_at_25_seconds(http: httpx2.Client) -> None:
    for seconds in (10, 25):
        task_id = started(http, prompt="[studio:reject] x", model="sora-2-pro", hd=True, duration=seconds)
        assert ended(http, task_id)["status"] == "FAILURE"


def test_the_storyboard_of_the_manual_makes_the_video_long_enough(http: httpx2.Client) -> None:
    prompt = "Shot 1:\nduration: 7.5sec\nScene: 飞机起飞 [studio:reject]\n\nShot 2:\nduration: 7.5sec\nScene: 飞机降落"
    task_id = started(http, prompt=prompt, model="sora-2", aspect_ratio="16:9", hd=False, duration="10")
    assert http.get(f"/v1/videos/{task_id}").json()["seconds"] == "15"


def test_images_and_videos_say_what_it_is_made_from(http: httpx2.Client, setting: Setting) -> None:
    encoded = base64.b64encode(make_picture()).decode()
    address = f"{setting.upstream.url}/files/image.png"
    alive = ended(http, started(http, prompt="[studio:fast] go", images=[encoded, address], **SMALL))
    assert alive["status"] == "SUCCESS"
    edited = started(http, prompt="[studio:fast] fog", videos=[alive["data"]["output"]], **SMALL)
    assert ended(http, edited)["status"] == "SUCCESS"


def test_an_image_and_its_scope(http: httpx2.Client, keyless: httpx2.Client) -> None:
    task_id = started(http, "images", prompt="a cat", model="gpt-image", aspect_ratio="16:9")
    done = ended(http, task_id)
    assert done["action"] == "gpt-image"
    assert read_picture(keyless.get(done["data"]["output"]).content)[0] == "png"
    assert http.post("/v2/audio/generations", json={"prompt": "x", "model": "studio"}).status_code == 400
    assert http.post("/v2/films/generations", json={"prompt": "x"}).status_code == 404
    assert http.get(f"/v2/films/generations/{task_id}").status_code == 404


def test_what_is_private_needs_the_key_and_is_not_remixed(
    http: httpx2.Client, keyless: httpx2.Client, setting: Setting
) -> None:
    done = ended(http, started(http, prompt="[studio:fast] secret", private=True, **SMALL))
    link = done["data"]["output"]
    assert "signature" not in link
    assert keyless.get(link).status_code in (401, 403)
    with setting.gateway.client(key=setting.keys.other) as stranger:
        assert stranger.get(link).status_code == 404
    assert http.get(link).headers["content-type"] == "video/mp4"
    for path in ("remix", "edit"):
        body = {"prompt": "x", "video": {"id": done["task_id"]}}
        at = f"/v1/videos/{done['task_id']}/remix" if path == "remix" else "/v1/videos/edits"
        assert http.post(at, json=body).status_code == 400
    chat = {
        "model": "sora_video2",
        "messages": [{"role": "user", "content": f"s_{done['task_id'].replace('-', '')} x"}],
    }
    assert http.post("/v1/chat/completions", json=chat).status_code == 400


def test_one_task_in_every_dialect(http: httpx2.Client, setting: Setting) -> None:
    task_id = ended(http, started(http, prompt="[studio:fast] x", **SMALL))["task_id"]
    bare = task_id.replace("-", "")
    for name in (bare, f"video_{bare}", f"task_{bare}", f"chatcmpl-{bare}"):
        assert http.get(f"/v2/videos/generations/{name}").json()["status"] == "SUCCESS"
    assert http.get(f"/v1/tasks/{task_id}").json()["status"] == "completed"
    assert http.get(f"/v1/videos/{task_id}").json()["status"] == "completed"
    with setting.gateway.client(key=setting.keys.other) as stranger:
        assert stranger.get(f"/v2/videos/generations/{task_id}").status_code == 404


def test_unknown_fields_reach_the_upstream_and_idempotency_holds(http: httpx2.Client) -> None:
    body = {"prompt": "[studio:reject] x", "model": "veo3", "enhance_prompt": True, "enable_upsample": True}
    headers = {"idempotency-key": uuid.uuid4().hex}
    first, again = (http.post("/v2/videos/generations", json=body, headers=headers).json() for _ in range(2))
    assert first == again
    other = http.post("/v2/videos/generations", json=body | {"enhance_prompt": False}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


def test_a_form_will_do(http: httpx2.Client) -> None:
    fields = {"prompt": "[studio:fast] form", "model": "studio", "duration": "1", "size": "64x64"}
    files = {"images[]": ("a.png", make_picture(), "image/png")}
    made = http.post("/v2/videos/generations", data=fields, files=files)
    assert ended(http, made.json()["task_id"])["status"] == "SUCCESS"


def test_a_character_on_the_way(http: httpx2.Client) -> None:
    source = ended(
        http, started(http, prompt="[studio:fast] a duck", model="studio", duration=3, size="64x64")
    )
    fields = {
        "prompt": "[studio:fast] on a stage",
        "character_url": source["data"]["output"],
        "character_timestamps": "1,3",
    }
    before = {found["id"] for found in http.get("/v1/characters?limit=100").json()["data"]}
    first = started(http, **(SMALL | fields))
    made = [c for c in http.get("/v1/characters?limit=100").json()["data"] if c["id"] not in before]
    assert len(made) == 1
    assert re.fullmatch(r"[a-z]+\.[0-9a-f]{8}", made[0]["username"])
    assert ended(http, first)["status"] == "SUCCESS"
    status, param = refused(http, **(SMALL | fields | {"character_timestamps": "2,4"}))
    assert (status, param) == (400, "character_timestamps")


def test_the_hook_gets_what_a_look_would(http: httpx2.Client) -> None:
    with Receiver() as receiver:
        task_id = started(http, prompt="[studio:fast] call me", notify_hook=receiver.url, **SMALL)
        told = json.loads(until(lambda: receiver.seen)[0].body)
    found = ended(http, task_id)
    assert {k: v for k, v in told.items() if k != "data"} == {k: v for k, v in found.items() if k != "data"}
    assert told["data"]["output"].split("?")[0] == found["data"]["output"].split("?")[0]
    assert http.get(told["data"]["output"]).headers["content-type"] == "video/mp4"
