"""The platform manual's unified interface, its Veo and Sora pages, and its characters."""

import base64
from typing import Any

from app.catalog.presets import VEO
from tests.contract.table import Like, Row, Within, keys, refused

SECTIONS = (
    "统一格式接口介绍/任务状态",
    "统一格式接口介绍/1. 提交",
    "统一格式接口介绍/2. 获取",
    "Veo文生视频",
    "Sora2文生视频",
    "Sora2图生视频",
    "Sora2故事板视频",
    "Sora2 使用角色客串",
    "Sora2查询任务",
    "创建角色 Character",
)
CLOCK = Within(1_700_000_000, 4_000_000_000)
MADE = {"": keys("task_id"), "task_id": Like("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")}
TASK = keys(
    "task_id platform action status fail_reason submit_time start_time finish_time progress data search_item"
)
VIDEO = "/v1/videos/$id"
OVER = "[studio:reject] make animate"


def asked(section: str, says: str, *, then: Any = None, scope: str = "videos", **fields: Any) -> Row:
    body = {"prompt": OVER, "model": "sora-2"} | fields
    looks = ((VIDEO, then),) if then else ()
    return Row(section, says, f"POST /v2/{scope}/generations", body, holds=MADE, then=looks)


def denied(section: str, says: str, *, param: str, message: str = ".+", **fields: Any) -> Row:
    body = {"prompt": OVER, "model": "sora-2"} | fields
    return Row(section, says, "POST /v2/videos/generations", body, status=400, holds=refused(param, message))


def cameo(says: str, *, param: str, message: str = ".+", **fields: Any) -> Row:
    body = {"from_task": "video_$video", "timestamps": "1,3"} | fields
    return Row(
        "创建角色 Character",
        says,
        "POST /sora/v1/characters",
        {name: value for name, value in body.items() if value is not None},
        status=400,
        holds=refused(param, message),
    )


