"""fal's queue (``queue.fal.run``): any model it hosts, videos, images and sound."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from app.errors import InvalidRequest, OutcomeUnknown, UnsupportedWish
from app.generation import GenerationRequest, MediaKind
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
from app.providers.fal.answers import STATES, ModelResult, QueueStatus, SubmitAnswer, failed_answer, files_of
from app.providers.fal.models import (
    DESCRIBED,
    MODEL,
    SCHEMA_PATH,
    EndpointDocument,
    FalFamily,
    endpoint_of,
    is_unknown,
    known_family,
    published_family,
)
from app.providers.hosted_models import (
    apply_description,
    model_input,
    read_descriptions,
    refuse_unpublished,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import missing_file, poll_refused
from app.providers.learned import LearnedFacts
from app.providers.reading import read_state

HOST = "https://queue.fal.run"
SCHEMA_HOST = "https://fal.ai"
PATH = re.compile(r"(/(?!\.)[\w.-]+)+", re.ASCII)
TEMPORARY_STATUSES = {408, 425, 429, 502, 503}
"""Answers to the request for a result that are not about the work itself."""


class FalProvider(Provider):
    """A model is the name of fal's endpoint, or a family's bare name, for which the inputs choose the endpoint.

    ``account.options``: ``priority`` (``normal``, ``low``), ``start_timeout`` (seconds a request may wait to
    begin), ``models`` (what an operator knows of models), ``schema_url`` (where fal's schemas are read). A model that
    the file of facts lacks is sent a prompt only, until its schema was read: before its first submission, and when the
    account that names it is tested.
    """

    name = "fal"
    title = "fal"
    docs_url = "https://fal.ai/docs/api-reference/inference-api"
    verified = "verified against fal-client 1.0.3"
    auth_scheme = "Key"
    sample_models = ("bytedance/seedance-2.0", "fal-ai/kling-video/v3/pro", "fal-ai/veo3.1")
    poll_interval = PollInterval(first=2.0, factor=1.3, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._descriptions = read_descriptions(account)
        self._headers = _queue_headers(account.options)
        own = http.base_url if account.base_url else SCHEMA_HOST
        self._site = http.client_for(str(account.options.get("schema_url", own)))
        self._published = LearnedFacts(self._ask_schema, provider=self.name)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST)

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"Authorization": f"Key {account.secret}"} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        family = self._family_of(model)
        kinds = family.kinds if len(family.kinds) == 1 else self.account.kinds & family.kinds or family.kinds
        return family.capabilities(kinds=frozenset(kinds))

    def check(self, request: GenerationRequest) -> None:
        self._endpoint_and_input(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        await self._published.learn(self._endpoint_of(request))
        endpoint, fields = self._endpoint_and_input(request)
        answer = await self.http.post_json(
            f"/{endpoint}",
            fields,
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

    def ask_about(self, model: str) -> None:
        if is_unknown(model):
            self._published.learn_soon(model)

    async def check_account(self) -> AccountCheck:
        mapped = set(self.account.models.values())
        await self._published.learn_all(model for model in mapped if is_unknown(model))
        return await super().check_account()

    async def published(self, model: str) -> Capabilities:
        plain = GenerationRequest(kind="video", model=model)
        return (await self._ask_schema(self._endpoint_of(plain))).capabilities()

    async def close(self) -> None:
        await self._published.close()

    async def _ask_schema(self, endpoint: str) -> FalFamily:
        answer = await self._site.get(SCHEMA_PATH, answer=EndpointDocument, params={"endpoint_id": endpoint})
        return published_family(answer.body.root, endpoint)

    def _endpoint_of(self, request: GenerationRequest) -> str:
        if not MODEL.fullmatch(request.model):
            raise UnsupportedWish("a model of fal is named like owner/app/endpoint", param="model")
        return endpoint_of(request, self._family_of(request.model))

    def _endpoint_and_input(self, request: GenerationRequest) -> tuple[str, dict[str, Any]]:
        endpoint, family = self._endpoint_of(request), self._family_of(request.model)
        if family.both_fields and len(request.media_with("first_frame", "last_frame")) > 1:
            family = replace(family, fields=family.both_fields)
        refuse_unpublished(request, self._published.find(endpoint))
        return endpoint, model_input(request, family)

    def _family_of(self, model: str) -> FalFamily:
        """By the operator's own word, else by the file of facts, else by the schema that fal publishes, else unread."""
        description = self._descriptions.get(model)
        known = known_family(model) or self._published.find(model)
        unread = replace(DESCRIBED, unread=True)
        return apply_description(known or (DESCRIBED if description else unread), description)


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
