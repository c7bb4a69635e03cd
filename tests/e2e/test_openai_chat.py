"""Videos, pictures and plain text through chat completions, with the official SDK."""

import base64
import json
import re
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import APIError, APIStatusError, AsyncOpenAI, BadRequestError, OpenAI
from openai.types import Video

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip, read_picture
from tests.e2e.waiting import SMALL, completed
from tests.serving import KEY, until

FAST = "[studio:fast] "
LINK = r"(https?://[^)'\s]+)"
STREAMED = {
    "sora_video2": rf"视频生成成功！\[点击这里\]\({LINK}\)",
    "sora2-landscape-10s": rf"```html\n<video src='{LINK}' controls></video>\n```",
    "sora-1.0": LINK,
    "gpt-image": rf"!\[Generated Image\]\({LINK}\)",
    "veo3": rf"```html\n<video src='{LINK}' controls></video>\n```",
}
WHOLE = STREAMED | {"sora_video2": rf"✅ 视频生成成功，\[点击这里\]\({LINK}\) 查看视频~~~\n\n"}


def said(prompt: Any) -> list[Any]:
    return [{"role": "user", "content": prompt}]


def linked(pattern: str, content: str | None) -> str:
    match = re.fullmatch(pattern, content or "")
    assert match, content
    return match[1]


def size_for(model: str) -> dict[str, Any]:
    return {} if model == "gpt-image" else SMALL


@pytest.mark.parametrize("model", STREAMED)
def test_stream(client: OpenAI, keyless: httpx2.Client, model: str) -> None:
    with client.chat.completions.create(
        model=model,
        messages=said(f"{FAST}a paper boat"),
        stream=True,
        stream_options={"include_usage": True},
        extra_body=size_for(model),
    ) as stream:
        chunks = list(stream)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].id.startswith("chatcmpl-")
    *told, usage = chunks
    assert (usage.choices, usage.usage is not None) == ([], True)
    assert all(chunk.usage is None for chunk in told)
    reasons = [chunk.choices[0].finish_reason for chunk in told]
    assert reasons == [None] * (len(told) - 1) + ["stop"]
    contents = [chunk.choices[0].delta.content for chunk in told if chunk.choices[0].delta.content]
    content = keyless.get(linked(STREAMED[model], contents[-1])).content
    if model == "gpt-image":
        assert read_picture(content) == ("png", 360, 360)
    else:
        assert read_clip(content).size == "320x180"
    if model == "sora_video2":
        assert "队列" in contents[0]
        assert any(line.startswith("视频生成中") for line in contents)
        steps = [int(found[1]) for line in contents if (found := re.fullmatch(r"进度: (\d+)%\n", line))]
        assert steps == sorted(set(steps))
        assert steps[-1] == 100
        assert all(step % 5 == 0 for step in steps)
    if model == "sora-1.0":
        assert "🎬 开始生成视频...\n" in contents
        assert "✅ 视频生成完成\n" in contents


def test_a_stream_without_usage(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="sora_video2", messages=said(f"{FAST}no usage"), stream=True, extra_body=SMALL
    ) as stream:
        chunks = [chunk.to_dict() for chunk in stream]
    assert all("usage" not in chunk for chunk in chunks)
    assert all(chunk["choices"] for chunk in chunks)


@pytest.mark.parametrize("model", WHOLE)
def test_whole(client: OpenAI, keyless: httpx2.Client, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=said(f"{FAST}a paper boat"), extra_body=size_for(model)
    )
    answer = raw.parse()
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == (
        "chat.completion",
        model,
        "stop",
    )
    assert answer.id == f"chatcmpl-{raw.headers['x-task-id']}"
    assert answer.usage is not None
    link = linked(WHOLE[model], answer.choices[0].message.content)
    assert keyless.get(link).status_code == 200
    assert client.videos.retrieve(answer.id).status == "completed"


