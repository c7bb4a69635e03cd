"""MiniMax's video APIs: ``/v2`` for H3 and what follows it, ``/v1`` for Hailuo and older models."""

from collections.abc import Mapping
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed, UpstreamError
from app.generation import GenerationRequest
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
from app.providers.http_errors import poll_error, submit_error
from app.providers.minimax import v1, v2
from app.providers.reading import State, read_state

HOST = "https://api.minimax.io"
V1_MODELS = ("minimax-hailuo", "t2v-01", "i2v-01", "s2v-01")


class MiniMaxProvider(Provider):
    """Keys of the Chinese platform need ``base_url = https://api.minimaxi.com``."""

    name = "minimax"
    title = "MiniMax"
    docs_url = "https://platform.minimax.io/docs/api-reference/video-generation-v2-list"
    sample_models = ("MiniMax-Hailuo-2.3", "MiniMax-H3")
    verified = "verified against minimax-mcp 0.0.19 (v1), documented (v2)"
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1").removesuffix("/v2")

    def capabilities(self, model: str) -> Capabilities:
        if _uses_v1(model):
            known = v1.model_of(model)
            return Capabilities(kinds=frozenset({"video"}), roles=known.roles, seconds=known.seconds)
        return Capabilities(
            kinds=frozenset({"video"}), roles=frozenset(v2.PARTS), seconds=v2.SECONDS, cancel=True
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        older = _uses_v1(request.model)
        body = v1.request_body(request) if older else v2.request_body(request)
        path = "/v1/video_generation" if older else "/v2/video_generation"
        reads: type[v1.V1Answer | v2.V2Answer] = v1.V1Answer if older else v2.V2Answer
        answer = await self.http.post_json(path, body, answer=reads, even_if=_is_refused)
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
        if _started_with_v1(operation):
            return False
        return await self.http.delete(f"/v2/video_generation/{quote(operation.id, safe='')}")

    async def _poll_v1(self, operation: Operation) -> PollAnswer:
        answer = await self.http.get(
            "/v1/query/video_generation",
            answer=v1.V1Answer,
            params={"task_id": operation.id},
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
        answer = await self.http.get(
            "/v1/files/retrieve", answer=v1.FileAnswer, params={"file_id": task.file_id}
        )
        link = answer.body.file.download_url
        if not link:
            code = answer.body.base_resp.status_code
            raise PollFailed(f"MiniMax reports success without a link to the video ({code})")
        return Succeeded((ResultFile("video", "video/mp4", url=link),), usage=task.usage_facts)

    async def _poll_v2(self, operation: Operation) -> PollAnswer:
        path = f"/v2/query/video_generation/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=v2.V2Answer, even_if=v2.V2Answer.is_error)
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


def _uses_v1(model: str) -> bool:
    return model.lower().startswith(V1_MODELS)


def _started_with_v1(operation: Operation) -> bool:
    return operation.data.get("api") == "v1"


def _is_refused(reply: v1.V1Answer | v2.V2Answer) -> bool:
    return reply.is_error()
