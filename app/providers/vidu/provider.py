"""Vidu's video API (``/ent/v2``)."""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed
from app.generation import GenerationRequest
from app.providers.addresses import origin_of
from app.providers.base import (
    Account,
    Capabilities,
    Operation,
    Pace,
    PollAnswer,
    Provider,
    Queued,
    Running,
    Submission,
)
from app.providers.checking import Balance
from app.providers.http import Answer
from app.providers.openai_compatible.answers import UNKNOWN_STATES
from app.providers.refusals import look_error, submit_error
from app.providers.vidu import requests
from app.providers.vidu.answers import REASONS, STATES, Credits, Nothing, Said, Task, Tasks, failure, result

HOST = "https://api.vidu.com"
LIST_PAGE = 100
MOST_CANDIDATES = 5


class Vidu(Provider):
    """The secret goes as ``Token``; our own id travels in ``payload`` and comes back with each look."""

    name = "vidu"
    tells_progress = True
    verified: ClassVar[str] = "documented"
    auth_form: ClassVar[str] = "Token"
    pace = Pace(first=3.0, factor=1.3, cap=20.0)

    @classmethod
    def address(cls, account: Account) -> str:
        return origin_of(account, HOST).removesuffix("/ent/v2")

    @classmethod
    def credentials(cls, account: Account) -> Mapping[str, str]:
        return {"Authorization": f"Token {account.secret}"} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        return Capabilities(
            kinds=frozenset({"video"}),
            roles=requests.ROLES,
            seconds=known.seconds,
            cancel=True,
            idempotency_key=True,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = requests.fields(request, payload=submission.idempotency_key)
        answer = await self.http.post_json(requests.path_of(request), body, answer=Task, even_if=Task.refused)
        task = answer.body
        if task.refused():
            said, meaning = self._said(task), REASONS.get(task.reason)
            raise submit_error(meaning, said, status=answer.status, headers=answer.headers)
        if not task.task_id:
            raise OutcomeUnknown("Vidu accepted the request without naming the task")
        return Operation(id=task.task_id)

    async def poll(self, operation: Operation) -> PollAnswer:
        task = await self._look(operation.id)
        state = STATES.get(task.state)
        if state == "queued":
            return Queued()
        if state == "failed":
            return failure(task.err_code)
        if state == "succeeded":
            return result(task)
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running(progress=task.progress)

    async def cancel(self, operation: Operation) -> bool:
        answer = await self.http.post_json(
            _path(operation.id, "cancel"),
            {"id": operation.id},
            answer=Nothing,
            purpose="look",
            even_if=lambda said: said.reason == "BadRequest",
        )
        return answer.status < 300 and not answer.body.reason

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        # A list tells prompts, a look tells the payload. Vidu does not promise the list to be whole.
        answer = await self.http.get("/ent/v2/tasks", answer=Tasks, params={"pager.pagesz": LIST_PAGE})
        listed = [Task.model_validate(item) for item in answer.body.tasks if isinstance(item, dict)]
        alike = [task for task in listed if task.id and task.prompt == request.prompt]
        for task in alike[:MOST_CANDIDATES]:
            payload = task.payload or (await self._look(task.id)).payload
            if payload == submission.idempotency_key:
                return Operation(id=task.id)
        raise OutcomeUnknown("Vidu lists no such task")

    async def balance(self) -> Balance | None:
        answer = await self.http.get("/ent/v2/credits", answer=Credits, even_if=Credits.refused)
        self._check(answer)
        if answer.body.remains is None:
            raise PollFailed("Vidu answered without credits")
        return Balance(sum(kind.credit_remain for kind in answer.body.remains), "credits")

    async def _look(self, task: str) -> Task:
        answer = await self.http.get(_path(task, "creations"), answer=Task, even_if=Task.refused)
        self._check(answer)
        return answer.body

    def _check(self, answer: Answer[Task] | Answer[Credits]) -> None:
        if answer.body.refused():
            said, meaning = self._said(answer.body), REASONS.get(answer.body.reason)
            raise look_error(meaning, said, status=answer.status, headers=answer.headers)

    def _said(self, answer: Said) -> str:
        return self.http.cleaned(f"{answer.message} ({answer.reason})")


def _path(task: str, what: str) -> str:
    return f"/ent/v2/tasks/{quote(task, safe='')}/{what}"
