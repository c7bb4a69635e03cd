"""Veo on Google Cloud (Vertex AI, now Gemini Enterprise Agent Platform); the secret is a service account's JSON."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamUnreachable,
)
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    ResultFile,
    Submission,
    base_url_or,
    read_options,
)
from app.providers.google_token import (
    AccessTokens,
    read_service_account,
    sample_service_account,
    token_address,
)
from app.providers.http import Purpose, UpstreamClient
from app.providers.http_messages import UpstreamAnswer
from app.providers.vertex_veo.messages import (
    VeoOperation,
    decode_base64,
    facts_of,
    poll_answer,
    request_body,
    usage_facts,
)
from app.providers.vertex_veo.options import VertexVeoOptions, default_address

OPERATION_NAME = re.compile(
    r"projects/[^/?#]+/locations/[^/?#]+/publishers/google/models/[^/?#]+/operations/[^/?#]+"
)
POLL_TIMEOUT_FACTOR = 4
"""The poll timeout is multiplied by this: a finished operation contains the whole video in its JSON."""
JSON_LIMIT = 256 * 1024 * 1024
CHUNK_CHARACTERS = 64 * 1024
UNAUTHORIZED = 401
MOST_PIXELS: Mapping[int, int] = {1080: 1920 * 1080, 2160: 3840 * 2160}
"""Of a picture in 16:9, by its lines."""


class VertexVeoProvider(Provider):
    """Long-running predictions, polled by POST. Access tokens are fetched with the service account's private key."""

    name = "vertex_veo"
    title = "Veo on Vertex AI"
    docs_url = "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation"
    media_schemes = frozenset({"gs"})
    sample_models = ("veo-3.1-lite-generate-001", "veo-3.1-generate-001")
    secret_hint = "the JSON of a service account"  # noqa: S105 - not a secret
    verified = "verified against google-genai 3.4.0"
    auth_scheme = "OAuth2 token from a service account"
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        options, identity = read_options(account, VertexVeoOptions), read_service_account(account.secret)
        project = options.project or identity.project_id
        if not project:
            raise InvalidRequest(
                "options.project is required: the secret contains no project_id", param="options"
            )
        self._models = (
            f"/v1/projects/{quote(project, safe=':')}/locations/{options.location}/publishers/google/models"
        )
        self._storage_uri = options.storage_uri
        self._tokens = AccessTokens(identity, token_address(identity, options.token_url), http=http)
        self._storage = http.client_for(options.storage_url)
        http.json_limit = JSON_LIMIT

    @classmethod
    def sample_secret(cls) -> str:
        return sample_service_account()

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, default_address(read_options(account, VertexVeoOptions).location))

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        payer = read_options(account, VertexVeoOptions).user_project
        return {"x-goog-user-project": payer} if payer else {}

    def capabilities(self, model: str) -> Capabilities:
        facts = facts_of(model)
        pixels = {"max_pixels": MOST_PIXELS[max(facts.tiers.values())]} if facts.tiers else {}
        return facts.capabilities(**pixels)

    def check(self, request: GenerationRequest) -> None:
        request_body(request, storage_uri=self._storage_uri)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, storage_uri=self._storage_uri)
        path = f"{self._models}/{quote(request.model, safe='')}:predictLongRunning"
        answer, headers = await self._post(path, body)
        if answer.body.error is not None:
            message = self.http.clean_text(answer.body.error.error_text, headers)
            raise answer.body.submit_error(message, status=answer.status, headers=answer.headers)
        if not OPERATION_NAME.fullmatch(answer.body.name):
            raise OutcomeUnknown("Vertex accepted the request without an operation name")
        data = {"name": answer.body.name, "facts": usage_facts(body)}
        return Operation(id=answer.body.name.rsplit("/", 1)[-1], data=data)

    async def poll(self, operation: Operation) -> PollAnswer:
        current = await self._read_operation(operation)
        message = self.http.clean_text(current.error.error_text) if current.error else ""
        return poll_answer(current, operation.data["facts"], message=message)

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        if "bucket" in file.data:
            bucket, name = (quote(file.data[part], safe="") for part in ("bucket", "object"))
            path, headers = f"/storage/v1/b/{bucket}/o/{name}", await self._token_headers_for_poll()
            async with self._storage.open_download(
                path, params={"alt": "media"}, headers=headers
            ) as download:
                async for chunk in download.chunks:
                    yield chunk
            return
        result = (await self._read_operation(operation)).response
        if result is None or len(result.videos) <= file.data["index"]:
            raise PollFailed("Vertex no longer returns the video")
        encoded = result.videos[file.data["index"]].bytesBase64Encoded
        for start in range(0, len(encoded), CHUNK_CHARACTERS):
            yield decode_base64(encoded[start : start + CHUNK_CHARACTERS])

    async def _read_operation(self, operation: Operation) -> VeoOperation:
        name = operation.data["name"]
        path = f"/v1/{name.rpartition('/operations/')[0]}:fetchPredictOperation"
        timeout = POLL_TIMEOUT_FACTOR * self.http.timeouts.poll
        try:
            answer, headers = await self._post(path, {"operationName": name}, purpose="poll", timeout=timeout)
        except UpstreamUnreachable as error:
            raise PollFailed(error.message, retry_after=error.retry_after) from error
        if answer.status >= 400 and answer.body.error is not None:
            message = self.http.clean_text(answer.body.error.error_text, headers)
            raise answer.body.poll_error(message, status=answer.status, headers=answer.headers)
        return answer.body

    async def _post(
        self, path: str, body: Mapping[str, Any], *, purpose: Purpose = "submit", timeout: float | None = None
    ) -> tuple[UpstreamAnswer[VeoOperation], Mapping[str, str]]:
        """The answer, which may be an error, and the headers of the token. A token may be revoked before it expires, so
        what is refused with 401 is sent once more with a new one: Google did nothing of it."""

        async def send() -> tuple[UpstreamAnswer[VeoOperation], Mapping[str, str]]:
            headers = await self._token_headers()
            try:
                answer = await self.http.post_json(
                    path,
                    body,
                    answer=VeoOperation,
                    headers=headers,
                    purpose=purpose,
                    timeout=timeout,
                    even_if=lambda body: body.has_meaning,
                )
            except UpstreamAuthFailed:
                self._tokens.forget_token()
                raise
            if answer.status == UNAUTHORIZED:
                self._tokens.forget_token()
            return answer, headers

        answer, headers = await send()
        return await send() if answer.status == UNAUTHORIZED else (answer, headers)

    async def _token_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._tokens.current_token()}"}

    async def _token_headers_for_poll(self) -> dict[str, str]:
        try:
            return await self._token_headers()
        except UpstreamUnreachable as error:
            raise PollFailed(error.message, retry_after=error.retry_after) from error
