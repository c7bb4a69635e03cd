"""The feature-endpoints manual."""

from typing import Any

from app.catalog.presets import STYLES
from tests.contract.table import Like, Row, Within, keys, refused

SECTIONS = (
    "认证",
    "图片生成/文生图",
    "图片生成/图生图",
    "视频生成/文生视频",
    "视频生成/图生视频",
    "视频生成/Remix 视频",
    "视频生成/视频分镜",
    "任务查询",
    "异步模式",
    "角色功能/创建角色",
    "角色功能/角色生成视频",
    "支持的模型/图片模型",
    "支持的模型/视频模型",
    "视频风格",
    "响应格式/流式响应",
    "响应格式/非流式响应",
    "错误处理",
    "注意事项",
    "兼容性说明",
)
SMALL = {"size": "64x64", "seconds": 1}
QUICK = "[studio:fast] a kitten"
OVER = "[studio:reject] a kitten"
"""For rows that look at what was accepted, not at what comes of it."""
LATER = {"prompt": OVER, "async_mode": True}
IMAGE = Like(r"!\[Generated Image\]\(https?://\S+\)")
VIDEO = Like(r"```html\n<video src='https?://\S+' controls></video>\n```")
TASK = keys(
    "task_id status progress model prompt result_urls error_message created_at completed_at",
    # Beyond the manual's, while it waits.
    optional="queue_position estimated_wait_seconds wait_reason",
)
MOMENT = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
CHARACTER = r"✨ 角色已识别: .+ \(@([a-z0-9_.]+)\)\n角色创建成功，角色名@\1\n"
HD_SIZES = {"landscape": "1920x1080", "portrait": "1080x1920"}
BOARD = "[5.0s]猫猫从飞机上跳伞 [studio:fast] [5.0s]猫猫降落 [10.0s]猫猫在田野奔跑"
SMALL_BOARD = {"model": "sora2-landscape-10s", "size": "64x64"}
SHORTENED = "📐 分镜共 20 秒，模型生成 10 秒，各镜头已按比例缩短为 3+2+5 秒\n"
FITTED_BOARD = {"asked": {"shots": 20.0}, "made": {"shots": 10.0}}
WHOLE_BOARD = {"choices.0.message.content": Like(f"{SHORTENED.replace('+', '.')}.*<video src.*")}
ONE_TASK = "/v1/tasks/$id"
ONE_VIDEO = "/v1/videos/$id"


MODEL = "sora2-landscape-10s"
REMIXED = {"remixed_from_video_id": Like("video_[0-9a-f]{32}")}


def part(kind: str, value: str) -> dict[str, Any]:
    return {"type": kind, kind: value if kind == "text" else {"url": value}}


def made(section: str, says: str, path: str, body: dict[str, Any], *, kind: str, holds: Any) -> list[Row]:
    """The three ways in which an endpoint answers, and its defaults."""
    model = "gpt-image" if kind == "image" else "sora2-landscape-10s"
    small = {} if kind == "image" else SMALL
    whole = {"object": "chat.completion", "model": model, "choices.0.message.content": holds}
    asked = {"prompt": QUICK} | body
    return [
        Row(
            section,
            f"{says}, waited for: stream is false by default",
            f"POST {path}",
            small | asked,
            holds=whole,
        ),
        Row(
            section,
            f"{says}, streamed",
            f"POST {path}",
            small | asked | {"stream": True},
            holds={"last": holds, "end": "data: [DONE]", "finish": "stop"},
        ),
        Row(
            section,
            f"{says}, later: the default model is {model}",
            f"POST {path}",
            {"prompt": OVER} | body | {"async_mode": True},
            holds={"status": "processing", "model": model},
            then=((ONE_TASK, {"model": model}),),
        ),
    ]


