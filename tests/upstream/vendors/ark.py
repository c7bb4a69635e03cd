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
        wrong = self.wrong(fields)
        if wrong:
            return said(400, "InvalidParameter", wrong, param="content")
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
        self.counts["submit"] += 1
        image = {"url": f"{self.url}/files/picture.png", "size": fields.get("size", "2048x2048")}
        usage = {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384}
        return JSONResponse({"model": fields["model"], "created": 1, "data": [image], "usage": usage})

    async def file(self, request: Request) -> Response:
        if request.path_params["name"].endswith(".png"):
            return Response(tiny_png(), media_type="image/png")
        return Response(tiny_mp4(), media_type="video/mp4")

    def wrong(self, fields: dict[str, Any]) -> str | None:
        parts = fields.get("content") or []
        if not fields.get("model") or not parts:
            return "model and content are required"
        for part in parts:
            kind = part.get("type")
            if kind not in PARTS or not part.get(kind):
                return f"content.type {kind} is not supported"
            if kind != "text" and part.get("role") not in ROLES[kind]:
                return f"role {part.get('role')} is not supported"
            if kind == "video_url" and part[kind]["url"].startswith("data:"):
                return "reference_video must be provided as a web url"
        roles = {part.get("role") for part in parts}
        if "first_frame" in roles and roles & {"reference_image", "reference_video", "reference_audio"}:
            return "first frame and reference content can't be mixed"
        if not isinstance(fields.get("duration", 5), int):
            return "duration must be an integer"
        return None

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


def said(status: int, code: str, message: str, *, param: str = "") -> Response:
    error = {"code": code, "message": message, "param": param, "type": "BadRequest"}
    return JSONResponse({"error": error}, status)
