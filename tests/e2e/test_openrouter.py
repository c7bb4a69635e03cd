"""OpenRouter's own SDK makes videos here, and its rules hold: 202, errors as text, links without a header."""

import base64
import json
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest
from openrouter import OpenRouter, errors
from openrouter.components import VideoGenerationResponse

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip
from tests.serving import KEY, until

SMALL: dict[str, Any] = {"model": "studio", "duration": 1, "size": "320x180"}
PATH = "/api/v1/videos"


@pytest.fixture(scope="module")
def router(setting: Setting) -> Iterator[OpenRouter]:
    with OpenRouter(server_url=f"{setting.gateway.url}/api/v1", api_key=KEY) as found:
        yield found


def ended(router: OpenRouter, job: str) -> VideoGenerationResponse:
    def look() -> VideoGenerationResponse | None:
        found = router.video_generation.get_generation(job_id=job)
        return None if found.status in ("pending", "in_progress") else found

    return until(look)


def test_a_job_from_submit_to_download(
    router: OpenRouter, keyless: httpx2.Client, http: httpx2.Client
) -> None:
    made = router.video_generation.generate(prompt="[studio:fast] a paper boat", seed=7, **SMALL)
    assert made.status == "pending"
    assert made.polling_url.endswith(f"{PATH}/{made.id}")
    job = ended(router, made.id)
    assert job.status == "completed"
    assert job.unsigned_urls and job.urls and job.expires_at
    content = router.video_generation.get_video_content(job_id=made.id, index=0).read()
    assert keyless.get(job.unsigned_urls[0]).content == content
    clip = read_clip(content)
    assert (clip.size, clip.seconds) == ("320x180", 1.0)
    polled = http.get(made.polling_url)
    assert (polled.status_code, polled.json()["status"]) == (200, "completed")
    assert None not in polled.json().values()


def test_text_through_the_same_address(router: OpenRouter, setting: Setting) -> None:
    setting.upstream.script()
    said = router.chat.send(model="house-chat", messages=[{"role": "user", "content": "hi"}])
    assert said.choices[0].message.content == "Hello from upstream"
    with router.chat.send(
        model="house-chat", messages=[{"role": "user", "content": "hi"}], stream=True
    ) as stream:
        told = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert told == "Hello from upstream"
    vectors = router.embeddings.generate(model="house-embedding", input=["a", "b"])
    assert len(vectors.data) == 2


def test_every_model_is_listed(router: OpenRouter) -> None:
    listed = router.models.list()
    by_name = {model.id: model for model in listed.result.data}
    assert listed.result.total_count == len(by_name) == router.models.count().data.count
    assert by_name["house-chat"].architecture.output_modalities == ["text"]
    assert by_name["sora-2"].architecture.output_modalities == ["video"]
    assert by_name["house-chat"].pricing.prompt == "0"


def test_errors_of_text_have_openrouters_form(router: OpenRouter, setting: Setting) -> None:
    with pytest.raises(errors.BadRequestResponseError, match="Invalid model"):
        router.chat.send(model="nobody-has-it", messages=[{"role": "user", "content": "hi"}])
    setting.upstream.fault("chat", status=422, body={"error": {"message": "too hot", "code": "bad_value"}})
    with pytest.raises(errors.OpenRouterError, match="too hot"):
        router.chat.send(model="house-chat", messages=[{"role": "user", "content": "hi"}], temperature=2)


def test_frames_and_references(router: OpenRouter) -> None:
    picture = "data:image/png;base64," + base64.b64encode(make_picture()).decode()
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": picture}}
    framed = router.video_generation.generate(
        prompt="[studio:fast] go", frame_images=[image | {"frame_type": "first_frame"}], **SMALL
    )
    led = router.video_generation.generate(prompt="[studio:fast] go", input_references=[image], **SMALL)
    assert [ended(router, made.id).status for made in (framed, led)] == ["completed", "completed"]


def test_a_job_made_from_another(router: OpenRouter, http: httpx2.Client) -> None:
    first = router.video_generation.generate(prompt="[studio:fast] a mill", **SMALL)
    ended(router, first.id)
    second = router.video_generation.generate(
        prompt="[studio:fast] in snow", previous_job_id=first.id, **SMALL
    )
    assert ended(router, second.id).status == "completed"
    assert http.get(f"/v1/videos/{second.id}").json()["remixed_from_video_id"] == f"video_{first.id[8:]}"


def test_a_failure_is_text(router: OpenRouter) -> None:
    made = router.video_generation.generate(prompt="[studio:moderate] a storm", **SMALL)
    job = ended(router, made.id)
    assert job.status == "failed"
    assert isinstance(job.error, str) and job.error


