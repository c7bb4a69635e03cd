"""OpenRouter (``openrouter.ai/api/v1``): videos of many vendors behind one API, and relayed text."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, FiniteFloat

from app.errors import OutcomeUnknown, PollFailed, UpstreamError, UpstreamModerated
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
from app.providers.checking import Balance
from app.providers.http_errors import Complaint, complaint_in, submit_refused
from app.providers.moderation import sounds_moderated
from app.providers.openai_compatible.answers import UNKNOWN_STATES, Fields, Items, Text
from app.providers.openrouter.requests import ROLES, fields_of
from app.providers.relay_target import RelayTarget

HOST = "https://openrouter.ai/api/v1"
STATES: Mapping[str, Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]] = {
    "pending": "queued",
    "in_progress": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


class Job(BaseModel):
    """``urls`` are signed and public, ``unsigned_urls`` want the key; ``error`` is a sentence, or a refusal."""

    id: Text = ""
    status: Text = ""
    error: Any = None
    urls: Items = []
    unsigned_urls: Items = []
    usage: Fields = {}

    @property
    def refused(self) -> bool:
        return isinstance(self.error, dict)

    @property
    def filtered(self) -> bool:
        """A refusal by OpenRouter's or a vendor's filter says so only in its metadata."""
        metadata = self.error.get("metadata") if isinstance(self.error, dict) else None
        return isinstance(metadata, dict) and bool({"reasons", "flagged_input"} & set(metadata))

    def complaint(self) -> Complaint:
        return complaint_in({"error": self.error}) or Complaint("OpenRouter did not say why.")


class Credits(BaseModel):
    """In US dollars, since the account began."""

    total_credits: FiniteFloat
    total_usage: FiniteFloat


class CreditsAnswer(BaseModel):
    data: Credits


class OpenRouter(Provider):
    """What a model can take is told by ``GET /videos/models``; what it can't, OpenRouter refuses."""

    name = "openrouter"
    verified: ClassVar[str] = "verified against openrouter 1.3.84"
    auth_form: ClassVar[str] = "Bearer"
    pace = Pace(first=5.0, factor=1.3, cap=30.0)

    @classmethod
    def address(cls, account: Account) -> str:
        origin = origin_of(account, HOST)
        return origin if urlsplit(origin).path else f"{origin}/api/v1"

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(kinds=self.account.kinds or frozenset({"video", "text"}), roles=ROLES, remix=True)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = fields_of(request, submission.remix_operation)
        answer = await self.http.post_json("/videos", body, answer=Job, even_if=lambda said: said.refused)
        job = answer.body
        if job.refused:
            raise self._no(job, answer.status, answer.headers)
        if not job.id:
            raise OutcomeUnknown("OpenRouter accepted the request without naming the job")
        return Operation(id=job.id)

    async def poll(self, operation: Operation) -> PollAnswer:
        job = (await self.http.get(_path(operation.id), answer=Job)).body
        state = STATES.get(job.status)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return _result(job)
        if state in {"failed", "cancelled", "expired"}:
            return self._failure(job, "upstream_error" if state == "failed" else job.status)
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running()

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        path, number = f"{_path(operation.id)}/content", {"index": int(file.data["index"])}
        async with self.http.stream(path, params=number) as download:
            if download.content_type in {"application/json", "text/html"}:
                raise PollFailed(f"upstream answered {download.content_type} in place of a video")
            async for chunk in download.chunks:
                yield chunk

    def relay(self, path: str) -> RelayTarget | None:
        return RelayTarget(self.http.url("/" + path.lstrip("/")), self.credentials(self.account))

    async def balance(self) -> Balance:
        """OpenRouter tells it to management keys only; one that just makes videos is ``UpstreamAuthFailed``."""
        money = (await self.http.get("/credits", answer=CreditsAnswer)).body.data
        return Balance(money.total_credits - money.total_usage, "USD")

    def _no(self, job: Job, status: int, headers: Mapping[str, str]) -> UpstreamError:
        said = job.complaint()
        text = self.http.cleaned(said.message)
        if status < 300:  # a refusal behind a 2xx names its status as the code
            status = int(said.code) if said.code.isdigit() and 400 <= int(said.code) < 600 else 400
        if status < 500 and (job.filtered or (status in {400, 403} and sounds_moderated(text))):
            return UpstreamModerated(f"upstream answered {status}: {text}")
        return submit_refused(status, headers, Complaint(text, code=said.code, param=said.param))

    def _failure(self, job: Job, code: str) -> Failed:
        said = self.http.cleaned(job.complaint().message)
        return Failed("content_policy_violation" if sounds_moderated(said) else code, said)


def _path(job: str) -> str:
    return f"/videos/{quote(job, safe='')}"


def _result(job: Job) -> Succeeded:
    signed = [link for link in job.urls if isinstance(link, str)]
    files = [ResultFile("video", "video/mp4", url=link) for link in signed] or [
        ResultFile("video", "video/mp4", data={"index": number})
        for number in range(max(len(job.unsigned_urls), 1))
    ]
    usage = {name: job.usage[name] for name in ("cost", "is_byok") if job.usage.get(name) is not None}
    return Succeeded(tuple(files), usage=usage)
