"""Jimeng's video API, a service of Volcengine that wants its requests signed (AK|SK)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import httpx2
from pydantic import BaseModel, Field

from app.errors import InvalidRequest, OperationNotFound, OutcomeUnknown, PollFailed
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
from app.providers.http import Purpose, UpstreamClient
from app.providers.http_errors import ErrorMeaning, poll_error, submit_error
from app.providers.http_messages import UpstreamAnswer
from app.providers.jimeng import requests
from app.providers.jimeng.signature import signed_headers
from app.providers.reading import UNKNOWN_STATES, Text, clean_text

HOST = "https://visual.volcengineapi.com"
SUBMIT, RESULT = "CVSync2AsyncSubmitTask", "CVSync2AsyncGetResult"
VERSION = "2022-08-31"
SERVICE, REGION = "cv", "cn-north-1"
FINE = 10000
State = Literal["queued", "running", "done", "missing", "expired"]
STATES: Mapping[str, State] = {
    "in_queue": "queued",
    "generating": "running",
    "done": "done",
    "not_found": "missing",
    "expired": "expired",
}
# Numbers are Jimeng's own, words those of the gateway in front of it.
CODES: Mapping[int | str, ErrorMeaning] = {
    **dict.fromkeys((50411, 50412, 50413, 50511, 50512, 50516, 50517, 50518, 50519), "moderated"),
    **dict.fromkeys((50429, 50430, "FlowLimitExceeded", "AccountFlowLimitExceeded"), "busy"),
    # Our clock is wrong, not the key.
    "InvalidTimestamp": "busy",
    # This account has not bought this req_key. Others may have, and it may do other work.
    50400: "quota",
    **dict.fromkeys((50200, 50205, 50207, 50215, "InvalidActionOrVersion", "ServiceNotFound"), "rejected"),
    **dict.fromkeys((50500, 50501, 50520, 50521, 50522), "failed"),
    **dict.fromkeys(("MissingAuthenticationToken", "MissingSignature", "SignatureDoesNotMatch"), "auth"),
    **dict.fromkeys(("InvalidClientTokenId", "InvalidAccessKey", "InvalidCredential"), "auth"),
    **dict.fromkeys(("LackPolicy", "LackProjectPolicy", "AccessDenied"), "auth"),
    **dict.fromkeys(("FailToConnect", "InternalServiceTimeout", "InternalServiceError"), "unknown"),
}


class GatewayError(BaseModel):
    word: Text = Field(default="", alias="Code")
    message: Text = Field(default="", alias="Message")


class ResponseMetadata(BaseModel):
    error: GatewayError | None = Field(default=None, alias="Error")


class JimengTask(BaseModel):
    task_id: Text = ""
    status: Text = ""
    video_url: Text = ""


class JimengAnswer(BaseModel):
    """Every answer: Jimeng's own, or the gateway's when it never came that far."""

    code: int | None = None
    message: Text = ""
    data: JimengTask | None = None
    metadata: ResponseMetadata | None = Field(default=None, alias="ResponseMetadata")

    @property
    def gateway_error(self) -> GatewayError | None:
        return self.metadata.error if self.metadata else None

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        return CODES.get(self.gateway_error.word if self.gateway_error else self.code or 0)

    def is_error(self) -> bool:
        return self.gateway_error is not None or self.code not in (None, FINE)

    def error_text(self) -> str:
        if self.gateway_error:
            return f"{self.gateway_error.message} ({self.gateway_error.word})"
        return f"{self.message} ({self.code})"


class JimengProvider(Provider):
    """The secret is ``AK|SK``, an access key and its secret key."""

    name = "jimeng"
    verified: ClassVar[str] = "verified against volcengine 1.0.229"
    auth_scheme: ClassVar[str] = "HMAC signature from AK|SK"
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        access, _, secret = account.secret.partition("|")
        self._keys = access.strip(), secret.strip()
        if not all(self._keys):
            raise InvalidRequest("the secret must be like AK|SK", param="secret")

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST)

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {}

    def capabilities(self, model: str) -> Capabilities:
        low, high = requests.LENGTHS
        return Capabilities(
            kinds=frozenset({"video"}), roles=requests.roles_of(model), seconds=(float(low), float(high))
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = requests.request_body(request)
        answer = await self._call_action(SUBMIT, body, purpose="submit")
        reply = answer.body
        if reply.is_error():
            raise submit_error(
                reply.error_meaning,
                self._clean_text(reply.error_text()),
                status=answer.status,
                headers=answer.headers,
            )
        if reply.data is None or not reply.data.task_id:
            raise OutcomeUnknown("Jimeng accepted the request without naming the task")
        # It has to be asked for with the req_key it was made with, and tells no facts of its own.
        data = {"req_key": body["req_key"], "frames": body.get("frames")}
        return Operation(id=reply.data.task_id, data=data)

    async def poll(self, operation: Operation) -> PollAnswer:
        body = {"req_key": operation.data["req_key"], "task_id": operation.id}
        answer = await self._call_action(RESULT, body, purpose="look")
        reply, work = answer.body, answer.body.data or JimengTask()
        if reply.error_meaning == "moderated":
            return Failed("content_policy_violation", self._clean_text(reply.message))
        if reply.is_error() and work.status == "done":
            return Failed("upstream_error", self._clean_text(reply.message))
        if reply.code != FINE:
            said = self._clean_text(reply.error_text())
            raise poll_error(reply.error_meaning, said, status=answer.status, headers=answer.headers)
        return _poll_answer(work, operation)

    async def _call_action(
        self, action: str, body: Mapping[str, Any], *, purpose: Purpose
    ) -> UpstreamAnswer[JimengAnswer]:
        params = {"Action": action, "Version": VERSION}
        return await self.http.post_json(
            "/",
            body,
            answer=JimengAnswer,
            params=params,
            purpose=purpose,
            sign=self._sign_request,
            even_if=JimengAnswer.is_error,
        )

    def _sign_request(self, request: httpx2.Request) -> Mapping[str, str]:
        return signed_headers(request, self._keys, service=SERVICE, region=REGION, now=datetime.now(UTC))

    def _clean_text(self, text: str) -> str:
        return clean_text(text, self._keys)


def _poll_answer(work: JimengTask, operation: Operation) -> PollAnswer:
    state = STATES.get(work.status)
    if state == "queued":
        return Queued()
    if state == "missing":
        raise OperationNotFound("Jimeng does not know the task")
    if state == "expired":
        return Failed("expired", "Jimeng says: expired")
    if state != "done":
        if state is None:
            UNKNOWN_STATES.labels(provider="jimeng").inc()
        return Running()
    if not work.video_url:
        raise PollFailed("Jimeng says it is done, but names no video")
    frames, key = operation.data.get("frames"), operation.data["req_key"]
    seconds = {"seconds": (frames - 1) / requests.FRAME_RATE} if frames else {}
    file = ResultFile("video", "video/mp4", url=work.video_url)
    return Succeeded((file,), usage={"req_key": key, **seconds})
