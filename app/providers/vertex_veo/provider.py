"""Veo on Google Cloud (Vertex AI, now Gemini Enterprise Agent Platform); the secret is a service account's JSON."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

from pydantic import BaseModel

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
from app.providers.http import UpstreamClient
from app.providers.vertex_veo.messages import (
    VeoOperation,
    capabilities_of,
    decode_base64,
    poll_answer,
    request_body,
    usage_facts,
)

OPERATION_NAME = re.compile(
    r"projects/[^/?#]+/locations/[^/?#]+/publishers/google/models/[^/?#]+/operations/[^/?#]+"
)
POLL_TIMEOUT_FACTOR = 4
"""The poll timeout is multiplied by this: a finished operation contains the whole video in its JSON."""
JSON_LIMIT = 256 * 1024 * 1024
CHUNK_CHARACTERS = 64 * 1024


class VertexVeoOptions(BaseModel):
    """``account.options``, all optional."""

    project: str = ""
    """Default: the project of the service account."""
    location: str = "us-central1"
    storage_uri: str | None = None
    """``gs://bucket/folder``: Veo writes videos there instead of into its answers."""
    user_project: str | None = None
    """The project to bill instead of ``project``."""
    token_url: str | None = None
    storage_url: str = "https://storage.googleapis.com"


class VertexVeoProvider(Provider):
    """Long-running predictions, polled by POST. Access tokens are fetched with the service account's private key."""

    name = "vertex_veo"
    title = "Veo on Vertex AI"
    docs_url = "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation"
    sample_models = ("veo-3.1-generate-001",)
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
        location = read_options(account, VertexVeoOptions).location
        if not re.fullmatch(r"[a-z0-9-]+", location):
            raise InvalidRequest("location must be like us-central1 or global", param="options.location")
        host = f"{location}-aiplatform.googleapis.com"
        if location == "global":
            host = "aiplatform.googleapis.com"
        elif location in {"us", "eu"}:
            host = f"aiplatform.{location}.rep.googleapis.com"
        return base_url_or(account, f"https://{host}")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        payer = read_options(account, VertexVeoOptions).user_project
        return {"x-goog-user-project": payer} if payer else {}

    def capabilities(self, model: str) -> Capabilities:
        return capabilities_of(model)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, storage_uri=self._storage_uri)
        path = f"{self._models}/{quote(request.model, safe='')}:predictLongRunning"
        headers = await self._token_headers()
        with self._forgetting_refused_token():
            answer = await self.http.post_json(
                path, body, answer=VeoOperation, headers=headers, even_if=lambda body: body.has_meaning
            )
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

    async def close(self) -> None:
        await self._tokens.aclose()
        await self._storage.aclose()
        await super().close()

    async def _read_operation(self, operation: Operation) -> VeoOperation:
        name, headers = operation.data["name"], await self._token_headers_for_poll()
        with self._forgetting_refused_token():
            answer = await self.http.post_json(
                f"/v1/{name.rpartition('/operations/')[0]}:fetchPredictOperation",
                {"operationName": name},
                answer=VeoOperation,
                headers=headers,
                purpose="poll",
                timeout=POLL_TIMEOUT_FACTOR * self.http.timeouts.poll,
                even_if=lambda body: body.has_meaning,
            )
            if answer.status >= 400 and answer.body.error is not None:
                message = self.http.clean_text(answer.body.error.error_text, headers)
                raise answer.body.poll_error(message, status=answer.status, headers=answer.headers)
        return answer.body

    @contextmanager
    def _forgetting_refused_token(self) -> Iterator[None]:
        """Drop the access token when it is refused: a token may be revoked before it expires."""
        try:
            yield
        except UpstreamAuthFailed:
            self._tokens.forget_token()
            raise

    async def _token_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._tokens.current_token()}"}

    async def _token_headers_for_poll(self) -> dict[str, str]:
        try:
            return await self._token_headers()
        except UpstreamUnreachable as error:
            raise PollFailed(error.message, retry_after=error.retry_after) from error
