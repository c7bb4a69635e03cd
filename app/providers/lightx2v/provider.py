"""LightX2V's own server (``/v1/tasks``), which runs one model and keeps its tasks in memory."""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from pydantic import BaseModel

from app.errors import OperationNotFound
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
    read_options,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import unnamed_task
from app.providers.lightx2v.requests import LightX2VOptions, allowed_roles, request_body
from app.providers.missing_submissions import MissingSubmissions
from app.providers.reading import State, Text, read_state

HOST = "http://127.0.0.1:8000"
STATES: Mapping[str, State] = {
    "pending": "queued",
    "processing": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}


class LightX2VTask(BaseModel):
    """The answer to a submit and to a poll."""

    task_id: Text = ""
    status: Text = ""
    error: Text = ""


class LightX2VProvider(Provider):
    """Needs no secret. One that is set is sent as a Bearer token, for a proxy in front of the server."""

    name = "lightx2v"
    title = "LightX2V"
    docs_url = "https://github.com/ModelTC/LightX2V"
    auth_scheme = "none, or Bearer for a proxy"
    needs_secret = False
    poll_interval = PollInterval(first=1.0, factor=1.2, cap=5.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = read_options(account, LightX2VOptions)
        self.remaking = self.options.remaking()
        self._absences = MissingSubmissions()

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    def capabilities(self, model: str) -> Capabilities:
        kinds: frozenset[Kind] = self.account.kinds or frozenset({"video", "image"})
        return Capabilities(
            kinds=kinds,
            roles=allowed_roles(self.options, video="video" in kinds),
            seconds=self.options.seconds,
            max_pixels=self.options.max_pixels,
            cancel=True,
            idempotency_key=True,
        )

    def check(self, request: GenerationRequest) -> None:
        request_body(request, self.options)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, self.options) | {
            "task_id": submission.idempotency_key,
            # Newer servers keep a result only when the request names a file for it.
            "save_result_path": f"{submission.idempotency_key}.{'png' if request.kind == 'image' else 'mp4'}",
        }
        answer = await self.http.post_json(f"/v1/tasks/{request.kind}/", body, answer=LightX2VTask)
        if not answer.body.task_id:
            raise unnamed_task("LightX2V")
        return Operation(id=answer.body.task_id, data={"kind": request.kind})

    async def poll(self, operation: Operation) -> PollAnswer:
        task = (await self.http.get(f"{_task_path(operation.id)}/status", answer=LightX2VTask)).body
        state = read_state(task.status.lower(), STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            kind = operation.data.get("kind", "video")
            return Succeeded((ResultFile(kind, "image/png" if kind == "image" else "video/mp4"),))
        if state in {"failed", "cancelled"}:
            text = self.http.clean_text(task.error) or "LightX2V did not say why."
            return Failed("cancelled" if state == "cancelled" else "upstream_error", text)
        return Running()

    async def cancel(self, operation: Operation) -> bool:
        # The server answers 200 also when there was nothing to stop, so the task is polled.
        await self.http.delete(_task_path(operation.id))
        try:
            answer = await self.poll(operation)
        except OperationNotFound:
            return False
        return isinstance(answer, Failed) and answer.code == "cancelled"

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        key = submission.idempotency_key
        operation = Operation(id=key, data={"kind": request.kind})
        try:
            await self.poll(operation)
        except OperationNotFound:
            self._absences.confirm_missing(
                key,
                after=self.options.lost_after_seconds,
                otherwise="LightX2V does not know the task yet",
            )
            return None
        return operation

    def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        return self.download(f"{_task_path(operation.id)}/result", what="a result")


def _task_path(task: str) -> str:
    return f"/v1/tasks/{quote(task, safe='')}"
