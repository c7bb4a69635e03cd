"""MiniMax's video APIs: ``/v2`` for H3 and what follows it, ``/v1`` for Hailuo and older models."""

from collections.abc import Mapping
from typing import Any

from app.errors import OutcomeUnknown, PollFailed, UpstreamError
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    Succeeded,
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import poll_error, submit_error
from app.providers.minimax import v1, v2
from app.providers.model_facts import ModelFacts, read_facts
from app.providers.reading import State, read_state
from app.providers.reselling import ResellerOptions, read_reseller

HOST = "https://api.minimax.io"
START_V1, START_V2 = "/v1/video_generation", "/v2/video_generation"
LOOK_V1, LOOK_V2 = "/v1/query/video_generation", "/v2/query/video_generation/{task}"
FILE, CANCEL = "/v1/files/retrieve", "/v2/video_generation/{task}"
PATHS = (START_V1, START_V2, LOOK_V1, LOOK_V2, FILE, CANCEL)
VIDEO: frozenset[Kind] = frozenset({"video"})


class MiniMaxProvider(Provider):
    """Keys of the Chinese platform need ``base_url = https://api.minimaxi.com``. Clouds that resell MiniMax:
    ``ResellerOptions``."""

    name = "minimax"
    title = "MiniMax"
    docs_url = "https://platform.minimax.io/docs/api-reference/video-generation-v2-list"
    media_schemes = frozenset({"mm_file"})
    sample_models = ("MiniMax-Hailuo-2.3", "MiniMax-H3", "MiniMax-H3-Max")
    verified = "verified against minimax-mcp 0.0.19 (v1), documented (v2)"
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._cloud = read_reseller(account, ResellerOptions, paths=PATHS)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1").removesuffix("/v2")

    def capabilities(self, model: str) -> Capabilities:
        known, cancels = find_model(model), self._cloud.has_path(CANCEL)
        if known is None:
            return Capabilities(kinds=VIDEO, roles=frozenset(v2.PARTS), cancel=cancels)
        return known.capabilities(cancel=cancels and not _uses_v1(model))

    def check(self, request: GenerationRequest) -> None:
        path_and_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        older = _uses_v1(request.model)
        path, body = path_and_body(request)
        reads: type[v1.V1Answer | v2.V2Answer] = v1.V1Answer if older else v2.V2Answer
        place, params = self._cloud.find_place(path)
        answer = await self.http.post_json(place, body, answer=reads, params=params, even_if=_is_refused)
        reply = answer.body
        if reply.is_error():
            text = self.http.clean_text(reply.error_text)
            raise submit_error(reply.error_meaning, text, status=answer.status, headers=answer.headers)
        if not reply.task_id:
            raise OutcomeUnknown("MiniMax accepted the request without a task id")
        return Operation(id=reply.task_id, data={"api": "v1" if older else "v2"})

    async def poll(self, operation: Operation) -> PollAnswer:
        return await (self._poll_v1(operation) if _started_with_v1(operation) else self._poll_v2(operation))

    async def cancel(self, operation: Operation) -> bool:
        if _started_with_v1(operation) or not self._cloud.has_path(CANCEL):
            return False
        return await self.http.delete(self._cloud.find_place(CANCEL, task=operation.id).path)

    async def _poll_v1(self, operation: Operation) -> PollAnswer:
        place, params = self._cloud.find_place(LOOK_V1, task=operation.id)
        answer = await self.http.get(
            place,
            answer=v1.V1Answer,
            params=params or {"task_id": operation.id},
            even_if=v1.V1Answer.is_error,
        )
        task = answer.body
        if v1.STATES.get(task.status) == "failed":
            return Failed.upstream_error(
                self.http.clean_text(task.error_text), moderated=task.error_meaning == "moderated"
            )
        if task.is_error():
            raise self._poll_error(task, answer.status, answer.headers)
        state = read_state(task.status, v1.STATES, provider=self.name)
        if state == "succeeded":
            return await self._fetch_result(task)
        if state == "queued":
            return Queued()
        return Running()

    async def _fetch_result(self, task: v1.V1Answer) -> Succeeded:
        """A finished v1 task has a file id; the file has a link that works for some hours."""
        place = self._cloud.find_place(FILE).path
        answer = await self.http.get(place, answer=v1.FileAnswer, params={"file_id": task.file_id})
        link = answer.body.file.download_url
        if not link:
            code = answer.body.base_resp.status_code
            raise PollFailed(f"MiniMax reports success without a link to the video ({code})")
        return Succeeded((ResultFile("video", "video/mp4", url=link),), usage=task.usage_facts)

    async def _poll_v2(self, operation: Operation) -> PollAnswer:
        place, params = self._cloud.find_place(LOOK_V2, task=operation.id)
        answer = await self.http.get(place, answer=v2.V2Answer, params=params, even_if=v2.V2Answer.is_error)
        if answer.body.is_error():
            raise self._poll_error(answer.body, answer.status, answer.headers)
        task = answer.body.task
        if task is None:
            raise PollFailed("MiniMax answered without a task")
        state = read_state(task.status, v2.STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            if not (task.content and task.content.url):
                raise PollFailed("MiniMax reports success without a video URL")
            return Succeeded(
                (ResultFile("video", "video/mp4", url=task.content.url),), usage=task.usage_facts
            )
        if state in {"failed", "cancelled", "expired"}:
            return self._failed_answer(task, state)
        return Running()

    def _failed_answer(self, task: v2.V2Task, state: State) -> Failed:
        message = self.http.clean_text(task.error.message) if task.error else f"MiniMax reports: {state}"
        if task.is_moderated:
            return Failed("content_policy_violation", message)
        return Failed("upstream_error" if state == "failed" else state, message)

    def _poll_error(
        self, reply: v1.V1Answer | v2.V2Answer, status: int, headers: Mapping[str, str]
    ) -> UpstreamError:
        return poll_error(
            reply.error_meaning, self.http.clean_text(reply.error_text), status=status, headers=headers
        )


def find_model(name: str) -> ModelFacts | None:
    return read_facts("minimax").find_model(name)


def path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Raises ``UnsupportedWish`` for what the model has no field for."""
    model = find_model(request.model)
    if model is not None and _uses_v1(request.model):
        return START_V1, v1.request_body(request, model)
    return START_V2, v2.request_body(request, model)


def _uses_v1(model: str) -> bool:
    known = find_model(model)
    return known is not None and known.traits["api"] == "v1"


def _started_with_v1(operation: Operation) -> bool:
    return operation.data.get("api") == "v1"


def _is_refused(reply: v1.V1Answer | v2.V2Answer) -> bool:
    return reply.is_error()
