"""The async-videos manual; a key with ``videos_dialect=manual`` speaks it."""

from dataclasses import replace
from typing import Any

from tests.contract.table import Like, Row, Within, keys, refused
from tests.e2e.footage import make_picture

SECTIONS = (
    "认证",
    "支持的参数",
    "API 端点详解/1. 提交视频生成请求",
    "API 端点详解/2. 查询视频状态",
    "API 端点详解/3. 下载视频内容",
    "状态说明",
    "错误处理/常见 HTTP 状态码",
    "错误处理/错误响应格式",
    "错误处理/常见错误代码",
    "配额和限制",
)
VIDEO = "id status progress prompt model size seconds created_at url completed_at"
FIELDS = {"prompt": "[studio:reject] foxes", "model": "sora-2", "size": "1280x720", "seconds": "10"}
CLOCK = Within(1_700_000_000, 4_000_000_000)
SUBMIT = "API 端点详解/1. 提交视频生成请求"
LOOK = "API 端点详解/2. 查询视频状态"
LOAD = "API 端点详解/3. 下载视频内容"
TOO_LARGE = b"\x89PNG\r\n\x1a\n" + bytes(10 * 1024 * 1024)


HTTP, CODES, LIMITS = SECTIONS[6], SECTIONS[8], SECTIONS[9]


def coded(code: str) -> dict[str, str]:
    return {"error.code": code}


def submitted(section: str, says: str, *, holds: Any, status: int = 200, **fields: Any) -> Row:
    body = {name: value for name, value in (FIELDS | fields).items() if value is not None}
    return Row(section, says, "POST /v1/videos", body, form=True, status=status, holds=holds)


