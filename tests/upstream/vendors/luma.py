"""Luma's two APIs as they answer: Dream Machine with ``assets``, Agents with ``output``; inputs by address or inline."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import Job
from tests.upstream.vendors.front import Scripted

CREATED = "2026-11-20T10:00:00Z"
LEGACY = {"ray-2", "ray-flash-2", "photon-1", "photon-flash-1"}
CURRENT = {"ray-3.2", "uni-1", "uni-1-max"}


class LumaServer(Scripted):
    """Under ``/dream-machine/v1`` the legacy API, under ``/v1`` the current one."""

    done = "completed"

    def routes(self) -> list[BaseRoute]:
        legacy: list[BaseRoute] = [
            Route("/credits", self.credits, methods=["GET"]),
            Route("/generations/{kind:path}", self.legacy_submit, methods=["POST"]),
            Route("/generations/{job}", self.look, methods=["GET"]),
            Route("/generations/{job}", self.delete, methods=["DELETE"]),
        ]
        agents: list[BaseRoute] = [
            Route("/generations", self.agents_submit, methods=["POST"]),
            Route("/generations/{job}", self.look, methods=["GET"]),
        ]
        files = Route("/files/{name}", self.file, methods=["GET"])
        return [Mount("/dream-machine/v1", routes=legacy), Mount("/v1", routes=agents), files]

    async def legacy_submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        if kind not in {"video", "image", "video/modify"} or fields.get("model") not in LEGACY:
            return said(400, "Invalid model")
        if any(not link.startswith("https://") for link in links_in(fields)):
            return said(400, "Invalid url")
        if kind == "video/modify" and not ({"media", "mode"} <= set(fields)):
            return said(422, "media and mode are required")
        return JSONResponse(self.shown(self.submitted(fields), "queued"), 201)

    async def agents_submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if fields.get("model", "ray-3.2") not in CURRENT or "prompt" not in fields:
            return said(422, "Invalid model")
        if fields.get("type") == "video_edit" and not fields.get("source"):
            return said(422, "source is required")
        return JSONResponse(self.shown(self.submitted(fields | {"api": "agents"}), "queued"), 201)

    async def look(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["job"])
        return JSONResponse(self.shown(job, job.look())) if job else said(404, "Not found")

    async def delete(self, request: Request) -> Response:
        await self.note(request)
        gone = self.jobs.pop(request.path_params["job"], None)
        return Response(status_code=204) if gone else said(404, "Not found")

    async def credits(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        return refusal or JSONResponse({"credit_balance": 1234.5})

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        wrong = not token or (self.keys is not None and token not in self.keys)
        return said(401, f"Invalid API key: {token}") if wrong else None

    def shown(self, job: Job, state: str) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": job.id,
            "state": state,
            "created_at": CREATED,
            "model": job.fields.get("model"),
        }
        if state == "failed":
            shown |= {"failure_reason": self.failure.get("message"), "failure_code": self.failure.get("code")}
        link = f"{self.url}/files/{job.id}"
        pictures = job.fields.get("generation_type") == "image" or job.fields.get("type", "").startswith(
            "image"
        )
        if job.fields.get("api") == "agents":
            shown["type"] = job.fields["type"]
            if state == "completed":
                shown["output"] = [{"type": "image" if pictures else "video", "url": f"{link}.mp4"}]
            return shown
        shown |= {"generation_type": "image" if pictures else "video", "request": job.fields, "assets": None}
        if state == "completed":
            shown["assets"] = {"image": f"{link}.jpg"} | ({} if pictures else {"video": f"{link}.mp4"})
        return shown


def links_in(fields: dict[str, Any]) -> list[str]:
    frames = [frame for frame in (fields.get("keyframes") or {}).values() if frame["type"] == "image"]
    parts = [*frames, fields.get("media"), fields.get("first_frame"), *(fields.get("image_ref") or [])]
    return [part["url"] for part in parts if part]


def said(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status)
