"""Simulates Vidu: ``Token`` keys, a path per kind of task, errors with a ``reason``."""

import json
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

IMAGES = {"text2video": (0, 0), "img2video": (1, 1), "start-end2video": (2, 2), "reference2video": (1, 7)}
FIELDS = {
    "model", "prompt", "images", "duration", "seed", "resolution", "movement_amplitude", "bgm", "audio",
    "audio_type", "voice_id", "is_rec", "style", "watermark", "wm_position", "wm_url", "meta_data", "payload",
    "off_peak", "callback_url",
}  # fmt: skip
SHAPED = {"text2video", "reference2video"}
"""Only these have ``aspect_ratio``: https://platform.vidu.com/docs"""
MADE = {
    "viduq4": (range(3, 17), {"540p", "720p", "1080p", "2K", "4K"}, 15),
    "viduq3": (range(1, 17), {"540p", "720p", "1080p"}, 7),
    "viduq2": (range(1, 11), {"540p", "720p", "1080p"}, 7),
    "viduq1": ((5,), {"1080p"}, 7),
    "vidu2.0": ((4, 8), {"360p", "720p", "1080p"}, 3),
}
"""Lengths, resolutions and the most references of each family."""


class ViduServer(ScriptedServer):
    done = "success"
    scheme = "Token"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/ent/v2/credits", self.credit_balance, methods=["GET"]),
            Route("/ent/v2/tasks", self.list_jobs, methods=["GET"]),
            Route("/ent/v2/tasks/{task}/creations", self.poll_job, methods=["GET"]),
            Route("/ent/v2/tasks/{task}/cancel", self.cancel_job, methods=["POST"]),
            Route("/ent/v2/{kind}", self.submit_job, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        if kind not in IMAGES:
            return error_response(404, "NotFound", "not found")
        fewest, most = IMAGES[kind]
        family = family_of(fields)
        most = MADE[family][2] if family and kind == "reference2video" else most
        pictures = fields.get("images", [])
        if not fewest <= len(pictures) <= most:
            return error_response(400, "FieldItemCountOutOfRange", "field item count out of range: images")
        if not all(one.startswith(("https://", "data:image/")) for one in pictures):
            return error_response(400, "ImageFormatInvalid", "invalid image format")
        wrong = field_error(kind, fields)
        if wrong:
            return error_response(400, "FieldInvalid", f"invalid field: {wrong}")
        job = self.create_job(fields)
        return JSONResponse({"task_id": job.id, "state": "created", "credits": 8, **fields})

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return error_response(404, "TaskNotFound", "task not found")
        state = str(job.next_state())
        done = [
            {"id": "c-1", "url": f"{self.url}/files/{job.id}.mp4", "cover_url": f"{self.url}/files/c.png"}
        ]
        return JSONResponse(
            {
                "id": job.id,
                "state": state,
                "err_code": self.failure.get("code", "") if state == "failed" else "",
                "credits": 8,
                "payload": job.fields.get("payload", ""),
                "creations": done if state == "success" else [],
            }
        )

    async def list_jobs(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.auth_error(request)
        return refusal or JSONResponse(
            {"next_page_token": "", "tasks": [self.list_entry(job) for job in self.jobs.values()]}
        )

    def list_entry(self, job: VendorJob) -> dict[str, Any]:
        """An entry of the list has the request of a task, but not its payload."""
        document = {name: job.fields.get(name) for name in ("model", "prompt", "images", "duration")}
        return {"id": job.id, "state": "processing", "creations": None, **document}

    async def credit_balance(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        kinds = {"metered": 1200, "test": 34}
        standing = {"concurrency_limit": 5, "current_concurrency": 0, "queue_count": 0}
        return JSONResponse(
            {
                "remains": [
                    {"type": kind, "credit_remain": left, **standing} for kind, left in kinds.items()
                ],
                "packages": [
                    {"id": kind, "type": kind, "credit_remain": left} for kind, left in kinds.items()
                ],
            }
        )

    async def cancel_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        job = self.jobs.get(request.path_params["task"])
        if job is None or json.loads(seen.body) != {"id": job.id}:
            return error_response(404, "TaskNotFound", "task not found")
        if job.polls:
            return error_response(400, "BadRequest", "task state is scheduled, can not cancel")
        job.cancelled = True
        return JSONResponse({})

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != self.scheme or not key or (self.keys is not None and key not in self.keys):
            return error_response(401, "Unauthorized", f"unauthorized: {key}")
        return None


class TokenHubServer(ViduServer):
    """Tencent's cloud: Vidu's own answers at other paths, for a Bearer key.
    https://cloud.tencent.com/document/product/1823/135738"""

    scheme = "Bearer"
    kinds: ClassVar = {
        "text-to-video": "text2video", "image-to-video": "img2video",
        "start-end-to-video": "start-end2video", "reference-to-video": "reference2video",
    }  # fmt: skip

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/wand/vidu/tasks/{task}", self.poll_job, methods=["GET"]),
            Route("/v1/wand/vidu/{kind}", self.submit_job, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        request.scope["path_params"]["kind"] = self.kinds.get(request.path_params["kind"], "")
        return await super().submit_job(request)


def family_of(fields: dict[str, Any]) -> str | None:
    model = fields.get("model", "").replace("vidu-video-", "vidu")
    return next((family for family in MADE if model.startswith(family)), None)


def field_error(kind: str, fields: dict[str, Any]) -> str | None:
    unknown = sorted(set(fields) - FIELDS - ({"aspect_ratio"} if kind in SHAPED else set()))
    if unknown or not fields.get("model"):
        return unknown[0] if unknown else "model"
    family = family_of(fields)
    if family is None:
        return None
    lengths, tiers, _ = MADE[family]
    length, tier = fields.get("duration", lengths[0]), fields.get("resolution", "")
    if not isinstance(length, int) or length not in lengths:
        return "duration"
    return (
        "resolution"
        if tier and (tier not in tiers or (family == "vidu2.0" and length == 8 and tier != "720p"))
        else None
    )


def error_response(status: int, reason: str, message: str) -> Response:
    return JSONResponse(
        {"code": status, "reason": reason, "message": message, "metadata": {"trace_id": "t"}}, status
    )
