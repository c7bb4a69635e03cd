"""Replicate (``api.replicate.com``): predictions of any model, by name, by version or by deployment."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamError,
    UpstreamModerated,
)
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountCheck,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    Running,
    Submission,
    base_url_or,
)
from app.providers.hosted_models import (
    ModelFamily,
    apply_description,
    model_input,
    read_descriptions,
    refuse_unpublished,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_refused
from app.providers.http_messages import UpstreamAnswer
from app.providers.learned import LearnedFacts
from app.providers.reading import ErrorDetail, mentions_moderation, read_state
from app.providers.replicate.answers import STATES, ReplicatePrediction, succeeded_answer
from app.providers.replicate.models import (
    DESCRIBED,
    MODEL_NAME,
    DeploymentDocument,
    ModelDocument,
    ModelVersion,
    is_unknown,
    known_family,
    published_family,
    submit_path,
)

HOST = "https://api.replicate.com"
MODERATING = {400, 403, 422}
CANCEL_AFTER = re.compile(r"(?=.)(\d+h)?(\d+m)?(\d+s)?", re.ASCII)


class ReplicateProvider(Provider):
    """A model is ``owner/name``, ``owner/name:version`` or ``deployments/owner/name``.

    ``account.options``: ``cancel_after`` (``5m``, ``1h30m``: Replicate cancels the prediction after that time,
    https://replicate.com/changelog/2025-10-16-prediction-deadlines), ``models`` (what an operator knows of models). A
    model that the file of facts lacks is sent a prompt only, until its schema was read: before its first submission,
    and when the account that names it is tested.
    """

    name = "replicate"
    title = "Replicate"
    docs_url = "https://replicate.com/docs/topics/predictions/lifecycle"
    sample_models = ("bytedance/seedance-2.0", "kwaivgi/kling-v3-video", "wan-video/wan-2.7")
    reports_progress = True
    verified = "verified against replicate 1.0.7"
    poll_interval = PollInterval(first=2.0, factor=1.3, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._descriptions = read_descriptions(account)
        self._published = LearnedFacts(self._ask_schema, provider=self.name)
        deadline = account.options.get("cancel_after")
        if deadline is not None and not CANCEL_AFTER.fullmatch(str(deadline)):
            raise InvalidRequest("cancel_after must be like 5m or 1h30m", param="options.cancel_after")
        self._headers = {"Cancel-After": str(deadline)} if deadline else {}

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    def capabilities(self, model: str) -> Capabilities:
        family = self._family_of(model)
        kinds = family.kinds if len(family.kinds) == 1 else self.account.kinds & family.kinds or family.kinds
        return family.capabilities(kinds=frozenset(kinds))

    def check(self, request: GenerationRequest) -> None:
        submit_path(request.model)
        self._model_input(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, version = submit_path(request.model)
        await self._published.learn(request.model)
        body: dict[str, Any] = {"input": self._model_input(request)} | (
            {"version": version} if version else {}
        )
        answer = await self.http.post_json(
            path, body, answer=ReplicatePrediction, headers=self._headers, even_if=_is_moderated
        )
        if answer.status >= 400:
            raise self._refusal_error(answer)
        if not answer.body.id:
            raise OutcomeUnknown("Replicate accepted the request without a prediction id")
        return Operation(id=answer.body.id, data={"kind": request.kind})

    async def poll(self, operation: Operation) -> PollAnswer:
        prediction = (await self.http.get(_prediction_path(operation.id), answer=ReplicatePrediction)).body
        state = read_state(prediction.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return succeeded_answer(prediction, operation.data["kind"])
        if state == "failed":
            return self._failed_answer(prediction)
        if state == "cancelled":
            return Failed("cancelled", f"Replicate reports: {prediction.status}")
        return Running(progress=prediction.logged_progress)

    async def cancel(self, operation: Operation) -> bool:
        answer = await self.http.post_json(
            f"{_prediction_path(operation.id)}/cancel", {}, answer=ReplicatePrediction, purpose="poll"
        )
        return STATES.get(answer.body.status) == "cancelled"  # what goes on is paid for

    def _model_input(self, request: GenerationRequest) -> dict[str, Any]:
        refuse_unpublished(request, self._published.find(request.model))
        fields = model_input(request, self._family_of(request.model))
        if fields.get("reference_video") and "kling" in request.model:
            # The same field holds a source and a reference video; this tells which of them it is.
            fields["video_reference_type"] = "base" if request.media_with("source_video") else "feature"
        return fields

    def ask_about(self, model: str) -> None:
        if is_unknown(model):
            self._published.learn_soon(model)

    async def check_account(self) -> AccountCheck:
        mapped = set(self.account.models.values())
        await self._published.learn_all(model for model in mapped if is_unknown(model))
        return await super().check_account()

    async def published(self, model: str) -> Capabilities:
        return (await self._ask_schema(model)).capabilities()

    async def close(self) -> None:
        await self._published.close()
        await super().close()

    async def _ask_schema(self, model: str) -> ModelFamily:
        name, _, version = model.partition(":")
        if name.startswith("deployments/"):
            release = (await self.http.get(f"/v1/{name}", answer=DeploymentDocument)).body.current_release
            name, version = (release.model, release.version) if release else ("", "")
        if not MODEL_NAME.fullmatch(name):
            raise PollFailed("Replicate does not say which model the deployment runs")
        if version:
            path = f"/v1/models/{name}/versions/{quote(version, safe='')}"
            return published_family((await self.http.get(path, answer=ModelVersion)).body.openapi_schema)
        latest = (await self.http.get(f"/v1/models/{name}", answer=ModelDocument)).body.latest_version
        return published_family(latest.openapi_schema if latest else {})

    def _family_of(self, model: str) -> ModelFamily:
        """By the operator's own word, else by the file of facts, else by the published schema, else unread."""
        description = self._descriptions.get(model)
        known = known_family(model) or self._published.find(model)
        unread = replace(DESCRIBED, unread=True)
        return apply_description(known or (DESCRIBED if description else unread), description)

    def _refusal_error(self, answer: UpstreamAnswer[ReplicatePrediction]) -> UpstreamError:
        text = self.http.clean_text(answer.body.detail)
        if answer.status in MODERATING:
            return UpstreamModerated(f"upstream answered {answer.status}: {text}")
        return submit_refused(answer.status, answer.headers, ErrorDetail(text))

    def _failed_answer(self, prediction: ReplicatePrediction) -> Failed:
        message = prediction.error if isinstance(prediction.error, str) else ""
        message = self.http.clean_text(message or "Replicate gave no reason.")
        moderated = mentions_moderation(message) or "(E005)" in message
        return Failed.upstream_error(message, moderated=moderated)


def _is_moderated(answer: ReplicatePrediction) -> bool:
    """Replicate refuses a prompt with a sentence, beside which stands no code of its own."""
    return mentions_moderation(answer.detail)


def _prediction_path(prediction: str) -> str:
    return f"/v1/predictions/{quote(prediction, safe='')}"
