"""Replicate (``api.replicate.com``): predictions of any model, by name, by version or by deployment."""

import re
from typing import Any
from urllib.parse import quote

from app.errors import InvalidRequest, OutcomeUnknown, UpstreamRejected
from app.generation import GenerationRequest, MediaKind
from app.providers.base import (
    Account,
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
from app.providers.hosted_models import ModelFamily, apply_description, model_input, read_descriptions
from app.providers.http import UpstreamClient
from app.providers.reading import mentions_moderation, read_state
from app.providers.replicate.answers import STATES, ReplicatePrediction, succeeded_answer
from app.providers.replicate.models import ANY, known_family

HOST = "https://api.replicate.com"
ALL_KINDS: frozenset[MediaKind] = frozenset({"video", "image", "audio"})
MODEL_NAME = re.compile(r"(?:(deployments)/)?([\w.-]+)/([\w.-]+?)(?::(\w+))?", re.ASCII)
CANCEL_AFTER = re.compile(r"(?=.)(\d+h)?(\d+m)?(\d+s)?", re.ASCII)


class ReplicateProvider(Provider):
    """A model is ``owner/name``, ``owner/name:version`` or ``deployments/owner/name``.

    ``account.options``: ``cancel_after`` (``5m``, ``1h30m``: Replicate cancels the prediction after that time,
    https://replicate.com/changelog/2025-10-16-prediction-deadlines), ``models`` (the fields of models that the
    table here lacks).
    """

    name = "replicate"
    title = "Replicate"
    docs_url = "https://replicate.com/docs/topics/predictions/lifecycle"
    sample_models = ("bytedance/seedance-2.0", "wan-video/wan-2.7")
    reports_progress = True
    verified = "verified against replicate 1.0.7"
    poll_interval = PollInterval(first=2.0, factor=1.3, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._descriptions = read_descriptions(account)
        deadline = account.options.get("cancel_after")
        if deadline is not None and not CANCEL_AFTER.fullmatch(str(deadline)):
            raise InvalidRequest("cancel_after must be like 5m or 1h30m", param="options.cancel_after")
        self._headers = {"Cancel-After": str(deadline)} if deadline else {}

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    def capabilities(self, model: str) -> Capabilities:
        known = known_family(model.removeprefix("deployments/"))
        kinds = known.kinds if known else self.account.kinds & ALL_KINDS or ALL_KINDS
        family = apply_description(known or ANY["video"], self._descriptions.get(model))
        return Capabilities(
            kinds=frozenset(kinds),
            roles=family.roles,
            seconds=family.seconds,
            native_shots=bool(family.shots),
            cancel=True,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, version = _submit_path(request.model)
        body: dict[str, Any] = {"input": self._model_input(request)} | (
            {"version": version} if version else {}
        )
        answer = await self.http.post_json(path, body, answer=ReplicatePrediction, headers=self._headers)
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
        return STATES.get(answer.body.status) not in {"succeeded", "failed"}

    def _model_input(self, request: GenerationRequest) -> dict[str, Any]:
        fields = model_input(request, self._family_of(request))
        if fields.get("reference_video") and "kling" in request.model:
            # The same field holds a source and a reference video; this tells which of them it is.
            fields["video_reference_type"] = "base" if request.media_with("source_video") else "feature"
        return fields

    def _family_of(self, request: GenerationRequest) -> ModelFamily:
        family = known_family(request.model.removeprefix("deployments/")) or ANY.get(request.kind)
        if family is None:
            raise UpstreamRejected(f"Replicate makes no {request.kind}", param="model")
        return apply_description(family, self._descriptions.get(request.model))

    def _failed_answer(self, prediction: ReplicatePrediction) -> Failed:
        message = prediction.error if isinstance(prediction.error, str) else ""
        message = self.http.clean_text(message or "Replicate gave no reason.")
        moderated = mentions_moderation(message) or "(E005)" in message
        return Failed.upstream_error(message, moderated=moderated)


def _submit_path(model: str) -> tuple[str, str | None]:
    """The path to submit to, and the version that the body has to contain, if any."""
    match = MODEL_NAME.fullmatch(model)
    if match is None:
        raise UpstreamRejected("a Replicate model must be like owner/name", param="model")
    deployment, owner, name, version = match.groups()
    if version:
        return "/v1/predictions", version
    return f"/v1/{deployment or 'models'}/{owner}/{name}/predictions", None


def _prediction_path(prediction: str) -> str:
    return f"/v1/predictions/{quote(prediction, safe='')}"