ROWS: list[Row] = [
    *[
        Row(
            "统一格式接口介绍/任务状态",
            word,
            f"GET /v2/videos/generations/${task}",
            where="crowded",
            holds={"": TASK, "status": word, "data": None, "fail_reason": "", "finish_time": 0},
        )
        for word, task in {"NOT_START": "waiting", "SUBMITTED": "leaving", "QUEUED": "queued"}.items()
    ],
    Row(
        "统一格式接口介绍/任务状态",
        "IN_PROGRESS",
        "GET /v2/videos/generations/$running",
        holds={"status": "IN_PROGRESS", "progress": Like(r"\d\d?%"), "data": None, "finish_time": 0},
    ),
    Row(
        "统一格式接口介绍/任务状态",
        "SUCCESS",
        "GET /v2/videos/generations/$video",
        holds={"status": "SUCCESS"},
    ),
    Row(
        "统一格式接口介绍/任务状态",
        "FAILURE",
        "GET /v2/videos/generations/$failed",
        holds={"status": "FAILURE"},
    ),
    asked(
        "统一格式接口介绍/1. 提交", "text only", duration=10, aspect_ratio="16:9", size="", resolution="720P"
    ),
    asked(
        "统一格式接口介绍/1. 提交",
        "5 seconds of another model",
        model="studio",
        duration=5,
        then={"seconds": "5"},
    ),
    asked("统一格式接口介绍/1. 提交", "images: image to video", images=["$picture"]),
    asked("统一格式接口介绍/1. 提交", "videos: video to video", videos=["$clip"]),
    asked("统一格式接口介绍/1. 提交", "scope images", scope="images", model="gpt-image"),
    asked("统一格式接口介绍/1. 提交", "pictures by address", images=["$picture_url"]),
    asked("统一格式接口介绍/1. 提交", "videos by address", videos=["$clip_url"]),
    asked("统一格式接口介绍/1. 提交", "the printed resolution", model="studio", resolution="780P"),
    asked("统一格式接口介绍/1. 提交", "size", size="1280x720", then={"size": "1280x720"}),
    asked(
        "统一格式接口介绍/1. 提交",
        "seed, style, negative_prompt",
        seed=7,
        style="anime",
        negative_prompt="rain",
    ),
    asked("统一格式接口介绍/1. 提交", "watermark", watermark=False),
    asked("统一格式接口介绍/1. 提交", "fields it does not know", shutter="slow"),
    denied(
        "统一格式接口介绍/1. 提交", "prompt must be", param="prompt", message="prompt is required", prompt=""
    ),
    denied("统一格式接口介绍/1. 提交", "model must be", param="model", message="model is required", model=""),
    Row(
        "统一格式接口介绍/1. 提交",
        "scope audio, with nobody to make it",
        "POST /v2/audio/generations",
        {"prompt": "rain", "model": "sora-2"},
        status=400,
        holds=refused("model", "Invalid model: sora-2"),
    ),
    Row(
        "统一格式接口介绍/1. 提交",
        "any other scope",
        "POST /v2/films/generations",
        {"prompt": OVER, "model": "sora-2"},
        status=404,
        holds=refused(None, "There is no scope films.*"),
    ),
    Row(
        "统一格式接口介绍/1. 提交",
        "without a key",
        "POST /v2/videos/generations",
        {"prompt": OVER, "model": "sora-2"},
        status=401,
        key="none",
        holds=refused(None, "Invalid API key", kind="authentication_error"),
    ),
    Row(
        "统一格式接口介绍/2. 获取",
        "output and outputs",
        "GET /v2/videos/generations/$video",
        holds={
            "data": keys("output outputs"),
            "data.output": Like(r"https?://\S+"),
            "data.outputs.0": Like(r"https?://\S+"),
            "submit_time": CLOCK,
            "start_time": CLOCK,
            "finish_time": CLOCK,
            "progress": "100%",
            "fail_reason": "",
        },
    ),
    *[asked("Veo文生视频", model, model=model, then={"model": model}) for model in VEO],
    asked(
        "Veo文生视频",
        "enhance_prompt, enable_upsample",
        model="veo3",
        enhance_prompt=True,
        enable_upsample=True,
    ),
    asked("Veo文生视频", "aspect_ratio", model="veo3.1", aspect_ratio="9:16"),
    denied("Veo文生视频", "any other ratio", param="aspect_ratio", model="veo3", aspect_ratio="1:1"),
    denied(
        "Veo文生视频",
        "first and last frame at most",
        param="images",
        model="veo3-pro-frames",
        images=["$picture"] * 3,
    ),
    asked("Sora2文生视频", "sora-2, and its defaults", then={"seconds": "10", "size": "720x1280"}),
    asked("Sora2文生视频", "16:9 is landscape", aspect_ratio="16:9", then={"size": "1280x720"}),
    asked("Sora2文生视频", "9:16 is portrait", aspect_ratio="9:16", then={"size": "720x1280"}),
    asked("Sora2文生视频", "15 as text", duration="15", then={"seconds": "15"}),
    asked("Sora2文生视频", "sora-2-pro: 25 s", model="sora-2-pro", duration="25", then={"seconds": "25"}),
    asked("Sora2文生视频", "hd is for sora-2-pro", model="sora-2-pro", hd=True),
    asked("Sora2文生视频", "at 25 s hd has no effect", model="sora-2-pro", hd=True, duration="25"),
    asked("Sora2文生视频", "private and watermark", private=True, watermark=True),
    asked("Sora2文生视频", "notify_hook", notify_hook="https://xxxx.com/callback"),
    Row(
        "Sora2文生视频",
        "what is private can't be remixed",
        "POST /v1/videos/remix",
        {"prompt": OVER, "remix_target_id": "video_$private"},
        status=400,
        holds=refused("remix_target_id", ".*private.*"),
    ),
    denied("Sora2文生视频", "hd of sora-2", param="hd", hd=True),
    denied("Sora2文生视频", "25 s of sora-2", param="duration", duration="25"),
    denied("Sora2文生视频", "any other length", param="duration", message=".*10, 15, 25", duration="12"),
    denied(
        "Sora2文生视频", "any other ratio", param="aspect_ratio", message=".*16:9, 9:16", aspect_ratio="1:1"
    ),
    denied("Sora2文生视频", "a hook that is no address", param="notify_hook", notify_hook="callback"),
    asked("Sora2图生视频", "images as addresses or base64", images=["$picture", "$bare_picture"]),
    Row(
        "Sora2图生视频",
        "a picture of 20 MB may be sent, and not more",
        "POST /v2/videos/generations",
        {"prompt": OVER, "model": "sora-2", "images": [base64.b64encode(bytes(21 * 1024 * 1024)).decode()]},
        status=413,
        holds=refused("images", ".*20971520 bytes"),
    ),
    denied("Sora2图生视频", "what is no picture", param="images", images=["bm8gcGljdHVyZQ=="]),
    asked(
        "Sora2故事板视频",
        "the printed shots take 15 s",
        prompt="Shot 1:\nduration: 7.5sec\nScene: 飞机起飞\n\nShot 2:\nduration: 7.5sec\nScene: 飞机降落 [studio:reject]",
        aspect_ratio="16:9",
        hd=False,
        duration="10",
        then={"seconds": "15"},
    ),
    denied(
        "Sora2故事板视频",
        "more than the model can make",
        param="prompt",
        prompt="Shot 1:\nduration: 10sec\nScene: 飞机起飞\n\nShot 2:\nduration: 7.5sec\nScene: 飞机降落",
    ),
    asked("Sora2 使用角色客串", "@username", prompt=f"@$username 在一个舞台上 {OVER}"),
    asked("Sora2 使用角色客串", "@{username}", prompt=f"@{{$username}} 在一个舞台上 {OVER}"),
    asked("Sora2 使用角色客串", "character_url", character_url="$clip", character_timestamps="0,2"),
    denied(
        "Sora2 使用角色客串",
        "a span over 3 seconds",
        param="character_timestamps",
        character_url="$clip",
        character_timestamps="0,4",
    ),
    denied(
        "Sora2 使用角色客串",
        "a span under 1 second",
        param="character_timestamps",
        character_url="$clip",
        character_timestamps="1,1.5",
    ),
    Row(
        "Sora2查询任务",
        "a success",
        "GET /v2/videos/generations/$video",
        holds={"": TASK, "platform": "openai", "action": "sora-video", "search_item": ""},
    ),
    Row(
        "Sora2查询任务",
        "a failure: 100%, no data, and why",
        "GET /v2/videos/generations/$failed",
        holds={
            "": TASK,
            "status": "FAILURE",
            "progress": "100%",
            "data": None,
            "fail_reason": Like(".+"),
            "finish_time": CLOCK,
        },
    ),
    Row(
        "Sora2查询任务",
        "one that is not there",
        "GET /v2/videos/generations/veo3:1756693796-YQVHH4A3Lg",
        status=404,
        holds=refused(None, "No such task.*"),
    ),
    Row(
        "Sora2查询任务",
        "the printed Java program names none",
        "GET /v2/videos/generations/",
        status=405,
        holds=refused(None, ".+"),
    ),
    Row(
        "创建角色 Character",
        "by address",
        "POST /sora/v1/characters",
        {"url": "$clip_url", "timestamps": "0,1"},
        holds={"": keys("id username permalink profile_picture_url")},
    ),
    Row(
        "创建角色 Character",
        "from a task",
        "POST /sora/v1/characters",
        {"from_task": "video_$video", "timestamps": "1,2"},
        holds={
            "": keys("id username permalink profile_picture_url"),
            "id": Like("ch_[0-9a-f]{32}"),
            "username": Like(r"[a-z0-9_]+\.[a-z0-9]+"),
            "permalink": Like(r"https?://\S+"),
            "profile_picture_url": Like(r"https?://\S+"),
        },
    ),
    cameo("timestamps must be", param="timestamps", message="timestamps is required", timestamps=None),
    cameo("at most 3 seconds", param="timestamps", timestamps="0,3.5"),
    cameo("at least 1 second", param="timestamps", timestamps="1,1.5"),
    cameo("one of url and from_task must be", param="url or from_task", from_task=None),
    Row(
        "创建角色 Character",
        "its example sends both: the clip counts",
        "POST /sora/v1/characters",
        {"url": "$clip_url", "timestamps": "0,1", "from_task": "video_637efe22-3b6a-47ad-ab02-ee01a686a0bd"},
        holds={"": keys("id username permalink profile_picture_url")},
    ),
]
