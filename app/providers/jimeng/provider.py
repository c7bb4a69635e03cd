"""Jimeng's video API, a service of Volcengine whose requests are signed with an access key and its secret key."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.errors import InvalidRequest
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Submission,
    base_url_or,
)
from app.providers.http import Purpose, UpstreamClient
from app.providers.http_errors import poll_error, submit_error, unnamed_task
from app.providers.http_messages import UpstreamAnswer
from app.providers.jimeng import requests
from app.providers.jimeng.answers import SUCCESS_CODE, JimengAnswer, JimengTask, poll_answer
from app.providers.jimeng.signature import signed_headers
from app.providers.reading import redact_text
from app.providers.transport import OutgoingRequest

HOST = "https://visual.volcengineapi.com"
SUBMIT, RESULT = "CVSync2AsyncSubmitTask", "CVSync2AsyncGetResult"
VERSION = "2022-08-31"
SERVICE, REGION = "cv", "cn-north-1"


class JimengProvider(Provider):
    """The secret is ``AK|SK``, an access key and its secret key."""

    name = "jimeng"
    title = "Jimeng (Volcengine)"
    docs_url = "https://www.volcengine.com/docs/85621"
    verified = "verified against volcengine 1.0.229"
    auth_scheme = "HMAC signature from AK|SK"
    secret_hint = "access key|secret key"  # noqa: S105 - what the form says
    sample_models = ("jimeng_v30",)
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        access, _, secret = account.secret.partition("|")
        self._keys = access.strip(), secret.strip()
        if not all(self._keys):
            raise InvalidRequest("the secret must be like AK|SK", param="secret")

    @classmethod
    def sample_secret(cls) -> str:
        return "access-key|secret-key"

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST)

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        """None: each request is signed by itself."""
        return {}

    def capabilities(self, model: str) -> Capabilities:
        known = requests.find_model(model)
        if known is None:
            return Capabilities(kinds=frozenset({"video"}), roles=requests.ROLES)
        return known.capabilities()

    def check(self, request: GenerationRequest) -> None:
        requests.request_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = requests.request_body(request)
        answer = await self._call_action(SUBMIT, body, purpose="submit")
        reply = answer.body
        if reply.is_error():
            text = self._clean_text(reply.error_text())
            raise submit_error(reply.error_meaning, text, status=answer.status, headers=answer.headers)
        if reply.data is None or not reply.data.task_id:
            raise unnamed_task("Jimeng")
        # A poll needs the req_key too, and its answer has no length: https://www.volcengine.com/docs/85621/1792710
        data = {"req_key": body["req_key"], "frames": body.get("frames")}
        return Operation(id=reply.data.task_id, data=data)

    async def poll(self, operation: Operation) -> PollAnswer:
        body = {"req_key": operation.data["req_key"], "task_id": operation.id}
        answer = await self._call_action(RESULT, body, purpose="poll")
        reply, task = answer.body, answer.body.data or JimengTask()
        if reply.error_meaning == "moderated":
            return Failed("content_policy_violation", self._clean_text(reply.message))
        # A failed task is "done" as well; only the code beside it says that there is no video.
        if reply.is_error() and task.status == "done":
            return Failed("upstream_error", self._clean_text(reply.message))
        if reply.code != SUCCESS_CODE:
            text = self._clean_text(reply.error_text())
            raise poll_error(reply.error_meaning, text, status=answer.status, headers=answer.headers)
        return poll_answer(task, operation)

    async def _call_action(
        self, action: str, body: Mapping[str, Any], *, purpose: Purpose
    ) -> UpstreamAnswer[JimengAnswer]:
        return await self.http.post_json(
            "/",
            body,
            answer=JimengAnswer,
            params={"Action": action, "Version": VERSION},
            purpose=purpose,
            sign=self._sign_request,
            even_if=JimengAnswer.is_error,
        )

    def _sign_request(self, request: OutgoingRequest) -> Mapping[str, str]:
        return signed_headers(request, self._keys, service=SERVICE, region=REGION, now=datetime.now(UTC))

    def _clean_text(self, text: str) -> str:
        return redact_text(text, self._keys)
