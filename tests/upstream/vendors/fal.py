"""fal's queue as it answers: a model's path takes work, ``/owner/app/requests/<id>`` tells of it."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.fal_models import MODELS, document
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.schemas import input_error

PENDING = {"IN_QUEUE", "IN_PROGRESS"}


class FalServer(ScriptedServer):
    """A job whose ``fields`` have ``image_size`` is a picture. ``result`` is told in place of a file. ``publishes``: it
    tells the schemas of its models."""

    done = "COMPLETED"
    result: tuple[int, Any] | None = None
    publishes = True

    def reset(self) -> None:
        super().reset()
        self.result, self.publishes = None, True

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/{owner}/{app}/requests/{id}/status", self.status, methods=["GET"]),
            Route("/{owner}/{app}/requests/{id}/cancel", self.cancel, methods=["PUT"]),
            Route("/{owner}/{app}/requests/{id}", self.response, methods=["GET"]),
            Route("/files/{name}", self.file, methods=["GET"]),
            Route("/api/openapi/queue/openapi.json", self.schema, methods=["GET"]),
            Route("/{endpoint:path}", self.submit, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        parts = request.path_params["endpoint"].split("/")
        if len(parts) < 2:
            return JSONResponse({"detail": "Application not found"}, 404)
        fields, schema = json.loads(seen.body), MODELS.get(request.path_params["endpoint"])
        if schema is None:
            return JSONResponse({"detail": f"Path /{'/'.join(parts[2:])} not found"}, 404)
        wrong = input_error(schema, fields)
        if wrong is None and "prompt" not in fields and "multi_prompt" not in fields:
            wrong = "prompt", "Field required"
        if wrong:
            return JSONResponse({"detail": [refused(*wrong)]}, 422)
        job = self.create_job(fields)
        # Whatever follows the application's name is not part of where its requests are found.
        where = f"{request.base_url}{parts[0]}/{parts[1]}/requests/{job.id}"
        return JSONResponse(
            {
                "request_id": job.id, "response_url": where, "status_url": f"{where}/status",
                "cancel_url": f"{where}/cancel", "queue_position": 0, "status": "IN_QUEUE",
            }
        )  # fmt: skip

    async def schema(self, request: Request) -> Response:
        await self.record_request(request)
        self.counts["schema"] += 1
        endpoint = request.query_params.get("endpoint_id", "")
        if endpoint not in MODELS or not self.publishes:
            return JSONResponse({"error": "Not found"}, 404)
        return JSONResponse(document(endpoint))

    async def status(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return JSONResponse({"detail": "Request not found"}, 404)
        word = "COMPLETED" if job.cancelled else str(job.next_state())
        told: dict[str, Any] = {"status": word, "response_url": str(request.url).removesuffix("/status")}
        if word == "IN_QUEUE":
            told["queue_position"] = 0
        if word == "IN_PROGRESS":
            told["logs"] = None
        if word == "FAILED":  # the suite's word; fal's own is COMPLETED with an error
            told |= {"status": "COMPLETED", "error": self.failure.get("message", ""),
                     "error_type": self.failure.get("error_type", "internal_error")}  # fmt: skip
        if told["status"] == "COMPLETED":
            told |= {"logs": None, "metrics": {"inference_time": 12.5}}
        return JSONResponse(told, 202 if word in PENDING else 200)

    async def response(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs[request.path_params["id"]]
        if job.cancelled:
            return JSONResponse({"detail": "Request was cancelled", "error_type": "client_cancelled"}, 499)
        if self.result is not None:
            return JSONResponse(self.result[1], self.result[0])
        return JSONResponse(self.output(job), headers={"x-fal-billable-units": "5"})

    def output(self, job: VendorJob) -> dict[str, Any]:
        if "image_size" in job.fields or "image_urls" in job.fields:
            picture = {"url": f"{self.url}/files/{job.id}.png", "content_type": "image/png",
                       "width": 16, "height": 16}  # fmt: skip
            return {"images": [picture], "seed": 7, "has_nsfw_concepts": [False], "prompt": "A red kite"}
        video = {"url": f"{self.url}/files/{job.id}.mp4", "content_type": "video/mp4",
                 "file_name": "output.mp4", "file_size": 1000}  # fmt: skip
        return {"video": video, "seed": 7}

    async def cancel(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs[request.path_params["id"]]
        if job.polls >= len(job.states):
            return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
        job.cancelled = True
        return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)

    async def file(self, request: Request) -> Response:
        picture = request.path_params["name"].endswith(".png")
        return Response(
            tiny_png() if picture else tiny_mp4(), media_type="image/png" if picture else "video/mp4"
        )

    def unauthorized(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Key" or not key or (self.keys is not None and key not in self.keys):
            return JSONResponse({"detail": "Cannot access application. Authentication is required"}, 401)
        return None


def refused(name: str, text: str) -> dict[str, Any]:
    kind = "missing" if text == "Field required" else "value_error"
    return {"loc": ["body", name], "msg": text, "type": kind, "url": "https://docs.fal.ai"}