def needs(section: str, path: str, **body: str) -> list[Row]:
    """Each of ``body`` is required."""
    return [
        Row(
            section,
            f"{name} is required",
            f"POST {path}",
            {other: value for other, value in body.items() if other != name},
            status=400,
            holds=refused(name, f"{name} is required"),
        )
        for name in body
    ]


AUTH = refused(None, "Invalid API key", kind="authentication_error")

ROWS: list[Row] = [
    Row("认证", "Authorization: Bearer <key>", "GET /v1/tasks", holds={"object": "list"}),
    Row("认证", "no key", "GET /v1/tasks", status=401, key="none", holds=AUTH),
    Row("认证", "an unknown key", "GET /v1/tasks", status=401, key="unknown", holds=AUTH),
    Row(
        "认证",
        "the printed default key is nobody's here",
        "GET /v1/tasks",
        status=401,
        key="printed",
        holds=AUTH,
    ),
    *made("图片生成/文生图", "text to image", "/v1/images/generate", {}, kind="image", holds=IMAGE),
    *needs("图片生成/文生图", "/v1/images/generate", prompt=OVER),
    *made(
        "图片生成/图生图",
        "image to image",
        "/v1/images/transform",
        {"image": "$picture"},
        kind="image",
        holds=IMAGE,
    ),
    *needs("图片生成/图生图", "/v1/images/transform", prompt=OVER, image="$picture"),
    *made("视频生成/文生视频", "text to video", "/v1/videos/generate", {}, kind="video", holds=VIDEO),
    *needs("视频生成/文生视频", "/v1/videos/generate", prompt=OVER),
    *made(
        "视频生成/图生视频",
        "image to video",
        "/v1/videos/transform",
        {"image": "$picture"},
        kind="video",
        holds=VIDEO,
    ),
    *needs("视频生成/图生视频", "/v1/videos/transform", prompt=OVER, image="$picture"),
    *made(
        "视频生成/Remix 视频",
        "a remix",
        "/v1/videos/remix",
        {"remix_target_id": "s_$video"},
        kind="video",
        holds=VIDEO,
    ),
    *needs("视频生成/Remix 视频", "/v1/videos/remix", prompt=OVER, remix_target_id="s_$video"),
    *[
        Row(
            "视频生成/Remix 视频",
            f"the target as {form}",
            "POST /v1/videos/remix",
            LATER | {"remix_target_id": form},
            then=((ONE_VIDEO, {"remixed_from_video_id": Like("video_[0-9a-f]{32}")}),),
        )
        for form in ("https://sora.chatgpt.com/p/s_$video", "video_$video", "task_$video")
    ],
    Row(
        "视频生成/Remix 视频",
        "the printed target was Sora's, which has ended",
        "POST /v1/videos/remix",
        LATER | {"remix_target_id": "s_68e3a06dcd888191b150971da152c1f5"},
        status=400,
        holds=refused("remix_target_id", "s_68e3a06dcd888191b150971da152c1f5 is not a video .*"),
    ),
    *made(
        "视频生成/视频分镜",
        "shots in a row",
        "/v1/videos/storyboard",
        {"prompt": "[0.5s]猫猫从飞机上跳伞 [studio:fast] [0.5s]猫猫降落"},
        kind="video",
        holds=VIDEO,
    ),
    Row(
        "视频生成/视频分镜",
        "shots on lines of their own, in a code block",
        "POST /v1/videos/storyboard",
        {"prompt": "```\n[5.0s]猫猫从飞机上跳伞 [studio:reject]\n[5.0s]猫猫降落\n```", "async_mode": True},
        then=((ONE_VIDEO, {"seconds": "10"}),),
    ),
    Row(
        "视频生成/视频分镜",
        "shots on lines of their own",
        "POST /v1/videos/storyboard",
        {"prompt": "[4.0s]猫猫从飞机上跳伞 [studio:reject]\n[6.0s]猫猫降落", "async_mode": True},
        then=((ONE_VIDEO, {"seconds": "10"}),),
    ),
    *[
        Row(
            "视频生成/视频分镜",
            f"the printed sample is 20 s long, its model 10 s: its shots are shortened, which is said ({how})",
            f"POST {path}",
            SMALL_BOARD | body,
            holds=holds,
        )
        for how, path, body, holds in (
            (
                "streamed",
                "/v1/videos/storyboard",
                {"prompt": BOARD, "stream": True},
                {"contents.0": SHORTENED},
            ),
            ("whole", "/v1/videos/storyboard", {"prompt": BOARD}, {"fitted": FITTED_BOARD, **WHOLE_BOARD}),
            (
                "later",
                "/v1/videos/storyboard",
                {"prompt": BOARD, "async_mode": True},
                {"fitted": FITTED_BOARD},
            ),
            (
                "in chat",
                "/v1/chat/completions",
                {"messages": [{"role": "user", "content": BOARD}], "stream": True},
                {"contents.0": SHORTENED, "end": "data: [DONE]", "finish": "stop"},
            ),
        )
    ],
    Row(
        "视频生成/视频分镜",
        "and fits into 25 s",
        "POST /v1/videos/storyboard",
        {
            "prompt": "[5.0s]猫猫从飞机上跳伞 [5.0s]猫猫降落 [10.0s]猫猫在田野奔跑 [studio:reject]",
            "model": "sora2-landscape-25s",
            "async_mode": True,
        },
        then=((ONE_VIDEO, {"seconds": "25"}),),
    ),
    Row(
        "视频生成/视频分镜",
        "a prompt without shots",
        "POST /v1/videos/storyboard",
        {"prompt": "a cat"},
        status=400,
        holds=refused("prompt", "prompt must be a storyboard.*"),
    ),
    *needs("视频生成/视频分镜", "/v1/videos/storyboard", prompt=OVER),
    Row(
        "任务查询",
        "a task under way",
        "GET /v1/tasks/task_$running",
        holds={
            "": TASK,
            "status": "processing",
            "progress": Within(0, 99),
            "model": "sora-2",
            "prompt": "[studio:slow=600] a long wait",
            "result_urls": [],
            "error_message": None,
            "created_at": MOMENT,
            "completed_at": None,
        },
    ),
    Row(
        "任务查询",
        "a task that waits for its turn",
        "GET /v1/tasks/$waiting",
        where="crowded",
        holds={"": TASK, "status": "processing", "progress": 0.0, "queue_position": 1},
    ),
    Row(
        "任务查询",
        "a completed task",
        "GET /v1/tasks/task_$video",
        holds={
            "": TASK,
            "status": "completed",
            "progress": 100.0,
            "result_urls.0": Like(r"https?://\S+"),
            "error_message": None,
            "completed_at": MOMENT,
        },
    ),
    Row(
        "任务查询",
        "a failed task",
        "GET /v1/tasks/task_$failed",
        holds={"": TASK, "status": "failed", "result_urls": [], "error_message": Like(".+")},
    ),
    Row(
        "任务查询",
        "a task that is not there",
        "GET /v1/tasks/task_xxx",
        status=404,
        holds=refused(None, "No such task: task_xxx"),
    ),
    Row(
        "异步模式",
        "stream is ignored",
        "POST /v1/videos/generate",
        LATER | {"stream": True},
        holds={"": TASK, "status": "processing"},
    ),
    Row("异步模式", "for images too", "POST /v1/images/generate", LATER, holds={"": TASK}),
    Row(
        "角色功能/创建角色",
        "streamed, the end names the character",
        "POST /v1/characters/create",
        {"video": "$clip", "stream": True},
        holds={"all": Like(CHARACTER), "end": "data: [DONE]", "finish": "stop"},
    ),
    Row(
        "角色功能/创建角色",
        "the printed default, stream false, is answered too",
        "POST /v1/characters/create",
        {"video": "$clip"},
        holds={"object": "chat.completion", "choices.0.message.content": Like(CHARACTER)},
    ),
    *needs("角色功能/创建角色", "/v1/characters/create", video="$clip"),
    *[
        Row(
            section,
            f"the video as {form}",
            f"POST /v1/characters/{path}",
            {"video": value} | more,
            holds=holds,
        )
        for section, path, more, holds in (
            ("角色功能/创建角色", "create", {}, {"choices.0.message.content": Like(CHARACTER)}),
            ("角色功能/角色生成视频", "generate", LATER, {"": TASK}),
        )
        for form, value in {"plain base64": "$bare_clip", "an address": "$clip_url"}.items()
    ],
    Row(
        "角色功能/创建角色",
        "the video by an address that does not answer",
        "POST /v1/characters/create",
        {"video": "http://127.0.0.1:9/nothing.mp4"},
        status=400,
        holds=refused("video", ".+"),
    ),
    Row(
        "角色功能/角色生成视频",
        "streamed: the character, then the video",
        "POST /v1/characters/generate",
        {"prompt": QUICK, "video": "$clip", "stream": True, **SMALL},
        holds={"all": Like(CHARACTER + ".*"), "last": VIDEO, "end": "data: [DONE]"},
    ),
    Row(
        "角色功能/角色生成视频",
        "the default model, later",
        "POST /v1/characters/generate",
        LATER | {"video": "$clip"},
        holds={"": TASK, "model": "sora2-landscape-10s"},
    ),
    *needs("角色功能/角色生成视频", "/v1/characters/generate", prompt=OVER, video="$clip"),
    *[
        Row(
            "支持的模型/图片模型",
            f"{model} is {size}",
            "POST /v1/images/generate",
            LATER | {"model": model},
            then=((ONE_VIDEO, {"size": size}),),
        )
        for model, size in {
            "gpt-image": "360x360",
            "gpt-image-landscape": "540x360",
            "gpt-image-portrait": "360x540",
        }.items()
    ],
    *[
        Row(
            "支持的模型/视频模型",
            f"{family}-{way}-{seconds}s",
            "POST /v1/videos/generate",
            LATER | {"model": f"{family}-{way}-{seconds}s"},
            then=((ONE_VIDEO, {"seconds": str(seconds), "size": HD_SIZES[way] if "hd" in family else size}),),
        )
        for family in ("sora2", "sora2pro", "sora2pro-hd")
        for way, size in {"landscape": "1280x720", "portrait": "720x1280"}.items()
        for seconds in ((10, 15) if family == "sora2pro-hd" else (10, 15, 25))
    ],
    Row(
        "支持的模型/视频模型",
        "a pro model without an account that can make it",
        "POST /v1/videos/generate",
        LATER | {"model": "sora2pro-landscape-10s"},
        status=503,
        where="deserted",
        holds=refused(
            None,
            r"No available tokens for video generation\. 1 doesn't support sora2pro-landscape-10s\.",
            kind="server_error",
        ),
    ),
    *[
        Row("视频风格", style, "POST /v1/videos/generate", LATER | {"style": style}, holds={"": TASK})
        for style in STYLES
    ],
    *[
        Row("视频风格", f"in {path} too", f"POST {path}", LATER | more | {"style": "retro"}, holds={"": TASK})
        for path, more in {
            "/v1/videos/transform": {"image": "$picture"},
            "/v1/videos/remix": {"remix_target_id": "s_$video"},
            "/v1/videos/storyboard": {"prompt": "[5.0s]a cat [studio:reject] [5.0s]a dog"},
        }.items()
    ],
    Row(
        "视频风格",
        "any other is refused with the list",
        "POST /v1/videos/generate",
        LATER | {"style": "baroque"},
        status=400,
        holds=refused("style", f"style must be one of {', '.join(STYLES)}"),
    ),
    Row(
        "响应格式/流式响应",
        "chunks of one completion",
        "POST /v1/images/generate",
        {"prompt": QUICK, "stream": True},
        holds={
            "one id": True,
            "chunks.0.id": Like(r"chatcmpl-\w+"),
            "chunks.0.object": "chat.completion.chunk",
            "chunks.0.choices.0.delta.role": "assistant",
            "end": "data: [DONE]",
        },
    ),
    Row(
        "响应格式/非流式响应",
        "one completion",
        "POST /v1/images/generate",
        {"prompt": QUICK, "stream": False},
        holds={
            "id": Like(r"chatcmpl-\w+"),
            "object": "chat.completion",
            "created": Within(1_700_000_000, 4_000_000_000),
            "choices.0.index": 0,
            "choices.0.message.role": "assistant",
            "choices.0.message.content": IMAGE,
            "choices.0.finish_reason": "stop",
        },
    ),
    Row(
        "错误处理",
        "an invalid model",
        "POST /v1/videos/generate",
        {"prompt": "a cat", "model": "invalid-model"},
        status=400,
        holds=refused("model", "Invalid model: invalid-model"),
    ),
    Row(
        "错误处理",
        "a missing field",
        "POST /v1/videos/generate",
        {"model": "sora2-landscape-10s"},
        status=400,
        holds=refused("prompt", "prompt is required"),
    ),
    Row("错误处理", "a wrong key", "POST /v1/videos/generate", LATER, status=401, key="unknown", holds=AUTH),
    *[
        Row(
            "错误处理",
            f"no account for {kind}s, with the true reasons",
            f"POST /v1/{kind}s/generate",
            LATER,
            status=503,
            where="deserted",
            holds=refused(
                None, rf"No available tokens for {kind} generation\. 1 disabled\.", kind="server_error"
            ),
        )
        for kind in ("video", "image")
    ],
    *[
        Row(
            "注意事项",
            f"base64 as {form}",
            "POST /v1/images/transform",
            LATER | {"image": value},
            holds={"": TASK},
        )
        for form, value in {"a data URI": "$picture", "plain text": "$bare_picture"}.items()
    ],
    Row(
        "兼容性说明",
        "the same through chat",
        "POST /v1/chat/completions",
        {"model": "gpt-image", "messages": [{"role": "user", "content": QUICK}]},
        holds={"choices.0.message.content": IMAGE},
    ),
    *[
        Row(
            "兼容性说明",
            f"{says}, through chat",
            "POST /v1/chat/completions",
            {"model": model, "messages": [{"role": "user", "content": content}], "stream": True},
            holds={"end": "data: [DONE]"},
            then=((ONE_VIDEO, {"model": model} | seen),),
        )
        for says, model, content, seen in (
            ("image to image", "gpt-image", [part("text", OVER), part("image_url", "$picture")], {}),
            ("text to video", MODEL, OVER, {"seconds": "10", "size": "1280x720"}),
            ("image to video", MODEL, [part("text", OVER), part("image_url", "$picture")], {}),
            ("a remix", MODEL, f"https://sora.chatgpt.com/p/s_$video {OVER}", REMIXED),
            ("shots", "sora2-landscape-25s", f"[5.0s]{OVER} [20.0s]a dog", {"seconds": "25"}),
            ("a style", MODEL, f"{{anime}} {OVER}", {"prompt": OVER}),
        )
    ],
    *[
        Row(
            "兼容性说明",
            f"a character, through chat, {how}",
            "POST /v1/chat/completions",
            {
                "model": MODEL,
                "messages": [{"role": "user", "content": [part("video_url", "$clip")]}],
                "stream": how == "streamed",
            },
            holds=holds,
        )
        for how, holds in {
            "whole": {"choices.0.message.content": Like(CHARACTER)},
            "streamed": {"all": Like(CHARACTER), "end": "data: [DONE]", "finish": "stop"},
        }.items()
    ],
]
