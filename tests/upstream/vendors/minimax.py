"""Simulates MiniMax: v1 with ``base_resp`` in an HTTP 200 and a file to retrieve, v2 with typed errors."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

V2_STATUS = {
    "bad_request_error": 400, "authorized_error": 401, "insufficient_balance_error": 402,
    "unprocessable_entity_error": 422, "rate_limit_error": 429, "server_error": 500, "not_found_error": 404,
}  # fmt: skip
V1_FIELDS = {
    "model", "prompt", "prompt_optimizer", "fast_pretreatment", "duration", "resolution", "callback_url",
    "aigc_watermark", "first_frame_image", "last_frame_image", "subject_reference",
}  # fmt: skip
V1_TIERS = {
    "MiniMax-Hailuo-2.3": {"768P", "1080P"}, "MiniMax-Hailuo-02": {"512P", "768P", "1080P"},
    "T2V-01": {"720P"}, "I2V-01": {"720P"}, "S2V-01": {"720P"},
}  # fmt: skip
V2_FIELDS = {"model", "content", "resolution", "duration", "ratio", "aigc_watermark", "callback_url"}
V2_LIMITS: dict[str, tuple[int, set[str], set[str]]] = {
    "MiniMax-H3": (4, {"768P", "2K"}, {
        "first_frame", "last_frame", "reference_image", "reference_video", "reference_audio"
    }),
    "MiniMax-H3-Max": (5, {"480P", "768P"}, {"first_frame", "last_frame"}),
}  # fmt: skip
"""Shortest length in seconds, resolutions and roles; the longest is 15 s."""
RATIOS = {"21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "adaptive"}
KINDS = {"text", "image_url", "video_url", "audio_url"}


class MiniMaxServer(ScriptedServer):
    """``done`` is the success state of v1; tests of v2 set their own."""

    done = "Success"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/video_generation", self.submit_v1, methods=["POST"]),
            Route("/v1/query/video_generation", self.poll_v1, methods=["GET"]),
            Route("/v1/files/retrieve", self.retrieve_file, methods=["GET"]),
            Route("/v2/video_generation", self.submit_v2, methods=["POST"]),
            Route("/v2/query/video_generation/{task}", self.poll_v2, methods=["GET"]),
            Route("/v2/video_generation/{task}", self.delete_job, methods=["DELETE"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    # ---- v1 ----

    async def submit_v1(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal()
        if refusal:
            return refusal
        if not self.is_authorized(request):
            return base_response(1004, "login fail: Please carry the API secret key")
        fields = json.loads(seen.body)
        wrong = wrong_field_v1(fields)
        if wrong:
            return base_response(2013, f"invalid params, {wrong}")
        return base_response(0, "success", task_id=self.create_job(fields).id)

    async def poll_v1(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True)
        if refusal:
            return refusal
        job = self.jobs.get(seen.query["task_id"])
        if not self.is_authorized(request) or job is None:
            return base_response(1004 if job else 2013, "invalid params, task_id")
        word = job.next_state()
        if word == "Fail":
            code = self.failure.get("code", 1033)
            return base_response(
                code if isinstance(code, int) else 1033, self.failure.get("message", ""), status=word
            )
        done = (
            {"file_id": f"77{job.id[4:]}", "video_width": 1366, "video_height": 768}
            if word == "Success"
            else {}
        )
        return base_response(0, "success", task_id=job.id, status=word, **done)

    async def retrieve_file(self, request: Request) -> Response:
        seen = await self.record_request(request)
        job = self.jobs.get(f"job-{seen.query['file_id'][2:]}")
        if job is None:
            return base_response(2013, "invalid params, file_id")
        link = f"{self.url}/files/{job.id}.mp4"
        file = {"file_id": int(seen.query["file_id"]), "bytes": 1, "filename": "a.mp4", "download_url": link}
        return base_response(0, "success", file=file)

    # ---- v2 ----

    async def submit_v2(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error_v2(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = wrong_field_v2(fields)
        if wrong:
            return typed_error("bad_request_error", f"invalid params, {wrong} (2013)")
        return JSONResponse({"task_id": self.create_job(fields).id})

    async def poll_v2(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error_v2(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return typed_error("not_found_error", "task not found")
        return JSONResponse({"task": self.job_object(job)})

    def job_object(self, job: VendorJob) -> dict[str, Any]:
        word = "cancelled" if job.cancelled else job.next_state()
        task: dict[str, Any] = {"id": job.id, "model": job.fields.get("model"), "status": word}
        if word == "failed":
            task["error"] = self.failure
        if word == "succeeded":
            task |= {
                "content": {"url": f"{self.url}/files/{job.id}.mp4"},
                "resolution": job.fields["resolution"], "duration": 5,
                "ratio": "16:9", "usage": {"total_seconds": 5, "input_seconds": 0, "output_seconds": 5},
            }  # fmt: skip
        return task

    async def delete_job(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return typed_error("not_found_error", "task not found")
        if job.polls:
            return typed_error("bad_request_error", "a running task can't be cancelled (2013)")
        job.cancelled = True
        return JSONResponse({})

    def auth_error_v2(self, request: Request) -> Response | None:
        return None if self.is_authorized(request) else typed_error("authorized_error", "login fail (1004)")

    # ---- both ----

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def is_authorized(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and bool(key) and (self.keys is None or key in self.keys)


class TokenHubServer(MiniMaxServer):
    """Tencent's cloud: H3 and what follows it, in MiniMax's own form at other paths.
    https://cloud.tencent.com/document/product/1823/135738"""

    done = "succeeded"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/wand/minimax-video-v2/generation", self.submit_v2, methods=["POST"]),
            Route("/v1/wand/minimax-video-v2/tasks/{task}", self.poll_v2, methods=["GET"]),
        ]


