"""Simulates Replicate: predictions with ``urls``, errors as ``{title, detail, status}``."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.replicate_models import MODELS, openapi
from tests.upstream.vendors.schemas import input_error

ENDED = {"succeeded", "failed", "canceled", "aborted"}


class ReplicateServer(ScriptedServer):
    """``output``: sent instead of the URL of a video. ``publishes``: it tells the schemas of its models."""

    done = "succeeded"
    output: Any = None
    logs = ""
    publishes = True

    def reset(self) -> None:
        super().reset()
        self.output, self.logs, self.publishes = None, "", True

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/models/{owner}/{name}", self.send_model, methods=["GET"]),
            Route("/v1/models/{owner}/{name}/versions/{version}", self.send_version, methods=["GET"]),
            Route("/v1/deployments/{owner}/{name}", self.send_deployment, methods=["GET"]),
            Route("/v1/predictions", self.submit_job, methods=["POST"]),
            Route("/v1/models/{owner}/{name}/predictions", self.submit_job, methods=["POST"]),
            Route("/v1/deployments/{owner}/{name}/predictions", self.submit_job, methods=["POST"]),
            Route("/v1/predictions/{id}", self.poll_job, methods=["GET"]),
            Route("/v1/predictions/{id}/cancel", self.cancel_job, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if request.url.path == "/v1/predictions" and not fields.get("version"):
            return problem_response(422, "Input validation failed", "- version is required")
        owner, name = request.path_params.get("owner", "acme"), request.path_params.get("name", "film")
        known = f"{owner}/{name}" if "models" in request.url.path else "acme/film"
        if known not in MODELS:
            return problem_response(404, "Not found", "The requested resource could not be found.")
        wrong = input_error(MODELS[known], fields.get("input", {}))
        if wrong:
            return problem_response(422, "Input validation failed", f"- input.{wrong[0]}: {wrong[1]}")
        job = self.create_job(fields | {"model": f"{owner}/{name}"})
        return JSONResponse(self.job_object(job, "starting"), 201)

    async def send_model(self, request: Request) -> Response:
        await self.record_request(request)
        self.counts["schema"] += 1
        name = f"{request.path_params['owner']}/{request.path_params['name']}"
        refusal = self.auth_error(request)
        if refusal or name not in MODELS or not self.publishes:
            return refusal or problem_response(404, "Not found", "Model not found")
        return JSONResponse(
            {"name": name, "latest_version": {"id": "abc123", "openapi_schema": openapi(name)}}
        )

    async def send_version(self, request: Request) -> Response:
        await self.record_request(request)
        name = f"{request.path_params['owner']}/{request.path_params['name']}"
        if name not in MODELS or request.path_params["version"] != "abc123":
            return problem_response(404, "Not found", "Version not found")
        return JSONResponse({"id": "abc123", "openapi_schema": openapi(name)})

    async def send_deployment(self, request: Request) -> Response:
        await self.record_request(request)
        return JSONResponse({"current_release": {"model": "acme/film", "version": "abc123"}})

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return problem_response(404, "Not found", "Prediction not found")
        return JSONResponse(self.job_object(job, "canceled" if job.cancelled else str(job.next_state())))

    async def cancel_job(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs[request.path_params["id"]]
        word = job.states[min(job.polls, len(job.states)) - 1] if job.polls else "starting"
        if word not in ENDED:
            job.cancelled, word = True, "canceled"
        return JSONResponse(self.job_object(job, str(word)))

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or (self.keys is not None and key not in self.keys):
            return problem_response(401, "Unauthenticated", "You did not pass a valid authentication token")
        return None

    def job_object(self, job: VendorJob, word: str) -> dict[str, Any]:
        where = f"{self.url}/v1/predictions/{job.id}"
        document: dict[str, Any] = {
            "id": job.id, "model": job.fields["model"], "version": job.fields.get("version", "hidden"),
            "status": word, "input": job.fields["input"], "output": None, "error": None, "logs": self.logs,
            "created_at": "2026-11-21T00:00:00.000Z", "source": "api", "data_removed": False,
            "urls": {"get": where, "cancel": f"{where}/cancel"}, "metrics": {},
        }  # fmt: skip
        if word == "succeeded":
            document |= {
                "output": self.output or f"{self.url}/files/{job.id}.mp4",
                "metrics": {"predict_time": 41.5, "total_time": 44.0, "version": "x"},
            }
        if word == "failed":
            document["error"] = self.failure.get("message", "")
        return document


def problem_response(status: int, title: str, detail: str) -> Response:
    return JSONResponse({"title": title, "detail": detail, "status": status}, status)
