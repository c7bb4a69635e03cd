"""Simulates OpenRouter's video API: 202 for a job, errors with a numeric code, videos that need the key."""

import json
from typing import Any

from openrouter.components import VideoGenerationRequest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer

KNOWN = set(VideoGenerationRequest.model_fields)


def listed_model(name: str, **told: Any) -> dict[str, Any]:
    """A row of ``GET /videos/models`` as openrouter 1.3.84 reads it."""
    plain: dict[str, Any] = {
        "id": name, "canonical_slug": name, "name": name, "created": 1_790_000_000, "creativity": None,
        "allowed_passthrough_parameters": [], "generate_audio": True, "seed": True, "upscale_factor": None,
        "supported_aspect_ratios": ["16:9", "9:16"], "supported_durations": [4, 6, 8],
        "supported_frame_images": ["first_frame", "last_frame"],
        "supported_resolutions": ["720p", "1080p", "4K"],
        "supported_sizes": ["1280x720", "720x1280", "1920x1080", "1080x1920", "3840x2160"],
    }  # fmt: skip
    return plain | told


LISTED = [
    listed_model("google/veo-3.1"),
    listed_model(
        "bytedance/seedance-2.0",
        supported_durations=list(range(4, 16)),
        supported_aspect_ratios=None,
        supported_sizes=None,
        supported_resolutions=["480p", "720p", "1080p"],
    ),
    listed_model(
        "minimax/hailuo-2.3", generate_audio=False, seed=False, supported_durations=[6, 10],
        supported_frame_images=["first_frame"], supported_sizes=None, supported_resolutions=["768p", "1080p"],
    ),
]  # fmt: skip


class OpenRouterServer(ScriptedServer):
    """``signed``: jobs also have signed links, which need no key. ``lists``: it tells what its models make."""

    done = "completed"
    signed = False
    lists = True
    content: tuple[bytes, str] = (b"", "")

    def reset(self) -> None:
        super().reset()
        self.signed, self.lists, self.content = False, True, (tiny_mp4(), "video/mp4")

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/credits", self.credit_balance, methods=["GET"]),
            Route("/api/v1/videos", self.submit_job, methods=["POST"]),
            Route("/api/v1/videos/models", self.list_models, methods=["GET"]),
            Route("/api/v1/models", self.list_text_models, methods=["GET"]),
            Route("/api/v1/videos/{id}", self.poll_job, methods=["GET"]),
            Route("/api/v1/videos/{id}/content", self.send_file, methods=["GET"]),
        ]

    async def list_text_models(self, request: Request) -> Response:
        return self.auth_error(request) or JSONResponse({"data": [{"id": "openai/gpt-4o", "name": "GPT-4o"}]})

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
        if earlier is not None and earlier not in self.jobs:
            return "previous job not found"
        listed = next((model for model in LISTED if model["id"] == fields["model"]), None)
        return listed_error(fields, listed) if listed else None

    async def list_models(self, request: Request) -> Response:
        await self.record_request(request)
        self.counts["list"] += 1
        return JSONResponse({"data": LISTED}) if self.lists else error_response(503, "Try again")

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


def listed_error(fields: dict[str, Any], listed: dict[str, Any]) -> str | None:
    for name, lists in (
        ("duration", "supported_durations"),
        ("aspect_ratio", "supported_aspect_ratios"),
        ("resolution", "supported_resolutions"),
        ("size", "supported_sizes"),
    ):
        if name in fields and listed[lists] is not None and fields[name] not in listed[lists]:
            return f"{name}: {fields[name]} is not supported by {listed['id']}"
    if any(
        frame["frame_type"] not in listed["supported_frame_images"]
        for frame in fields.get("frame_images", [])
    ):
        return "frame_images: not supported"
    if "seed" in fields and not listed["seed"]:
        return "seed: not supported"
    return (
        "generate_audio: not supported"
        if fields.get("generate_audio") and not listed["generate_audio"]
        else None
    )


def error_response(status: int, message: str, **metadata: Any) -> Response:
    error = {"code": status, "message": message} | ({"metadata": metadata} if metadata else {})
    return JSONResponse({"error": error, "user_id": "user-1"}, status)
