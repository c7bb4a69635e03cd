"""Response models of the predictions family and the meaning of its states and codes."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, FiniteFloat

from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import ErrorMeaning, missing_file
from app.providers.reading import ErrorDetail, Fields, State, Text, mentions_moderation, read_error

STATES: Mapping[str, State] = {
    **dict.fromkeys(("created", "starting", "queued", "pending"), "queued"),
    **dict.fromkeys(("processing", "running"), "running"),
    **dict.fromkeys(("completed", "succeeded"), "succeeded"),
    "failed": "failed",
    "cancelled": "cancelled",
    # The service gave up, or somebody deleted the work there: neither says that nothing was made.
    **dict.fromkeys(("timeout", "deleted"), "expired"),
}
# https://wavespeed.ai/docs/error-codes
CODES: Mapping[str, ErrorMeaning] = {
    "1200": "moderated",
    **dict.fromkeys(("1400", "1401", "1402"), "rejected"),
    **dict.fromkeys(("1403", "1405", "5000"), "failed"),
    "5003": "busy",
    "5004": "unknown",
}
NO_MONEY = ("insufficient credit", "insufficient balance", "top up")
"""These services have no code for an empty account: MuAPI answers 403, the others 400 or 402, with such a sentence."""
REFUSALS = {400, 402, 403, 422, 429}


class PredictionsAnswer(BaseModel):
    """WaveSpeed and Atlas Cloud wrap a prediction in ``data``, MuAPI does not; ``code`` repeats the HTTP status."""

    code: Text = ""
    message: Text = ""
    detail: Any = None
    data: Any = None
    request_id: Text = ""
    id: Text = ""
    status: Text = ""
    outputs: Any = None
    error: Any = None
    timings: Fields = {}

    @property
    def prediction(self) -> "PredictionsAnswer":
        return PredictionsAnswer.model_validate(self.data) if isinstance(self.data, dict) else self

    @property
    def name(self) -> str:
        return self.id or self.request_id

    @property
    def links(self) -> list[str]:
        listed = self.outputs if isinstance(self.outputs, list) else [self.outputs]
        texts = [entry.get("url") if isinstance(entry, dict) else entry for entry in listed]
        return [link for link in texts if isinstance(link, str) and link.startswith(("https://", "http://"))]

    @property
    def says_success(self) -> bool:
        return self.code in {"", "0", "200"}

    def first_error(self) -> ErrorDetail | None:
        """Of a refused request; a success has a ``message`` too."""
        return read_error(self.model_dump(include={"message", "detail", "error", "code"}))

    def has_error(self) -> bool:
        return self.first_error() is not None


class BalanceAnswer(BaseModel):
    """``data.balance`` at WaveSpeed, ``balance`` at MuAPI, in US dollars."""

    balance: FiniteFloat | None = None
    data: Fields = {}

    @property
    def left(self) -> float | None:
        found = self.data.get("balance", self.balance)
        return float(found) if isinstance(found, int | float) else None


def refusal_meaning(status: int, error: ErrorDetail, *, by_path: bool) -> ErrorMeaning | None:
    """None: the HTTP status says it. ``by_path``: the model's name is the path, so a 404 is about the model."""
    known = CODES.get(error.code)
    if known or status not in REFUSALS | {404}:
        return known
    if status == 404:
        return "forbidden" if by_path else None
    if any(phrase in error.message.lower() for phrase in NO_MONEY):
        return "quota"
    return "moderated" if mentions_moderation(error.message) and status != 429 else None


def succeeded_answer(prediction: PredictionsAnswer, title: str) -> Succeeded:
    if not prediction.links:
        raise missing_file(title)
    inference = prediction.timings.get("inference")
    usage = {"inference_ms": inference} if isinstance(inference, int | float) else {}
    return Succeeded(
        tuple(ResultFile("video", "video/mp4", url=link) for link in prediction.links), usage=usage
    )


def failed_answer(prediction: PredictionsAnswer, message: str, state: State) -> Failed:
    """``message``: the prediction's own, without secrets."""
    if CODES.get(prediction.code) == "moderated" or mentions_moderation(message):
        return Failed("content_policy_violation", message)
    return Failed(state if state in {"cancelled", "expired"} else "upstream_error", message)
