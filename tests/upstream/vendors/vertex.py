"""Simulates Veo on Vertex AI: tokens by signed claim, long-running operations polled by POST, Cloud Storage."""

import base64
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.google import TokenServer, error_response

MODELS = "/{version}/projects/{project}/locations/{location}/publishers/google/models/{model}"


class VertexServer(TokenServer):
    """Job states: ``running``, ``done``, ``failed``, ``filtered``, ``nothing`` (done without a video)."""

    done = "done"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/token", self.exchange_claim, methods=["POST"]),
            Route(MODELS + ":predictLongRunning", self.submit_job, methods=["POST"]),
            Route(MODELS + ":fetchPredictOperation", self.poll_job, methods=["POST"]),
            Route("/storage/v1/b/{bucket}/o/{name:path}", self.send_stored, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = field_error(request.path_params["model"], fields)
        if wrong:
            return error_response(400, "INVALID_ARGUMENT", wrong)
        job = self.create_job(fields)
        place = seen.path.removesuffix(":predictLongRunning").split("/", 2)[2]
        return JSONResponse({"name": f"{place}/operations/{job.id}"})

    async def poll_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        name = json.loads(seen.body)["operationName"]
        place = seen.path.removesuffix(":fetchPredictOperation").split("/", 2)[2]
        job = self.jobs.get(name.rsplit("/", 1)[-1])
        if job is None or not name.startswith(f"{place}/operations/"):
            return error_response(404, "NOT_FOUND", "Operation not found")
        return JSONResponse({"name": name, **self.job_object(job.next_state(), job.fields["parameters"])})

    async def send_stored(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.auth_error(request)
        if refusal:
            return refusal
        if request.query_params.get("alt") != "media":
            return JSONResponse({"kind": "storage#object"})
        return Response(tiny_mp4(), media_type="video/mp4")

    def job_object(self, state: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if state == "failed":
            error = {"code": self.failure.get("code", 13), "message": self.failure.get("message", "")}
            return {"done": True, "error": error}
        if state == "done":
            where = parameters.get("storageUri")
            kept = (
                {"gcsUri": f"{where}/123/sample 0.mp4"} if where else {"bytesBase64Encoded": encoded_video()}
            )
            return finished_response([{**kept, "mimeType": "video/mp4"}])
        if state == "filtered":
            reason = "Your prompt violates our policies. Support codes: 15236754"
            return finished_response([], raiMediaFilteredCount=1, raiMediaFilteredReasons=[reason])
        return finished_response([]) if state == "nothing" else {}


def finished_response(videos: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    kind = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
    return {"done": True, "response": {"@type": kind, **({"videos": videos} if videos else {}), **more}}


def encoded_video() -> str:
    return base64.b64encode(tiny_mp4()).decode()


PARAMETERS = {
    "sampleCount", "durationSeconds", "aspectRatio", "resolution", "seed", "negativePrompt", "generateAudio",
    "personGeneration", "storageUri", "enhancePrompt", "compressionQuality", "resizeMode", "fps", "pubsubTopic",
}  # fmt: skip
"""As google-genai 3.4.0 writes them."""
INSTANCE_FIELDS = {"prompt", "image", "lastFrame", "video", "referenceImages", "mask"}


def field_error(model: str, fields: dict[str, Any]) -> str | None:
    instances, parameters = fields.get("instances", []), fields.get("parameters", {})
    if len(instances) != 1 or not instances[0].get("prompt", instances[0].get("image")):
        return "instances must hold a prompt or an image"
    unknown = sorted(set(parameters) - PARAMETERS | set(instances[0]) - INSTANCE_FIELDS)
    if unknown:
        return f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
    if parameters.get("durationSeconds", 8) not in {4, 6, 8}:
        return "durationSeconds is out of bound; supported values are 4, 6 and 8"
    if parameters.get("aspectRatio", "16:9") not in {"16:9", "9:16"}:
        return "aspectRatio is not supported"
    known = {"720p", "1080p"} if "lite" in model else {"720p", "1080p", "4k"}
    if parameters.get("resolution", "720p") not in known:
        return "resolution is not supported"
    return reference_error(model, instances[0].get("referenceImages", []), parameters)


def reference_error(model: str, references: list[Any], parameters: dict[str, Any]) -> str | None:
    if references and ("lite" in model or len(references) > 3):
        return "referenceImages is not supported"
    if references and parameters.get("durationSeconds", 8) != 8:
        return "Video duration must be 8 seconds with reference images"
    return None
