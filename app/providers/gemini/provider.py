"""Gemini Omni's videos through the Interactions API, and Gemini's text through its OpenAI-compatible address."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from app.errors import InvalidRequest, OperationNotFound, PollFailed
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    ANTHROPIC_PATHS,
    EARLIER,
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    RelayTarget,
    ResultFile,
    Submission,
    base_url_or,
)
from app.providers.gemini.answers import HOST, GeminiInteraction, poll_answer
from app.providers.gemini.requests import capabilities_of, request_body
from app.providers.http_errors import unnamed_task

VERSION = "v1beta"
REVISION = "2026-05-20"
"""Of the Interactions API, the first with ``steps``."""
PIECE = 64 * 1024
"""Characters of base64 that are decoded at once, a multiple of four."""
KINDS: frozenset[Kind] = frozenset({"video", "text"})
NOT_CANCELLABLE = {400, 404, 409}


class GeminiProvider(Provider):
    """``base_url`` with or without ``/v1beta``; the secret is an API key of the Gemini Developer API.

    ``account.options["version"]`` may name another version of the API, like ``v1``.
    """

    name = "gemini"
    title = "Gemini API"
    docs_url = "https://ai.google.dev/gemini-api/docs/interactions"
    verified = "verified against google-genai 3.4.0"
    auth_scheme = "x-goog-api-key"
    sample_models = ("gemini-omni-1.2-flash",)
    poll_interval = PollInterval(first=4.0, factor=1.2, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        version = _api_version(account)
        if not re.fullmatch(r"v\d+\w*", version, re.ASCII):
            raise InvalidRequest("options.version must be like v1beta", param="options.version")
        # The addresses of results are not below /v1beta, so the version is part of each path instead.
        return base_url_or(account, f"https://{HOST}").removesuffix(f"/{version}")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"x-goog-api-key": account.secret}

    def capabilities(self, model: str) -> Capabilities:
        if not model:
            return Capabilities(kinds=self.account.kinds or KINDS)
        if "omni" not in model:
            return Capabilities(kinds=frozenset({"text"}))
        return capabilities_of(model)

    def check(self, request: GenerationRequest) -> None:
        request_body(request, EARLIER)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, submission.remix_operation)
        answer = await self.http.post_json(
            f"/{_api_version(self.account)}/interactions",
            body,
            answer=GeminiInteraction,
            headers={"Api-Revision": REVISION},
            even_if=lambda interaction: interaction.has_meaning,
        )
        interaction = answer.body
        if interaction.error is not None and (answer.status >= 400 or not interaction.id):
            text = self.http.clean_text(interaction.error.error_text)
            raise interaction.submit_error(text, status=answer.status, headers=answer.headers)
        if not interaction.id.strip("."):
            raise unnamed_task("Gemini")
        return Operation(id=interaction.id)

    async def poll(self, operation: Operation) -> PollAnswer:
        interaction = await self._read_interaction(operation)
        text = "; ".join(self.http.clean_text(error.error_text) for error in interaction.all_errors())
        return poll_answer(interaction, origin=self.http.base_url, text=text)

    async def cancel(self, operation: Operation) -> bool:
        """False for an interaction that has ended: Google refuses that with an error."""
        try:
            answer = await self.http.post_json(
                f"{self._interaction_path(operation)}/cancel",
                {},
                answer=GeminiInteraction,
                headers={"Api-Revision": REVISION},
                purpose="poll",
                even_if=lambda interaction: interaction.error is not None,
            )
        except OperationNotFound:
            return False
        if answer.status < 400:
            return True
        if answer.status in NOT_CANCELLABLE and not answer.body.has_meaning:
            return False
        text = self.http.clean_text(answer.body.error.error_text if answer.body.error else "")
        raise answer.body.poll_error(text, status=answer.status, headers=answer.headers)

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        if "path" in file.data:
            async for chunk in self.download(file.data["path"], what="a video", params=file.data["query"]):
                yield chunk
            return
        videos = (await self._read_interaction(operation)).output_blocks("video")
        if len(videos) <= file.data["index"]:
            raise PollFailed("Gemini no longer shows the video")
        encoded = videos[file.data["index"]].data
        for start in range(0, len(encoded), PIECE):
            yield _decode_base64(encoded[start : start + PIECE])

    def relay_target(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in ANTHROPIC_PATHS:
            return None
        url = self.http.absolute_url(f"/{VERSION}/openai/{path}")
        return RelayTarget(url, {"Authorization": f"Bearer {self.account.secret}"})

    async def _read_interaction(self, operation: Operation) -> GeminiInteraction:
        answer = await self.http.get(
            self._interaction_path(operation),
            answer=GeminiInteraction,
            headers={"Api-Revision": REVISION},
            even_if=lambda interaction: interaction.has_meaning,
        )
        if answer.status >= 400 and answer.body.error is not None:
            text = self.http.clean_text(answer.body.error.error_text)
            raise answer.body.poll_error(text, status=answer.status, headers=answer.headers)
        return answer.body

    def _interaction_path(self, operation: Operation) -> str:
        return f"/{_api_version(self.account)}/interactions/{quote(operation.id, safe='')}"


def _api_version(account: Account) -> str:
    return str(account.options.get("version", VERSION))


def _decode_base64(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PollFailed("Gemini gave a video that can't be decoded") from error
