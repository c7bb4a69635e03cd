"""Text and frames of a chat completion about a video or image task: progress lines, then the link."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.catalog.presets import Reply
from app.catalog.waits import AccountWait
from app.dialects.http.language import Language
from app.errors import ContentPolicyViolation
from app.foreign import clean_text, writable_text
from app.generation import GenerationRequest, MediaKind
from app.providers.event_stream import DONE, write_event
from app.tasks.states import State

Usage = Mapping[str, Any]

ID_PREFIX = "chatcmpl-"

QUEUED = "任务已进入队列，等待处理...\n"
STAGES = {
    "started": "🎬 开始生成视频...\n",
    "made": "✅ 视频生成完成\n",
    "publish": "📤 发布视频...\n",
    "resolver": "🔗 解析视频链接...\n",
    "store": "☁️ 上传到存储...\n",
    "drive": "☁️ 上传到Google Drive...\n",
}
"""The stage lines of the ``url`` reply style; the last four are sent only if ``TaskView.stages`` holds them: when that stage begins."""

KIND_WORDS: dict[Language, dict[MediaKind, str]] = {
    "zh": {"video": "视频", "image": "图片", "audio": "音频", "character": "角色"},
    "en": {"video": "video", "image": "image", "audio": "audio", "character": "character"},
}
SHORTENED: dict[Language, str] = {
    "zh": "📐 分镜共 {asked:g} 秒，模型生成 {made:g} 秒，各镜头已按比例缩短为 {lengths} 秒\n",
    "en": "📐 The shots take {asked:g} s together and the model makes {made:g} s: they are shortened to {lengths} s\n",
}
WAITING: dict[Language, str] = {
    "zh": "⏳ 暂无可用账号（{reason}）{when}，恢复后自动开始\n",
    "en": "⏳ No account is free ({reason}){when}; it begins by itself\n",
}
WAIT_TIMES: dict[Language, str] = {"zh": "，约 {seconds} 秒后恢复", "en": ", the next in about {seconds} s"}
FAILED: dict[Language, str] = {
    "zh": "❌ {kind}生成失败: {why}\n",
    "en": "❌ Error: the {kind} generation failed: {why}\n",
}
INTERRUPTED: dict[Language, str] = {
    "zh": "❌ 连接中断（错误）: {why}\n",
    "en": "❌ Error: interrupted: {why}\n",
}
"""The chat-video manual's programs show a line that holds 失败, 错误 or "error" as what went wrong."""

STEP = 5
# str.splitlines() treats these as line ends, although SSE does not; several clients split the stream with it.
FALSE_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
MARKUP = str.maketrans({char: f"%{ord(char):02X}" for char in "'\"()<>` "})


@dataclass(frozen=True, slots=True)
class TaskView:
    """The part of a task that a chat answer shows. ``progress`` is 0 to 100.

    ``accepted``: the upstream has queued it. ``stages``: the keys of ``STAGES`` for the delivery steps that have begun.
    ``wait``: why no account can take it yet.
    """

    id: str
    model: str
    state: State
    accepted: bool = False
    progress: float = 0.0
    error_code: str | None = None
    error_message: str | None = None
    url: str | None = None
    kind: MediaKind = "video"
    stages: tuple[str, ...] = ()
    wait: AccountWait | None = None

    @property
    def has_begun(self) -> bool:
        return self.state in ("storing", "completed") or (self.state == "running" and not self.accepted)


class ProgressNarrator:
    """Turns successive views of one task into the content lines that are new."""

    def __init__(self, reply: Reply, language: Language = "zh") -> None:
        self.reply = reply
        self.language = language
        self._wait_reason = ""
        self._sent_lines: set[str] = set()
        self._percent = 0

    def new_lines(self, view: TaskView) -> Iterator[str]:
        """Each line is sent once. Progress goes up in steps of 5. A failure adds no lines."""
        if view.state in ("failed", "cancelled"):
            return
        if not view.has_begun:
            yield from self._first_time(QUEUED)
            yield from self._wait_lines(view.wait)
        elif self.reply == "url":
            yield from self._stage_lines(view)
        else:
            yield from self._first_time(f"{KIND_WORDS['zh'][view.kind]}生成中...\n")
            yield from self._progress_lines(view)

    def _wait_lines(self, wait: AccountWait | None) -> Iterator[str]:
        """Again only when the reason changes: its time is told once, and passes by itself."""
        reason = wait.reason if wait else ""
        if wait is not None and reason != self._wait_reason:
            when = (
                ""
                if wait.seconds is None
                else WAIT_TIMES[self.language].format(seconds=math.ceil(wait.seconds))
            )
            yield WAITING[self.language].format(reason=reason, when=when)
        self._wait_reason = reason

    def _stage_lines(self, view: TaskView) -> Iterator[str]:
        yield from self._first_time(STAGES["started"])
        if view.state in ("storing", "completed"):
            yield from self._first_time(STAGES["made"])
        for stage in view.stages:
            yield from self._first_time(STAGES.get(stage, ""))

    def _progress_lines(self, view: TaskView) -> Iterator[str]:
        percent = progress_step(view)
        if percent > self._percent:
            self._percent = percent
            yield progress_line(view)

    def _first_time(self, line: str) -> Iterator[str]:
        if line and line not in self._sent_lines:
            self._sent_lines.add(line)
            yield line


