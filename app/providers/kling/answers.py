"""The parts of Kling's answers that are read, and what its state words and error codes mean."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, FiniteFloat

from app.errors import UpstreamError
from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.http_errors import ErrorMeaning, poll_error, submit_error
from app.providers.inputs import without_none
from app.providers.reading import State, Text, read_state

STATES: Mapping[str, State] = {
    "submitted": "queued",
    "processing": "running",
    "succeed": "succeeded",
    "failed": "failed",
}
# https://kling.ai/document-api/api/get-started/error-codes. 1100 to 1102 come as 429, like 1302 and 1303.
CODES: Mapping[int, ErrorMeaning] = {
    **dict.fromkeys((1000, 1001, 1002, 1003, 1004, 1100, 1304), "auth"),
    # 1103: this account has not bought this model. Others may have, and it may have other models.
    **dict.fromkeys((1101, 1102, 1103), "quota"),
    **dict.fromkeys((1200, 1201, 1202), "rejected"),
    1203: "missing",
    **dict.fromkeys((1300, 1301), "moderated"),
    **dict.fromkeys((1302, 1303, 5001), "busy"),
    5000: "failed",
    5002: "unknown",
}
MODERATED_WORDS = ("risk control", "content policy", "content security", "sensitive")
"""In the sentence of a failed task, which has no code."""


class KlingVideo(BaseModel):
    id: Text = ""
    url: Text = ""
    duration: str | float | None = None


class TaskResult(BaseModel):
    videos: list[KlingVideo] | None = None


class TaskInfo(BaseModel):
    external_task_id: Text = ""


class KlingTask(BaseModel):
    task_id: Text = ""
    task_status: Text = ""
    task_status_msg: Text = ""
    task_info: TaskInfo | None = None
    task_result: TaskResult | None = None
    final_unit_deduction: str | float | None = None


class KlingResponse(BaseModel):
    """Code and message, as in every answer of Kling; that about the account's costs has them at two levels."""

    code: int | None = None
    message: Text = Field(default="", validation_alias=AliasChoices("message", "msg"))

    def is_error(self) -> bool:
        return bool(self.code)

    def poll_error(self, status: int, headers: Mapping[str, str], text: str) -> UpstreamError:
        return poll_error(CODES.get(self.code or 0), text, status=status, headers=headers)


class TaskAnswer(KlingResponse):
    """Every answer of Kling about one task."""

    data: KlingTask | None = None

    @property
    def is_duplicate(self) -> bool:
        """Kling takes each ``external_task_id`` once: an error about that field means that an earlier copy arrived."""
        return self.code == 1201 and "external_task_id" in self.message

    def submit_error(self, status: int, headers: Mapping[str, str], text: str) -> UpstreamError:
        meaning: ErrorMeaning | None = "unknown" if self.is_duplicate else CODES.get(self.code or 0)
        return submit_error(meaning, text, status=status, headers=headers)


class ResourcePack(BaseModel):
    """Prepaid units. ``status`` is ``toBeOnline``, ``online``, ``expired`` or ``runOut``."""

    status: Text = ""
    remaining_quantity: FiniteFloat = 0.0


class ResourcePacks(KlingResponse):
    resource_pack_subscribe_infos: list[ResourcePack] | None = None

    def remaining_units(self) -> float | None:
        """The units left in usable packs; None for an account that never bought one."""
        packs = self.resource_pack_subscribe_infos
        if not packs:
            return None
        return sum(pack.remaining_quantity for pack in packs if pack.status == "online")


class CostsAnswer(KlingResponse):
    """What ``GET /account/costs`` answers."""

    data: ResourcePacks | None = None


class TaskList(BaseModel):
    """A page of tasks, as ``GET`` of a path without an id answers."""

    code: int
    data: list[KlingTask] | None = None


def poll_answer(task: KlingTask, text: str) -> PollAnswer | None:
    """What ``task`` says; None when it claims success and names no video. ``text`` is its cleaned message."""
    state = read_state(task.task_status, STATES, provider="kling")
    if state == "queued":
        return Queued()
    if state == "failed":
        moderated = any(word in text.lower() for word in MODERATED_WORDS)
        return Failed.upstream_error(text, moderated=moderated)
    if state == "succeeded":
        return _succeeded_answer(task)
    return Running()


def _succeeded_answer(task: KlingTask) -> Succeeded | None:
    videos = [video for video in (task.task_result and task.task_result.videos) or [] if video.url]
    if not videos:
        return None
    facts: dict[str, Any] = {"seconds": videos[0].duration, "units": task.final_unit_deduction}
    files = tuple(ResultFile("video", "video/mp4", url=video.url) for video in videos)
    return Succeeded(files, usage=without_none(facts))
