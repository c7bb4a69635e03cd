"""Chat answers of a media task, read the way the manuals' own scripts and OpenAI's SDK read them."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError, OpenAI

from app.catalog.presets import Reply
from app.catalog.waits import AccountWait
from app.dialects.http.language import Language, language_of
from app.dialects.prompt.chat_stream import (
    DONE,
    QUEUED,
    STAGES,
    ProgressNarrator,
    TaskView,
    character_lines,
    completion_object,
    failure_body,
    failure_line,
    final_content,
    progress_step,
    stream_for,
)
from app.generation import MediaKind
from app.tasks.states import State

KEEP_ALIVE = b": keep-alive\n\n"
URL = "https://example.com/video.mp4"
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}


def view(state: State = "running", **fields: Any) -> TaskView:
    return TaskView(**{"id": "0a" * 16, "model": "sora_video2", "state": state} | fields)


LIFE = [
    view("queued"),
    view("submitting"),
    view("running", accepted=True),
    view("running"),
    view("running", progress=3),
    view("running", progress=52.4),
    view("running", progress=54.9),
    view("running", progress=30),
    view("running", progress=99),
    view("storing", progress=99),
    view("completed", progress=100, url=URL),
]


def told(reply: Reply, *views: TaskView) -> list[str]:
    narrator = ProgressNarrator(reply)
    return [line for one in views for line in narrator.new_lines(one)]


def answer(reply: Reply, *, include_usage: bool = False) -> list[bytes]:
    """All frames of one task's stream, from the first to ``[DONE]``."""
    stream = stream_for(LIFE[0], reply=reply, created=1_700_000_000, include_usage=include_usage)
    lines = [stream.content_frame(line) for line in told(reply, *LIFE)]
    final = final_content(reply, URL, stream=True)
    return [stream.opening_frame(), KEEP_ALIVE, *lines, *stream.closing_frames(final, usage=USAGE)]


def failure(failed: TaskView) -> list[bytes]:
    body = failure_body(failed)
    stream = stream_for(failed, reply="link", created=1_700_000_000)
    return list(stream.failure_frames(failure_line(body, failed.kind, "zh"), body))


def payloads(frames: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame[6:]) for frame in frames if frame.startswith(b"data: {")]


# ---- lines -------------------------------------------------------------------------------------


def test_lines_of_the_chat_video_manual() -> None:
    """chat-video manual §4.1; the queued line is for §2's script, which looks for 队列."""
    assert told("link", *LIFE) == [QUEUED, "视频生成中...\n", "进度: 50%\n", "进度: 95%\n", "进度: 100%\n"]
    assert "队列" in QUEUED
    assert told("html", *LIFE) == told("link", *LIFE)


def test_lines_of_the_return_format_manual() -> None:
    """return-format manual §1: only stages that really run."""
    assert told("url", *LIFE) == [QUEUED, STAGES["started"], STAGES["made"]]
    delivered = view("storing", stages=("resolver", "drive", "never heard of"))
    assert told("url", view(), delivered, delivered) == [
        STAGES["started"],
        STAGES["made"],
        STAGES["resolver"],
        STAGES["drive"],
    ]
    assert [line.strip()[0] for line in STAGES.values()] == ["🎬", "✅", "📤", "🔗", "☁", "☁"]


@pytest.mark.parametrize(
    ("kind", "noun"), [("image", "图片"), ("audio", "音频"), ("character", "角色"), ("video", "视频")]
)
def test_the_line_names_what_is_made(kind: MediaKind, noun: str) -> None:
    assert told("html", view(kind=kind)) == [f"{noun}生成中...\n"]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_failure_is_no_line(state: State) -> None:
    assert told("link", view(), view(state, error_message="error 失败")) == ["视频生成中...\n"]


