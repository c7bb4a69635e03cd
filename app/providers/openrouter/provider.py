"""OpenRouter (``openrouter.ai/api/v1``): videos of many vendors behind one API, and relayed text."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, FiniteFloat

from app.errors import OutcomeUnknown, UpstreamError, UpstreamModerated
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    RelayTarget,
    ResultFile,
    Running,
    Submission,
    Succeeded,
    base_url_or,
)
from app.providers.http_errors import submit_refused
from app.providers.openrouter.requests import ROLES, request_body
from app.providers.reading import (
    ErrorDetail,
    Fields,
    Items,
    State,
    Text,
    mentions_moderation,
    read_error,
    read_state,
)

HOST = "https://openrouter.ai/api/v1"
STATES: Mapping[str, State] = {
    "pending": "queued",
    "in_progress": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


class OpenRouterJob(BaseModel):
    """``urls`` are signed and public, ``unsigned_urls`` need the key; ``error`` is a sentence or an error object.

    https://openrouter.ai/docs/api_reference/videos
    """

    id: Text = ""
    status: Text = ""
    error: Any = None
    urls: Items = []
    unsigned_urls: Items = []
    usage: Fields = {}

    @property
    def is_error(self) -> bool:
        return isinstance(self.error, dict)

    @property
    def is_filtered(self) -> bool:
        """A filter of OpenRouter or of a vendor refused it, which only the error's metadata shows."""
        metadata = self.error.get("metadata") if isinstance(self.error, dict) else None
        return isinstance(metadata, dict) and bool({"reasons", "flagged_input"} & set(metadata))

    def first_error(self) -> ErrorDetail:
        return read_error({"error": self.error}) or ErrorDetail("OpenRouter gave no reason.")


class CreditBalance(BaseModel):
    """In US dollars, since the account was created."""

    total_credits: FiniteFloat
    total_usage: FiniteFloat


class CreditsAnswer(BaseModel):
    data: CreditBalance


class OpenRouterProvider(Provider):
    """OpenRouter itself checks what a model accepts (``GET /videos/models`` lists it)."""

    name = "openrouter"
    title = "OpenRouter"
    docs_url = "https://openrouter.ai/docs/api_reference/videos"
    sample_models = ("google/veo-3.1",)
    verified = "verified against openrouter 1.3.84"
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=30.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        origin = base_url_or(account, HOST)
        return origin if urlsplit(origin).path else f"{origin}/api/v1"

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(kinds=self.account.kinds or frozenset({"video", "text"}), roles=ROLES, remix=True)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, submission.remix_operation)
        answer = await self.http.post_json(
            "/videos", body, answer=OpenRouterJob, even_if=lambda job: job.is_error
        )
        job = answer.body
        if job.is_error:
            raise self._refusal_error(job, answer.status, answer.headers)
        if not job.id:
            raise OutcomeUnknown("OpenRouter accepted the request without a job id")
        return Operation(id=job.id)

    async def poll(self, operation: Operation) -> PollAnswer:
        job = (await self.http.get(_job_path(operation.id), answer=OpenRouterJob)).body
        state = read_state(job.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return _succeeded_answer(job)
        if state in {"failed", "cancelled", "expired"}:
            return self._failed_answer(job, "upstream_error" if state == "failed" else job.status)
        return Running()

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        path, number = f"{_job_path(operation.id)}/content", {"index": int(file.data["index"])}
        async for chunk in self.download(path, what="a video", params=number):
            yield chunk

    def relay_target(self, path: str) -> RelayTarget | None:
        return RelayTarget(self.http.absolute_url("/" + path.lstrip("/")), self.auth_headers(self.account))

    async def balance(self) -> AccountBalance:
        """Needs a management key; for any other key this raises ``UpstreamAuthFailed``."""
        money = (await self.http.get("/credits", answer=CreditsAnswer)).body.data
        return AccountBalance(money.total_credits - money.total_usage, "USD")

    def _refusal_error(self, job: OpenRouterJob, status: int, headers: Mapping[str, str]) -> UpstreamError:
        detail = job.first_error()
        text = self.http.clean_text(detail.message)
        if status < 300:  # an error object with a 2xx has its status in ``code``
            status = int(detail.code) if detail.code.isdigit() and 400 <= int(detail.code) < 600 else 400
        if status < 500 and (job.is_filtered or (status in {400, 403} and mentions_moderation(text))):
            return UpstreamModerated(f"upstream answered {status}: {text}")
        return submit_refused(status, headers, ErrorDetail(text, code=detail.code, param=detail.param))

    def _failed_answer(self, job: OpenRouterJob, code: str) -> Failed:
        message = self.http.clean_text(job.first_error().message)
        return Failed("content_policy_violation" if mentions_moderation(message) else code, message)


def _job_path(job: str) -> str:
    return f"/videos/{quote(job, safe='')}"


def _succeeded_answer(job: OpenRouterJob) -> Succeeded:
    signed = [link for link in job.urls if isinstance(link, str)]
    files = [ResultFile("video", "video/mp4", url=link) for link in signed] or [
        ResultFile("video", "video/mp4", data={"index": number})
        for number in range(max(len(job.unsigned_urls), 1))
    ]
    usage = {name: job.usage[name] for name in ("cost", "is_byok") if job.usage.get(name) is not None}
    return Succeeded(tuple(files), usage=usage)
