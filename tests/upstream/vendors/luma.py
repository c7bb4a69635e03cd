"""Simulates Luma's two APIs: Dream Machine (``assets``, inputs by URL) and Agents (``output``, inline inputs too)."""

import json
from typing import Any

from luma_agents.types.generation_create_params import GenerationCreateParams
from lumaai.types.generations.image_create_params import ImageCreateParams
from lumaai.types.generations.video_create_params import VideoCreateParams
from lumaai.types.generations.video_modify_params import VideoModifyParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.typed_dicts import fields_error

CREATED = "2026-11-20T10:00:00Z"
LEGACY = {"ray-2", "ray-flash-2", "photon-1", "photon-flash-1"}
CURRENT = {"ray-3.2", "uni-1", "uni-1-max"}
LEGACY_TYPES = {"video": VideoCreateParams, "image": ImageCreateParams, "video/modify": VideoModifyParams}
LEGACY_WORDS = {
    "duration": {"5s", "9s"}, "resolution": {"540p", "720p", "1080p", "4k"}, "format": {"jpg", "png"},
    "aspect_ratio": {"1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21"},
}  # fmt: skip
"""Where lumaai's types take any text beside these words."""
FRAMES = {"start_frame", "end_frame"}


class LumaServer(ScriptedServer):
    """The legacy API under ``/dream-machine/v1``, the current one under ``/v1``."""

    done = "completed"

    def routes(self) -> list[BaseRoute]:
        legacy: list[BaseRoute] = [
            Route("/credits", self.credit_balance, methods=["GET"]),
            Route("/generations/{kind:path}", self.legacy_submit, methods=["POST"]),
            Route("/generations/{job}", self.poll_job, methods=["GET"]),
            Route("/generations/{job}", self.delete_job, methods=["DELETE"]),
        ]
        agents: list[BaseRoute] = [
            Route("/generations", self.agents_submit, methods=["POST"]),
            Route("/generations/{job}", self.poll_job, methods=["GET"]),
        ]
        files = Route("/files/{name}", self.send_file, methods=["GET"])
        return [Mount("/dream-machine/v1", routes=legacy), Mount("/v1", routes=agents), files]

    async def legacy_submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        if kind not in {"video", "image", "video/modify"} or fields.get("model") not in LEGACY:
            return error_response(400, "Invalid model")
        if any(not link.startswith("https://") for link in links_in(fields)):
            return error_response(400, "Invalid url")
        if kind == "video/modify" and not ({"media", "mode"} <= set(fields)):
            return error_response(422, "media and mode are required")
        wrong = legacy_error(kind, fields)
        if wrong:
            return error_response(422, wrong)
        return JSONResponse(self.job_object(self.create_job(fields), "queued"), 201)

    async def agents_submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if fields.get("model", "ray-3.2") not in CURRENT or "prompt" not in fields:
            return error_response(422, "Invalid model")
        if fields.get("type") == "video_edit" and not fields.get("source"):
            return error_response(422, "source is required")
        wrong = agents_error(fields)
        if wrong:
            return error_response(422, wrong)
        return JSONResponse(self.job_object(self.create_job(fields | {"api": "agents"}), "queued"), 201)

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["job"])
        return (
            JSONResponse(self.job_object(job, job.next_state())) if job else error_response(404, "Not found")
        )

    async def delete_job(self, request: Request) -> Response:
        await self.record_request(request)
        gone = self.jobs.pop(request.path_params["job"], None)
        return Response(status_code=204) if gone else error_response(404, "Not found")

    async def credit_balance(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        return refusal or JSONResponse({"credit_balance": 1234.5})

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        wrong = not token or (self.keys is not None and token not in self.keys)
        return error_response(401, f"Invalid API key: {token}") if wrong else None

    def job_object(self, job: VendorJob, state: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": job.id,
            "state": state,
            "created_at": CREATED,
            "model": job.fields.get("model"),
        }
        if state == "failed":
            document |= {
                "failure_reason": self.failure.get("message"),
                "failure_code": self.failure.get("code"),
            }
        link = f"{self.url}/files/{job.id}"
        pictures = job.fields.get("generation_type") == "image" or job.fields.get("type", "").startswith(
            "image"
        )
        if job.fields.get("api") == "agents":
            document["type"] = job.fields["type"]
            if state == "completed":
                document["output"] = [{"type": "image" if pictures else "video", "url": f"{link}.mp4"}]
            return document
        document |= {
            "generation_type": "image" if pictures else "video",
            "request": job.fields,
            "assets": None,
        }
        if state == "completed":
            document["assets"] = {"image": f"{link}.jpg"} | ({} if pictures else {"video": f"{link}.mp4"})
        return document


def legacy_error(kind: str, fields: dict[str, Any]) -> str | None:
    error = fields_error(LEGACY_TYPES[kind], fields)
    if error:
        return " ".join(error)
    wrong = [name for name, words in LEGACY_WORDS.items() if name in fields and fields[name] not in words]
    return f"invalid {wrong[0]}" if wrong else None


def agents_error(fields: dict[str, Any]) -> str | None:
    video = fields.get("video") or {}
    error = fields_error(GenerationCreateParams, fields)
    if error or fields.get("aspect_ratio") == "9:21":
        return " ".join(error or ("aspect_ratio",))
    if FRAMES & set(video) and (video.get("duration") == "10s" or "keyframes" in video):
        return "start_frame and end_frame are not supported with 10s or keyframes"
    if len(video.get("keyframes", ())) != len(video.get("keyframe_indexes", ())):
        return "keyframe_indexes must match keyframes"
    edits = fields.get("type") == "video_edit"
    return "duration is that of the source" if edits and "duration" in video else None


def links_in(fields: dict[str, Any]) -> list[str]:
    frames = [frame for frame in (fields.get("keyframes") or {}).values() if frame["type"] == "image"]
    parts = [*frames, fields.get("media"), fields.get("first_frame"), *(fields.get("image_ref") or [])]
    return [part["url"] for part in parts if part]


def error_response(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status)
