"""ComfyUI as its ``server.py`` answers: prompts, queue, history, uploads, files."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

WAITING = {"pending", "running"}


class ComfyServer(ScriptedServer):
    """Without keys, unless a proxy in front asks for them. ``chooses_ids``: as versions before 2025 did."""

    done = "success"

    def reset(self) -> None:
        super().reset()
        self.uploads: dict[str, bytes] = {"example.png": b""}  # it comes with one
        self.chooses_ids = False
        self.outputs: dict[str, Any] = {"9": {"images": [file("film_00001_.mp4")], "animated": [True]}}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/prompt", self.prompt, methods=["POST"]),
            Route("/queue", self.queue, methods=["GET"]),
            Route("/queue", self.unqueue, methods=["POST"]),
            Route("/interrupt", self.interrupt, methods=["POST"]),
            Route("/history", self.listing, methods=["GET"]),
            Route("/history/{prompt}", self.history, methods=["GET"]),
            Route("/upload/image", self.upload, methods=["POST"]),
            Route("/view", self.view, methods=["GET"]),
        ]

    async def prompt(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        graph = fields.get("prompt")
        if not graph:
            return wrong("no_prompt", "No prompt provided")
        for node, inner in graph.items():
            image = inner["inputs"].get("image")
            if isinstance(image, str) and image not in {"", *self.uploads}:
                error = {"type": "custom_validation_failed", "message": "Custom validation failed",
                         "details": f"image - Invalid image file: {image}", "extra_info": {}}  # fmt: skip
                errors = {node: {"errors": [error], "dependent_outputs": ["9"], "class_type": "LoadImage"}}
                return wrong("prompt_outputs_failed_validation", "Prompt outputs failed validation", errors)
        job = self.create_job(fields, job_id=None if self.chooses_ids else fields.get("prompt_id"))
        if any(inner["inputs"].get("image") == "" for inner in graph.values()):
            # Its own check takes an empty name for the folder, which is there.
            job.states, self.failure = (
                ["error"],
                {"message": "[Errno 21] Is a directory: '/home/op/ComfyUI/input/'"},
            )
        return JSONResponse({"prompt_id": job.id, "number": len(self.jobs), "node_errors": {}})

    async def queue(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.unauthorized(request)
        if refusal:
            return refusal
        told: dict[str, list[Any]] = {"queue_running": [], "queue_pending": []}
        for job in self.jobs.values():
            word = job.states[max(min(job.polls, len(job.states)) - 1, 0)]
            if word in WAITING and not job.cancelled:
                told[f"queue_{word}"].append(item(job))
        return JSONResponse(told)

    async def unqueue(self, request: Request) -> Response:
        seen = await self.record_request(request)
        for wanted in json.loads(seen.body).get("delete", []):
            self.jobs[wanted].cancelled = True
        return Response(status_code=200)

    async def interrupt(self, request: Request) -> Response:
        seen = await self.record_request(request)
        job = self.jobs.get(json.loads(seen.body).get("prompt_id"))
        if job:
            job.states = ["interrupted"]
        return Response(status_code=200)

    async def history(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["prompt"])
        word = job.next_state() if job and not job.cancelled else "pending"
        return JSONResponse({job.id: self.entry(job, word)} if job and word not in WAITING else {})

    async def listing(self, request: Request) -> Response:
        await self.record_request(request)
        ended = [job for job in self.jobs.values() if not set(job.states) & WAITING and not job.cancelled]
        return JSONResponse({job.id: self.entry(job, job.states[-1]) for job in ended})

    async def upload(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        async with request.form() as form:
            image = form["image"]
            assert not isinstance(image, str) and image.filename
            self.uploads[image.filename] = await image.read()
            return JSONResponse({"name": image.filename, "subfolder": "", "type": form.get("type", "input")})

    async def view(self, request: Request) -> Response:
        await self.record_request(request)
        name = request.query_params["filename"]
        if name.endswith(".png"):
            return Response(tiny_png(), media_type="image/png")
        return (
            Response(tiny_mp4(), media_type="video/mp4")
            if name.endswith(".mp4")
            else Response(status_code=404)
        )

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return Response("Unauthorized", 401) if self.keys is not None and token not in self.keys else None

    def entry(self, job: VendorJob, word: str) -> dict[str, Any]:
        messages: list[Any] = [["execution_start", {"prompt_id": job.id, "timestamp": 1}]]
        if word == "interrupted":
            messages.append(["execution_interrupted", {"prompt_id": job.id, "node_id": "3"}])
        if word == "error":
            said = {"exception_message": self.failure.get("message", ""), "exception_type": "RuntimeError"}
            messages.append(["execution_error", {"prompt_id": job.id, "node_id": "3", **said}])
        status = {
            "status_str": "error" if word == "interrupted" else word,
            "completed": word == "success", "messages": messages,
        }  # fmt: skip
        outputs = self.outputs if word == "success" else {}
        return {"prompt": item(job), "outputs": outputs, "status": status, "meta": {}}


def item(job: VendorJob) -> list[Any]:
    return [1, job.id, job.fields["prompt"], {"client_id": job.fields.get("client_id")}, ["9"]]


def file(name: str, kind: str = "output") -> dict[str, str]:
    return {"filename": name, "subfolder": "films", "type": kind}


def wrong(kind: str, message: str, node_errors: Any = ()) -> Response:
    error = {"type": kind, "message": message, "details": "", "extra_info": {}}
    return JSONResponse({"error": error, "node_errors": node_errors or []}, 400)
