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
from app.providers.dashscope.models import model_of
from app.providers.dashscope.uploads import RESOLVES, upload_input
from app.providers.http_errors import missing_file, poll_error, submit_error, unnamed_task

HOST = "https://dashscope.aliyuncs.com"
"""Others: ``https://dashscope-intl.aliyuncs.com``, ``https://<workspace>.<region>.maas.aliyuncs.com``."""
TASKS = "/api/v1/tasks"
TEXT = "/compatible-mode/v1"
ASYNC = {"X-DashScope-Async": "enable"}
DIRECT_SECONDS = 300.0
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
    sample_models = ("wan2.7-t2v", "wan2.7-i2v", "wan2.7-r2v", "qwen-image-3.0")
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
        picture = images.model_of(model)
        if picture is not None:
            return Capabilities(
                kinds=frozenset({"image"}), roles=images.roles_of(picture), cancel=picture.path != "direct"
            )
        known = model_of(model)
        made: frozenset[Kind] = frozenset({"video"})
        is_video = any(word in model.lower() for word in VIDEO_WORDS)
        return Capabilities(
            kinds=made if is_video else self.account.kinds or ALL_KINDS,
            roles=known.roles,
            seconds=known.seconds,
            native_shots=known.shots,
            cancel=True,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "image":
            return await self._start_image(request, submission)
        # Building the body first refuses what it has no field for before anything is uploaded.
        requests.video_body(requests.as_if_uploaded(request))
        media, headers = [], dict(ASYNC)
        for item in request.media:
            if requests.needs_upload(request, item):
                media.append(await upload_input(self.http, item, model=request.model))
                headers |= RESOLVES
            else:
                media.append(item)
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
        model = images.known_model(request)
        body, path = images.image_body(request), images.PATHS[model.path]
        if model.path != "direct":
            return _operation_of(await self._submit_request(path, body, headers=ASYNC))
        answer = await self._submit_request(path, body, timeout=DIRECT_SECONDS)
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
