"""Lightricks' LTX API (``api.ltx.video``), its asynchronous second version."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from app.errors import OutcomeUnknown, PollFailed
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
from app.providers.ltx import requests
from app.providers.reading import (
    ErrorDetail,
    Fields,
    State,
    Text,
    mentions_moderation,
    read_error,
    read_state,
)

HOST = "https://api.ltx.video"
STATES: Mapping[str, State] = {
    "pending": "queued",
    "processing": "running",
    "completed": "succeeded",
    "failed": "failed",
}
MP4 = "video/mp4"
VIDEO_TYPES = {"mp4": MP4, "mov": "video/quicktime", "webm": "video/webm"}


class LtxJob(BaseModel):
    """One generation job. ``result`` maps labels such as ``video_url`` to URLs."""

    id: Text = ""
    status: Text = ""
    result: Fields = {}
    error: Any = None

    @property
    def video_urls(self) -> list[str]:
        """The URLs whose label contains ``video``; all URLs of the result when no label does."""
        urls = {name: link for name, link in self.result.items() if isinstance(link, str) and "://" in link}
        return [link for name, link in urls.items() if "video" in name] or list(urls.values())


class LTXProvider(Provider):
    """A job is polled under the path that started it, so the operation stores that path."""

    name = "ltx"
    title = "LTX"
    docs_url = "https://docs.ltx.video"
    sample_models = ("ltx-2-3-pro", "ltx-2-pro")
    poll_interval = PollInterval(first=5.0, factor=1.1, cap=10.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1").removesuffix("/v2")

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        return known.capabilities() if known else Capabilities(frozenset({"video"}), roles=requests.ROLES)

    def check(self, request: GenerationRequest) -> None:
        requests.path_and_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = requests.path_and_body(request)
        answer = await self.http.post_json(path, body, answer=LtxJob)
        if not answer.body.id:
            raise OutcomeUnknown("LTX accepted the request without a job id")
        facts = {name: body[name] for name in ("duration", "resolution", "fps") if name in body}
        return Operation(id=answer.body.id, data={"path": path, "usage": facts})

    async def poll(self, operation: Operation) -> PollAnswer:
        path = f"{operation.data['path']}/{quote(operation.id, safe='')}"
        job = (await self.http.get(path, answer=LtxJob)).body
        state = read_state(job.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "failed":
            return self._failed_answer(job.error)
        if state == "succeeded":
            if not job.video_urls:
                raise PollFailed("LTX reports completed without a video URL")
            # LTX bills by the requested length and resolution, which its answer does not repeat.
            return Succeeded(
                tuple(_result_file(link) for link in job.video_urls), usage=operation.data["usage"]
            )
        return Running()

    def _failed_answer(self, error: Any) -> Failed:
        detail = read_error({"error": error}) if error else None
        detail = detail or ErrorDetail("LTX gave no reason.")
        message = self.http.clean_text(detail.message)
        moderated = detail.is_moderated or mentions_moderation(message)
        return Failed.upstream_error(message, moderated=moderated)


def _result_file(link: str) -> ResultFile:
    ending = urlsplit(link).path.rsplit(".", 1)[-1].lower()
    return ResultFile("video", VIDEO_TYPES.get(ending, MP4), url=link)
