"""Alibaba's DashScope (Model Studio): Wan and HappyHorse videos, Wan and Qwen pictures."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed
from app.generation import GenerationRequest, Kind
from app.providers.addresses import origin_of
from app.providers.base import (
    ANTHROPIC_PATHS,
    Account,
    Capabilities,
    Operation,
    Pace,
    PollAnswer,
    Provider,
    ResultFile,
    Submission,
    Succeeded,
)
from app.providers.dashscope import images, requests
from app.providers.dashscope.answers import Answer, Output, facts, poll_answer
from app.providers.dashscope.models import model_of
from app.providers.dashscope.uploads import RESOLVES, uploaded
from app.providers.refusals import look_error, submit_error
from app.providers.relay_target import RelayTarget

HOST = "https://dashscope.aliyuncs.com"
"""Others: ``https://dashscope-intl.aliyuncs.com``, ``https://<workspace>.<region>.maas.aliyuncs.com``."""
TASKS = "/api/v1/tasks"
TEXT = "/compatible-mode/v1"
ASYNC = {"X-DashScope-Async": "enable"}
DIRECT_SECONDS = 300.0
"""How long a picture may take that is made while one waits."""
TOO_LATE = {400, 404, 409}
ALL_KINDS: frozenset[Kind] = frozenset({"video", "image", "text"})
VIDEO_WORDS = ("t2v", "i2v", "r2v", "kf2v", "video", "wan3")


class DashScope(Provider):
    """``account.options["workspace"]`` names a workspace, where the address does not."""

    name = "dashscope"
    verified: ClassVar[str] = "verified against dashscope 2.0.2"
    pace = Pace(first=5.0, factor=1.2, cap=20.0)

    @classmethod
    def address(cls, account: Account) -> str:
        return origin_of(account, HOST).removesuffix("/api/v1").removesuffix(TEXT)

    @classmethod
    def credentials(cls, account: Account) -> Mapping[str, str]:
        workspace = account.options.get("workspace")
        named = {"X-DashScope-WorkSpace": str(workspace)} if workspace else {}
        return {**super().credentials(account), **named}

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
            return await self._start_picture(request, submission)
        # What can't be told is refused before anything is uploaded.
        requests.fields(requests.as_if_uploaded(request))
        media, headers = [], dict(ASYNC)
        for item in request.media:
            if requests.needs_upload(request, item):
                media.append(await uploaded(self.http, item, model=request.model))
                headers |= RESOLVES
            else:
                media.append(item)
        body = requests.fields(request.model_copy(update={"media": tuple(media)}))
        return _operation(await self._send(requests.path_of(request), body, headers=headers))

    async def poll(self, operation: Operation) -> PollAnswer:
        if "images" in operation.data:
            files = [ResultFile("image", "image/png", url=link) for link in operation.data["images"]]
            return Succeeded(tuple(files), usage=facts(operation.data["usage"]))
        path = f"{TASKS}/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=Answer, even_if=Answer.refused)
        body = answer.body
        if body.output is None:
            said = self._said(body)
            raise look_error(body.meaning, said, status=answer.status, headers=answer.headers)
        code, message = body.output.complaint()
        found = poll_answer(body, self.http.cleaned(message or code))
        if found is None:
            raise PollFailed("DashScope says it is done, but names no file")
        return found

    async def cancel(self, operation: Operation) -> bool:
        if "images" in operation.data:
            return False
        path = f"{TASKS}/{quote(operation.id, safe='')}/cancel"
        answer = await self.http.post_json(path, {}, answer=Answer, purpose="look", even_if=Answer.refused)
        body = answer.body
        if answer.status in TOO_LATE:
            return False
        if body.refused():
            said = self._said(body)
            raise look_error(body.meaning, said, status=answer.status, headers=answer.headers)
        return True

    def relay(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in ANTHROPIC_PATHS or path.startswith(("images/", "audio/")):
            return None
        return RelayTarget(self.http.url(f"{TEXT}/{path}"), self.credentials(self.account))

    async def _start_picture(self, request: GenerationRequest, submission: Submission) -> Operation:
        model = images.known(request)
        body, path = images.fields(request), images.PATHS[model.path]
        if model.path != "direct":
            return _operation(await self._send(path, body, headers=ASYNC))
        answer = await self._send(path, body, timeout=DIRECT_SECONDS)
        links = (answer.output or Output()).links()
        if not links:
            raise OutcomeUnknown("DashScope answered without a picture")
        # The links are in this answer and nowhere else, so they go into the receipt.
        data = {"images": links, "usage": answer.usage}
        return Operation(id=f"image_{submission.idempotency_key}", data=data)

    async def _send(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        answer = await self.http.post_json(
            path, body, answer=Answer, headers=headers, timeout=timeout, even_if=Answer.refused
        )
        if answer.body.refused():
            said = self._said(answer.body)
            raise submit_error(answer.body.meaning, said, status=answer.status, headers=answer.headers)
        return answer.body

    def _said(self, body: Answer) -> str:
        return self.http.cleaned(f"{body.message} ({body.code})")


def _operation(answer: Answer) -> Operation:
    if answer.output is None or not answer.output.task_id:
        raise OutcomeUnknown("DashScope accepted the request without naming the task")
    return Operation(id=answer.output.task_id)
