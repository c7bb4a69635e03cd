"""Lightricks' LTX API (``api.ltx.video``), its asynchronous second version."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from app.errors import OutcomeUnknown, PollFailed
from app.generation import GenerationRequest
from app.providers.addresses import origin_of
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    Pace,
    PollAnswer,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.http_errors import Complaint, complaint_in
from app.providers.ltx import requests
from app.providers.moderation import sounds_moderated
from app.providers.openai_compatible.answers import UNKNOWN_STATES, Fields, Text

HOST = "https://api.ltx.video"
STATES: Mapping[str, Literal["queued", "running", "succeeded", "failed"]] = {
    "pending": "queued",
    "processing": "running",
    "completed": "succeeded",
    "failed": "failed",
}
MP4 = "video/mp4"
TYPES = {"mp4": MP4, "mov": "video/quicktime", "webm": "video/webm"}


class Job(BaseModel):
    """``result`` names addresses by what lies there, such as ``video_url``."""

    id: Text = ""
    status: Text = ""
    result: Fields = {}
    error: Any = None

    @property
    def links(self) -> list[str]:
        """Of videos, if any are said to be; else of whatever it made."""
        named = {name: link for name, link in self.result.items() if isinstance(link, str) and "://" in link}
        return [link for name, link in named.items() if "video" in name] or list(named.values())


class LTX(Provider):
    """A job is looked at under the path that started it, so an operation keeps it."""

    name = "ltx"
    verified: ClassVar[str] = "documented"
    auth_form: ClassVar[str] = "Bearer"
    pace = Pace(first=5.0, factor=1.1, cap=10.0)

    @classmethod
    def address(cls, account: Account) -> str:
        return origin_of(account, HOST).removesuffix("/v1").removesuffix("/v2")

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        return Capabilities(
            kinds=frozenset({"video"}),
            roles=requests.ROLES,
            seconds=known.seconds,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = requests.body_of(request)
        answer = await self.http.post_json(path, body, answer=Job)
        if not answer.body.id:
            raise OutcomeUnknown("LTX accepted the request without naming the job")
        facts = {name: body[name] for name in ("duration", "resolution", "fps") if name in body}
        return Operation(id=answer.body.id, data={"path": path, "usage": facts})

    async def poll(self, operation: Operation) -> PollAnswer:
        path = f"{operation.data['path']}/{quote(operation.id, safe='')}"
        job = (await self.http.get(path, answer=Job)).body
        state = STATES.get(job.status)
        if state == "queued":
            return Queued()
        if state == "failed":
            return self._failure(job.error)
        if state == "succeeded":
            if not job.links:
                raise PollFailed("LTX says it is done, but names no video")
            # LTX bills what was asked for, and its answer does not repeat it.
            return Succeeded(tuple(_file(link) for link in job.links), usage=operation.data["usage"])
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running()

    def _failure(self, error: Any) -> Failed:
        complaint = complaint_in({"error": error}) if error else None
        complaint = complaint or Complaint("LTX did not say why.")
        said = self.http.cleaned(complaint.message)
        moderated = complaint.moderated or sounds_moderated(said)
        return Failed("content_policy_violation" if moderated else "upstream_error", said)


def _file(link: str) -> ResultFile:
    ending = urlsplit(link).path.rsplit(".", 1)[-1].lower()
    return ResultFile("video", TYPES.get(ending, MP4), url=link)
