"""Runway as it answers: a version header, a path per kind of work, tasks that wait as THROTTLED, ``{error}``."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import Scripted

CREATED = "2026-11-20T10:00:00.000Z"
NEEDED = {
    "text_to_video": {"promptText"},
    "image_to_video": {"promptImage"},
    "video_to_video": set(),
    "text_to_image": {"promptText", "ratio"},
}


class RunwayServer(Scripted):
    done = "SUCCEEDED"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/tasks/{task}", self.look, methods=["GET"]),
            Route("/v1/tasks/{task}", self.delete, methods=["DELETE"]),
            Route("/v1/organization", self.organization, methods=["GET"]),
            Route("/v1/{kind}", self.submit, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unfit(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        if kind not in NEEDED:
            return said(404, "Not found")
        wrong = wrong_in(kind, fields)
        if wrong:
            issues = [{"code": "invalid_type", "path": [wrong], "message": "Required"}]
            return JSONResponse({"error": "Validation of body failed", "issues": issues}, 400)
        job = self.submitted(fields)
        return JSONResponse({"id": job.id, "estimatedCost": {"credits": 25}})

    async def look(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unfit(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return said(404, "Not found")
        status = job.look()
        task: dict[str, Any] = {"id": job.id, "createdAt": CREATED, "status": status}
        if status == "RUNNING":
            task["progress"] = 0.45
        if status in {"SUCCEEDED", "FAILED", "CANCELLED"}:
            task["cost"] = {"credits": 25 if status == "SUCCEEDED" else 0}
        else:
            task["estimatedCost"] = {"credits": 25.0}
        if status == "SUCCEEDED":
            task["output"] = [f"{self.url}/files/{job.id}.mp4?_jwt=x"]
        if status == "FAILED":
            told = {"failure": self.failure.get("message"), "failureCode": self.failure.get("code")}
            task |= {name: value for name, value in told.items() if value}
        return JSONResponse(task)

    async def delete(self, request: Request) -> Response:
        await self.note(request)
        gone = self.jobs.pop(request.path_params["task"], None)
        return Response(status_code=204) if gone else said(404, "Not found")

    async def organization(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unfit(request)
        if refusal:
            return refusal
        limits = {"maxConcurrentGenerations": 2, "maxDailyGenerations": None}
        tier = {"maxMonthlyCreditSpend": 10_000, "models": {"gen4.5": limits}}
        usage = {"models": {"gen4.5": {"dailyGenerations": 3}}}
        return JSONResponse({"creditBalance": 1250, "tier": tier, "usage": usage})

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def unfit(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or (self.keys is not None and token not in self.keys):
            return said(401, f"API key is not valid: {token}")
        if request.headers.get("x-runway-version") != "2024-11-06":
            return said(400, "X-Runway-Version is missing or unknown")
        return None


def wrong_in(kind: str, fields: dict[str, Any]) -> str | None:
    missing = sorted(NEEDED[kind] - set(fields)) + ([] if fields.get("model") else ["model"])
    if kind == "video_to_video" and not (fields.get("videoUri") or fields.get("promptVideo")):
        missing.append("promptVideo")
    if not isinstance(fields.get("duration", 5), int):
        missing.append("duration")
    return missing[0] if missing else None


def said(status: int, message: str) -> Response:
    return JSONResponse({"error": message, "docUrl": "https://docs.dev.runwayml.com/api"}, status)
