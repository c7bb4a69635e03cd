"""A Suno-style proxy: ``{code, message, data}`` around everything, states in capitals."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer


class SunoServer(ScriptedServer):
    done = "SUCCESS"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/suno/submit/{action}", self.submit, methods=["POST"]),
            Route("/suno/fetch", self.fetch, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if request.path_params["action"].upper() not in {"MUSIC", "LYRICS"}:
            return told(400, "invalid_request", "invalid action")
        if not fields.get("gpt_description_prompt") and not fields.get("prompt"):
            return told(400, "invalid_request", "prompt is empty")
        return told(200, "success", "", self.create_job(fields).id)

    async def fetch(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        jobs = [self.jobs[task] for task in json.loads(seen.body)["ids"] if task in self.jobs]
        return told(200, "success", "", [self.shown(job, job.next_state()) for job in jobs])

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.keys is not None and token not in self.keys:
            return told(401, "unauthorized", "invalid token")
        return None

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        done = word == "SUCCESS"
        songs = [song(f"{job.id}-{number}", length) for number, length in enumerate((120.5, 118))]
        return {
            "task_id": job.id, "action": "MUSIC", "status": word,
            "fail_reason": self.failure.get("message", "") if word == "FAILURE" else "",
            "submit_time": 1716191749, "start_time": 0, "finish_time": 1716191800 if done else 0,
            "progress": "100%" if done else "30%", "data": songs if done else None,
        }  # fmt: skip


def song(name: str, length: float) -> dict[str, Any]:
    return {
        "id": name, "title": "Kite", "status": "complete", "model_name": "chirp-v4",
        "audio_url": f"https://songs.test/{name}.mp3", "video_url": f"https://songs.test/{name}.mp4",
        "image_url": f"https://songs.test/{name}.png", "metadata": {"tags": "folk", "duration": length},
    }  # fmt: skip


def told(status: int, code: str, message: str, data: Any = None) -> Response:
    return JSONResponse({"code": code, "message": message, "data": data}, status)
