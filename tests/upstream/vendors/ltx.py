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
    "text-to-video": {"prompt"},
    "image-to-video": {"prompt", "image_uri"},
    "audio-to-video": {"audio_uri"},
    "extend": {"video_uri"},
    "retake": {"video_uri", "start_time"},
}


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
        missing = sorted(NEEDS.get(endpoint, {"endpoint"}) - set(fields))
        if missing:
            return error_response(400, "invalid_request_error", f"{missing[0]} is required")
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


def error_response(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message}}, status)
