"""Kling's video API (``/v1/videos/…``), with a plain API key or with an access key and its secret key."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from app.errors import OperationNotFound, OutcomeUnknown, PollFailed
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    MissingSubmissions,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Submission,
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.kling import requests
from app.providers.kling.answers import (
    CostsAnswer,
    KlingResponse,
    KlingTask,
    TaskAnswer,
    TaskList,
    poll_answer,
)

HOST = "https://api-singapore.klingai.com"
TOKEN_SECONDS = 1800
CLOCK_SLACK = 5
LIST_PAGE = 500
PACK_MILLISECONDS = 400 * 24 * 3600 * 1000
"""How far back packs are asked for: more than a year, as Kling goes by the day they were bought."""
LOST_AFTER = 120.0
"""Seconds that Kling must not know a task before it counts as never arrived."""


class KlingProvider(Provider):
    """A secret of the form ``AK|SK`` signs a token for each request; any other goes as it is.

    ``account.options["lost_after_seconds"]`` overrides how long a submission must be missing at Kling
    before it is sent again.
    """

    name = "kling"
    verified: ClassVar[str] = "documented"
    auth_scheme: ClassVar[str] = "Bearer, or JWT from AK|SK"
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._lost_after = float(account.options.get("lost_after_seconds", LOST_AFTER))
        self._absences = MissingSubmissions()

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {} if "|" in account.secret else super().auth_headers(account)

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        return Capabilities(
            kinds=frozenset({"video"}),
            roles=known.roles,
            seconds=known.seconds,
            native_shots=known.shots,
            idempotency_key=True,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path = requests.path_of(request)
        body = requests.request_body(request, external_id=submission.idempotency_key)
        headers = self._token_headers()
        answer = await self.http.post_json(
            path, body, answer=TaskAnswer, headers=headers, even_if=TaskAnswer.is_error
        )
        if answer.body.is_error():
            said = self._error_text(answer.body, headers)
            raise answer.body.submit_error(answer.status, answer.headers, said)
        return _operation_of(answer.body.data, path)

    async def poll(self, operation: Operation) -> PollAnswer:
        task = await self._read_task(operation.data["path"], operation.id)
        said = self.http.clean_text(task.task_status_msg or "Kling did not say why.")
        found = poll_answer(task, said)
        if found is None:
            raise PollFailed("Kling says it is done, but names no video")
        return found

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        path, key = requests.path_of(request), submission.idempotency_key
        # One "not found" is not enough to pay twice, so the list has to agree.
        task = await self._find_by_key(path, key) or await self._find_listed(path, key)
        if task is not None:
            return _operation_of(task, path)
        # Kling may still be taking it in: only when it stays unknown for a while, it never arrived.
        self._absences.confirm_missing(
            key, after=self._lost_after, otherwise="Kling does not know the task yet"
        )
        return None

    async def balance(self) -> AccountBalance | None:
        """In units, up to twelve hours old. Raises like ``poll``."""
        headers, now = self._token_headers(), int(time.time() * 1000)
        window = {"start_time": now - PACK_MILLISECONDS, "end_time": now}
        answer = await self.http.get(
            "/account/costs", answer=CostsAnswer, params=window, headers=headers, even_if=CostsAnswer.is_error
        )
        for part in (answer.body, answer.body.data):
            if part is not None and part.is_error():
                raise part.poll_error(answer.status, answer.headers, self._error_text(part, headers))
        if answer.body.data is None:
            raise PollFailed("Kling answered without resource packs")
        units = answer.body.data.remaining_units()
        return None if units is None else AccountBalance(units, "units")

    async def _read_task(self, path: str, task: str) -> KlingTask:
        headers = self._token_headers()
        answer = await self.http.get(
            f"{path}/{quote(task, safe='')}", answer=TaskAnswer, headers=headers, even_if=TaskAnswer.is_error
        )
        if answer.body.is_error():
            said = self._error_text(answer.body, headers)
            raise answer.body.poll_error(answer.status, answer.headers, said)
        if answer.body.data is None:
            raise PollFailed("Kling answered without a task")
        return answer.body.data

    async def _find_by_key(self, path: str, key: str) -> KlingTask | None:
        """A look at ``path`` takes our own id in place of Kling's."""
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
        if "|" not in self.account.secret:
            return {}
        access, secret = self.account.secret.split("|", 1)
        return {"Authorization": f"Bearer {signed_token(access.strip(), secret.strip(), now=time.time())}"}


def signed_token(access: str, secret: str, *, now: float) -> str:
    """A token (HS256) that Kling takes from a little before ``now`` for half an hour."""
    claims = {"iss": access, "exp": int(now) + TOKEN_SECONDS, "nbf": int(now) - CLOCK_SLACK}
    text = f"{_encode_part({'alg': 'HS256', 'typ': 'JWT'})}.{_encode_part(claims)}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{_encode_base64(signature)}"


def _encode_part(claims: dict[str, Any]) -> str:
    return _encode_base64(json.dumps(claims, separators=(",", ":")).encode())


def _encode_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _operation_of(task: KlingTask | None, path: str) -> Operation:
    if task is None or not task.task_id:
        raise OutcomeUnknown("Kling accepted the request without naming the task")
    return Operation(id=task.task_id, data={"path": path})
