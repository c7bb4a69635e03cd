"""The chat-video manual; its two programs run in ``tests/e2e/test_manual_programs.py``."""

from typing import Any

from tests.contract.table import Like, Row, Within, refused

SECTIONS = (
    "一、概述/API 基础信息",
    "一、概述/支持的模型列表",
    "三、请求格式说明/3.1 文生视频请求格式",
    "三、请求格式说明/3.2 图生视频请求格式",
    "四、响应格式/4.1 流式输出格式",
    "四、响应格式/4.2 视频链接提取",
    "五、注意事项",
    "六、常见问题",
)
CHAT = "POST /v1/chat/completions"
LINK = r"视频生成成功！\[点击这里\]\(https?://[^)]+\)"
SMALL = {"size": "64x64", "seconds": 1}
MODELS = {
    "sora_video2": ("704x1280", "10"),
    "sora_video2-landscape": ("1280x704", "10"),
    "sora_video2-15s": ("704x1280", "15"),
    "sora_video2-landscape-15s": ("1280x704", "15"),
}
MOVING = "[studio:reject] make it move"


def asked(prompt: str, *pictures: str, model: str = "sora_video2", **fields: Any) -> dict[str, Any]:
    """As the manual writes it: one message of parts, streamed."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    parts += [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": parts}]} | fields


def shaped(section: str, says: str, name: str) -> Row:
    """Looks at what was understood: the task is made, and refused by the studio at once."""
    size, seconds = MODELS[name]
    return Row(
        section,
        says,
        CHAT,
        asked(MOVING, model=name),
        holds={"end": "data: [DONE]"},
        then=(("/v1/videos/$id", {"model": name, "size": size, "seconds": seconds}),),
    )


DONE = {"last": Like(LINK), "end": "data: [DONE]", "finish": "stop"}
QUICK = "[studio:fast] a happy cat"

ROWS: list[Row] = [
    Row("一、概述/API 基础信息", "a Bearer key, JSON, streamed", CHAT, asked(QUICK, **SMALL), holds=DONE),
    Row(
        "一、概述/API 基础信息",
        "no key",
        CHAT,
        asked(QUICK),
        status=401,
        key="none",
        holds=refused(None, "Invalid API key", kind="authentication_error"),
    ),
    *[
        shaped("一、概述/支持的模型列表", f"{name}: {size}, {seconds} s", name)
        for name, (size, seconds) in MODELS.items()
    ],
    Row(
        "一、概述/支持的模型列表",
        "a video is kept for one day",
        "GET /v1/videos/$video",
        holds={"status": "completed", "expires_at": Within(1_700_086_400, 4_000_000_000)},
    ),
    Row(
        "三、请求格式说明/3.1 文生视频请求格式",
        "one part of text",
        CHAT,
        asked(QUICK, **SMALL),
        holds=DONE,
    ),
    *[
        Row(
            "三、请求格式说明/3.2 图生视频请求格式",
            f"a picture as {form}",
            CHAT,
            asked(QUICK, picture, **SMALL),
            holds=DONE,
        )
        for form, picture in (
            ("data URI", "$picture"),
            ("bare base64", "$bare_picture"),
            ("address", "$picture_url"),
        )
    ],
    Row(
        "三、请求格式说明/3.2 图生视频请求格式",
        "what is no picture",
        CHAT,
        asked(QUICK, "bm8gcGljdHVyZQ=="),
        status=400,
        holds=refused("image_url", ".*must be an image.*"),
    ),
    Row(
        "四、响应格式/4.1 流式输出格式",
        "lines of content in delta, then the link, then [DONE]",
        CHAT,
        asked(QUICK, **SMALL),
        holds={"all": Like(rf".*队列.*视频生成中\.\.\..*进度: \d+%.*{LINK}"), "one id": True, **DONE},
    ),
    Row(
        "四、响应格式/4.2 视频链接提取",
        "the printed expression finds the link in one piece of content",
        CHAT,
        asked(QUICK, **SMALL),
        holds={"last": Like(LINK)},
    ),
    Row(
        "五、注意事项",
        "what fails says so in the stream, in the form of an error",
        CHAT,
        asked("[studio:moderate] a real person"),
        holds={
            "last": Like("❌ 视频生成失败: The prompt goes against .*"),
            "chunks.-1.error.code": "content_policy_violation",
            "chunks.-1.choices.0.delta": {},
            "end": "data: [DONE]",
        },
    ),
    Row(
        "五、注意事项",
        "@ somebody that is no character here stays text",
        CHAT,
        asked("@sama waves [studio:reject]"),
        holds={"end": "data: [DONE]"},
        then=(("/v1/videos/$id", {"prompt": "@sama waves [studio:reject]"}),),
    ),
    shaped("六、常见问题", "portrait by name", "sora_video2-15s"),
    shaped("六、常见问题", "landscape by name", "sora_video2-landscape"),
    shaped("六、常见问题", "15 s by name", "sora_video2-landscape-15s"),
    Row(
        "六、常见问题",
        "moderated, told at the end when it is not streamed",
        CHAT,
        asked("[studio:moderate] a real person", stream=False),
        status=400,
        holds=refused(None, ".+"),
    ),
]
