"""Simulates OpenRouter's video API: 202 for a job, errors with a numeric code, videos that need the key."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer

KNOWN = {
    "model", "prompt", "duration", "size", "aspect_ratio", "resolution", "seed", "frame_images",
    "input_references", "previous_job_id", "generate_audio", "provider", "user", "session_id", "callback_url",
}  # fmt: skip


class OpenRouterServer(ScriptedServer):
    """``signed``: jobs also have signed links, which need no key."""

    done = "completed"
    signed = False
    content: tuple[bytes, str] = (b"", "")

    def reset(self) -> None:
        super().reset()
        self.signed, self.content = False, (tiny_mp4(), "video/mp4")

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/credits", self.credit_balance, methods=["GET"]),
            Route("/api/v1/videos", self.submit_job, methods=["POST"]),
            Route("/api/v1/videos/{id}", self.poll_job, methods=["GET"]),
            Route("/api/v1/videos/{id}/content", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = self.field_error(fields)
        if wrong:
            return error_response(400, wrong)
        job = self.create_job(fields, job_id=f"gen-vid-1763683200-{len(self.jobs):020d}")
        return JSONResponse(self.job_object(job.id, "pending"), 202)

    def field_error(self, fields: dict[str, Any]) -> str | None:
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

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        return (
            JSONResponse(self.job_object(job.id, str(job.next_state())))
            if job
            else error_response(404, "Job not found")
        )

    def job_object(self, job: str, word: str) -> dict[str, Any]:
        where = f"{self.url}/api/v1/videos/{job}"
        document: dict[str, Any] = {"id": job, "polling_url": where, "status": word}
        if word == "completed":
            document |= {
                "generation_id": "gen-1", "unsigned_urls": [f"{where}/content?index=0"],
                "usage": {"cost": 0.5, "is_byok": False},
            }  # fmt: skip
            if self.signed:
                document |= {"urls": ["https://storage.test/a.mp4?signature=1"], "expires_at": 1_763_769_600}
        if word in {"failed", "cancelled", "expired"}:
            document["error"] = self.failure.get("message", "it ended")
        return document

    async def credit_balance(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        return refusal or JSONResponse({"data": {"total_credits": 100.5, "total_usage": 25.75}})

    async def send_file(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.auth_error(request)
        return refusal or Response(self.content[0], media_type=self.content[1])

    def auth_error(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys is not None and key not in self.keys):
            return error_response(401, "No auth credentials found")
        return None


def error_response(status: int, message: str, **metadata: Any) -> Response:
    error = {"code": status, "message": message} | ({"metadata": metadata} if metadata else {})
    return JSONResponse({"error": error, "user_id": "user-1"}, status)
