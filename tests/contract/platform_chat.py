"""The platform manual's other pages: start, models, chat, vision, and videos through chat.

Its notices go to the operator (``docs/webhooks.md``), and Claude's format has tests of its own.
"""

from typing import Any

from app.catalog.presets import PRESETS
from tests.contract.table import Like, Row, Within, keys, refused

SECTIONS = (
    "产品简介/快速上手",
    "Models（列出模型）",
    "所有对话模型均兼容 OpenAI 格式",
    "聊天(Chat)/聊天完成对象",
    "聊天(Chat)/聊天完成块对象",
    "所有 OpenAI格式 LLM 模型均支持 Claude 官方格式",
    "视觉语言模型介绍/使用方式",
    "Sora2 视频/Chat(聊天格式兼容)",
    "统一格式接口介绍/使用示例",
)
CHAT = "POST /v1/chat/completions"
CLOCK = Within(1_600_000_000, 4_000_000_000)
MODEL = keys("id object created owned_by permission root parent")
PERMISSION = {
    "object": "model_permission",
    "allow_create_engine": True,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}
NAMED = (
    "sora_video2-portrait",
    "sora_video2-landscape",
    "sora_video2-portrait-hd",
    "sora_video2-portrait-15s",
    "sora_video2-portrait-hd-15s",
)
WHOLE = r"✅ 视频生成成功，\[点击这里\]\(https?://\S+\) 查看视频~~~\n\n"
OVER = "[studio:reject] 动起来"
HELLO = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Hello!"},
]


def talk(messages: Any = HELLO, **fields: Any) -> dict[str, Any]:
    return {"model": "house-chat", "messages": messages} | fields


