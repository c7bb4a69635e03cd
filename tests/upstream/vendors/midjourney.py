"""Midjourney-Proxy: numbered return codes in an HTTP 200, empty answers for tasks that it does not know."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import Job
from tests.upstream.vendors.front import Scripted


class MidjourneyServer(Scripted):
    done = "SUCCESS"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/mj/submit/imagine", self.submit, methods=["POST"]),
            Route("/mj/task/list", self.listing, methods=["GET"]),
            Route("/mj/task/{task}/fetch", self.look, methods=["GET"]),
            Route("/mj/task/{task}/cancel", self.cancel, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if not fields.get("prompt", "").strip():
            return told(4, "prompt不能为空")
        if any(not item.startswith("data:image/") for item in fields.get("base64Array", [])):
            return told(4, "base64格式错误")
        job = self.submitted(fields, job_id=str(1_700_000_000_000 + len(self.jobs)))
        return told(22 if len(self.jobs) > 1 else 1, "提交成功", job.id)

    async def look(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        return JSONResponse(self.shown(job, job.look())) if job else Response(status_code=200)

    async def listing(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.unauthorized(request)
        return refusal or JSONResponse([self.shown(job, job.states[0]) for job in self.jobs.values()])

    async def cancel(self, request: Request) -> Response:
        await self.note(request)
        job = self.jobs.get(request.path_params["task"])
        if job and job.looks < len(job.states):
            job.states = ["FAILURE"]
        return Response(status_code=200)

    def unauthorized(self, request: Request) -> Response | None:
        secret = request.headers.get("mj-api-secret", "")
        if self.keys is not None and secret not in self.keys:
            return told(9, "验证失败", status=401)
        return None

    def shown(self, job: Job, word: str) -> dict[str, Any]:
        return {
            "id": job.id, "action": "IMAGINE", "status": word, "prompt": job.fields["prompt"],
            "state": job.fields.get("state"), "submitTime": 1, "startTime": 2, "finishTime": None,
            "progress": "100%" if word == "SUCCESS" else "45%", "buttons": [],
            "imageUrl": f"https://pictures.test/{job.id}.png" if word == "SUCCESS" else None,
            "failReason": self.failure.get("message") if word == "FAILURE" else None,
        }  # fmt: skip


def told(code: int, description: str, result: str | None = None, *, status: int = 200) -> Response:
    return JSONResponse(
        {"code": code, "description": description, "result": result, "properties": {}}, status
    )
