"""Midjourney-Proxy and its descendants: ``POST /mj/submit/imagine``, settings as ``--words`` of the prompt."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, RootModel, ValidationError

from app.errors import InvalidRequest, OperationNotFound, OutcomeUnknown, PollFailed
from app.generation import GenerationRequest, Kind
from app.providers.absence import Absences
from app.providers.account_options import options_of
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
from app.providers.http import UpstreamClient
from app.providers.http_errors import retry_after_of
from app.providers.midjourney.requests import ROLES, fields
from app.providers.openai_compatible.answers import UNKNOWN_STATES, Percent, State, Text
from app.providers.refusals import Meaning, submit_error

KINDS: frozenset[Kind] = frozenset({"image"})
STATES: Mapping[str, State] = {
    **dict.fromkeys(("NOT_START", "SUBMITTED"), "queued"),
    **dict.fromkeys(("IN_PROGRESS", "MODAL"), "running"),
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCEL": "cancelled",
}
ACCEPTED = {1, 21, 22}
"""Begun, begun by an equal request before, waiting in the queue."""
CODES: Mapping[int, Meaning] = {
    3: "busy",  # no account of the proxy is free
    4: "rejected",
    9: "failed",
    23: "busy",
    24: "moderated",
    30: "busy",
}
MODERATED_WORDS = ("banned", "moderat", "sensitive", "inappropriate", "敏感", "违规", "审核")


class Options(BaseModel):
    """``account.options``, all optional."""

    lists: bool = False
    """The proxy has ``GET /mj/task/list``: then a lost submission is found there by its ``state``."""
    cancel: bool = False
    """It has ``POST /mj/task/{id}/cancel``."""
    lost_after_seconds: float = 120


class Submitted(BaseModel):
    code: int | None = None
    description: Text = ""
    result: Text = ""

    def refused(self) -> bool:
        return self.code is not None and self.code not in ACCEPTED


class Task(BaseModel):
    id: Text = ""
    state: Text = ""
    status: Text = ""
    progress: Percent = None
    imageUrl: Text = ""  # noqa: N815 - the proxy's own name
    failReason: Text = ""  # noqa: N815


class TaskList(RootModel[list[Task]]):
    """The newest tasks."""


class Nothing(RootModel[Any]):
    """An answer nobody reads."""


class Midjourney(Provider):
    """``base_url`` may end in a mode of the proxy (``/mj-fast``, ``/mj-relax``)."""

    name = "midjourney"
    tells_progress = True
    verified: ClassVar[str] = "documented"
    auth_form: ClassVar[str] = "mj-api-secret"
    pace = Pace(first=3.0, factor=1.3, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = options_of(account, Options)
        self._absences = Absences()

    @classmethod
    def address(cls, account: Account) -> str:
        if not account.base_url.strip():
            raise InvalidRequest("base_url must be like https://host", param="base_url")
        return origin_of(account, "https://host").removesuffix("/mj")

    @classmethod
    def credentials(cls, account: Account) -> Mapping[str, str]:
        # Gateways that offer the same routes take the key only as a Bearer token.
        both = {"mj-api-secret": account.secret, "Authorization": f"Bearer {account.secret}"}
        return both if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        options = self.options
        return Capabilities(kinds=KINDS, roles=ROLES, cancel=options.cancel, idempotency_key=options.lists)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = fields(request, state=submission.idempotency_key)
        answer = await self.http.post_json(
            "/mj/submit/imagine", body, answer=Submitted, even_if=Submitted.refused
        )
        said = answer.body
        if said.refused():
            text = self.http.cleaned(f"{said.description} ({said.code})")
            # 9 is its word for anything; an HTTP error says more.
            meaning = None if said.code == 9 and answer.status >= 400 else CODES.get(said.code or 0)
            raise submit_error(meaning, text, status=answer.status, headers=answer.headers)
        if not said.result:
            raise OutcomeUnknown("the proxy accepted the request without naming the task")
        return Operation(id=said.result)

    async def poll(self, operation: Operation) -> PollAnswer:
        answer = await self.http.get(f"{_path(operation.id)}/fetch", answer=Nothing)
        task, pace = _task(answer.body.root), retry_after_of(answer.headers)
        state = STATES.get(task.status.upper())
        if state == "queued":
            return Queued(retry_after=pace)
        if state == "succeeded":
            files = (ResultFile("image", "image/png", url=task.imageUrl),) if task.imageUrl else ()
            return Succeeded(files)
        if state == "failed" or state == "cancelled":
            said = self.http.cleaned(task.failReason) or "The proxy did not say why."
            moderated = any(word in said.lower() for word in MODERATED_WORDS)
            code = "cancelled" if state == "cancelled" else "upstream_error"
            return Failed("content_policy_violation" if moderated else code, said)
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running(progress=task.progress, retry_after=pace)

    async def cancel(self, operation: Operation) -> bool:
        if not self.options.cancel:
            return False
        # It answers 200 also when there was nothing to stop, so the task is asked.
        await self.http.post_json(f"{_path(operation.id)}/cancel", {}, answer=Nothing, purpose="look")
        return isinstance(await self.poll(operation), Failed)

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if not self.options.lists:
            return await super().recover(request, submission)
        key = submission.idempotency_key
        tasks = (await self.http.get("/mj/task/list", answer=TaskList)).body.root
        found = next((task for task in tasks if task.state == key and task.id), None)
        if found:
            return Operation(id=found.id)
        self._absences.confirm(
            key, after=self.options.lost_after_seconds, otherwise="the proxy does not list the task yet"
        )
        return None


def _path(task: str) -> str:
    return f"/mj/task/{quote(task, safe='')}"


def _task(document: Any) -> Task:
    """The proxy answers 200 with nothing for a task that it does not know."""
    if not document or not isinstance(document, dict):
        raise OperationNotFound("the proxy no longer knows the task")
    try:
        return Task.model_validate(document)
    except ValidationError as error:
        raise PollFailed("the proxy's answer can't be read") from error
