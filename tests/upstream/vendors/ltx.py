"""LTX's second version as it answers: 202 for a job, which is looked at under the path that started it."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import Job
from tests.upstream.vendors.front import Scripted

NEEDS = {
    "text-to-video": {"prompt"},
    "image-to-video": {"prompt", "image_uri"},
    "audio-to-video": {"audio_uri"},
    "extend": {"video_uri"},
    "retake": {"video_uri", "start_time"},
}


class LTXServer(Scripted):
    """``result`` is told in place of the address of a video."""

    done = "completed"
    result: dict[str, Any] | None = None

    def reset(self) -> None:
        super().reset()
        self.result = None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v2/{endpoint}", self.submit, methods=["POST"]),
            Route("/v2/{endpoint}/{id}", self.look, methods=["GET"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        endpoint, fields = request.path_params["endpoint"], json.loads(seen.body)
        missing = sorted(NEEDS.get(endpoint, {"endpoint"}) - set(fields))
        if missing:
            return said(400, "invalid_request_error", f"{missing[0]} is required")
        job = self.submitted(fields | {"endpoint": endpoint})
        told = {"id": job.id, "status": "pending", "created_at": "2026-11-21T00:00:00.000Z"}
        return JSONResponse(told, 202, headers={"x-request-id": "r-1"})

    async def look(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None or job.fields["endpoint"] != request.path_params["endpoint"]:
            return said(404, "not_found_error", "Job not found")
        return JSONResponse(self.shown(job, str(job.look())))

    def shown(self, job: Job, word: str) -> dict[str, Any]:
        told: dict[str, Any] = {"id": job.id, "status": word, "created_at": "2026-11-21T00:00:00.000Z"}
        if word == "completed":
            made = self.result or {"video_url": f"{self.url}/files/{job.id}.mp4"}
            told |= {"completed_at": "2026-11-21T00:02:30.000Z", "result": made}
        if word == "failed":
            kind = self.failure.get("code", "api_error")
            told["error"] = {"type": kind, "message": self.failure.get("message", "")}
        return told

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys is not None and key not in self.keys):
            return said(401, "authentication_error", "Invalid API key")
        return None


def said(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message}}, status)