@pytest.mark.parametrize(
    ("model", "prompt", "size", "seconds"),
    [
        ("sora-2", "横屏,10s,一只猫", "1280x720", 10),
        ("sora-2", "（竖屏，10s）一只猫", "720x1280", 10),
        ("sora_video2", "横屏 一只猫", "1280x704", 10),
        ("sora-2", "{anime} 横屏，10s：一只猫", "1280x720", 10),
    ],
)
def test_directives_shape_the_video(
    client: OpenAI, http: httpx2.Client, model: str, prompt: str, size: str, seconds: int
) -> None:
    """They stand first in the prompt; the studio's own word stands behind."""
    answer = client.chat.completions.create(model=model, messages=said(f"{prompt} [studio:fast]"))
    clip = read_clip(client.videos.download_content(answer.id).read())
    assert (clip.size, clip.seconds) == (size, seconds)
    assert http.get(f"/v1/tasks/{answer.id}").json()["prompt"] == "一只猫 [studio:fast]"


def test_a_model_name_says_size_and_length(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sora_video2-landscape-15s", messages=said(f"{FAST}long and wide")
    )
    clip = read_clip(client.videos.download_content(answer.id).read())
    assert (clip.size, clip.seconds) == ("1280x704", 15)


def test_a_storyboard(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sora_video2",
        messages=said("[1.0s]a door opens [studio:fast] [1.5s]a hall"),
        extra_body={"size": "320x180", "seconds": 3},
    )
    assert read_clip(client.videos.download_content(answer.id).read()).size == "320x180"
    with pytest.raises(BadRequestError, match="shots"):
        client.chat.completions.create(
            model="sora_video2", messages=said("[9s]one\n[9s]two"), extra_body={"seconds": 10}
        )


@pytest.mark.parametrize("count", [1, 3])
def test_pictures_as_parts(client: OpenAI, setting: Setting, count: int) -> None:
    encoded = base64.b64encode(make_picture()).decode()
    addresses = [
        f"data:image/png;base64,{encoded}",
        f"{setting.upstream.url}/files/image.png",
        f"data:image/jpeg;base64,{base64.b64encode(make_picture(kind='JPEG')).decode()}",
    ]
    parts = [{"type": "image_url", "image_url": {"url": address}} for address in addresses[:count]]
    answer = client.chat.completions.create(
        model="sora_video2",
        messages=said([{"type": "text", "text": f"{FAST}alive"}, *parts]),
        extra_body=SMALL,
    )
    assert client.videos.retrieve(answer.id).status == "completed"


def test_a_form_with_files(http: httpx2.Client) -> None:
    fields = {
        "model": "sora_video2",
        "messages": json.dumps(said(f"{FAST}from a form")),
        "seconds": "1",
        "size": "320x180",
        "stream": "false",
    }
    answer = http.post(
        "/v1/chat/completions", data=fields, files={"images[]": ("a.png", make_picture(), "image/png")}
    )
    assert answer.status_code == 200, answer.text
    assert "视频生成成功" in answer.json()["choices"][0]["message"]["content"]


def test_a_clip_as_part_and_a_remix_by_id(client: OpenAI) -> None:
    source = completed(client, "a mill")
    clip = base64.b64encode(client.videos.download_content(source.id).read()).decode()
    part = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{clip}"}}
    edited = client.chat.completions.create(
        model="sora_video2",
        messages=said([{"type": "text", "text": f"{FAST}in snow"}, part]),
        extra_body=SMALL,
    )
    assert client.videos.retrieve(edited.id).status == "completed"
    remixed = client.chat.completions.create(
        model="sora_video2",
        messages=said(f"s_{source.id.removeprefix('video_')} {FAST}in rain"),
        extra_body=SMALL,
    )
    assert client.videos.retrieve(remixed.id).remixed_from_video_id == source.id


@pytest.mark.parametrize(
    ("word", "code"),
    [("fail", None), ("moderate", "content_policy_violation"), ("reject", "invalid_request")],
)
def test_a_failure_within_the_stream(
    client: OpenAI, http: httpx2.Client, word: str, code: str | None
) -> None:
    body = {"model": "sora_video2", "messages": said(f"[studio:{word}] a storm"), **SMALL}
    with (
        pytest.raises(APIError) as failed,
        client.chat.completions.create(
            model="sora_video2", messages=body["messages"], stream=True, extra_body=SMALL
        ) as stream,
    ):
        list(stream)
    assert failed.value.message
    assert code is None or failed.value.code == code
    lines = http.post("/v1/chat/completions", json=body | {"stream": True}).text.split("\n\n")
    assert lines[-2] == "data: [DONE]"
    assert "error" in json.loads(lines[-3].removeprefix("data: "))


