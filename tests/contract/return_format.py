"""The return-format manual."""

from tests.contract.table import Like, Row, refused

SECTIONS = (
    "流式返回",
    "非流式返回",
    "实际返回示例",
    "调用方接收建议",
    "故障排查/视频生成失败",
    "完整的容错保证",
)
ASKED = {
    "model": "sora-1.0",
    "messages": [{"role": "user", "content": "[studio:fast] A cat playing piano"}],
    "size": "64x64",
    "seconds": 1,
}
BAD = ASKED | {"messages": [{"role": "user", "content": "[studio:moderate] A cat playing piano"}]}
CHAT = "POST /v1/chat/completions"
LINK = Like(r"https?://\S+")

ROWS: list[Row] = [
    Row(
        "流式返回",
        "stages, then a chunk with the bare link that also says stop, then [DONE]",
        CHAT,
        ASKED | {"stream": True},
        holds={
            "chunks.0.object": "chat.completion.chunk",
            "chunks.0.model": "sora-1.0",
            "one id": True,
            "all": Like(r".*🎬 开始生成视频\.\.\.\n✅ 视频生成完成\n.*https?://\S+"),
            "last": LINK,
            "finish": "stop",
            "end": "data: [DONE]",
        },
    ),
    Row(
        "流式返回",
        "a stage that does not run is not told: nothing is published, nothing goes to Google Drive",
        CHAT,
        ASKED | {"stream": True},
        holds={"all": Like(r"[^📤🔗☁]*")},
    ),
    Row(
        "非流式返回",
        "the content is the bare link",
        CHAT,
        ASKED | {"stream": False},
        holds={
            "id": Like(r"chatcmpl-\w+"),
            "object": "chat.completion",
            "model": "sora-1.0",
            "choices.0.index": 0,
            "choices.0.message.role": "assistant",
            "choices.0.message.content": LINK,
            "choices.0.finish_reason": "stop",
        },
    ),
    Row(
        "实际返回示例",
        "whichever store it is in, there is one link and nothing else",
        CHAT,
        ASKED,
        holds={"choices.0.message.content": LINK},
    ),
    Row(
        "调用方接收建议",
        "every chunk before [DONE] is JSON with choices[0].delta",
        CHAT,
        ASKED | {"stream": True},
        holds={"chunks.0.choices.0.delta.content": "", "contents.0": Like(".+")},
    ),
    Row(
        "故障排查/视频生成失败",
        "an error, which programs that look for a link print",
        CHAT,
        BAD,
        status=400,
        holds=refused(None, ".+")
        | {"choices.0.message.content": Like("❌ 视频生成失败: The prompt goes against .*")},
    ),
    Row(
        "故障排查/视频生成失败",
        "in a stream: an error, then [DONE]",
        CHAT,
        BAD | {"stream": True},
        holds={
            "end": "data: [DONE]",
            "finish": "content_filter",
            "chunks.-1.error.code": "content_policy_violation",
            "last": Like("❌ 视频生成失败: The prompt goes against .*"),
        },
    ),
    Row(
        "完整的容错保证",
        "a video that was made has a link",
        "GET /v1/tasks/$video",
        holds={"status": "completed", "result_urls.0": LINK},
    ),
]
