"""Vidu's video API (``/ent/v2``)."""

from collections.abc import Mapping

from app.errors import OutcomeUnknown, PollFailed
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    Running,
    Submission,
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import poll_error, submit_error
from app.providers.http_messages import UpstreamAnswer
from app.providers.reading import read_state
from app.providers.reselling import ResellerOptions, bearer_headers, read_reseller
from app.providers.vidu import requests
from app.providers.vidu.answers import (
    REASONS,
    STATES,
    CancelAnswer,
    CreditBalance,
    TaskList,
    ViduResponse,
    ViduTask,
    failed_answer,
    succeeded_answer,
)

HOST = "https://api.vidu.com"
TASK, CANCEL = "/ent/v2/tasks/{task}/creations", "/ent/v2/tasks/{task}/cancel"
LIST, CREDITS = "/ent/v2/tasks", "/ent/v2/credits"
PATHS = (requests.TEXT, requests.IMAGE, requests.FRAMES, requests.REFERENCES, TASK, CANCEL, LIST, CREDITS)
LIST_PAGE = 100
MAX_CANDIDATES = 5


class ViduProvider(Provider):
    """Our idempotency key is sent in ``payload``, which Vidu returns with each poll.

    Clouds that resell Vidu: ``ResellerOptions``."""

    name = "vidu"
    title = "Vidu"
    docs_url = "https://platform.vidu.com/docs/text-to-video"
    sample_models = ("viduq3-pro", "viduq2")
    reports_progress = True
    auth_scheme = "Token"
    poll_interval = PollInterval(first=3.0, factor=1.3, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._cloud = read_reseller(account, ResellerOptions, paths=PATHS)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/ent/v2")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        own = {"Authorization": f"Token {account.secret}"} if account.secret else {}
        bearer = bearer_headers(account)
        return own if bearer is None else bearer

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        cancels, asks = self._cloud.has_path(CANCEL), self._cloud.has_path(LIST)
        if known is not None:
            return known.capabilities(cancel=cancels, idempotency_key=asks)
        kinds: frozenset[Kind] = frozenset({"video"})
        return Capabilities(kinds, roles=requests.ROLES, cancel=cancels, idempotency_key=asks)

    def check(self, request: GenerationRequest) -> None:
        requests.request_body(request, payload="")
        requests.submit_path(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = requests.request_body(request, payload=submission.idempotency_key)
        path, params = self._cloud.find_place(requests.submit_path(request))
        answer = await self.http.post_json(
            path, body, answer=ViduTask, params=params, even_if=ViduTask.is_error
        )
        task = answer.body
        if task.is_error():
            message, meaning = self._error_text(task), REASONS.get(task.reason)
            raise submit_error(meaning, message, status=answer.status, headers=answer.headers)
        if not task.task_id:
            raise OutcomeUnknown("Vidu accepted the request without a task id")
        return Operation(id=task.task_id)

    async def poll(self, operation: Operation) -> PollAnswer:
        task = await self._read_task(operation.id)
        state = read_state(task.state, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "failed":
            return failed_answer(task.err_code)
        if state == "succeeded":
            return succeeded_answer(task)
        return Running(progress=task.progress)

    async def cancel(self, operation: Operation) -> bool:
        if not self._cloud.has_path(CANCEL):
            return False
        path, params = self._cloud.find_place(CANCEL, task=operation.id)
        answer = await self.http.post_json(
            path,
            {"id": operation.id},
            answer=CancelAnswer,
            params=params,
            purpose="poll",
            even_if=lambda body: body.reason == "BadRequest",
        )
        return answer.status < 300 and not answer.body.reason

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        # The list contains prompts, a poll the payload. Vidu does not promise that the list is complete, so a
        # missing task may still exist.
        if not self._cloud.has_path(LIST):
            return await super().recover(request, submission)
        path, _ = self._cloud.find_place(LIST)
        answer = await self.http.get(path, answer=TaskList, params={"pager.pagesz": LIST_PAGE})
        listed = [ViduTask.model_validate(item) for item in answer.body.tasks if isinstance(item, dict)]
        alike = [task for task in listed if task.id and task.prompt == request.prompt]
        for task in alike[:MAX_CANDIDATES]:
            payload = task.payload or (await self._read_task(task.id)).payload
            if payload == submission.idempotency_key:
                return Operation(id=task.id)
        raise OutcomeUnknown("Vidu does not list the task")

    async def balance(self) -> AccountBalance | None:
        path, _ = self._cloud.find_place(CREDITS)
        answer = await self.http.get(path, answer=CreditBalance, even_if=CreditBalance.is_error)
        self._raise_if_refused(answer)
        if answer.body.remains is None:
            raise PollFailed("Vidu answered without credits")
        return AccountBalance(sum(kind.credit_remain for kind in answer.body.remains), "credits")

    async def _read_task(self, task: str) -> ViduTask:
        path, params = self._cloud.find_place(TASK, task=task)
        answer = await self.http.get(path, answer=ViduTask, params=params, even_if=ViduTask.is_error)
        self._raise_if_refused(answer)
        return answer.body

    def _raise_if_refused(self, answer: UpstreamAnswer[ViduTask] | UpstreamAnswer[CreditBalance]) -> None:
        if answer.body.is_error():
            message, meaning = self._error_text(answer.body), REASONS.get(answer.body.reason)
            raise poll_error(meaning, message, status=answer.status, headers=answer.headers)

    def _error_text(self, answer: ViduResponse) -> str:
        return self.http.clean_text(f"{answer.message} ({answer.reason})")
