"""Midjourney-Proxy (https://github.com/novicezk/midjourney-proxy) and its forks: ``POST /mj/submit/imagine``."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, RootModel, ValidationError

from app.errors import InvalidRequest, OutcomeUnknown, PollFailed
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
from app.providers.http_errors import ErrorMeaning, submit_error, unknown_task
from app.providers.midjourney.requests import ROLES, request_body
from app.providers.missing_submissions import MissingSubmissions
from app.providers.reading import Percent, State, Text, read_state, retry_after_of

KINDS: frozenset[Kind] = frozenset({"image"})
STATES: Mapping[str, State] = {
    **dict.fromkeys(("NOT_START", "SUBMITTED"), "queued"),
    **dict.fromkeys(("IN_PROGRESS", "MODAL"), "running"),
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCEL": "cancelled",
}
ACCEPTED_CODES = {1, 21, 22}
"""Started, started already by an identical request, queued."""
REFUSAL_CODES: Mapping[int, ErrorMeaning] = {
    3: "busy",  # the proxy has no free Midjourney account
    4: "rejected",
    9: "failed",
    23: "busy",
    24: "moderated",
    30: "busy",
}
MODERATED_WORDS = ("banned", "moderat", "sensitive", "inappropriate", "敏感", "违规", "审核")


class MidjourneyOptions(BaseModel):
    """``account.options``, all optional."""

    lists: bool = False
    """The proxy has ``GET /mj/task/list``; a lost submission is then looked up by its ``state``."""
    cancel: bool = False
    """The proxy has ``POST /mj/task/{id}/cancel``."""
    lost_after_seconds: float = 120


class SubmitAnswer(BaseModel):
    code: int | None = None
    description: Text = ""
    result: Text = ""

    def is_error(self) -> bool:
        return self.code is not None and self.code not in ACCEPTED_CODES


class MidjourneyTask(BaseModel):
    id: Text = ""
    state: Text = ""
    status: Text = ""
    progress: Percent = None
    imageUrl: Text = ""  # noqa: N815 - a field of the proxy
    failReason: Text = ""  # noqa: N815


class TaskList(RootModel[list[MidjourneyTask]]):
    """The newest tasks of the proxy."""


class AnyAnswer(RootModel[Any]):
    """An answer of any form: the proxy answers null for an unknown task."""


class MidjourneyProvider(Provider):
    """``base_url`` may end in a mode such as ``/mj-fast``: https://gpt-best.apifox.cn/project-3868318/doc-3530863"""

    name = "midjourney"
    title = "Midjourney-Proxy"
    docs_url = "https://github.com/novicezk/midjourney-proxy"
    reports_progress = True
    auth_scheme = "mj-api-secret"
    poll_interval = PollInterval(first=3.0, factor=1.3, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = read_options(account, MidjourneyOptions)
        self._absences = MissingSubmissions()

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        if not account.base_url.strip():
            raise InvalidRequest("base_url must be like https://host", param="base_url")
        return base_url_or(account, "https://host").removesuffix("/mj")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        # Gateways with the same routes accept the key only as a Bearer token.
        both = {"mj-api-secret": account.secret, "Authorization": f"Bearer {account.secret}"}
        return both if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        options = self.options
        return Capabilities(kinds=KINDS, roles=ROLES, cancel=options.cancel, idempotency_key=options.lists)

    def check(self, request: GenerationRequest) -> None:
        request_body(request, state="")

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, state=submission.idempotency_key)
        answer = await self.http.post_json(
            "/mj/submit/imagine", body, answer=SubmitAnswer, even_if=SubmitAnswer.is_error
        )
        submitted = answer.body
        if submitted.is_error():
            text = self.http.clean_text(f"{submitted.description} ({submitted.code})")
            # The proxy uses code 9 for every failure; an HTTP error status is more specific.
            unspecific = submitted.code == 9 and answer.status >= 400
            meaning = None if unspecific else REFUSAL_CODES.get(submitted.code or 0)
            raise submit_error(meaning, text, status=answer.status, headers=answer.headers)
        if not submitted.result:
            raise OutcomeUnknown("the proxy accepted the request without a task id")
        return Operation(id=submitted.result)

    async def poll(self, operation: Operation) -> PollAnswer:
        answer = await self.http.get(f"{_task_path(operation.id)}/fetch", answer=AnyAnswer)
        task, pace = _read_task(answer.body.root), retry_after_of(answer.headers)
        state = read_state(task.status.upper(), STATES, provider=self.name)
        if state == "queued":
            return Queued(retry_after=pace)
        if state == "succeeded":
            files = (ResultFile("image", "image/png", url=task.imageUrl),) if task.imageUrl else ()
            return Succeeded(files)
        if state == "failed" or state == "cancelled":
            message = self.http.clean_text(task.failReason) or "The proxy gave no reason."
            moderated = any(word in message.lower() for word in MODERATED_WORDS)
            code = "cancelled" if state == "cancelled" else "upstream_error"
            return Failed("content_policy_violation" if moderated else code, message)
        return Running(progress=task.progress, retry_after=pace)

    async def cancel(self, operation: Operation) -> bool:
        if not self.options.cancel:
            return False
        # The proxy answers 200 even when nothing was stopped, so the task is polled.
        await self.http.post_json(f"{_task_path(operation.id)}/cancel", {}, answer=AnyAnswer, purpose="poll")
        return isinstance(await self.poll(operation), Failed)

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if not self.options.lists:
            return await super().recover(request, submission)
        key = submission.idempotency_key
        tasks = (await self.http.get("/mj/task/list", answer=TaskList)).body.root
        submitted_task = next((task for task in tasks if task.state == key and task.id), None)
        if submitted_task:
            return Operation(id=submitted_task.id)
        self._absences.confirm_missing(
            key, after=self.options.lost_after_seconds, otherwise="the proxy does not list the task yet"
        )
        return None


def _task_path(task: str) -> str:
    return f"/mj/task/{quote(task, safe='')}"


def _read_task(document: Any) -> MidjourneyTask:
    """Raises ``OperationNotFound`` for an empty answer: the proxy sends 200 with null for an unknown task."""
    if not document or not isinstance(document, dict):
        raise unknown_task("the proxy")
    try:
        return MidjourneyTask.model_validate(document)
    except ValidationError as error:
        raise PollFailed("the proxy's answer can't be read") from error
