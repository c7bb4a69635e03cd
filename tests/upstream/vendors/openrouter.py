"""OpenRouter's video API as it answers: 202 for a job, errors with a numeric code, videos behind the key."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import Scripted

KNOWN = {
    "model", "prompt", "duration", "size", "aspect_ratio", "resolution", "seed", "frame_images",
    "input_references", "previous_job_id", "generate_audio", "provider", "user", "session_id", "callback_url",
}  # fmt: skip


class OpenRouterServer(Scripted):
    """``signed``: jobs also have links that want no key."""

    done = "completed"
    signed = False
    content: tuple[bytes, str] = (b"", "")

    def reset(self) -> None:
        super().reset()
        self.signed, self.content = False, (tiny_mp4(), "video/mp4")

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/credits", self.credits, methods=["GET"]),
            Route("/api/v1/videos", self.submit, methods=["POST"]),
            Route("/api/v1/videos/{id}", self.look, methods=["GET"]),
            Route("/api/v1/videos/{id}/content", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = self.wrong_with(fields)
        if wrong:
            return said(400, wrong)
        job = self.submitted(fields, job_id=f"gen-vid-1763683200-{len(self.jobs):020d}")
        return JSONResponse(self.shown(job.id, "pending"), 202)

    def wrong_with(self, fields: dict[str, Any]) -> str | None:
        if not fields.get("model") or not fields.get("prompt"):
            return "model and prompt are required"
        if set(fields) - KNOWN:
            return f"Unrecognized keys: {sorted(set(fields) - KNOWN)}"
        if not isinstance(fields.get("duration", 5), int):
            return "duration: expected number"
        if any(
            frame["frame_type"] not in {"first_frame", "last_frame"}
            for frame in fields.get("frame_images", [])
        ):
            return "frame_type: invalid"
        for part in [*fields.get("frame_images", []), *fields.get("input_references", [])]:
            if not part[part["type"]]["url"]:
                return "url: required"
        earlier = fields.get("previous_job_id")
        return None if earlier is None or earlier in self.jobs else "previous job not found"

    async def look(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        return JSONResponse(self.shown(job.id, str(job.look()))) if job else said(404, "Job not found")

    def shown(self, job: str, word: str) -> dict[str, Any]:
        where = f"{self.url}/api/v1/videos/{job}"
        told: dict[str, Any] = {"id": job, "polling_url": where, "status": word}
        if word == "completed":
            told |= {
                "generation_id": "gen-1", "unsigned_urls": [f"{where}/content?index=0"],
                "usage": {"cost": 0.5, "is_byok": False},
            }  # fmt: skip
            if self.signed:
                told |= {"urls": ["https://storage.test/a.mp4?signature=1"], "expires_at": 1_763_769_600}
        if word in {"failed", "cancelled", "expired"}:
            told["error"] = self.failure.get("message", "it ended")
        return told

    async def credits(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        return refusal or JSONResponse({"data": {"total_credits": 100.5, "total_usage": 25.75}})

    async def file(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.unauthorized(request)
        return refusal or Response(self.content[0], media_type=self.content[1])

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys is not None and key not in self.keys):
            return said(401, "No auth credentials found")
        return None


def said(status: int, message: str, **metadata: Any) -> Response:
    error = {"code": status, "message": message} | ({"metadata": metadata} if metadata else {})
    return JSONResponse({"error": error, "user_id": "user-1"}, status)