def film(text: str, *pictures: str, model: str = "sora_video2", **fields: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
    return {"model": model, "messages": [{"role": "user", "content": parts}]} | fields


def understood(says: str, text: str, *, model: str = "sora_video2", **holds: Any) -> Row:
    return Row(
        "Sora2 视频/Chat(聊天格式兼容)",
        says,
        CHAT,
        film(text, model=model, stream=True),
        holds={"end": "data: [DONE]"},
        then=(("/v1/videos/$id", holds),),
    )


def seen(says: str, *pictures: dict[str, str]) -> Row:
    parts = [{"type": "image_url", "image_url": picture} for picture in pictures]
    message = {"role": "user", "content": [*parts, {"type": "text", "text": "what is it?"}]}
    return Row(
        "视觉语言模型介绍/使用方式",
        says,
        CHAT,
        talk([message]),
        holds={"choices.0.message.content": "Hello from upstream"},
    )


def size_of(name: str) -> str:
    """hd has no effect at 25 s."""
    short, long = (1080, 1920) if "-hd" in name and "25s" not in name else (704, 1280)
    return f"{long}x{short}" if "landscape" in name else f"{short}x{long}"


ROWS: list[Row] = [
    Row("产品简介/快速上手", "the key behind Bearer", "GET /v1/models", holds={"success": True}),
    Row(
        "产品简介/快速上手",
        "no key",
        "GET /v1/models",
        status=401,
        key="none",
        holds=refused(None, "Invalid API key", kind="authentication_error"),
    ),
    Row(
        "Models（列出模型）",
        "data and success",
        "GET /v1/models",
        holds={
            "success": True,
            "data.0": MODEL,
            "data.0.object": "model",
            "data.0.created": CLOCK,
            "data.0.parent": None,
            "data.0.permission.0.id": Like("modelperm-.+"),
            "data.0.permission.0.created": CLOCK,
            **{f"data.0.permission.0.{name}": value for name, value in PERMISSION.items()},
        },
    ),
    *[
        Row(
            "Models（列出模型）",
            f"{name} is one of them",
            f"GET /v1/models/{name}",
            holds={"id": name, "root": name, "object": "model"},
        )
        for name in (*PRESETS, "house-chat")
    ],
    Row(
        "所有对话模型均兼容 OpenAI 格式",
        "system and user messages",
        CHAT,
        talk(),
        holds={"choices.0.message.content": "Hello from upstream"},
    ),
    Row(
        "所有对话模型均兼容 OpenAI 格式",
        "only the model needs to be another, and it must be one",
        CHAT,
        talk(model="gpt-3.5-turbo-0613"),
        status=400,
        holds=refused("model", "Invalid model: gpt-3.5-turbo-0613"),
    ),
    Row(
        "聊天(Chat)/聊天完成对象",
        "the whole answer",
        CHAT,
        talk(stream=False),
        holds={
            "id": Like("chatcmpl-.+"),
            "object": "chat.completion",
            "created": CLOCK,
            "choices.0.index": 0,
            "choices.0.message.role": "assistant",
            "choices.0.finish_reason": "stop",
            "usage": keys("prompt_tokens completion_tokens total_tokens"),
        },
    ),
    Row(
        "聊天(Chat)/聊天完成块对象",
        "one id and one time for all chunks, then [DONE]",
        CHAT,
        talk(stream=True),
        holds={
            "one id": True,
            "chunks.0.object": "chat.completion.chunk",
            "chunks.0.created": CLOCK,
            "all": "Hello from upstream",
            "finish": "stop",
            "end": "data: [DONE]",
        },
    ),
    Row(
        "所有 OpenAI格式 LLM 模型均支持 Claude 官方格式",
        "the same model through Claude's API",
        "POST /v1/messages",
        {"model": "house-chat", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]},
        holds={
            "type": "message",
            "role": "assistant",
            "model": "house-chat",
            "content.0.type": "text",
            "content.0.text": "Hello from upstream",
            "stop_reason": "end_turn",
            "usage.input_tokens": 7,
        },
    ),
    seen("an address, with detail", {"url": "https://example.com/a.png", "detail": "high"}),
    seen("base64, with detail", {"url": "$picture", "detail": "low"}),
    seen("several pictures", {"url": "https://example.com/a.png"}, {"url": "$picture"}),
    Row(
        "Sora2 视频/Chat(聊天格式兼容)",
        "not streamed: the link, and usage",
        CHAT,
        film("竖屏 [studio:fast] 动起来", "$picture", stream=False, seconds=1, size="64x64"),
        holds={
            "id": Like("chatcmpl-.+"),
            "object": "chat.completion",
            "created": CLOCK,
            "choices.0.index": 0,
            "choices.0.message.role": "assistant",
            "choices.0.message.content": Like(WHOLE),
            "choices.0.finish_reason": "stop",
            "usage": keys("prompt_tokens completion_tokens total_tokens"),
        },
    ),
    understood("竖屏 at the start", f"竖屏 {OVER}", size="704x1280", prompt=OVER),
    understood("横屏 at the start", f"横屏 {OVER}", size="1280x704", prompt=OVER),
    understood("15s at the start", f"15s, {OVER}", model="sora-2", seconds="15", prompt=OVER),
    understood("all in brackets", f"(横屏,10s,高清) {OVER}", size="1920x1080", seconds="10", prompt=OVER),
    *[
        understood(
            f"by the name {name}",
            OVER,
            model=name,
            size=size_of(name),
            seconds="15" if "15s" in name else "10",
        )
        for name in NAMED
    ],
    Row(
        "Sora2 视频/Chat(聊天格式兼容)",
        "several pictures are references",
        CHAT,
        film("[studio:fast] 动起来", "$picture", "$picture", seconds=1, size="64x64"),
        holds={"choices.0.message.content": Like(WHOLE)},
    ),
    *[
        Row(
            "Sora2 视频/Chat(聊天格式兼容)",
            f"refused by moderation {when}",
            CHAT,
            film(f"[studio:{word}] 动起来"),
            status=400,
            holds={"error.code": "content_policy_violation"},
        )
        for word, when in (("moderate", "at its start"), ("moderate-late", "at its end"))
    ],
    *[
        Row(
            "Sora2 视频/Chat(聊天格式兼容)",
            f"{name} must be",
            CHAT,
            {key: value for key, value in film(OVER).items() if key != name},
            status=400,
            holds=refused(name, f"{name} is required"),
        )
        for name in ("model", "messages")
    ],
    Row(
        "统一格式接口介绍/使用示例",
        "submit, then look",
        "POST /v2/videos/generations",
        {"prompt": "[studio:reject] A cat surfing in sunset, cinematic", "model": "veo3"},
        holds={"": keys("task_id")},
        then=(("/v2/videos/generations/$id", {"platform": "google", "action": "google-videos"}),),
    ),
]
