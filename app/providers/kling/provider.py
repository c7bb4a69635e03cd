"""Kling's video API (``/v1/videos/…``), with a plain API key or with an access key and its secret key."""

import time
from collections.abc import Mapping

from app.errors import OperationNotFound, PollFailed
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Submission,
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import missing_file, unnamed_task
from app.providers.kling import inputs, requests
from app.providers.kling.answers import (
    CostsAnswer,
    KlingResponse,
    KlingTask,
    TaskAnswer,
    TaskList,
    poll_answer,
)
from app.providers.kling.tokens import signed_token
from app.providers.missing_submissions import MissingSubmissions
from app.providers.reselling import ResellerOptions, bearer_headers, read_reseller

HOST = "https://api-singapore.klingai.com"
STARTS = (inputs.TEXT, inputs.IMAGE, inputs.IMAGES, inputs.OMNI, inputs.MOTION)
COSTS = "/account/costs"
PATHS = (COSTS, *STARTS, *(f"{path}/{{task}}" for path in STARTS))
LIST_PAGE = 500
PACK_MILLISECONDS = 400 * 24 * 3600 * 1000
"""How far back packs are listed: more than a year, as Kling selects them by the day they were bought."""
LOST_AFTER = 120.0
"""Seconds that a task must be unknown to Kling before it counts as never arrived."""


class KlingProvider(Provider):
    """A secret of the form ``AK|SK`` signs a token for each request; any other is sent as a Bearer token.

    ``account.options["lost_after_seconds"]``: how long a submission must be unknown to Kling before it counts as
    never arrived. Clouds that resell Kling: ``ResellerOptions``.
    """

    name = "kling"
    title = "Kling"
    docs_url = "https://kling.ai/document-api"
    auth_scheme = "Bearer, or JWT from AK|SK"
    secret_hint = "access key|secret key, or one API key"  # noqa: S105 - what the form says
    sample_models = ("kling-v3", "kling-v3-omni", "kling-v2-1")
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._cloud = read_reseller(account, ResellerOptions, paths=PATHS)
        self._lost_after = float(account.options.get("lost_after_seconds", LOST_AFTER))
        self._absences = MissingSubmissions()

    @classmethod
    def sample_secret(cls) -> str:
        return "access-key|secret-key"

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        bearer = bearer_headers(account)
        if bearer is not None:
            return bearer
        return {} if "|" in account.secret else super().auth_headers(account)

    def capabilities(self, model: str) -> Capabilities:
        known, asks = requests.model_of(model), not self._cloud.is_resold
        if known is None:
            return Capabilities(frozenset({"video"}), roles=requests.ROLES, idempotency_key=asks)
        return known.capabilities(native_shots="shots" in known.traits, idempotency_key=asks)

    def check(self, request: GenerationRequest) -> None:
        requests.request_body(request, external_id="")

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path = requests.path_of(request)
        body = requests.request_body(request, external_id=submission.idempotency_key)
        headers, (place, params) = self._token_headers(), self._cloud.find_place(path)
        answer = await self.http.post_json(
            place, body, answer=TaskAnswer, headers=headers, params=params, even_if=TaskAnswer.is_error
        )
        if answer.body.is_error():
            text = self._error_text(answer.body, headers)
            raise answer.body.submit_error(answer.status, answer.headers, text)
        return _operation_of(answer.body.data, path)

    async def poll(self, operation: Operation) -> PollAnswer:
        task = await self._read_task(operation.data["path"], operation.id)
        result = poll_answer(task, self.http.clean_text(task.task_status_msg or "Kling did not say why."))
        if result is None:
            raise missing_file("Kling")
        return result

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if self._cloud.is_resold:
            return await super().recover(request, submission)
        path, key = requests.path_of(request), submission.idempotency_key
        # One "not found" is no reason to pay twice: the list must lack the task as well.
        task = await self._find_by_key(path, key) or await self._find_listed(path, key)
        if task is not None:
            return _operation_of(task, path)
        # Kling may not have recorded it yet: only a task that stays unknown for a while never arrived.
        self._absences.confirm_missing(
            key, after=self._lost_after, otherwise="Kling does not know the task yet"
        )
        return None

    async def balance(self) -> AccountBalance | None:
        """In units, up to twelve hours old. Raises like ``poll``."""
        headers, now = self._token_headers(), int(time.time() * 1000)
        window = {"start_time": now - PACK_MILLISECONDS, "end_time": now}
        path = self._cloud.find_place(COSTS).path
        answer = await self.http.get(
            path, answer=CostsAnswer, params=window, headers=headers, even_if=CostsAnswer.is_error
        )
        for part in (answer.body, answer.body.data):
            if part is not None and part.is_error():
                raise part.poll_error(answer.status, answer.headers, self._error_text(part, headers))
        if answer.body.data is None:
            raise PollFailed("Kling answered without resource packs")
        units = answer.body.data.remaining_units()
        return None if units is None else AccountBalance(units, "units")

    async def _read_task(self, path: str, task: str) -> KlingTask:
        headers, (place, params) = (
            self._token_headers(),
            self._cloud.find_place(f"{path}/{{task}}", task=task),
        )
        answer = await self.http.get(
            place, answer=TaskAnswer, headers=headers, params=params, even_if=TaskAnswer.is_error
        )
        if answer.body.is_error():
            text = self._error_text(answer.body, headers)
            raise answer.body.poll_error(answer.status, answer.headers, text)
        if answer.body.data is None:
            raise PollFailed("Kling answered without a task")
        return answer.body.data

    async def _find_by_key(self, path: str, key: str) -> KlingTask | None:
        """``path`` takes our ``external_task_id`` in place of Kling's id."""
        try:
            task = await self._read_task(path, key)
        except OperationNotFound:
            return None
        return task if task.task_id else None

    async def _find_listed(self, path: str, key: str) -> KlingTask | None:
        page = {"pageNum": 1, "pageSize": LIST_PAGE}
        answer = await self.http.get(path, answer=TaskList, params=page, headers=self._token_headers())
        if answer.body.code != 0:
            raise PollFailed(f"Kling refused to list tasks ({answer.body.code})")
        tasks = answer.body.data or []
        return next((t for t in tasks if t.task_info and t.task_info.external_task_id == key), None)

    def _error_text(self, answer: KlingResponse, headers: Mapping[str, str]) -> str:
        return self.http.clean_text(f"{answer.message} ({answer.code})", headers)

    def _token_headers(self) -> dict[str, str]:
        if "|" not in self.account.secret or self._cloud.auth == "bearer":
            return {}
        access, secret = self.account.secret.split("|", 1)
        return {"Authorization": f"Bearer {signed_token(access.strip(), secret.strip(), now=time.time())}"}


def _operation_of(task: KlingTask | None, path: str) -> Operation:
    if task is None or not task.task_id:
        raise unnamed_task("Kling")
    return Operation(id=task.task_id, data={"path": path})
