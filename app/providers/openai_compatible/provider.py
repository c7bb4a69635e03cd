"""Any server with OpenAI's ``/v1/videos``, ``/v1/images`` and chat: gateways and self-hosted engines."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamRejected,
)
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    ANTHROPIC_PATHS,
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    Provider,
    RelayTarget,
    ResultFile,
    Submission,
    Succeeded,
    read_options,
)
from app.providers.http import UpstreamClient
from app.providers.http_messages import Body, UpstreamAnswer
from app.providers.openai_compatible.images import ImagesAnswer, decode_image, image_file
from app.providers.openai_compatible.options import OpenAICompatibleOptions
from app.providers.openai_compatible.videos import (
    ROLES,
    VideoAnswer,
    check_inputs,
    form_files,
    poll_answer,
    submit_fields,
    submit_target,
)
from app.providers.reading import clean_text, read_error

ALL_KINDS: frozenset[Kind] = frozenset({"video", "image", "text"})
OPENAI_HOST = "https://api.openai.com"


class OpenAICompatibleProvider(Provider):
    """``base_url`` with or without ``/v1``; the secret is sent as a Bearer token, if there is one."""

    name = "openai_compatible"
    title = "OpenAI-compatible server"
    docs_url = "https://platform.openai.com/docs/api-reference/videos"
    needs_secret = False
    reports_progress = True

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = read_options(account, OpenAICompatibleOptions)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        parts = urlsplit(account.base_url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidRequest("base_url must be like https://host/v1", param="base_url")
        path = parts.path.rstrip("/")
        # /v1beta/openai and /api/paas/v4 contain a version already; a bare host means /v1.
        if not any(re.fullmatch(r"v\d+\w*", part) for part in path.split("/")):
            path += "/v1"
        return f"{parts.scheme}://{parts.netloc}{path}"

    def capabilities(self, model: str) -> Capabilities:
        declared = self.options.capabilities
        return Capabilities(
            kinds=self.account.kinds or ALL_KINDS,
            roles=ROLES,
            seconds=declared.seconds,
            sizes=declared.sizes,
            max_pixels=declared.max_pixels,
            remix=declared.remix,
            cancel=declared.cancel,
            idempotency_key=self.options.idempotency,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        check_inputs(request, references=self.options.capabilities.references)
        if request.kind == "image":
            return await self._start_image(request, submission)
        answer = await self._post_request(request, submission, reads=VideoAnswer)
        video = answer.body
        if video.id.strip(".") and len(video.id) <= 512:
            return Operation(id=video.id)
        raise self._refusal_error(video.error)

    async def poll(self, operation: Operation) -> PollAnswer:
        images = operation.data.get("images")
        if images is not None:
            files = tuple(image_file(image, index) for index, image in enumerate(images))
            return Succeeded(files, usage=operation.data.get("usage", {}))
        path = f"/videos/{quote(operation.id, safe='')}"
        # vLLM-Omni answers the poll of a failed job with an HTTP error status and the video object:
        # https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api/
        answer = await self.http.get(path, answer=VideoAnswer, even_if=lambda video: video.has_failed)
        link = answer.body.public_link(self.http.base_url)
        data = {} if link else {"path": f"{path}/content"}
        file = ResultFile("video", "video/mp4", url=link, data=data)
        secrets = [self.account.secret] if self.account.secret else []
        return poll_answer(answer.body, answer.headers, provider=self.name, secrets=secrets, file=file)

    async def cancel(self, operation: Operation) -> bool:
        if "images" in operation.data or not self.options.capabilities.cancel:
            return False
        return await self.http.delete(f"/videos/{quote(operation.id, safe='')}")

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if not self.options.idempotency:
            return await super().recover(request, submission)
        try:
            return await self.start(request, submission)
        except UpstreamRejected:
            raise
        except UpstreamError as error:
            # This error is about the repeated request only: the first one may be running.
            raise PollFailed(
                f"repeated with the same key: {error.message}", retry_after=error.retry_after
            ) from error

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        if "index" in file.data:
            encoded = operation.data["images"][file.data["index"]]["b64_json"]
            for chunk in decode_image(encoded):
                yield chunk
            return
        async for chunk in self.download(file.data["path"], what="a video"):
            yield chunk

    def relay_target(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in ANTHROPIC_PATHS and not self.options.messages:
            return None
        # OpenAI's reasoning models refuse ``max_tokens``; few other servers know ``max_completion_tokens``:
        # https://platform.openai.com/docs/api-reference/chat/create
        new = self.account.base_url.startswith(OPENAI_HOST)
        return RelayTarget(
            self.http.absolute_url(f"/{path}"),
            self.auth_headers(self.account),
            limit_name="max_completion_tokens" if new else "max_tokens",
        )

    async def _start_image(self, request: GenerationRequest, submission: Submission) -> Operation:
        answer = await self._post_request(
            request, submission, reads=ImagesAnswer, timeout=self.options.image_seconds
        )
        images = answer.body.image_entries()
        if not images:
            raise self._refusal_error(answer.body.error)
        # The image exists only in this answer, so it is stored in the operation: a crash must not lose it.
        return Operation(
            id=f"image_{submission.idempotency_key}", data={"images": images, "usage": answer.body.usage}
        )

    async def _post_request(
        self,
        request: GenerationRequest,
        submission: Submission,
        *,
        reads: type[Body],
        timeout: float | None = None,
    ) -> UpstreamAnswer[Body]:
        path, earlier_video = submit_target(request, submission.remix_operation)
        body = submit_fields(request, with_model=earlier_video is None) | (earlier_video or {})
        headers = {"Idempotency-Key": submission.idempotency_key}
        parts = form_files(request)
        if not parts:
            return await self.http.post_json(path, body, answer=reads, headers=headers, timeout=timeout)
        form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
        return await self.http.post_form(
            path, form, files=parts, answer=reads, headers=headers, timeout=timeout
        )

    def _refusal_error(self, error: Any) -> UpstreamError:
        """The error for a 2xx without a job: some gateways put their refusal there."""
        detail = read_error({"error": error}) if error else None
        if detail is None:
            return OutcomeUnknown("the upstream accepted the request without an id")
        text = clean_text(detail.message, [self.account.secret] if self.account.secret else [])
        return UpstreamModerated(text) if detail.is_moderated else UpstreamFailed(text)
