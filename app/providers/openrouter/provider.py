"""OpenRouter (``openrouter.ai/api/v1``): videos of many vendors behind one API, and relayed text."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, FiniteFloat

from app.errors import (
    OutcomeUnknown,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
)
from app.generation import GenerationRequest
from app.providers.base import (
    EARLIER,
    Account,
    AccountBalance,
    AccountCheck,
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
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_refused
from app.providers.learned import LearnedFacts
from app.providers.openrouter.answers import STATES, OpenRouterJob, succeeded_answer
from app.providers.openrouter.listing import ListedModel, ModelsList, capabilities_of
from app.providers.openrouter.requests import request_body
from app.providers.reading import (
    ErrorDetail,
    mentions_moderation,
    read_state,
)

HOST = "https://openrouter.ai/api/v1"
MODELS_PATH = "/videos/models"


class CreditBalance(BaseModel):
    """In US dollars, since the account was created."""

    total_credits: FiniteFloat
    total_usage: FiniteFloat


class CreditsAnswer(BaseModel):
    data: CreditBalance


class OpenRouterProvider(Provider):
    """What a model makes is read from OpenRouter's own list: before the first submission, and when the account is tested."""

    name = "openrouter"
    title = "OpenRouter"
    docs_url = "https://openrouter.ai/docs/api_reference/videos"
    sample_models = ("google/veo-3.1",)
    verified = "verified against openrouter 1.3.84"
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=30.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._lists = LearnedFacts(self._ask_list, provider=self.name)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        origin = base_url_or(account, HOST)
        return origin if urlsplit(origin).path else f"{origin}/api/v1"

    def capabilities(self, model: str) -> Capabilities:
        able = capabilities_of(model, self._listed(model))
        return replace(able, kinds=self.account.kinds) if self.account.kinds else able

    def check(self, request: GenerationRequest) -> None:
        request_body(request, EARLIER, listed=self._listed(request.model))

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        await self._lists.learn(MODELS_PATH)
        body = request_body(request, submission.remix_operation, listed=self._listed(request.model))
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
            return succeeded_answer(job)
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

    async def close(self) -> None:
        await self._lists.close()
        await super().close()

    def ask_about(self, model: str) -> None:
        self._lists.learn_soon(MODELS_PATH)

    async def check_account(self) -> AccountCheck:
        await self._lists.learn_all([MODELS_PATH])
        return await super().check_account()

    async def _ask_list(self, path: str) -> Mapping[str, ListedModel]:
        return {model.id: model for model in (await self.http.get(path, answer=ModelsList)).body.data}

    async def published(self, model: str) -> Capabilities | None:
        listed = (await self._ask_list(MODELS_PATH)).get(model.split(":")[0])
        return capabilities_of(model, listed) if listed else None

    async def listed_models(self) -> frozenset[str]:
        """Those of its video API and of its text API."""
        texts = (await self.http.get("/models", answer=ModelsList)).body.data
        return frozenset(await self._ask_list(MODELS_PATH)) | {model.id for model in texts}

    def _listed(self, model: str) -> ListedModel | None:
        """A suffix as ``:free`` names a variant of the same model."""
        listed = self._lists.find(MODELS_PATH) or {}
        return listed.get(model) or listed.get(model.split(":")[0])

    def _refusal_error(self, job: OpenRouterJob, status: int, headers: Mapping[str, str]) -> UpstreamError:
        detail = job.first_error()
        text = self.http.clean_text(detail.message)
        if status < 300:  # an error object with a 2xx has its status in ``code``
            status = int(detail.code) if detail.code.isdigit() and 400 <= int(detail.code) < 600 else 400
        if status < 500 and (job.is_filtered or (status in {400, 403} and mentions_moderation(text))):
            return UpstreamModerated(f"upstream answered {status}: {text}")
        if (
            status == 403 and "limit exceeded" in text.lower()
        ):  # https://openrouter.ai/docs/api_reference/limits
            return UpstreamQuotaExhausted(f"upstream answered {status}: {text}")
        if status == 502:  # OpenRouter's own word that the vendor behind it failed
            return UpstreamFailed(f"upstream answered {status}: {text}")
        return submit_refused(status, headers, ErrorDetail(text, code=detail.code, param=detail.param))

    def _failed_answer(self, job: OpenRouterJob, code: str) -> Failed:
        message = self.http.clean_text(job.first_error().message)
        return Failed("content_policy_violation" if mentions_moderation(message) else code, message, job.bill)


def _job_path(job: str) -> str:
    return f"/videos/{quote(job, safe='')}"