def test_cancelled_is_a_word_of_its_own(router: OpenRouter, http: httpx2.Client) -> None:
    made = router.video_generation.generate(prompt="[studio:slow=30] wait", **SMALL)
    http.post(f"/v1/tasks/{made.id}/cancel")
    assert ended(router, made.id).status == "cancelled"


def test_models(router: OpenRouter) -> None:
    models = {model.id: model for model in router.video_generation.list_videos_models().data}
    assert {"sora-2", "studio", "veo3.1"} <= set(models)
    assert not {"gpt-image", "house-chat"} & set(models)
    durations = models["studio"].supported_durations
    assert durations and durations[:2] == [1, 2]
    assert "first_frame" in (models["studio"].supported_frame_images or [])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "studio"}, "prompt"),
        ({"model": "gpt-image", "prompt": "x"}, "model"),
        ({**SMALL, "prompt": "x", "duration": 0}, "duration"),
        ({**SMALL, "prompt": "x", "size": "big"}, "size"),
        ({**SMALL, "prompt": "x", "seed": "x"}, "seed"),
        ({**SMALL, "prompt": "x", "frame_images": ["x"]}, "frame_images"),
        ({**SMALL, "prompt": "x", "frame_images": [{"type": "audio_url"}]}, "frame_images"),
        ({**SMALL, "prompt": "x", "frame_images": [{"type": "image_url"}]}, "frame_images"),
        (
            {**SMALL, "prompt": "x", "frame_images": [{"type": "image_url", "image_url": {"url": "aGk="}}]},
            "frame_images",
        ),
        ({**SMALL, "prompt": "x", "input_references": [{"type": "image_url"}]}, "input_references"),
        ({**SMALL, "prompt": "x", "callback_url": "there"}, "callback_url"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_bad_fields(http: httpx2.Client, body: dict[str, Any], param: str) -> None:
    answer = http.post(PATH, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["metadata"]["param"]) == (400, 400, param)


def test_the_sdk_knows_our_errors(router: OpenRouter, setting: Setting) -> None:
    with pytest.raises(errors.BadRequestResponseError, match="Invalid model: gpt-99"):
        router.video_generation.generate(prompt="x", model="gpt-99")
    with pytest.raises(errors.NotFoundResponseError):
        router.video_generation.get_generation(job_id="gen-vid-" + "0" * 32)
    with (
        OpenRouter(server_url=f"{setting.gateway.url}/api/v1", api_key="wrong") as nobody,
        pytest.raises(errors.UnauthorizedResponseError, match="Invalid API key"),
    ):
        nobody.video_generation.generate(prompt="x", model="studio")


def test_every_error_has_openrouters_form(http: httpx2.Client, keyless: httpx2.Client) -> None:
    for answer in (
        http.get("/api/v1/nothing"),
        http.put(PATH),
        http.get(f"{PATH}/x"),
        http.get(f"{PATH}/gen-vid-{'0' * 32}/content"),
        http.post(PATH, content=b"{"),
        keyless.post(PATH, json={}),
    ):
        assert answer.json()["error"]["code"] == answer.status_code >= 400
        assert answer.json()["error"]["message"]
        assert answer.headers["x-request-id"]


def test_too_large_a_body_too(setting: Setting) -> None:
    connection = HTTPConnection(setting.gateway.url.removeprefix("http://"))
    connection.putrequest("POST", PATH)
    connection.putheader("content-length", "9" * 12)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["code"]) == (413, 413)
    connection.close()


def test_content_of_what_is_not_there(router: OpenRouter, http: httpx2.Client) -> None:
    made = router.video_generation.generate(prompt="[studio:fast] one file", **SMALL)
    ended(router, made.id)
    assert http.get(f"{PATH}/{made.id}/content?index=1").status_code == 404
    assert http.get(f"{PATH}/{made.id}/content?index=x").status_code == 400
    assert http.head(f"{PATH}/{made.id}/content").headers["content-type"] == "video/mp4"


def test_an_idempotency_key_and_a_stranger(http: httpx2.Client, setting: Setting) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {**SMALL, "prompt": "[studio:reject] once"}
    first, again = (http.post(PATH, json=body, headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json()["id"] == again.json()["id"]
    other = http.post(PATH, json=body | {"prompt": "[studio:reject] twice"}, headers=headers)
    assert (other.status_code, other.headers["x-should-retry"]) == (409, "false")
    with setting.gateway.client(key=setting.keys.other) as stranger:
        assert stranger.get(first.json()["polling_url"]).status_code == 404
        assert stranger.get(f"{PATH}/{first.json()['id']}/content").status_code == 404