@pytest.mark.parametrize(("word", "status"), [("fail", 502), ("moderate", 400), ("reject", 400)])
def test_a_failure_told_at_the_end(client: OpenAI, word: str, status: int) -> None:
    with pytest.raises(APIStatusError) as failed:
        client.chat.completions.create(
            model="sora_video2", messages=said(f"[studio:{word}] a storm"), extra_body=SMALL
        )
    assert failed.value.status_code == status
    if word != "reject":
        assert failed.value.response.headers["x-should-retry"] == "false"


def test_a_client_that_hangs_up_stops_nothing(client: OpenAI, http: httpx2.Client) -> None:
    body = {"model": "sora_video2", "messages": said("[studio:slow=2] on and on"), "stream": True, **SMALL}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        task = answer.headers["x-task-id"]
        next(answer.iter_lines())
    assert client.videos.retrieve(f"video_{task}").status in ("queued", "in_progress")
    until(lambda: client.videos.retrieve(f"chatcmpl-{task}").status == "completed")


def test_a_client_that_stops_waiting_stops_nothing(client: OpenAI, setting: Setting) -> None:
    prompt = "[studio:slow=2] no patience"
    body = {"model": "sora_video2", "messages": said(prompt), **SMALL}
    impatient = HTTPConnection(urlsplit(setting.gateway.url).netloc)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    impatient.request("POST", "/v1/chat/completions", json.dumps(body), headers)

    def mine() -> list[Video]:
        return [video for video in client.videos.list() if video.prompt == prompt]

    until(mine)
    impatient.close()  # nothing of the answer was read
    until(lambda: mine()[0].status == "completed")


def test_a_cancelled_stream_says_so(http: httpx2.Client, setting: Setting) -> None:
    body = {"model": "sora_video2", "messages": said("[studio:slow=30] no"), "stream": True, **SMALL}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        with setting.gateway.client() as beside:
            beside.post(f"/v1/tasks/{answer.headers['x-task-id']}/cancel")
        *_, news, done = [line for line in lines if line]
    assert json.loads(news.removeprefix("data: "))["error"]["code"] == "cancelled"
    assert done == "data: [DONE]"


def test_a_picture_is_no_video_to_work_on(client: OpenAI, http: httpx2.Client) -> None:
    picture = client.chat.completions.create(model="gpt-image", messages=said("an owl"))
    refused = http.post(f"/v1/videos/{picture.id}/remix", json={"prompt": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    assert picture.id.removeprefix("chatcmpl-") not in str(http.get("/v1/videos?limit=100").json()["data"])


def test_text_is_relayed(client: OpenAI, setting: Setting) -> None:
    answer = client.chat.completions.create(
        model="house-chat", messages=said("hi"), extra_body={"unknown": {"kept": [1]}}
    )
    assert answer.choices[0].message.content == "Hello from upstream"
    seen = setting.upstream.counters().last["chat"]
    assert (seen.fields["model"], seen.fields["unknown"]) == ("fake-chat", {"kept": [1]})
    assert KEY not in json.dumps(seen.model_dump())
    embedding = client.embeddings.create(model="house-embedding", input=["one", "two"])
    assert [item.embedding for item in embedding.data] == [[0.25, -0.5, 0.75, 1.0]] * 2


async def test_text_and_video_streams_side_by_side(setting: Setting) -> None:
    async with AsyncOpenAI(base_url=setting.base, api_key=KEY, max_retries=0) as client:
        video = await client.chat.completions.create(
            model="sora_video2", messages=said(f"{FAST}beside text"), stream=True, extra_body=SMALL
        )
        text = await client.chat.completions.create(
            model="house-chat",
            messages=said("hi"),
            stream=True,
            stream_options={"include_usage": True},
        )
        words = [chunk async for chunk in text]
        told = "".join([chunk.choices[0].delta.content or "" async for chunk in video])
    assert "".join(c.choices[0].delta.content or "" for c in words if c.choices) == "Hello from upstream"
    assert words[-1].usage and words[-1].usage.prompt_tokens == 7
    assert "视频生成成功" in told


def test_unknown_model(client: OpenAI) -> None:
    for call in (
        lambda: client.chat.completions.create(model="gpt-99", messages=said("hi")),
        lambda: client.videos.create(model="gpt-99", prompt="hi"),
    ):
        with pytest.raises(BadRequestError, match="Invalid model: gpt-99") as refused:
            call()
        assert (refused.value.param, refused.value.code) == ("model", "model_not_found")
