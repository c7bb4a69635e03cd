"""The parts of Jimeng's answers that are read, and what its state words and error codes mean."""

from collections.abc import Mapping

from pydantic import BaseModel, Field

from app.providers.base import Failed, Operation, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.http_errors import ErrorMeaning, missing_file, unknown_task
from app.providers.jimeng.requests import FRAME_RATE
from app.providers.reading import State, Text, read_state

SUCCESS_CODE = 10000
STATES: Mapping[str, State] = {
    "in_queue": "queued",
    "generating": "running",
    "done": "succeeded",
    "not_found": "missing",
    "expired": "expired",
}
# Numbers are Jimeng's own codes, words those of the gateway in front of it.
# https://www.volcengine.com/docs/85621/1792710, https://www.volcengine.com/docs/6369/67269
CODES: Mapping[int | str, ErrorMeaning] = {
    **dict.fromkeys((50411, 50412, 50413, 50511, 50512, 50516, 50517, 50518, 50519), "moderated"),
    **dict.fromkeys((50429, 50430, "FlowLimitExceeded", "AccountFlowLimitExceeded"), "busy"),
    # This machine's clock is wrong, not the key.
    "InvalidTimestamp": "busy",
    # The account owes money.
    "AccountOverdue": "quota",
    # This account has not bought this req_key, or its access key may not use it.
    **dict.fromkeys((50400, "LackPolicy", "LackProjectPolicy", "AccessDenied"), "forbidden"),
    **dict.fromkeys((50200, 50205, 50207, 50215, "InvalidActionOrVersion", "ServiceNotFound"), "rejected"),
    **dict.fromkeys((50500, 50501, 50520, 50521, 50522), "failed"),
    **dict.fromkeys(("MissingAuthenticationToken", "MissingSignature", "SignatureDoesNotMatch"), "auth"),
    **dict.fromkeys(("InvalidClientTokenId", "InvalidAccessKey", "InvalidCredential"), "auth"),
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
    """Any answer: Jimeng's own, or that of the gateway in front of it."""

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
        return self.gateway_error is not None or self.code not in (None, SUCCESS_CODE)

    def error_text(self) -> str:
        if self.gateway_error:
            return f"{self.gateway_error.message} ({self.gateway_error.word})"
        return f"{self.message} ({self.code})"


def poll_answer(task: JimengTask, operation: Operation) -> PollAnswer:
    """What ``task`` says. Raises ``OperationNotFound``, and ``PollFailed`` for a success without a video."""
    state = read_state(task.status, STATES, provider="jimeng")
    if state == "queued":
        return Queued()
    if state == "missing":
        raise unknown_task("Jimeng")
    if state == "expired":
        return Failed("expired", "Jimeng says: expired")
    if state != "succeeded":
        return Running()
    if not task.video_url:
        raise missing_file("Jimeng")
    # The answer has no length, so it is computed from the frames that were ordered.
    frames, key = operation.data.get("frames"), operation.data["req_key"]
    seconds = {"seconds": (frames - 1) / FRAME_RATE} if frames else {}
    file = ResultFile("video", "video/mp4", url=task.video_url)
    return Succeeded((file,), usage={"req_key": key, **seconds})