def test_a_wait_is_told_once_with_its_reason_and_time() -> None:
    waits = [AccountWait("1 cooling down", seconds) for seconds in (41.2, 36.0)]
    lines = told(
        "link", *(view("queued", wait=wait) for wait in (None, *waits, AccountWait("1 disabled", None)))
    )
    assert lines == [
        QUEUED,
        "⏳ 暂无可用账号（1 cooling down），约 42 秒后恢复，恢复后自动开始\n",
        "⏳ 暂无可用账号（1 disabled），恢复后自动开始\n",
    ]
    english = ProgressNarrator("link", "en")
    assert "⏳ No account is free (1 cooling down), the next in about 42 s; it begins by itself\n" in [
        *english.new_lines(view("queued", wait=waits[0]))
    ]


def test_a_task_done_at_the_first_look_still_shows_progress() -> None:
    assert told("link", LIFE[-1]) == ["视频生成中...\n", "进度: 100%\n"]


@pytest.mark.parametrize(
    ("state", "progress", "step"),
    [
        ("running", 0, 0),
        ("running", 4.99, 0),
        ("running", 5, 5),
        ("running", 100, 95),
        ("running", 250, 95),
        ("running", -3, 0),
        ("running", float("nan"), 0),
        ("running", float("inf"), 0),
        ("completed", 0, 100),
    ],
)
def test_whole_steps(state: State, progress: float, step: int) -> None:
    assert progress_step(view(state, progress=progress)) == step


@given(
    st.sampled_from(["link", "html", "url"]),
    st.lists(
        st.builds(
            view,
            st.sampled_from(
                ["queued", "submitting", "running", "storing", "completed", "failed", "cancelled"]
            ),
            progress=st.floats(),
            accepted=st.booleans(),
            kind=st.sampled_from(["video", "image"]),
            stages=st.sets(st.sampled_from(sorted(STAGES))).map(tuple),
            error_message=st.just("error"),
        ),
        max_size=40,
    ),
)
def test_lines_never_repeat_go_back_or_sound_like_an_error(reply: Reply, views: list[TaskView]) -> None:
    lines = told(reply, *views)
    percents = [int(found[1]) for line in lines if (found := re.fullmatch(r"进度: (\d+)%\n", line))]
    assert percents == sorted(set(percents))
    assert all(percent % 5 == 0 for percent in percents)
    assert len(lines) == len(set(lines))
    assert not [line for line in lines if "error" in line.lower() or "失败" in line or "错误" in line]


# ---- final content -----------------------------------------------------------------------------

FINAL: list[tuple[Reply, MediaKind, bool, str]] = [
    ("link", "video", True, f"视频生成成功！[点击这里]({URL})"),  # chat-video manual §4.1
    ("link", "video", False, f"✅ 视频生成成功，[点击这里]({URL}) 查看视频~~~\n\n"),  # platform manual, Chat
    ("url", "video", True, URL),  # return-format manual §1
    ("url", "video", False, URL),  # return-format manual §2
    ("html", "video", True, f"```html\n<video src='{URL}' controls></video>\n```"),  # client-api §3
    ("html", "video", False, f"```html\n<video src='{URL}' controls></video>\n```"),
    ("image", "image", True, f"![Generated Image]({URL})"),  # feature manual, 非流式响应
    ("html", "image", False, f"![Generated Image]({URL})"),
]


@pytest.mark.parametrize(("reply", "kind", "stream", "content"), FINAL)
def test_final_content(reply: Reply, kind: MediaKind, stream: bool, content: str) -> None:
    assert final_content(reply, URL, kind=kind, stream=stream) == content


def test_a_link_cannot_break_out_of_its_frame() -> None:
    odd = "http://[::1]:8000/a(b)'\"<c> d?x=1&y=%20"
    safe = "http://[::1]:8000/a%28b%29%27%22%3Cc%3E%20d?x=1&y=%20"
    assert final_content("link", odd, stream=True) == f"视频生成成功！[点击这里]({safe})"
    assert f"src='{safe}'" in final_content("html", odd, stream=True)
    assert final_content("url", odd, stream=True) == odd


