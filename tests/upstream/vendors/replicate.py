"""Replicate as it answers: predictions with ``urls``, problems as ``{title, detail, status}``."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import Job
from tests.upstream.vendors.front import Scripted

ENDED = {"succeeded", "failed", "canceled", "aborted"}


class ReplicateServer(Scripted):
    """``output`` is told in place of the address of a video."""

    done = "succeeded"
    output: Any = None
    logs = ""

    def reset(self) -> None:
        super().reset()
        self.output, self.logs = None, ""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/predictions", self.submit, methods=["POST"]),
            Route("/v1/models/{owner}/{name}/predictions", self.submit, methods=["POST"]),
            Route("/v1/deployments/{owner}/{name}/predictions", self.submit, methods=["POST"]),
            Route("/v1/predictions/{id}", self.look, methods=["GET"]),
            Route("/v1/predictions/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if request.url.path == "/v1/predictions" and not fields.get("version"):
            return problem(422, "Input validation failed", "- version is required")
        if not fields.get("input", {}).get("prompt"):
            return problem(422, "Input validation failed", "- input: prompt is required")
        owner, name = request.path_params.get("owner", "acme"), request.path_params.get("name", "film")
        job = self.submitted(fields | {"model": f"{owner}/{name}"})
        return JSONResponse(self.shown(job, "starting"), 201)

    async def look(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return problem(404, "Not found", "Prediction not found")
        return JSONResponse(self.shown(job, "canceled" if job.cancelled else str(job.look())))

    async def cancel(self, request: Request) -> Response:
        await self.note(request)
        job = self.jobs[request.path_params["id"]]
        word = job.states[min(job.looks, len(job.states)) - 1] if job.looks else "starting"
        if word not in ENDED:
            job.cancelled, word = True, "canceled"
        return JSONResponse(self.shown(job, str(word)))

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def unauthorized(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or (self.keys is not None and key not in self.keys):
            return problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        return None

    def shown(self, job: Job, word: str) -> dict[str, Any]:
        where = f"{self.url}/v1/predictions/{job.id}"
        told: dict[str, Any] = {
            "id": job.id, "model": job.fields["model"], "version": job.fields.get("version", "hidden"),
            "status": word, "input": job.fields["input"], "output": None, "error": None, "logs": self.logs,
            "created_at": "2026-11-21T00:00:00.000Z", "source": "api", "data_removed": False,
            "urls": {"get": where, "cancel": f"{where}/cancel"}, "metrics": {},
        }  # fmt: skip
        if word == "succeeded":
            told |= {
                "output": self.output or f"{self.url}/files/{job.id}.mp4",
                "metrics": {"predict_time": 41.5, "total_time": 44.0, "version": "x"},
            }
        if word == "failed":
            told["error"] = self.failure.get("message", "")
        return told


def problem(status: int, title: str, detail: str) -> Response:
    return JSONResponse({"title": title, "detail": detail, "status": status}, status)