def wrong_field_v1(fields: dict[str, Any]) -> str | None:
    """What v1 refuses."""
    model, tier = fields.get("model", ""), fields.get("resolution")
    frame, last, length = (
        fields.get("first_frame_image"),
        fields.get("last_frame_image"),
        fields.get("duration", 6),
    )
    known = next((tiers for name, tiers in V1_TIERS.items() if model.lower().startswith(name.lower())), None)
    strange = sorted(set(fields) - V1_FIELDS)
    if strange or not model:
        return (strange or ["model"])[0]
    if any(link and not link.startswith(("data:image/", "https://")) for link in (frame, last)):
        return "first_frame_image"
    if known is None:
        return None
    if tier is not None and tier not in known:
        return "resolution"
    if length not in ({6, 10} if "ailuo" in model else {6}) or (length == 10 and tier == "1080P"):
        return "duration"
    if tier == "512P" and (not frame or last):
        return "resolution"
    if model.lower().startswith(("i2v", "minimax-hailuo-2.3-fast")) and not frame:
        return "first_frame_image"
    if model.lower().startswith("s2v") != ("subject_reference" in fields):
        return "subject_reference"
    return None


def wrong_field_v2(fields: dict[str, Any]) -> str | None:
    """What v2 refuses."""
    strange = sorted(set(fields) - V2_FIELDS)
    if strange:
        return strange[0]
    shortest, tiers, allowed = V2_LIMITS.get(fields.get("model", ""), (1, {"480P", "768P", "2K", "4K"}, None))
    content, length = fields.get("content", []), fields.get("duration")
    if sum(part["type"] == "text" and bool(part["text"]) for part in content) != 1:
        return "content needs one text"
    if any(part["type"] not in KINDS or part["type"] not in part for part in content):
        return "content"
    if not isinstance(length, int) or not shortest <= length <= 15:
        return "duration"
    if fields.get("resolution") not in tiers:
        return "resolution"
    roles = {part["role"] for part in content if part["type"] != "text"}
    frames = roles & {"first_frame", "last_frame"}
    if allowed is not None and not roles <= allowed:
        return "role"
    if (frames and (roles != frames or frames == {"last_frame"})) or roles == {"reference_audio"}:
        return "roles"
    if fields.get("ratio", "adaptive") not in RATIOS or (
        not roles and fields.get("ratio", "adaptive") == "adaptive"
    ):
        return "ratio"
    return None


def base_response(code: int, message: str, **rest: Any) -> Response:
    return JSONResponse({**rest, "base_resp": {"status_code": code, "status_msg": message}})


def typed_error(kind: str, message: str) -> Response:
    status = V2_STATUS[kind]
    error = {"type": kind, "message": message, "http_code": str(status)}
    return JSONResponse({"type": "error", "error": error, "request_id": "r-1"}, status)