def test_the_last_lines_of_a_character() -> None:
    """feature manual, 创建角色."""
    assert character_lines(display_name="Character Name", username="username123") == (
        "✨ 角色已识别: Character Name (@username123)\n",
        "角色创建成功，角色名@username123\n",
    )


# ---- frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["link", "html", "url"])
def test_frames(reply: Reply) -> None:
    frames = answer(reply)
    chunks = payloads(frames)
    assert frames[-1] == DONE == b"data: [DONE]\n\n"
    assert all(frame.endswith(b"\n\n") and frame.count(b"\n") == 2 for frame in frames)
    assert {(c["id"], c["created"], c["object"], c["model"]) for c in chunks} == {
        ("chatcmpl-" + "0a" * 16, 1_700_000_000, "chat.completion.chunk", "sora_video2")
    }
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert not [c for c in chunks if "usage" in c]
    last = [c["choices"][0]["delta"]["content"] for c in chunks if c["choices"][0]["delta"].get("content")][
        -1
    ]
    assert last == final_content(reply, URL, stream=True)


def test_the_bare_link_comes_with_stop() -> None:
    """return-format manual §1, last chunk."""
    choice = payloads(answer("url"))[-1]["choices"][0]
    assert (choice["delta"], choice["finish_reason"]) == ({"content": URL}, "stop")


def test_usage_when_asked() -> None:
    """openai-facts §2.4: one chunk without choices, every other with ``usage: null``."""
    *others, last = payloads(answer("link", include_usage=True))
    assert (last["choices"], last["usage"]) == ([], USAGE)
    assert all(chunk["usage"] is None for chunk in others)


def test_no_frame_holds_what_some_clients_take_for_a_line_end() -> None:
    odd = stream_for(view(model="a\u2028b\u0085c"), reply="link", created=1)
    frame = odd.content_frame("x\u2029y")
    assert len(frame.decode().strip().splitlines()) == 1
    assert payloads([frame])[0]["choices"][0]["delta"]["content"] == "x\u2029y"


@pytest.mark.parametrize(
    ("failed", "error"),
    [
        (
            view("failed", error_code="content_policy_violation", error_message="No real people."),
            {
                "type": "invalid_request_error",
                "code": "content_policy_violation",
                "message": "No real people.",
            },
        ),
        (
            view("failed"),
            {"type": "server_error", "code": "upstream_error", "message": "The generation failed."},
        ),
        (
            view("cancelled"),
            {"type": "server_error", "code": "cancelled", "message": "The task was cancelled."},
        ),
    ],
)
def test_failure(failed: TaskView, error: dict[str, str]) -> None:
    """The reason as content, then an error that is a chunk as well."""
    frames = failure(failed)
    content, last = payloads(frames)
    assert content["choices"][0]["delta"]["content"] == f"❌ 视频生成失败: {error['message']}\n"
    assert last["error"] == error | {"param": None}
    choice = last["choices"][0]
    moderated = error["code"] == "content_policy_violation"
    assert (choice["delta"], choice["finish_reason"]) == ({}, "content_filter" if moderated else "error")
    assert {(each["id"], each["object"], each["model"]) for each in (content, last)} == {
        ("chatcmpl-" + "0a" * 16, "chat.completion.chunk", "sora_video2")
    }
    assert frames[-1] == DONE


def test_a_broken_message_of_an_upstream_still_makes_lines() -> None:
    frames = failure(view("failed", error_message="a\ud800\u2028b\nc"))
    assert [len(frame.decode().strip().splitlines()) for frame in frames] == [1, 1, 1]
    assert payloads(frames)[0]["choices"][0]["delta"]["content"].count("\n") == 1


