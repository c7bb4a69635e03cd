"""Any server with OpenAI's ``/v1/videos``, ``/v1/images`` and chat: gateways and self-hosted engines."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote, urlsplit

from app.errors import InvalidRequest
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    ANTHROPIC_PATHS,
    EARLIER,
    Account,
    AccountCheck,
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
from app.providers.inline_files import decode_chunks
from app.providers.openai_compatible.answers import (
    ModelNames,
    VideoAnswer,
    origin_of,
    poll_answer,
    refusal_of,
    result_file,
)
from app.providers.openai_compatible.bills import stated_bill, with_bill
from app.providers.openai_compatible.downloads import download_first
from app.providers.openai_compatible.images import ImagesAnswer, image_file
from app.providers.openai_compatible.options import OpenAICompatibleOptions
from app.providers.openai_compatible.recognition import engine_words, recognise_engine
from app.providers.openai_compatible.videos import ROLES, outgoing_request

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
        self.remaking = self.options.remaking()

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

    @property
    def _secrets(self) -> list[str]:
        return [self.account.secret] if self.account.secret else []

    def capabilities(self, model: str) -> Capabilities:
        declared = self.options.capabilities
        return Capabilities(
            kinds=self.account.kinds or ALL_KINDS,
            roles=ROLES[self.options.engine],
            seconds=declared.seconds,
            sizes=declared.sizes,
            max_pixels=declared.max_pixels,
            remix=declared.remix and not self.options.engine,
            cancel=declared.cancel,
            idempotency_key=self.options.idempotency,
        )

    def check(self, request: GenerationRequest) -> None:
        outgoing_request(request, self.options, EARLIER)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "image":
            return await self._start_image(request, submission)
        answer = await self._post_request(request, submission, reads=VideoAnswer)
        video = answer.body
        if video.id.strip(".") and len(video.id) <= 512:
            return Operation(id=video.id, data=stated_bill(answer.headers))
        raise refusal_of(video.error, self._secrets)

    async def poll(self, operation: Operation) -> PollAnswer:
        images = operation.data.get("images")
        if images is not None:
            files = tuple(image_file(image, index) for index, image in enumerate(images))
            return Succeeded(files, usage=operation.data.get("usage", {}))
        path = f"/videos/{quote(operation.id, safe='')}"
        # vLLM-Omni answers the poll of a failed job with an HTTP error status and the video object:
        # https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api/
        answer = await self.http.get(path, answer=VideoAnswer, even_if=lambda video: video.has_failed)

        def find_file() -> ResultFile:
            return result_file(
                answer.body,
                base_url=self.http.base_url,
                result_path=self.options.result_path,
                content_path=f"{path}/content",
            )

        said = poll_answer(
            answer.body, answer.headers, provider=self.name, secrets=self._secrets, find_file=find_file
        )
        return with_bill(said, operation.data)

    async def cancel(self, operation: Operation) -> bool:
        if "images" in operation.data or not self.options.capabilities.cancel:
            return False
        return await self.http.delete(f"/videos/{quote(operation.id, safe='')}")

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if not self.options.idempotency:
            return await super().recover(request, submission)
        return await self.start_again(request, submission)

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        if "index" in file.data:
            encoded = operation.data["images"][file.data["index"]]["b64_json"]
            for chunk in decode_chunks(encoded):
                yield chunk
            return
        origin = self._origin_client()
        async for chunk in download_first(origin, file.data["places"], self.auth_headers(self.account)):
            yield chunk

    def _origin_client(self) -> UpstreamClient:
        """For what lies beside the API on the same origin; each request says whether the key goes along."""
        return self.http.client_for(origin_of(self.http.base_url))

    async def check_account(self) -> AccountCheck:
        check = await super().check_account()
        if check.verdict == "silent":
            return check
        found = await recognise_engine(self._origin_client(), self.auth_headers(self.account))
        return replace(check, text=check.text + engine_words(found, self.options.engine))

    async def listed_models(self) -> frozenset[str]:
        names = (await self.http.get("/models", answer=ModelNames)).body.data
        return frozenset(model.id.removeprefix("models/") for model in names)

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
            raise refusal_of(answer.body.error, self._secrets)
        # The image exists only in this answer, so it is stored in the operation: a crash must not lose it.
        data = {"images": images, "usage": stated_bill(answer.headers) | answer.body.usage}
        return Operation(id=f"image_{submission.idempotency_key}", data=data)

    async def _post_request(
        self,
        request: GenerationRequest,
        submission: Submission,
        *,
        reads: type[Body],
        timeout: float | None = None,
    ) -> UpstreamAnswer[Body]:
        sent = outgoing_request(request, self.options, submission.remix_operation)
        headers = {"Idempotency-Key": submission.idempotency_key}
        if not sent.is_form:
            return await self.http.post_json(
                sent.path, sent.fields, answer=reads, headers=headers, timeout=timeout
            )
        return await self.http.post_form(
            sent.path, sent.form_fields(), files=sent.files, answer=reads, headers=headers, timeout=timeout
        )