@dataclass(frozen=True, slots=True)
class ChatStream:
    """The frames of one streamed answer, which share ``id`` and ``created`` (unix seconds)."""

    id: str
    model: str
    created: int
    reply: Reply
    include_usage: bool = False

    def opening_frame(self) -> bytes:
        """The first frame."""
        return self.chunk_frame({"role": "assistant", "content": ""})

    def content_frame(self, text: str) -> bytes:
        return self.chunk_frame({"content": text})

    def chunk_frame(self, delta: Mapping[str, Any], *, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish_reason}
        return _sse_frame(self._chunk_object([choice]) | ({"usage": None} if self.include_usage else {}))

    def closing_frames(self, final: str, *, usage: Usage) -> Iterator[bytes]:
        """The last content, ``finish_reason``, usage when it was asked for, and ``[DONE]``."""
        if self.reply == "url":  # return-format manual §1: the link and "stop" come in one chunk
            yield self.chunk_frame({"content": final}, finish_reason="stop")
        else:
            yield self.content_frame(final)
            yield self.chunk_frame({}, finish_reason="stop")
        if self.include_usage:
            yield _sse_frame(self._chunk_object([]) | {"usage": dict(usage)})
        yield DONE

    def failure_frames(self, line: str, body: Mapping[str, Any]) -> Iterator[bytes]:
        """``line`` as content, for programs that read nothing else; then an error that is a chunk as well, as some read
        ``choices`` of every frame. OpenAI's Python and Node SDKs raise for ``error`` whatever else a frame holds."""
        yield self.content_frame(line)
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_reason_of(body)}
        yield _sse_frame(self._chunk_object([choice]) | dict(body))
        yield DONE

    def _chunk_object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def stream_for(view: TaskView, *, reply: Reply, created: int, include_usage: bool = False) -> ChatStream:
    """The stream for the task of ``view``; ``created`` in unix seconds."""
    return ChatStream(completion_id(view.id), view.model, created, reply, include_usage)


def completion_id(task_id: str) -> str:
    """The task's id in chat completions."""
    return f"{ID_PREFIX}{task_id}"


def progress_line(view: TaskView) -> str:
    return f"进度: {progress_step(view)}%\n"


def progress_step(view: TaskView) -> int:
    """Progress as a multiple of 5; only a completed task is at 100."""
    if view.state == "completed":
        return 100
    if not math.isfinite(view.progress):
        return 0
    return min(max(int(view.progress // STEP) * STEP, 0), 100 - STEP)


def final_content(reply: Reply, url: str, *, kind: MediaKind = "video", stream: bool) -> str:
    """The last text of the answer, in the model's reply style."""
    link = url.translate(MARKUP)
    if reply == "url":
        return url
    if kind == "image" or reply == "image":
        return f"![Generated Image]({link})"
    if reply == "html":
        return f"```html\n<video src='{link}' controls></video>\n```"
    if stream:
        return f"视频生成成功！[点击这里]({link})"
    return f"✅ 视频生成成功，[点击这里]({link}) 查看视频~~~\n\n"


def character_lines(*, display_name: str, username: str) -> tuple[str, str]:
    """The last lines of a character's creation (feature manual, 创建角色)."""
    return f"✨ 角色已识别: {display_name} (@{username})\n", f"角色创建成功，角色名@{username}\n"


def completion_object(view: TaskView, content: str, *, created: int, usage: Usage) -> dict[str, Any]:
    """The answer to a request without ``stream``; ``created`` in unix seconds."""
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": completion_id(view.id),
        "object": "chat.completion",
        "created": created,
        "model": view.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": dict(usage),
    }


def failure_body(view: TaskView) -> dict[str, Any]:
    """The error envelope of a task that failed or was cancelled."""
    code = view.error_code or ("cancelled" if view.state == "cancelled" else "upstream_error")
    default = "The task was cancelled." if code == "cancelled" else "The generation failed."
    clients_fault = code in ("content_policy_violation", "invalid_request")
    return {
        "error": {
            "message": view.error_message or default,
            "type": "invalid_request_error" if clients_fault else "server_error",
            "param": None,
            "code": code,
        }
    }


def shots_line(request: GenerationRequest, language: Language) -> tuple[str, ...]:
    """How the shots were shortened; empty where they were not."""
    if request.shots_asked is None:
        return ()
    seconds = [shot.seconds for shot in request.shots]
    lengths = "+".join(f"{length:g}" for length in seconds)
    return (SHORTENED[language].format(asked=request.shots_asked, made=sum(seconds), lengths=lengths),)


def finish_reason_of(body: Mapping[str, Any]) -> str:
    """OpenAI's word for what moderation has stopped, OpenRouter's for everything else."""
    return "content_filter" if body["error"]["code"] == ContentPolicyViolation.code else "error"


def failure_line(
    body: Mapping[str, Any], kind: MediaKind, language: Language, *, goes_on: bool = False
) -> str:
    """What went wrong, in one line of text. ``goes_on``: only this answer ends, the task does not."""
    why = clean_text(body["error"]["message"])
    return (INTERRUPTED if goes_on else FAILED)[language].format(kind=KIND_WORDS[language][kind], why=why)


def _sse_frame(payload: Mapping[str, Any]) -> bytes:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).translate(FALSE_LINE_ENDS)
    return write_event(writable_text(text).encode())