@pytest.mark.parametrize(
    ("accepted", "line"),
    [
        (None, "❌ 图片生成失败: No.\n"),
        ("*", "❌ 图片生成失败: No.\n"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "❌ 图片生成失败: No.\n"),
        ("en-US,en;q=0.9", "❌ Error: the image generation failed: No.\n"),
        ("de;q=0.7, zh;q=0.3", "❌ Error: the image generation failed: No.\n"),
        (";q=,,\x00", "❌ 图片生成失败: No.\n"),
    ],
)
def test_the_reason_is_told_in_the_clients_language(accepted: str | None, line: str) -> None:
    headers = {} if accepted is None else {"accept-language": accepted}
    body = failure_body(view("failed", error_message="No."))
    assert failure_line(body, "image", language_of(headers)) == line


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_answer_that_ends_before_its_task_sounds_like_an_error(language: Language) -> None:
    line = failure_line(failure_body(view("failed")), "video", language, goes_on=True)
    assert "error" in line.lower() or "错误" in line
    assert "失败" not in line


def test_completion() -> None:
    """platform manual, Chat: id, object, created, choices, usage."""
    found = completion_object(
        LIFE[-1], final_content("link", URL, stream=False), created=1_677_652_288, usage=USAGE
    )
    assert set(found) == {"id", "object", "created", "model", "choices", "usage"}
    assert (found["object"], found["created"], found["usage"]) == ("chat.completion", 1_677_652_288, USAGE)
    choice = found["choices"][0]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    assert choice["message"]["content"].startswith("✅ 视频生成成功，[点击这里](https://")


# ---- real readers ------------------------------------------------------------------------------


class Answering(BaseHTTPRequestHandler):
    """Answers every POST with the server's frames."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        frames: list[bytes] = self.server.frames  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.writelines(frames)

    def log_request(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def base(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/v1"


def script(url: str) -> tuple[list[str], list[str], str | None]:
    """Reads a stream by the rules of chat-video manual §2: what it prints, its warnings, the link."""
    printed, warnings, link = [], [], None
    with requests.post(url, json={"stream": True}, stream=True, timeout=10) as response:
        for raw in response.iter_lines():
            line = raw.decode()
            if not line.startswith("data: "):
                continue
            if line[6:] == "[DONE]":
                break
            content = json.loads(line[6:]).get("choices", [{}])[0].get("delta", {}).get("content", "")
            if content and any(word in content for word in ("进度", "队列", "成功")):
                printed.append(content.strip())
            if content and ("error" in content.lower() or "失败" in content or "错误" in content):
                warnings.append(content)
            if content and "视频生成成功" in content:
                found = re.search(r"\[点击这里\]\((https?://[^\)]+)\)", content)
                link = found[1] if found else None
    return printed, warnings, link


def test_the_script_of_the_chat_video_manual(server: ThreadingHTTPServer) -> None:
    server.frames = answer("link")  # type: ignore[attr-defined]
    printed, warnings, link = script(f"{base(server)}/chat/completions")
    assert printed[:2] == ["任务已进入队列，等待处理...", "进度: 50%"]
    assert (warnings, link) == ([], URL)
    server.frames = failure(view("failed", error_message="No."))  # type: ignore[attr-defined]
    assert script(f"{base(server)}/chat/completions") == ([], ["❌ 视频生成失败: No.\n"], None)


def test_the_sdk_of_openai(server: ThreadingHTTPServer) -> None:
    server.frames = answer("html", include_usage=True)  # type: ignore[attr-defined]
    with OpenAI(base_url=base(server), api_key="key", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "a cat"}]
        chunks = list(client.chat.completions.create(model="sora-2", messages=messages, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text.endswith(f"进度: 100%\n```html\n<video src='{URL}' controls></video>\n```")
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 21
        moderated = view("failed", error_code="content_policy_violation")
        server.frames = failure(moderated)  # type: ignore[attr-defined]
        with pytest.raises(APIError) as caught:
            list(client.chat.completions.create(model="sora-2", messages=messages, stream=True))
        assert caught.value.code == "content_policy_violation"