MANUAL_ROWS: list[Row] = [
    Row("认证", "the key without Bearer", "GET /v1/videos", holds={"object": "list"}),
    *[
        submitted("支持的参数", f"size {size}", size=size, holds={"size": size})
        for size in ("1280x720", "720x1280")
    ],
    *[
        submitted("支持的参数", f"{seconds} seconds", seconds=seconds, holds={"seconds": seconds})
        for seconds in ("10", "15")
    ],
    submitted("支持的参数", "seconds are 10 unless said", seconds=None, holds={"seconds": "10"}),
    submitted("支持的参数", "the model is sora-2 unless said", model=None, holds={"model": "sora-2"}),
    submitted("支持的参数", "portrait unless said", size=None, holds={"size": "720x1280"}),
    *[
        submitted(
            "支持的参数",
            f"a {kind} file",
            input_reference=make_picture(kind=kind),
            holds={"status": "submitted"},
        )
        for kind in ("PNG", "JPEG")
    ],
    submitted(
        SUBMIT,
        "the answer",
        holds={
            "": keys(VIDEO),
            "id": Like("video_[0-9a-f]{32}"),
            "status": "submitted",
            "progress": 0,
            "prompt": FIELDS["prompt"],
            "model": "sora-2",
            "size": "1280x720",
            "seconds": "10",
            "created_at": CLOCK,
            "url": None,
            "completed_at": None,
        },
    ),
    submitted(
        SUBMIT, "prompt is required", prompt=None, status=400, holds=refused("prompt", "prompt is required")
    ),
    Row(
        LOOK,
        "completed",
        "GET /v1/videos/video_$manual_video",
        holds={
            "": keys(VIDEO),
            "status": "completed",
            "progress": 100,
            "url": Like(r"https?://\S+"),
            "completed_at": CLOCK,
        },
    ),
    Row(
        LOOK,
        "under way",
        "GET /v1/videos/video_$manual_running",
        holds={
            "": keys(VIDEO),
            "status": "in_progress",
            "progress": Within(0, 99),
            "url": None,
            "completed_at": None,
        },
    ),
    Row(
        LOOK,
        "failed, and the error is a string",
        "GET /v1/videos/video_$manual_failed",
        holds={"": keys(f"{VIDEO} error"), "status": "failed", "error": Like(".+")},
    ),
    Row(
        LOAD,
        "an MP4 with its length",
        "GET /v1/videos/video_$manual_video/content",
        holds={
            "headers.content-type": "video/mp4",
            "headers.content-length": Like("[1-9][0-9]*"),
            "length": Within(1000, 10_000_000),
        },
    ),
    Row(
        LOAD,
        "only when completed",
        "GET /v1/videos/video_$manual_failed/content",
        status=404,
        holds=refused(None, ".+"),
    ),
    Row(
        LOAD,
        "not while it is made",
        "GET /v1/videos/video_$manual_running/content",
        status=404,
        holds=refused(None, "Video is not ready yet.*"),
    ),
    submitted("状态说明", "submitted", holds={"status": "submitted"}),
    Row("状态说明", "in_progress", "GET /v1/videos/$manual_running", holds={"status": "in_progress"}),
    Row("状态说明", "completed", "GET /v1/videos/$manual_video", holds={"status": "completed"}),
    Row("状态说明", "failed", "GET /v1/videos/$manual_failed", holds={"status": "failed"}),
    submitted("错误处理/常见 HTTP 状态码", "200", holds={"status": "submitted"}),
    submitted(
        "错误处理/常见 HTTP 状态码",
        "400: a bad field",
        seconds="x",
        status=400,
        holds=refused("seconds", ".+"),
    ),
    Row(
        "错误处理/常见 HTTP 状态码",
        "404",
        "GET /v1/videos/video_abc123def456",
        status=404,
        holds=refused(None, ".+"),
    ),
    submitted(
        "错误处理/错误响应格式",
        "code, message and type",
        prompt=None,
        status=400,
        holds={"error": keys("code message type param"), "error.type": "invalid_request_error"},
    ),
    submitted(
        "错误处理/常见错误代码",
        "invalid_request",
        prompt=None,
        status=400,
        holds={"error.code": "invalid_request"},
    ),
    submitted(
        "配额和限制",
        "a picture over 10 MB",
        input_reference=TOO_LARGE,
        status=413,
        holds=refused("input_reference", ".*10485760 bytes"),
    ),
    submitted(
        "配额和限制",
        "another length is made too, where the upstream can",
        seconds="12",
        holds={"seconds": "12"},
    ),
    submitted(
        "配额和限制",
        "a prompt of 1000 characters",
        prompt="[studio:reject]" + "猫" * 985,
        holds={"status": "submitted"},
    ),
]
ROWS: list[Row] = [
    *[replace(row, key="manual") for row in MANUAL_ROWS],
    Row(
        "错误处理/常见 HTTP 状态码",
        "401",
        "GET /v1/videos",
        status=401,
        key="none",
        holds=refused(None, "Invalid API key", kind="authentication_error"),
    ),
    Row(
        "错误处理/常见错误代码",
        "content_policy_violation",
        "GET /v1/videos/$failed",
        holds={"error.code": "content_policy_violation"},
    ),
    *[
        replace(
            submitted(section, says, status=status, holds=refused(None, ".+", kind=kind) | coded(code)),
            key=key,
            times=times,
        )
        for section, says, key, times, status, kind, code in (
            (HTTP, "403: the key is disabled", "disabled", 1, 403, "permission_error", "permission_denied"),
            (CODES, "rate_limit_exceeded", "hurried", 2, 429, "rate_limit_error", "rate_limit_exceeded"),
            (
                LIMITS,
                "so many requests a minute",
                "hurried",
                2,
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
            ),
            (LIMITS, "so many tasks", "full", 1, 429, "rate_limit_error", "rate_limit_exceeded"),
        )
    ],
    Row(
        CODES,
        "authentication_error is the type; the code says more",
        "GET /v1/videos",
        status=401,
        key="unknown",
        holds={"error.type": "authentication_error", "error.code": "invalid_api_key"},
    ),
    replace(
        submitted(
            CODES,
            "insufficient_quota",
            model="veo2-pro",
            status=429,
            holds=refused(None, ".+", kind="insufficient_quota") | coded("insufficient_quota"),
        ),
        key="spent",
    ),
    replace(
        submitted(HTTP, "403: not for this model", status=403, holds=coded("model_not_allowed")), key="narrow"
    ),
]
