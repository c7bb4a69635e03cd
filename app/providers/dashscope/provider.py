"""Alibaba's DashScope (Model Studio): Wan and HappyHorse videos, Wan and Qwen pictures."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from app.errors import OutcomeUnknown
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    ANTHROPIC_PATHS,
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    RelayTarget,
    ResultFile,
    Submission,
    Succeeded,
    base_url_or,
)
from app.providers.dashscope import images, requests
from app.providers.dashscope.answers import DashScopeAnswer, TaskOutput, poll_answer, usage_facts
from app.providers.dashscope.models import ROLES, find_model, video_traits
from app.providers.dashscope.uploads import RESOLVES, upload_input
from app.providers.http_errors import missing_file, poll_error, submit_error, unnamed_task
from app.providers.http_messages import PICTURE_SECONDS

HOST = "https://dashscope.aliyuncs.com"
"""Others: ``https://dashscope-intl.aliyuncs.com``, ``https://<workspace>.<region>.maas.aliyuncs.com``."""
TASKS = "/api/v1/tasks"
TEXT = "/compatible-mode/v1"
ASYNC = {"X-DashScope-Async": "enable"}
"""How long a call may take whose answer holds the picture."""
TOO_LATE = {400, 404, 409}
ALL_KINDS: frozenset[Kind] = frozenset({"video", "image", "text"})
VIDEO_WORDS = ("t2v", "i2v", "r2v", "kf2v", "video", "wan3")


class DashScopeProvider(Provider):
    """``account.options["workspace"]``: the workspace, where ``base_url`` does not name it."""

    name = "dashscope"
    title = "Alibaba DashScope (Model Studio)"
    docs_url = "https://help.aliyun.com/zh/model-studio/text-to-video-api-reference"
    verified = "verified against dashscope 2.0.2"
    media_schemes = frozenset({"oss"})
    sample_models = ("wan3.0-video", "wan2.7-t2v", "qwen-image-3.0")
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/api/v1").removesuffix(TEXT)

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        workspace = account.options.get("workspace")
        named = {"X-DashScope-WorkSpace": str(workspace)} if workspace else {}
        return {**super().auth_headers(account), **named}

    def capabilities(self, model: str) -> Capabilities:
        picture = images.find_picture(model)
        if picture is not None:
            return picture.capabilities(cancel=images.picture_path(picture) != "direct")
        known = find_model(model)
        if known is not None:
            return known.capabilities(native_shots=video_traits(known).shots, cancel=True)
        made: frozenset[Kind] = frozenset({"video"})
        is_video = any(word in model.lower() for word in VIDEO_WORDS)
        return Capabilities(
            kinds=made if is_video else self.account.kinds or ALL_KINDS, roles=ROLES, cancel=True
        )

    def check(self, request: GenerationRequest) -> None:
        if request.kind == "image":
            images.image_body(request)
        else:
            requests.video_body(requests.as_if_uploaded(request))

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "image":
            return await self._start_image(request, submission)
        self.check(request)  # before anything is uploaded
        media, headers = [], dict(ASYNC)
        for item in request.media:
            if requests.needs_upload(request, item):
                media.append(await upload_input(self.http, item, model=request.model))
                headers |= RESOLVES
            else:
                media.append(item)
                headers |= RESOLVES if item.vendor_scheme else {}
        body = requests.video_body(request.model_copy(update={"media": tuple(media)}))
        return _operation_of(await self._submit_request(requests.path_of(request), body, headers=headers))

    async def poll(self, operation: Operation) -> PollAnswer:
        if "images" in operation.data:
            files = [ResultFile("image", "image/png", url=link) for link in operation.data["images"]]
            return Succeeded(tuple(files), usage=usage_facts(operation.data["usage"]))
        path = f"{TASKS}/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=DashScopeAnswer, even_if=DashScopeAnswer.is_error)
        body = answer.body
        if body.output is None:
            text = self._error_text(body)
            raise poll_error(body.error_meaning, text, status=answer.status, headers=answer.headers)
        code, message = body.output.first_error()
        result = poll_answer(body, self.http.clean_text(message or code))
        if result is None:
            raise missing_file("DashScope", "file")
        return result

    async def cancel(self, operation: Operation) -> bool:
        if "images" in operation.data:
            return False
        path = f"{TASKS}/{quote(operation.id, safe='')}/cancel"
        answer = await self.http.post_json(
            path, {}, answer=DashScopeAnswer, purpose="poll", even_if=DashScopeAnswer.is_error
        )
        body = answer.body
        if answer.status in TOO_LATE:
            return False
        if body.is_error():
            text = self._error_text(body)
            raise poll_error(body.error_meaning, text, status=answer.status, headers=answer.headers)
        return True

    def relay_target(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in ANTHROPIC_PATHS or path.startswith(("images/", "audio/")):
            return None
        return RelayTarget(self.http.absolute_url(f"{TEXT}/{path}"), self.auth_headers(self.account))

    async def _start_image(self, request: GenerationRequest, submission: Submission) -> Operation:
        kind = images.picture_path(images.known_picture(request))
        body, path = images.image_body(request), images.PATHS[kind]
        if kind != "direct":
            return _operation_of(await self._submit_request(path, body, headers=ASYNC))
        answer = await self._submit_request(path, body, timeout=PICTURE_SECONDS)
        links = (answer.output or TaskOutput()).image_urls()
        if not links:
            raise OutcomeUnknown("DashScope answered without a picture")
        # Only this answer has the links, so they are kept with the operation.
        data = {"images": links, "usage": answer.usage}
        return Operation(id=f"image_{submission.idempotency_key}", data=data)

    async def _submit_request(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> DashScopeAnswer:
        answer = await self.http.post_json(
            path,
            body,
            answer=DashScopeAnswer,
            headers=headers,
            timeout=timeout,
            even_if=DashScopeAnswer.is_error,
        )
        if answer.body.is_error():
            text = self._error_text(answer.body)
            raise submit_error(answer.body.error_meaning, text, status=answer.status, headers=answer.headers)
        return answer.body

    def _error_text(self, body: DashScopeAnswer) -> str:
        return self.http.clean_text(f"{body.message} ({body.code})")


def _operation_of(answer: DashScopeAnswer) -> Operation:
    if answer.output is None or not answer.output.task_id:
        raise unnamed_task("DashScope")
    return Operation(id=answer.output.task_id)
