"""Simulates Runway: a version header, one path per kind of task with the SDK's own schemas, THROTTLED tasks, errors as
``{error}``."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.runway_schema import UNIONS, schema_error

CREATED = "2026-11-20T10:00:00.000Z"


class RunwayServer(ScriptedServer):
    done = "SUCCEEDED"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/tasks/{task}", self.poll_job, methods=["GET"]),
            Route("/v1/tasks/{task}", self.delete_job, methods=["DELETE"]),
            Route("/v1/organization", self.read_organization, methods=["GET"]),
            Route("/v1/{kind}", self.submit_job, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.header_error(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        if kind not in UNIONS:
            return error_response(404, "Not found")
        wrong = schema_error(kind, fields)
        if wrong:
            issues = [{"code": "custom", "path": [wrong[0]], "message": wrong[1]}]
            return JSONResponse({"error": "Validation of body failed", "issues": issues}, 400)
        job = self.create_job(fields)
        return JSONResponse({"id": job.id, "estimatedCost": {"credits": 25}})

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.header_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return error_response(404, "Not found")
        status = job.next_state()
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
            document = {"failure": self.failure.get("message"), "failureCode": self.failure.get("code")}
            task |= {name: value for name, value in document.items() if value}
        return JSONResponse(task)

    async def delete_job(self, request: Request) -> Response:
        await self.record_request(request)
        gone = self.jobs.pop(request.path_params["task"], None)
        return Response(status_code=204) if gone else error_response(404, "Not found")

    async def read_organization(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.header_error(request)
        if refusal:
            return refusal
        limits = {"maxConcurrentGenerations": 2, "maxDailyGenerations": None}
        tier = {"maxMonthlyCreditSpend": 10_000, "models": {"gen4.5": limits}}
        usage = {"models": {"gen4.5": {"dailyGenerations": 3}}}
        return JSONResponse({"creditBalance": 1250, "tier": tier, "usage": usage})

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def header_error(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or (self.keys is not None and token not in self.keys):
            return error_response(401, f"API key is not valid: {token}")
        if request.headers.get("x-runway-version") != "2024-11-06":
            return error_response(400, "X-Runway-Version is missing or unknown")
        return None


def error_response(status: int, message: str) -> Response:
    return JSONResponse({"error": message, "docUrl": "https://docs.dev.runwayml.com/api"}, status)
