"""Black Forest Labs as it answers: a path per model, ``polling_url`` at the cluster that took the task."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

PICTURE_FIELDS = {
    "prompt", "seed", "width", "height", "aspect_ratio", "safety_tolerance", "output_format", "image_prompt",
    "input_image", *(f"input_image_{number}" for number in range(2, 9)), "prompt_upsampling",
}  # fmt: skip
VIDEO_FIELDS = {
    "mode", "prompt", "aspect_ratio", "duration", "resolution", "keyframes", "start_video", "generate_audio",
    "draft", "safety_tolerance",
}  # fmt: skip


class BFLServer(ScriptedServer):
    """``cluster`` is the origin of ``polling_url``; a region knows the tasks of ``home``."""

    done = "Ready"
    cluster: str | None = None
    home: "BFLServer | None" = None
    details: Any = None

    def reset(self) -> None:
        super().reset()
        self.cluster, self.details = None, None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/get_result", self.look, methods=["GET"]),
            Route("/v1/credits", self.credits, methods=["GET"]),
            Route("/v1/{model}", self.submit, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields, model = json.loads(seen.body), request.path_params["model"]
        wrong = wrong_with(model, fields)
        if wrong:
            return JSONResponse(
                {"detail": [{"loc": ["body", wrong], "msg": "Invalid", "type": "value_error"}]}, 422
            )
        job = self.create_job(fields | {"model": model})
        origin = self.cluster if self.cluster is not None else self.url
        told = {"id": job.id, "polling_url": f"{origin}/v1/get_result?id={job.id}", "cost": 3.0}
        return JSONResponse({**told, "input_mp": 0.0, "output_mp": 1.05})

    async def look(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        task = request.query_params.get("id", "")
        job = (self.home or self).jobs.get(task)
        if job is None:
            return JSONResponse({"id": task, "status": "Task not found", "result": None})
        return JSONResponse(self.shown(job, str(job.next_state())))

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": job.id,
            "status": word,
            "result": None,
            "progress": None,
            "details": None,
        }
        if word == "Pending":
            told["progress"] = 0.25
        if word == "Ready":
            video = "video" in job.fields["model"]
            name = f"{job.id}.mp4" if video else f"{job.id}.jpeg"
            told["result"] = {"sample": f"{self.url}/files/{name}?sig=1", "seed": 42, "prompt": "A red kite"}
            told |= {"cost": 2.5} if video else {}
            told["result"] |= {"duration": 5.0} if video else {}
        if word == "Error":
            told["details"] = self.failure.get("message")
        if word.endswith("Moderated"):
            told["details"] = self.details or {"Moderation Reasons": ["Derivative Works Filter"]}
        return told

    async def credits(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        return refusal or JSONResponse({"credits": 987.5})

    async def file(self, request: Request) -> Response:
        video = request.path_params["name"].endswith(".mp4")
        return Response(tiny_mp4() if video else tiny_png())

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("x-key", "")
        if not key or (self.keys is not None and key not in self.keys):
            return JSONResponse({"detail": "Not authenticated - Invalid Authentication"}, 403)
        return None


def wrong_with(model: str, fields: dict[str, Any]) -> str | None:
    """The field that does not fit."""
    known = VIDEO_FIELDS if "video" in model else PICTURE_FIELDS
    strange = sorted(set(fields) - known)
    if strange:
        return strange[0]
    if "video" in model and fields.get("mode") not in {"t2v", "i2v", "v2v"}:
        return "mode"
    if any(str(value).startswith("data:") for value in [*fields.values(), *(fields.get("keyframes") or [])]):
        return "input_image"
    if fields.get("width", 16) % 16 or fields.get("height", 16) % 16:
        return "width"
    return None
