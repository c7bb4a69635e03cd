"""Simulates LTX's API v2: 202 for a job, which is polled under the path that started it."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

NEEDS = {
    "text-to-video": {"prompt", "model", "duration", "resolution"},
    "image-to-video": {"prompt", "model", "duration", "resolution", "image_uri"},
    "audio-to-video": {"audio_uri"},
    "extend": {"video_uri"},
    "retake": {"video_uri", "start_time"},
}
MADE = {"fps", "generate_audio", "camera_motion"}
TAKES = {
    "text-to-video": NEEDS["text-to-video"] | MADE,
    "image-to-video": NEEDS["image-to-video"] | MADE | {"last_frame_uri"},
    "audio-to-video": {"audio_uri", "image_uri", "prompt", "model", "resolution", "guidance_scale"},
    "extend": {"video_uri", "prompt", "model", "duration", "mode", "context"},
    "retake": {"video_uri", "start_time", "prompt", "model", "duration", "mode"},
}
SIZES = {1280: 720, 1920: 1080, 2560: 1440, 3840: 2160}
EVEN = (6, 8, 10, 12, 14, 16, 18, 20)
MODELS = {
    "ltx-2-5-fast": ((1280, 1920, 2560, 3840), (2, 3, 4, 5, *EVEN)),
    "ltx-2-5-pro": ((1280, 1920), (2, 3, 4, 5, 6, 8, 10)),
    "ltx-2-3-fast": ((1920, 2560, 3840), EVEN),
    "ltx-2-fast": ((1920, 2560, 3840), EVEN),
    "ltx-2-3-pro": ((1920, 2560, 3840), (6, 8, 10)),
    "ltx-2-pro": ((1920, 2560, 3840), (6, 8, 10)),
}
"""Long sides and lengths: https://docs.ltx.video/models"""


class LTXServer(ScriptedServer):
    """``result``: sent instead of the URL of a video."""

    done = "completed"
    result: dict[str, Any] | None = None

    def reset(self) -> None:
        super().reset()
        self.result = None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v2/{endpoint}", self.submit_job, methods=["POST"]),
            Route("/v2/{endpoint}/{id}", self.poll_job, methods=["GET"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        endpoint, fields = request.path_params["endpoint"], json.loads(seen.body)
        wrong = field_error(endpoint, fields)
        if wrong:
            return error_response(400, "invalid_request_error", wrong)
        job = self.create_job(fields | {"endpoint": endpoint})
        document = {"id": job.id, "status": "pending", "created_at": "2026-11-21T00:00:00.000Z"}
        return JSONResponse(document, 202, headers={"x-request-id": "r-1"})

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None or job.fields["endpoint"] != request.path_params["endpoint"]:
            return error_response(404, "not_found_error", "Job not found")
        return JSONResponse(self.job_object(job, str(job.next_state())))

    def job_object(self, job: VendorJob, word: str) -> dict[str, Any]:
        document: dict[str, Any] = {"id": job.id, "status": word, "created_at": "2026-11-21T00:00:00.000Z"}
        if word == "completed":
            result = self.result or {"video_url": f"{self.url}/files/{job.id}.mp4"}
            document |= {"completed_at": "2026-11-21T00:02:30.000Z", "result": result}
        if word == "failed":
            kind = self.failure.get("code", "api_error")
            document["error"] = {"type": kind, "message": self.failure.get("message", "")}
        return document

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys is not None and key not in self.keys):
            return error_response(401, "authentication_error", "Invalid API key")
        return None


def field_error(endpoint: str, fields: dict[str, Any]) -> str | None:
    if endpoint not in NEEDS:
        return "endpoint is not known"
    missing, unknown = sorted(NEEDS[endpoint] - set(fields)), sorted(set(fields) - TAKES[endpoint])
    if missing or unknown:
        return f"{missing[0]} is required" if missing else f"{unknown[0]} is not a field of this endpoint"
    known = MODELS.get(fields.get("model", "").replace(".", "-"))
    if known is None or endpoint in {"extend", "retake"}:
        return None
    sides, lengths = known
    size = fields.get("resolution", f"{sides[0]}x{SIZES[sides[0]]}")
    if size not in {f"{w}x{SIZES[w]}" for w in sides} | {f"{SIZES[w]}x{w}" for w in sides}:
        return f"resolution {size} is not supported"
    length = fields.get("duration", lengths[0])
    if length not in lengths or (length > 10 and "2-5" not in fields["model"] and "1920" not in size):
        return f"duration {length} is not supported with {size}"
    return None


def error_response(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message}}, status)
