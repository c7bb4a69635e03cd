"""The wire formats of the two vendors: requests read, answers written. What they do not foresee raises: the world, not
the product, is to be mended then."""

import json
import random
from typing import Any

from bench.world.vendors import ABSURD, JSON, UNWRITABLE, Job, NoReply, Reply, Vendor
from tests.upstream.vendors.replicate_models import MODELS, openapi
from tests.upstream.vendors.schemas import input_error

SECRETS = ("sk-world-account-0", "sk-world-account-1", "r8-world-account-2", "r8-world-account-3")
HOSTS = ("one.test", "two.test")
FILM_HOST = "films.test"
MODEL = "bytedance/seedance-2.0"
"""The one that accounts of the second vendor name."""
MODEL_PATH = f"/v1/models/{MODEL}"


class Request:
    """What a vendor sees of a request."""

    def __init__(self, method: str, path: str, headers: Any, body: bytes) -> None:
        self.method = method
        self.path = path
        self.body = body
        secret = headers.get("authorization", "").removeprefix("Bearer ")
        self.account = SECRETS.index(secret) if secret in SECRETS else -1
        self.key = headers.get("idempotency-key", "")


class VideosFormat:
    """OpenAI's ``/v1/videos``; films lie behind the key."""

    def __init__(self, vendor: Vendor, chance: random.Random) -> None:
        self.vendor = vendor
        self._chance = chance

    def answer(self, request: Request) -> Reply:
        name = request.path.removeprefix("/v1/videos").strip("/")
        if (request.method, request.path) == ("POST", "/v1/videos"):
            return self._create(request)
        if request.method not in {"GET", "DELETE"} or not name:
            raise LookupError(f"no such endpoint: {request.method} {request.path}")
        if name.endswith("/content"):
            return self.vendor.film(name.removesuffix("/content"))
        job = self.vendor.find(name)
        if job is None:
            return self.vendor.error(404, "not_found", f"No such video: {name}")
        if request.method == "DELETE":
            return self._delete(job)
        return self.vendor.spoiled_look() or self._object(job)

    def _create(self, request: Request) -> Reply:
        prompt = json.loads(request.body)["prompt"]
        refused = self.vendor.refusal(request.account, prompt)
        if refused is not None:
            return refused
        job = self.vendor.accept(request.account, prompt, request.key)
        return self.vendor.spoiled_acceptance() or self._object(job)

    def _delete(self, job: Job) -> Reply:
        if self.vendor.plan.cancels == "knows none":
            return self.vendor.error(405, "method_not_allowed", "Not here.")
        if not self.vendor.cancel(job):
            return self.vendor.error(409, "conflict", "It is being made.")
        return Reply(200, JSON, json.dumps({"id": job.id, "deleted": True}).encode())

    def _object(self, job: Job) -> Reply:
        words = {
            "queued": "queued",
            "running": "in_progress",
            "film": "completed",
            "failed": "failed",
            "stopped": "cancelled",
        }
        state = self.vendor.state(job)
        document: dict[str, Any] = {"id": job.id, "object": "video", "status": words[state]}
        if state == "failed":
            document["error"] = {"code": "generation_failed", "message": "It could not be made."}
        if self.vendor.talks_nonsense("absurd", state):
            document |= self._chance.choice(ABSURD)
        if self.vendor.talks_nonsense("unwritable", state):
            document |= self._chance.choice(UNWRITABLE)
        return Reply(200, JSON, json.dumps(document).encode())


class PredictionsFormat:
    """Replicate's predictions and the schema of a model; films lie at public links."""

    def __init__(self, vendor: Vendor, chance: random.Random) -> None:
        self.vendor = vendor
        self._chance = chance
        self._model = {"name": MODEL, "latest_version": {"id": "abc123", "openapi_schema": openapi(MODEL)}}

    def answer(self, request: Request) -> Reply:
        if request.path == MODEL_PATH and request.method == "GET":
            return self.vendor.spoiled_look() or Reply(200, JSON, json.dumps(self._model).encode())
        if request.path == f"{MODEL_PATH}/predictions" and request.method == "POST":
            return self._create(request)
        name, _, action = request.path.removeprefix("/v1/predictions/").partition("/")
        if (request.method, action) not in {("GET", ""), ("POST", "cancel")}:
            raise LookupError(f"no such endpoint: {request.method} {request.path}")
        job = self.vendor.find(name)
        if job is None:
            return self._error(404, f"No such prediction: {name}")
        if action == "cancel":
            self.vendor.cancel(job)
            if self.vendor.plan.cancels == "knows none":
                return self._error(404, "Not here.")
            return self._object(job)
        return self.vendor.spoiled_look() or self._object(job)

    def _create(self, request: Request) -> Reply:
        fields = json.loads(request.body)["input"]
        wrong = input_error(MODELS[MODEL], fields)
        if wrong is not None:
            raise ValueError(f"the model takes no such input: {wrong[0]}: {wrong[1]}")
        prompt = fields["prompt"]
        refused = self.vendor.refusal(request.account, prompt)
        if refused is not None:
            return refused
        job = self.vendor.accept(request.account, prompt, "")
        return self.vendor.spoiled_acceptance() or self._object(job)

    def _error(self, status: int, text: str) -> Reply:
        return Reply(status, JSON, json.dumps({"detail": text, "status": status}).encode())

    def _object(self, job: Job) -> Reply:
        words = {
            "queued": "starting",
            "running": "processing",
            "film": "succeeded",
            "failed": "failed",
            "stopped": "canceled",
        }
        state = self.vendor.state(job)
        document: dict[str, Any] = {"id": job.id, "status": words[state], "metrics": {}}
        if state == "film":
            document["output"] = f"https://{FILM_HOST}/{job.id}.mp4"
        if state == "failed":
            document["error"] = "It could not be made."
        if self.vendor.talks_nonsense("absurd", state):
            document["metrics"] = {"predict_time": 1e300, "total_time": 1e14, "seconds": 1e14, "credits": 5e6}
        return Reply(201 if state == "queued" else 200, JSON, json.dumps(document).encode())


__all__ = ["FILM_HOST", "HOSTS", "SECRETS", "NoReply", "PredictionsFormat", "Request", "VideosFormat"]
