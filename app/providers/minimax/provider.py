"""MiniMax's video APIs: ``/v2`` for H3 and what follows it, ``/v1`` for Hailuo and older models."""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed, UpstreamError
from app.generation import GenerationRequest
from app.providers.addresses import origin_of
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    Pace,
    PollAnswer,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.minimax import v1, v2
from app.providers.openai_compatible.answers import UNKNOWN_STATES
from app.providers.refusals import look_error, submit_error

HOST = "https://api.minimax.io"
OLDER = ("minimax-hailuo", "t2v-01", "i2v-01", "s2v-01")


class MiniMax(Provider):
    """``base_url`` is ``https://api.minimaxi.com`` for keys of the Chinese platform."""

    name = "minimax"
    verified: ClassVar[str] = "verified against minimax-mcp 0.0.19 (v1), documented (v2)"
    auth_form: ClassVar[str] = "Bearer"
    pace = Pace(first=5.0, factor=1.3, cap=20.0)

    @classmethod
    def address(cls, account: Account) -> str:
        return origin_of(account, HOST).removesuffix("/v1").removesuffix("/v2")

    def capabilities(self, model: str) -> Capabilities:
        if _is_older(model):
            known = v1.model_of(model)
            return Capabilities(kinds=frozenset({"video"}), roles=known.roles, seconds=known.seconds)
        return Capabilities(
            kinds=frozenset({"video"}), roles=frozenset(v2.PARTS), seconds=v2.SECONDS, cancel=True
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        older = _is_older(request.model)
        body = v1.fields(request) if older else v2.fields(request)
        path = "/v1/video_generation" if older else "/v2/video_generation"
        reads: type[v1.Answer | v2.Answer] = v1.Answer if older else v2.Answer
        answer = await self.http.post_json(path, body, answer=reads, even_if=_refused)
        said = answer.body
        if said.refused():
            text = self.http.cleaned(said.complaint)
            raise submit_error(said.meaning, text, status=answer.status, headers=answer.headers)
        if not said.task_id:
            raise OutcomeUnknown("MiniMax accepted the request without naming the task")
        return Operation(id=said.task_id, data={"api": "v1" if older else "v2"})

    async def poll(self, operation: Operation) -> PollAnswer:
        return await (self._poll_v1(operation) if _started_older(operation) else self._poll_v2(operation))

    async def cancel(self, operation: Operation) -> bool:
        if _started_older(operation):
            return False
        return await self.http.delete(f"/v2/video_generation/{quote(operation.id, safe='')}")

    async def _poll_v1(self, operation: Operation) -> PollAnswer:
        answer = await self.http.get(
            "/v1/query/video_generation",
            answer=v1.Answer,
            params={"task_id": operation.id},
            even_if=v1.Answer.refused,
        )
        task = answer.body
        state = v1.STATES.get(task.status)
        if state == "failed":
            code = "content_policy_violation" if task.meaning == "moderated" else "upstream_error"
            return Failed(code, self.http.cleaned(task.complaint))
        if task.refused():
            raise self._look_error(task, answer.status, answer.headers)
        if state == "succeeded":
            return await self._file(task)
        if state == "queued":
            return Queued()
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running()

    async def _file(self, task: v1.Answer) -> Succeeded:
        """A finished task names a file, and the file a link that lives for some hours."""
        answer = await self.http.get(
            "/v1/files/retrieve", answer=v1.Retrieved, params={"file_id": task.file_id}
        )
        link = answer.body.file.download_url
        if not link:
            code = answer.body.base_resp.status_code
            raise PollFailed(f"MiniMax says it is done, but gives no link to the video ({code})")
        return Succeeded((ResultFile("video", "video/mp4", url=link),), usage=task.usage)

    async def _poll_v2(self, operation: Operation) -> PollAnswer:
        path = f"/v2/query/video_generation/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=v2.Answer, even_if=v2.Answer.refused)
        if answer.body.refused():
            raise self._look_error(answer.body, answer.status, answer.headers)
        task = answer.body.task
        if task is None:
            raise PollFailed("MiniMax answered without a task")
        state = v2.STATES.get(task.status)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            if not (task.content and task.content.url):
                raise PollFailed("MiniMax says it is done, but names no video")
            return Succeeded((ResultFile("video", "video/mp4", url=task.content.url),), usage=task.facts)
        if state in {"failed", "cancelled", "expired"}:
            return self._failure(task, state)
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running()

    def _failure(self, task: v2.Task, state: v2.State) -> Failed:
        said = self.http.cleaned(task.error.message) if task.error else f"MiniMax says: {state}"
        if task.moderated:
            return Failed("content_policy_violation", said)
        return Failed("upstream_error" if state == "failed" else state, said)

    def _look_error(
        self, said: v1.Answer | v2.Answer, status: int, headers: Mapping[str, str]
    ) -> UpstreamError:
        return look_error(said.meaning, self.http.cleaned(said.complaint), status=status, headers=headers)


def _is_older(model: str) -> bool:
    return model.lower().startswith(OLDER)


def _started_older(operation: Operation) -> bool:
    return operation.data.get("api") == "v1"


def _refused(said: v1.Answer | v2.Answer) -> bool:
    return said.refused()
