"""fal's queue (``queue.fal.run``): any model it hosts, videos, images and sound."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

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
from app.providers.fal.answers import STATES, ModelResult, QueueStatus, SubmitAnswer, failed_answer, files_of
from app.providers.fal.models import ANY, FalFamily, endpoint_of, known_family, names_an_endpoint
from app.providers.hosted_models import apply_description, model_input, read_descriptions
from app.providers.http import UpstreamClient
from app.providers.http_errors import missing_file, poll_refused
from app.providers.reading import read_state

HOST = "https://queue.fal.run"
MODEL = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)+", re.ASCII)
ALL_KINDS: frozenset[MediaKind] = frozenset({"video", "image", "audio"})
PATH = re.compile(r"(/(?!\.)[\w.-]+)+", re.ASCII)
TEMPORARY_STATUSES = {408, 425, 429, 502, 503}
"""Answers to the request for a result that are not about the work itself."""


class FalProvider(Provider):
    """A model is the name of fal's endpoint, or a family's bare name, for which the inputs choose the endpoint.

    ``account.options``: ``priority`` (``normal``, ``low``), ``start_timeout`` (seconds a request may wait to
    begin), ``models`` (the fields of models that ``models.py`` lacks).
    """

    name = "fal"
    title = "fal"
    docs_url = "https://fal.ai/docs/api-reference/inference-api"
    verified = "verified against fal-client 1.0.3"
    auth_scheme = "Key"
    sample_models = ("bytedance/seedance-2.0",)
    poll_interval = PollInterval(first=2.0, factor=1.3, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._descriptions = read_descriptions(account)
        self._headers = _queue_headers(account.options)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST)

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"Authorization": f"Key {account.secret}"} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        known, description = known_family(model), self._descriptions.get(model)
        kinds = known.kinds if known else self.account.kinds & ALL_KINDS or ALL_KINDS
        family = apply_description(known or ANY["video"], description)
        roles = family.roles
        if known and not description and names_an_endpoint(model):
            roles = frozenset() if "text-to-" in model else roles
        return Capabilities(
            kinds=frozenset(kinds),
            roles=roles,
            seconds=family.seconds,
            native_shots=bool(family.shots),
            cancel=True,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        family = self._family_of(request)
        if not MODEL.fullmatch(request.model):
            raise UpstreamRejected("a model of fal is named like owner/app/endpoint", param="model")
        endpoint = endpoint_of(request, family)
        answer = await self.http.post_json(
            f"/{endpoint}",
            model_input(request, family),
            answer=SubmitAnswer,
            headers=self._headers,
            even_if=lambda answer: answer.is_error,
        )
        accepted = answer.body
        if answer.status >= 400 or not accepted.request_id:
            raise accepted.submit_error(answer.status, answer.headers, self.http.clean_text)
        # The paths of status and result drop the endpoint's sub-path, so the answer's own is kept.
        path = urlsplit(accepted.response_url).path
        if not path.endswith(f"/requests/{accepted.request_id}") or not PATH.fullmatch(path):
            raise OutcomeUnknown("fal accepted the request without saying where its result will be")
        return Operation(id=accepted.request_id, data={"path": path, "kind": request.kind})

    async def poll(self, operation: Operation) -> PollAnswer:
        path = operation.data["path"]
        status = (await self.http.get(f"{path}/status", answer=QueueStatus)).body
        state = read_state(status.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return await self._read_result(path, status, kind=operation.data["kind"])
        return Running()

    async def cancel(self, operation: Operation) -> bool:
        return await self.http.put(f"{operation.data['path']}/cancel")

    async def _read_result(self, path: str, status: QueueStatus, *, kind: MediaKind) -> PollAnswer:
        if status.error or status.error_type:
            return failed_answer(status.error_type, self.http.clean_text(status.error or status.error_type))
        answer = await self.http.get(path, answer=ModelResult, even_if=lambda answer: answer.is_error)
        result = answer.body
        if answer.status >= 400:
            error = result.first_error(self.http.clean_text)
            if answer.status in {401, 403, 404} or (
                answer.status in TEMPORARY_STATUSES and not result.error_type
            ):
                raise poll_refused(answer.status, answer.headers, error)
            return failed_answer(error.code, error.message)
        if result.is_censored:
            return Failed("content_policy_violation", "the model's filter blacked the picture out")
        done = files_of(result, kind=kind, inference=status.metrics.get("inference_time"))
        if done is None:
            raise missing_file("fal", "result")
        units = answer.headers.get("x-fal-billable-units")
        return replace(done, usage={**done.usage, "billable_units": units}) if units else done

    def _family_of(self, request: GenerationRequest) -> FalFamily:
        family = known_family(request.model) or ANY.get(request.kind)
        if family is None:
            raise UpstreamRejected(f"fal makes no {request.kind}", param="model")
        if family.both_fields and len(request.media_with("first_frame", "last_frame")) > 1:
            family = replace(family, fields=family.both_fields)
        return apply_description(family, self._descriptions.get(request.model))


def _queue_headers(options: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    if priority := options.get("priority"):
        if priority not in {"normal", "low"}:
            raise InvalidRequest("priority must be normal or low", param="options.priority")
        headers["X-Fal-Queue-Priority"] = str(priority)
    if timeout := options.get("start_timeout"):
        if not isinstance(timeout, int | float) or timeout <= 1:
            raise InvalidRequest("start_timeout must be more than 1 second", param="options.start_timeout")
        headers["X-Fal-Request-Timeout"] = str(float(timeout))
    return headers
