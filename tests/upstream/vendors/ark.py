"""Ark as it answers: tasks with ``content`` parts and roles, a list of them, pictures made while one waits."""

import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

PARTS = {"text", "image_url", "video_url", "audio_url"}
ROLES = {
    "image_url": {"first_frame", "last_frame", "reference_image"},
    "video_url": {"reference_video"},
    "audio_url": {"reference_audio"},
}
ALL = {"480p", "720p", "1080p"}
LIMITS: dict[str, tuple[int, int, set[str]]] = {
    "seedance-2-5": (4, 30, ALL),
    "seedance-2-0-fast": (4, 15, {"480p", "720p"}),
    "seedance-2-0-mini": (4, 15, {"480p", "720p"}),
    "seedance-2-0": (4, 15, {*ALL, "4k"}),
    "seedance-1-5": (4, 12, ALL),
    "seedance-1-0": (2, 12, ALL),
}
"""Shortest and longest in seconds, and the resolutions, by a part of the model's name."""
RATIOS = {"16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"}
SILENT = "seedance-1-0"
TASK_FIELDS = {
    "model", "content", "safety_identifier", "callback_url", "return_last_frame", "service_tier",
    "execution_expires_after", "priority", "generate_audio", "draft", "camera_fixed", "watermark", "seed",
    "resolution", "ratio", "duration", "frames", "tools", "output_format", "omni_reference_task_type",
}  # fmt: skip
PICTURE_FIELDS = {
    "model", "prompt", "image", "response_format", "size", "seed", "guidance_scale", "watermark",
    "optimize_prompt", "optimize_prompt_options", "sequential_image_generation",
    "sequential_image_generation_options", "tools", "output_format", "layer_decomposition", "stream",
}  # fmt: skip
"""What the vendor's own SDK can send."""


class ArkServer(ScriptedServer):
    done = "succeeded"
    shows_marks = True
    """Whether the list shows ``safety_identifier`` again."""
    total: int | None = None
    """What the list says there is; None: the truth."""

    def routes(self) -> list[BaseRoute]:
        tasks = "/api/v3/contents/generations/tasks"
        return [
            Route(tasks, self.submit, methods=["POST"]),
            Route(tasks, self.listing, methods=["GET"]),
            Route(tasks + "/{task}", self.look, methods=["GET"]),
            Route(tasks + "/{task}", self.remove, methods=["DELETE"]),
            Route("/api/v3/images/generations", self.picture, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = wrong_field(fields) or self.wrong(fields)
        if wrong:
            return said(
                400, "InvalidParameter", f"{wrong} is not valid for {fields.get('model')}", param=wrong
            )
        job = self.create_job(fields, job_id=f"cgt-20261121-{len(self.jobs):05d}")
        return JSONResponse({"id": job.id})

    async def look(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return said(404, "ResourceNotFound", "The specified task is not found.")
        return JSONResponse(self.shown(job, str(job.next_state())))

    async def listing(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        number, size = int(seen.query["page_num"]), int(seen.query["page_size"])
        assert 1 <= size <= 500
        jobs = list(self.jobs.values())[::-1]
        page = [self.shown(job, "queued") for job in jobs[(number - 1) * size : number * size]]
        return JSONResponse({"total": len(jobs) if self.total is None else self.total, "items": page})

    async def remove(self, request: Request) -> Response:
        """Cancels what is queued, forgets what has ended, and leaves alone what runs."""
        await self.record_request(request)
        refusal = self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return said(404, "ResourceNotFound", "The specified task is not found.")
        state = job.states[min(max(job.polls - 1, 0), len(job.states) - 1)]
        if state == "running":
            return said(409, "InvalidAction.RunningTaskDeletion", "The task is running.")
        if state == "queued":
            job.states, job.cancelled = ["cancelled"], True
        else:
            del self.jobs[job.id]
        return JSONResponse({})

    async def picture(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        strange = sorted(set(fields) - PICTURE_FIELDS)
        if strange or not (fields.get("model") and fields.get("prompt")):
            return said(400, "InvalidParameter", "is not valid", param=(strange or ["prompt"])[0])
        self.counts["submit"] += 1
        image = {"url": f"{self.url}/files/picture.png", "size": fields.get("size", "2048x2048")}
        usage = {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384}
        return JSONResponse({"model": fields["model"], "created": 1, "data": [image], "usage": usage})

    async def file(self, request: Request) -> Response:
        if request.path_params["name"].endswith(".png"):
            return Response(tiny_png(), media_type="image/png")
        return Response(tiny_mp4(), media_type="video/mp4")

    def wrong(self, fields: dict[str, Any]) -> str | None:
        """What is wrong with the content."""
        parts = fields.get("content") or []
        for part in parts:
            kind = part.get("type")
            if kind not in PARTS or not part.get(kind):
                return "content.type"
            if kind != "text" and part.get("role") not in ROLES[kind]:
                return "content.role"
            if kind == "video_url" and part[kind]["url"].startswith("data:"):
                return "content.video_url"
        roles = {part.get("role") for part in parts} - {None}
        if "first_frame" in roles and roles & {"reference_image", "reference_video", "reference_audio"}:
            return "content"
        if roles == {"reference_audio"} or ("last_frame" in roles and "first_frame" not in roles):
            return "content"
        return None if parts else "content"

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys is not None and key not in self.keys):
            return said(
                401, "AuthenticationError", f"The API key {key} in the request is missing or invalid."
            )
        return None

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        now, asked = int(time.time()), job.fields
        task: dict[str, Any] = {
            "id": job.id, "model": asked["model"], "status": word, "created_at": now, "updated_at": now,
            "service_tier": "default", "execution_expires_after": 172800, "draft": False,
        }  # fmt: skip
        if self.shows_marks and asked.get("safety_identifier"):
            task["safety_identifier"] = asked["safety_identifier"]
        if word in {"failed", "expired"} and self.failure:
            task["error"] = self.failure
        if word == "succeeded":
            content = {"video_url": f"{self.url}/files/{job.id}.mp4?X-Tos-Signature=1"}
            if asked.get("return_last_frame"):
                content["last_frame_url"] = f"{self.url}/files/{job.id}.png"
            task |= {
                "content": content, "usage": {"completion_tokens": 108900, "total_tokens": 108900},
                "seed": 78674, "resolution": "720p", "ratio": "16:9", "duration": 5, "framespersecond": 24,
                "generate_audio": True,
            }  # fmt: skip
        return task


def wrong_field(fields: dict[str, Any]) -> str | None:
    """The field that Ark refuses."""
    fields = {name: value for name, value in fields.items() if value is not None}
    strange = sorted(set(fields) - TASK_FIELDS)
    if strange or not fields.get("model"):
        return (strange or ["model"])[0]
    known = next((part for part in LIMITS if part in fields["model"]), None)
    low, high, tiers = LIMITS[known] if known else (1, 60, {*ALL, "4k"})
    duration = fields.get("duration", 5)
    if not isinstance(duration, int) or not (low <= duration <= high or (duration == -1 and low == 4)):
        return "duration"
    if fields.get("resolution", "720p") not in tiers:
        return "resolution"
    if fields.get("ratio", "16:9") not in RATIOS:
        return "ratio"
    if fields.get("service_tier", "default") not in {"default", "flex"}:
        return "service_tier"
    if "generate_audio" in fields and SILENT in fields["model"]:
        return "generate_audio"
    return None


def said(status: int, code: str, message: str, *, param: str = "") -> Response:
    error = {"code": code, "message": message, "param": param, "type": "BadRequest"}
    return JSONResponse({"error": error}, status)
