"""Anthropic's API, for text only: calls are passed on unchanged."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from app.errors import OperationNotFound, UnsupportedWish
from app.generation import GenerationRequest
from app.providers.base import (
    ANTHROPIC_PATHS,
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    Provider,
    RelayTarget,
    Submission,
    base_url_or,
    read_options,
)
from app.providers.http import UpstreamClient

HOST = "https://api.anthropic.com"
DEFAULT_VERSION = "2023-06-01"
"""For clients that send none: it accepts what the newer one accepts, and sampling settings too.
https://platform.claude.com/docs/en/api/versioning"""
COMPATIBLE = {"chat/completions"}
"""Anthropic's own layer for OpenAI's SDK, which takes the key as a Bearer token.
https://platform.claude.com/docs/en/api/openai-sdk"""


class AnthropicOptions(BaseModel):
    """``account.options``, all optional."""

    version: Literal["2023-06-01", "2026-10-21"] | None = None
    """The ``anthropic-version`` of every call. Default: the client's own, as the versions accept different fields and
    every SDK sends the version that it was made for."""


class AnthropicProvider(Provider):
    name = "anthropic"
    title = "Anthropic"
    docs_url = "https://platform.claude.com/docs/en/api/overview"
    verified = "verified against anthropic 2.11.0"
    auth_scheme = "x-api-key"

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        version = read_options(account, AnthropicOptions).version
        self._pinned = {"anthropic-version": version} if version else {}

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"x-api-key": account.secret} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(kinds=frozenset({"text"}))

    def check(self, request: GenerationRequest) -> None:
        raise UnsupportedWish(f"{request.model} makes text, no {request.kind}", param="model")

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        raise UnsupportedWish(f"{request.model} makes text, no {request.kind}", param="model")

    async def poll(self, operation: Operation) -> PollAnswer:
        raise OperationNotFound("Anthropic has no tasks")

    def relay_target(self, path: str) -> RelayTarget | None:
        path = path.strip("/")
        if path in ANTHROPIC_PATHS:
            return RelayTarget(
                self.http.absolute_url(f"/v1/{path}"),
                {**self.auth_headers(self.account), **self._pinned},
                defaults={"anthropic-version": DEFAULT_VERSION},
            )
        if path in COMPATIBLE:
            return RelayTarget(self.http.absolute_url(f"/v1/{path}"), super().auth_headers(self.account))
        return None
