"""The parts of DashScope's answers that are read, and what its state words and error codes mean."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.http_errors import ErrorMeaning, unknown_task
from app.providers.inputs import without_none
from app.providers.reading import Fields, Items, State, Text, read_state

STATES: Mapping[str, State] = {
    "PENDING": "queued",
    "RUNNING": "running",
    "SUSPENDED": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "cancelled",
    # For tasks older than a day, and for those that it never knew.
    "UNKNOWN": "missing",
}
# https://help.aliyun.com/en/model-studio/error-code. A code may go on after a dot: Throttling.RateQuota.
CODES: Mapping[str, ErrorMeaning] = {
    "InvalidApiKey": "auth",
    "Arrearage": "quota",
    "PrepaidBillOverdue": "quota",
    "PostpaidBillOverdue": "quota",
    "CommodityNotPurchased": "quota",
    "AllocationQuota": "quota",
    # This account, or its workspace, may not use this model.
    "AccessDenied": "forbidden",
    "Model.AccessDenied": "forbidden",
    "Workspace.AccessDenied": "forbidden",
    "ModelNotFound": "forbidden",
    "Model.NotFound": "forbidden",
    "ModelNotExist": "forbidden",
    "Throttling": "busy",
    "LimitRequests": "busy",
    "ModelUnavailable": "busy",
    "ServiceUnavailable": "busy",
    "InvalidParameter": "rejected",
    "BadRequest": "rejected",
    "InvalidURL": "rejected",
    "UnsupportedOperation": "rejected",
    "InternalError.Timeout": "unknown",
    "RequestTimeOut": "unknown",
    "InternalError": "failed",
    "SystemError": "failed",
    "ModelServiceFailed": "failed",
}
MODERATED = ("datainspection", "data_inspection", "ipinfringement", "risk_control")
UNFETCHED = "InvalidParameter.DataInspection"
"""An input could not be fetched to be inspected: https://github.com/QwenLM/Qwen-VL/issues/431"""
FREE_WORDS = ("free allocated", "free tier", "free quota")
"""In the message of ``Throttling.AllocationQuota``: the quota is used up, not exceeded for a moment."""


class TaskOutput(BaseModel):
    task_id: Text = ""
    task_status: Text = ""
    code: Text = ""
    message: Text = ""
    video_url: Text = ""
    results: Items = []
    choices: Items = []

    def image_urls(self) -> list[str]:
        """The pictures' addresses, which the models send in one of two forms."""
        urls = [item.get("url") for item in self.results if isinstance(item, dict)]
        for choice in self.choices:
            content = choice.get("message", {}).get("content", []) if isinstance(choice, dict) else []
            urls += [part.get("image") for part in content if isinstance(part, dict)]
        return [link for link in urls if isinstance(link, str) and link]

    def first_error(self) -> tuple[str, str]:
        """Code and message of the whole answer, else of the first picture that failed."""
        if self.code or self.message:
            return self.code, self.message
        items = [item for item in self.results if isinstance(item, dict) and item.get("code")]
        return (str(items[0]["code"]), str(items[0].get("message", ""))) if items else ("", "")


class DashScopeAnswer(BaseModel):
    """Any answer: ``output`` of a success, a code of an error."""

    output: TaskOutput | None = None
    usage: Fields = {}
    code: Text = ""
    message: Text = ""

    def is_error(self) -> bool:
        return bool(self.code)

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        return meaning_of(self.code, self.message)


def meaning_of(code: str, message: str) -> ErrorMeaning | None:
    if code == UNFETCHED:
        return "rejected"
    if any(part in code.lower() for part in MODERATED):
        return "moderated"
    if code.startswith("Throttling") and any(part in message.lower() for part in FREE_WORDS):
        return "quota"
    return CODES.get(code) or CODES.get(code.split(".")[0])


def poll_answer(answer: DashScopeAnswer, text: str) -> PollAnswer | None:
    """What ``answer`` says; None when it claims success and names no file. ``text`` is its cleaned error message.

    Raises ``OperationNotFound``.
    """
    output = answer.output or TaskOutput()
    state = read_state(output.task_status, STATES, provider="dashscope")
    if state == "queued":
        return Queued()
    if state == "missing":
        raise unknown_task("DashScope")
    if state == "cancelled":
        return Failed("cancelled", text or "DashScope says: CANCELED")
    if state == "failed":
        moderated = meaning_of(*output.first_error()) == "moderated"
        return Failed.upstream_error(text, moderated=moderated)
    if state == "succeeded":
        return succeeded_answer(output, answer.usage)
    return Running()


def succeeded_answer(output: TaskOutput, usage: Mapping[str, Any]) -> Succeeded | None:
    files = [ResultFile("image", "image/png", url=link) for link in output.image_urls()]
    if output.video_url:
        files.insert(0, ResultFile("video", "video/mp4", url=output.video_url))
    return Succeeded(tuple(files), usage=usage_facts(usage)) if files else None


def usage_facts(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What was billed, under our names and DashScope's own, which differ between its models."""
    lengths = ("output_video_duration", "duration", "video_duration")
    seconds = next((usage[name] for name in lengths if usage.get(name)), None)
    facts = {
        "seconds": seconds,
        "resolution": f"{usage['SR']}P" if usage.get("SR") else None,
        "images": usage.get("image_count"),
    }
    return {**without_none(facts), **usage}
